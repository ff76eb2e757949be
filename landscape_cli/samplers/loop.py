"""The one training loop: a stack, its networks' mini-batches, a method and a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.memory import as_channels_last
from landscape_cli.network import Params
from landscape_cli.rng import derive_seed, generator
from landscape_cli.samplers import gradients
from landscape_cli.samplers.augment import augment, check_augment
from landscape_cli.samplers.method import Method
from landscape_cli.samplers.recipe import PRECISIONS, Recipe, make_optimizer
from landscape_cli.samplers.records import EpochRecord, Watcher
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import AUGMENTATION, MODULES, NOISE, epoch_order


class Loop:
    """One phase of training, which can stand still after any step, be saved and be taken up again.

    Implements `method.Work`. Everything random is a function of seed, replica, phase, epoch and step.

    Attributes:
        stack: the networks, trained in place.
        recipe: how to train.
        method: the sampler's own.
        active: for each run, whether it still trains.
        diverged: for each run, whether its loss stopped being finite.
        epoch: the epoch to go on with, counted from 0.
        step: the step to go on with, counted from 0 within the epoch.
        records: what was seen so far.
    """

    def __init__(
        self,
        stack: Stack,
        data: Sequence[Split],
        recipe: Recipe,
        method: Method,
        *,
        seeds: Sequence[int],
        black: Tensor | None = None,
        phase: int = 0,
        name: str = "train",
        watcher: Watcher | None = None,
        diverged: Sequence[bool] = (),
    ) -> None:
        """Prepare training.

        Args:
            stack: the networks.
            data: each run's training set, on the stack's device; runs may share one.
            recipe: how to train.
            method: the sampler's own.
            seeds: one a run.
            black: the standardised value of a black pixel, shape (channels,); needed to augment.
            phase: the phase's number, for its streams of randomness.
            name: what the records are to call it.
            watcher: whom to tell.
            diverged: runs that are lost already.

        Raises:
            TrainingError: if the networks cannot be trained on such batches, or inputs to augment are no images.
        """
        check_augment(data[0].x, recipe.augment)
        self.stack, self.recipe, self.method, self.seeds = stack, recipe, method, list(seeds)
        self.name, self.phase, self.watcher = name, phase, watcher or Watcher()
        shared: dict[int, Split] = {}
        self.data = [
            shared.setdefault(id(split.x), Split(as_channels_last(split.x), split.y)) for split in data
        ]  # runs that share a training set share its memory
        self.black = torch.zeros(self.data[0].x.shape[1]) if black is None else black
        self.samples = len(self.data[0].y)
        self.ends = batch_ends(stack.networks[0], self.samples, recipe.batch_size)
        self.steps = len(self.ends)
        self.epoch = self.step = 0
        self.diverged = list(diverged) or [False] * stack.runs
        self.active = [not lost for lost in self.diverged]
        self.records: list[EpochRecord] = []
        self.rate = 0.0
        self.optimizer = make_optimizer(recipe, [own for parameters in stack.parameters for own in parameters])
        self._draws = gradients.draws_at_random(stack, self.data[0].x)
        self._gradients, together = gradients.choose(
            stack, self.data[0].x, recipe.batch_size, PRECISIONS[recipe.precision]
        )
        # Rows that nobody looks at are not filled: autograd's own gradients serve, and save two passes over memory.
        self._collects = together or method.uses_gradients or recipe.clip_norm is not None
        device = stack.weights.device
        self.loss_sum = torch.zeros(len(stack.networks), device=device, dtype=torch.float64)
        self.wrong = torch.zeros(len(stack.networks), device=device, dtype=torch.int64)
        self._orders: list[Tensor] = []
        self._batches: list[tuple[Tensor, Tensor]] = []
        self._evaluators: dict[int, Evaluator] = {}

    @property
    def which(self) -> list[int]:
        """The networks still training."""
        return [k for k in range(len(self.stack.networks)) if self.active[k // self.stack.replicas]]

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.epoch >= self.recipe.epochs or not any(self.active)

    def run(self, pause: Callable[[bool], None] = lambda epoch_ended: None) -> None:
        """Train to the end.

        Args:
            pause: called after every step, and whether it ended an epoch: may save, or raise to stop.
        """
        with torch.random.fork_rng(devices=self._cuda()):
            self.watcher.start(self.name, self.recipe.epochs, self.steps, self.epoch * self.steps + self.step)
            while not self.done:
                self._begin_epoch()
                while self.step < self.steps:
                    self._take_batches()
                    self.rate = self._rate_of(self.step)
                    self.method.step(self)
                    self.step += 1
                    self.watcher.step()
                    if self.step < self.steps:
                        pause(False)
                self._end_epoch()
                pause(True)

    def clear(self) -> None:
        """Set all gradients to zero."""
        if self._collects:
            self.stack.gradients.zero_()
        else:
            for k in self.which:
                self.stack.drop(k)

    def backward(self, share: float = 1.0, *, again: bool = False) -> None:
        """Add the gradients of `share` times each network's loss on this step's mini-batch."""
        kept = [buffer.clone() for buffer in self.stack.buffers.values()] if again else []
        which = self.which
        losses, wrong = self._gradients(self.stack, which, self._batches, share, self._before)
        if again:
            for buffer, old in zip(self.stack.buffers.values(), kept, strict=True):
                buffer.copy_(old)
            return
        size = len(self._batches[0][1])
        if len(which) == len(self.loss_sum):
            self.loss_sum += losses.double() * size
            self.wrong += wrong
        else:
            places = torch.tensor(which, device=self.loss_sum.device)
            self.loss_sum.index_add_(0, places, losses.double() * size)
            self.wrong.index_add_(0, places, wrong)

    def update(self, factor: float = 1.0) -> None:
        """Let the optimiser take its step, at `factor` times the learning rate."""
        if self.recipe.clip_norm is not None:
            for k in self.which:
                gradient = self.stack.gradients[k]
                gradient.mul_((self.recipe.clip_norm / (gradient.norm() + 1e-12)).clamp_max(1.0))
        self.optimizer.param_groups[0]["lr"] = self.rate * factor
        self.optimizer.step()
        self.stack.clip()

    def noise(self, k: int) -> Tensor:
        """Return standard normal numbers for network k, shape (places,)."""
        seed, replica = self._identity(k)
        source = generator(seed, NOISE, replica, self.phase, self.epoch, self.step)
        return torch.randn(self.stack.weights.shape[1], generator=source).to(self.stack.weights.device)

    def forget(self) -> None:
        """Let the optimiser forget its momenta."""
        self.optimizer.state.clear()

    def solution(self, run: int) -> Params:
        """Return a run's network as it stands, its batch-norm statistics recomputed if they are not its own."""
        found = self.method.solution(self.stack, run)
        if self.method.own_statistics:
            return found
        model = self.stack.networks[self.stack.members(run).start]
        recomputed = recompute_statistics(model, found, self.data[run].x)
        model.train()
        return recomputed

    def _identity(self, k: int) -> tuple[int, int]:
        return self.seeds[k // self.stack.replicas], k % self.stack.replicas

    def _cuda(self) -> list[torch.device]:
        device = self.stack.weights.device
        return [device] if device.type == "cuda" else []

    def _before(self, k: int) -> None:
        """Give modules that draw at random while they train, as dropout does, a stream of their own at each step."""
        if self._draws:
            seed, replica = self._identity(k)
            torch.manual_seed(derive_seed(seed, MODULES, replica, self.phase, self.epoch, self.step))

    def _rate_of(self, step: int) -> float:
        return self.method.rate(self.recipe, (self.epoch * self.steps + step) / (self.recipe.epochs * self.steps))

    def _begin_epoch(self) -> None:
        self._orders = []
        for k in range(len(self.stack.networks)):
            seed, replica = self._identity(k)
            order = epoch_order(self.samples, seed, replica, self.phase, self.epoch)
            self._orders.append(order.to(self.loss_sum.device))
        for k, network in enumerate(self.stack.networks):
            network.train()
            if self._collects and self.active[k // self.stack.replicas]:
                self.stack.collect(k)
            else:
                self.stack.drop(k)
        if self.step == 0:
            self.loss_sum.zero_()
            self.wrong.zero_()

    def _take_batches(self) -> None:
        start, stop = self.step * self.recipe.batch_size, self.ends[self.step]
        self._batches = []
        for k in self.which:
            chosen = self._orders[k][start:stop]
            data = self.data[k // self.stack.replicas]
            x = data.x[chosen]
            if self.recipe.augment:
                seed, replica = self._identity(k)
                source = generator(seed, AUGMENTATION, replica, self.phase, self.epoch, self.step)
                x = augment(x, self.recipe.augment, black=self.black, generator=source)
            self._batches.append((x, data.y[chosen]))

    def _end_epoch(self) -> None:
        """Record the epoch, run by run; stop those that have diverged or learnt enough."""
        self.method.end_epoch(self)
        losses, errors = (self.loss_sum / self.samples).tolist(), (self.wrong.double() / self.samples).tolist()
        rate = self._rate_of(self.steps - 1)
        for run, seed in enumerate(self.seeds):
            if self.active[run]:
                self._record(run, seed, losses[self.stack.members(run)], errors[self.stack.members(run)], rate)
        self.epoch, self.step = self.epoch + 1, 0

    def _record(self, run: int, seed: int, losses: list[float], errors: list[float], rate: float) -> None:
        loss = sum(losses) / len(losses)
        error = None
        # The loss of the last step is that before it: the weights may be lost since.
        lost = not (math.isfinite(loss) and bool(self.stack.weights[self.stack.members(run)].isfinite().all()))
        wanted = self.recipe.until_error
        if not lost and (wanted is not None or (self.watcher.thorough and self.method.reports_solution)):
            error = self._solution_error(run)
            lost = math.isnan(error)
            self.active[run] = wanted is None or error > wanted
        if lost:
            self.active[run], self.diverged[run] = False, True
        coupled = len(losses) > 1
        distances = self.stack.distances(run) if coupled else None
        gamma = self.method.strength(run, self.recipe, self.epoch)
        record = EpochRecord(
            seed,
            self.name,
            self.epoch + 1,
            rate,
            loss,
            sum(errors) / len(errors),
            gamma,
            None if gamma is None else self.method.pull(gamma, rate),
            None if distances is None else float(distances.mean()),
            error,
            tuple(errors) if coupled else (),
            () if distances is None else tuple(distances.sqrt().tolist()),
        )
        self.records.append(record)
        self.watcher.epoch(record)
        if self.diverged[run]:
            line = f"seed {seed} diverged in epoch {self.epoch + 1} (loss {loss:.3g}): lower `learning_rate=`, now "
            self.watcher.diverged(seed, f"{line}{self.recipe.learning_rate}")

    def _solution_error(self, run: int) -> float:
        data = self.data[run]
        if id(data) not in self._evaluators:
            recompute_on = None if self.method.own_statistics else "data"
            network = self.stack.networks[self.stack.members(run).start]
            self._evaluators[id(data)] = Evaluator(
                network, data, device=self.stack.weights.device, recompute_on=recompute_on
            )
        return float(self._evaluators[id(data)].error([self.method.solution(self.stack, run)]))


def batch_ends(network: nn.Module, samples: int, batch_size: int) -> list[int]:
    """Return where each mini-batch of an epoch ends; all begin at multiples of `batch_size`.

    Batch-norm has no deviation to divide by in a batch of one sample: such a remainder joins the batch before.

    Raises:
        TrainingError: if every batch would have one sample, and the network has batch-norm.
    """
    ends = [min(start + batch_size, samples) for start in range(0, samples, batch_size)]
    if not any(isinstance(module, _BatchNorm) for module in network.modules()):
        return ends
    if min(batch_size, samples) == 1:
        raise TrainingError("batch-norm cannot train on mini-batches of one sample: raise `batch_size=`")
    return [*ends[:-2], samples] if samples % batch_size == 1 else ends
