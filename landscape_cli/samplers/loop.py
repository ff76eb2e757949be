"""The one training loop: a stack, its networks' mini-batches, a sampler and a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landscape_cli.choices import Augment, Precision
from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.memory import as_channels_last
from landscape_cli.forward.precision import tf32
from landscape_cli.network import Params
from landscape_cli.samplers.augment import augment, check_augment
from landscape_cli.samplers.context import StepContext
from landscape_cli.samplers.division import Division
from landscape_cli.samplers.records import EpochNetwork, EpochRecord, TrainingObserver
from landscape_cli.samplers.sampler import Phase, Sampler
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import AUGMENTATION, epoch_order
from landscape_cli.samplers.subspace import ConfinedStack, Displacement


class Loop:
    """One phase of training, which can stand still after any step, be saved and be taken up again.

    Attributes:
        context: where training stands, and what a step can do.
        sampler: how.
        phase: which stretch of it.
        data: each run's training set.
        diverged: for each run, whether its loss stopped being finite.
        records: what was seen so far.
    """

    def __init__(
        self,
        stack: Stack,
        data: Sequence[Split],
        sampler: Sampler,
        phase: Phase,
        *,
        seeds: Sequence[int],
        number: int = 0,
        black: Tensor | None = None,
        observer: TrainingObserver | None = None,
        diverged: Sequence[bool] = (),
        confined: ConfinedStack | None = None,
        taken: Mapping[int, int | None] | None = None,
        scaled: bool = False,
        division: Division | None = None,
    ) -> None:
        """Prepare training.

        Args:
            stack: the networks.
            data: each run's training set, on the stack's device; runs may share one.
            sampler: how to train.
            phase: which of its phases this is.
            seeds: one a run.
            number: the phase's number, for its streams of randomness.
            black: the standardised value of a black pixel, shape (channels,); needed to augment.
            observer: whom to tell.
            diverged: runs that are lost already.
            confined: the networks in their subspaces, if training is confined to such.
            taken: after which epochs the observer gets the networks, and which snapshot each is, if any.
            scaled: whether their scale at the beginning was chosen, so that it may be why one diverges.
            division: the processes that train them together, if there are several.

        Raises:
            TrainingError: if the networks cannot be trained on such batches, or inputs to augment are no images.
        """
        recipe = phase.recipe
        check_augment(data[0].x, recipe.augment)
        self.stack, self.recipe, self.sampler, self.phase = stack, recipe, sampler, phase
        self.observer, self._taken = observer or TrainingObserver(), taken or {}
        shared: dict[int, Split] = {}
        self.data = [
            shared.setdefault(id(split.x), replace(split, x=as_channels_last(split.x))) for split in data
        ]  # runs that share a training set share its memory
        x = self.data[0].x
        self.black = torch.zeros(x.shape[1]) if black is None else black
        self.samples = len(self.data[0].y)
        self.ends = batch_ends(stack.networks[0], self.samples, recipe.batch_size)
        self.context = StepContext(
            stack,
            recipe,
            x,
            seeds=seeds,
            phase=number,
            uses_gradients=sampler.uses_gradients,
            objective=self.data[0].objective,
            confined=confined,
            division=division,
        )
        self.context.steps = len(self.ends)
        self._scaled, self._division = scaled, division
        self.diverged = list(diverged) or [False] * stack.runs
        self.context.active = [not lost for lost in self.diverged]
        self.records: list[EpochRecord] = []
        self._orders: list[Tensor] = []
        self._evaluators: dict[int, Evaluator] = {}

    @property
    def own_statistics(self) -> bool:
        """Whether running statistics of batch-norm are to stay as training left them."""
        return self.sampler.own_statistics and self.context.confined is None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.context.epoch >= self.recipe.epochs or not any(self.context.active)

    def begin(self) -> None:
        """Let the sampler make its state; what is wanted of epoch 0 is what there is now."""
        self.context.state = self.sampler.begin(self.stack, self.data, self.recipe)
        for run in range(self.stack.runs):
            self._take(run, 0)

    def run(self, pause: Callable[[bool], None] = lambda epoch_ended: None) -> None:
        """Train to the end.

        Args:
            pause: called after every step, and whether it ended an epoch: may save, or raise to stop.
        """
        context = self.context
        device = self.stack.weights.device
        random = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        with random, tf32(device, allowed=self.recipe.precision == Precision.TF32):
            done = context.epoch * context.steps + context.step
            self.observer.start(self.phase.name, self.recipe.epochs, context.steps, done)
            while not self.done:
                self._begin_epoch()
                while context.step < context.steps:
                    context.batches = self._batches()
                    context.rate = self._rate_of(context.step)
                    self.sampler.step(context)
                    context.step += 1
                    self.observer.step()
                    if context.step < context.steps:
                        pause(False)
                self._end_epoch()
                pause(True)

    def solution(self, run: int) -> Params:
        """Return a run's network as it stands, its batch-norm statistics recomputed if they are not its own."""
        params = self.sampler.solution(self.context, run)
        if self.own_statistics:
            return params
        model = self.stack.networks[self.stack.members(run).start]
        recomputed = recompute_statistics(model, params, self.data[run].x)
        model.train()
        return recomputed

    def displacement(self, run: int) -> Displacement | None:
        """Return how far a run has come in its subspace, if it is in one."""
        confined = self.context.confined
        return None if confined is None else confined.displacement(run)

    def _rate_of(self, step: int) -> float:
        done = self.context.epoch * self.context.steps + step
        return self.sampler.learning_rate(self.recipe, done / (self.recipe.epochs * self.context.steps))

    def _begin_epoch(self) -> None:
        context = self.context
        self._orders = []
        for k in range(len(self.stack.networks)):
            seed, replica = context.identity(k)
            order = epoch_order(self.samples, seed, replica, context.phase, context.epoch)
            self._orders.append(order.to(context.loss_sum.device))
        for k, network in enumerate(self.stack.networks):
            network.train()
            if context.collects and context.active[k // self.stack.replicas]:
                self.stack.collect(k)
            else:
                self.stack.drop(k)
        if context.step == 0:
            context.loss_sum.zero_()
            context.wrong.zero_()

    def _batches(self) -> list[tuple[Tensor, Tensor]]:
        """Return the next mini-batch of each network still training."""
        context = self.context
        start, stop = context.step * self.recipe.batch_size, self.ends[context.step]
        batches: list[tuple[Tensor, Tensor]] = []
        for k in context.indices:
            if self.sampler.one_batch and k % self.stack.replicas:
                batches.append(batches[-1])
                continue
            chosen = self._orders[k][start:stop]
            data = self.data[k // self.stack.replicas]
            x = data.x[chosen]
            if self.recipe.augment != Augment.OFF:
                source = context.generator(k, AUGMENTATION)
                x = augment(x, self.recipe.augment, black=self.black, generator=source)
            batches.append((x, data.y[chosen]))
        return batches

    def _end_epoch(self) -> None:
        """Record the epoch, run by run; stop those that have diverged or learnt enough."""
        context = self.context
        self.sampler.end_epoch(context)
        counts = self._counts()
        losses = (context.loss_sum / counts).tolist()
        errors = (context.wrong.double() / counts).tolist()
        rate = self._rate_of(context.steps - 1)
        for run in range(self.stack.runs):
            if context.active[run]:
                members = self.stack.members(run)
                self._record(run, losses[members], errors[members], rate)
                self._take(run, context.epoch + 1)
        if self._division is not None:
            self._division.check_agree(self.stack, context.active)
        context.epoch, context.step = context.epoch + 1, 0

    def _counts(self) -> int | Tensor:
        """Return how many decisions an epoch of each network is, as a number where all are as many."""
        counts = [self.context.objective.count(split.y) for split in self.data]
        if len(set(counts)) == 1:
            return counts[0]
        return torch.tensor(counts, device=self.stack.weights.device).repeat_interleave(self.stack.replicas)

    def _record(self, run: int, losses: list[float], errors: list[float], rate: float) -> None:
        context, seed = self.context, self.context.seeds[run]
        loss = sum(losses) / len(losses)
        error = None
        # The loss of the last step is that before it: the weights may be lost since.
        lost = not (math.isfinite(loss) and bool(self.stack.weights[self.stack.members(run)].isfinite().all()))
        wanted = self.recipe.until_error
        has_error = context.objective.has_error
        looks = wanted is not None or (self.observer.thorough and self.sampler.reports_solution)
        if has_error and looks and not lost:
            error = self._solution_error(run)
            lost = math.isnan(error)
            context.active[run] = wanted is None or error > wanted
        if lost:
            context.active[run], self.diverged[run] = False, True
        coupled = len(losses) > 1
        distances = self.stack.distances(run) if coupled else None
        gamma = self.sampler.strength(context, run)
        record = EpochRecord(
            seed,
            self.phase.name,
            context.epoch + 1,
            rate,
            loss,
            sum(errors) / len(errors) if has_error else None,
            gamma,
            None if gamma is None else self.sampler.pull(gamma, context),
            None if distances is None else float(distances.mean()),
            error,
            tuple(errors) if coupled and has_error else (),
            () if distances is None else tuple(distances.sqrt().tolist()),
            self.sampler.merge_epoch(context, run),
        )
        self.records.append(record)
        self.observer.epoch(record)
        if self.diverged[run]:
            what = "`init_scale=`, or " if self._scaled and context.epoch == 0 else ""
            line = f"seed {seed} diverged in epoch {context.epoch + 1} (loss {loss:.3g}): lower {what}`learning_rate=`"
            self.observer.diverged(seed, f"{line}, now {self.recipe.initial_rate}")

    def _take(self, run: int, epoch: int) -> None:
        """Give the observer a run's network, if it is wanted after this epoch."""
        if epoch in self._taken and not self.diverged[run]:
            seed = self.context.seeds[run]
            network = EpochNetwork(seed, epoch, self._taken[epoch], self.solution(run), self.displacement(run))
            self.observer.network(network)

    def _solution_error(self, run: int) -> float:
        """Return the training error of a run's network as it would be returned: the mean over all it is judged by."""
        data = self.data[run]
        if id(data) not in self._evaluators:
            recompute_on = None if self.own_statistics else "data"
            network = self.stack.networks[self.stack.members(run).start]
            self._evaluators[id(data)] = Evaluator(
                network, data, device=self.stack.weights.device, recompute_on=recompute_on
            )
        return float(self._evaluators[id(data)].error(self.sampler.judged(self.context, run)).mean())


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
