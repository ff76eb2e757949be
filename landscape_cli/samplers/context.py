"""One step of training, as a sampler sees it: the networks, where training stands, and what can be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from landscape_cli.forward.objective import Objective
from landscape_cli.forward.objectives import CLASSIFICATION
from landscape_cli.rng import derive_seed, generator, seed_device
from landscape_cli.samplers import gradients
from landscape_cli.samplers.division import Division
from landscape_cli.samplers.optimizer import DTYPES, make_optimizer
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import MODULES, NOISE
from landscape_cli.samplers.subspace import ConfinedStack


class StepContext:
    """Where a phase of training stands, and the gradients, optimiser and noise of the step in hand.

    Everything random is a function of seed, replica, phase, epoch and step.

    Attributes:
        stack: the networks, trained in place.
        recipe: how to train.
        state: the sampler's tensors in the state of training, by name, as its `begin` returned them.
        active: for each run, whether it still trains.
        epoch: counted from 0.
        step: counted from 0 within the epoch.
        steps: how many an epoch has.
        rate: the learning rate of this step.
        batches: the mini-batch of each network still training.
        losses: theirs on it, as `backward` last found them, shape (networks still training,).
        loss_sum: sum of the losses of the epoch's samples, or decisions, so far, shape (networks,), float64.
        wrong: how many of them were wrong, shape (networks,).
        optimizer: of all networks.
        objective: what outputs are held against.
        confined: the networks in their subspaces, where training is confined to such; else None.
        collects: whether gradients are rows of `stack.gradients`: where nobody looks, autograd's own serve, and save
            two passes over memory.
    """

    def __init__(
        self,
        stack: Stack,
        recipe: Recipe,
        x: Tensor,
        *,
        seeds: Sequence[int],
        phase: int,
        uses_gradients: bool,
        objective: Objective = CLASSIFICATION,
        confined: ConfinedStack | None = None,
        division: Division | None = None,
    ) -> None:
        """Prepare the first step.

        Args:
            stack: the networks.
            recipe: how to train.
            x: some training inputs, on the stack's device.
            seeds: one a run.
            phase: the phase's number, for its streams of randomness.
            uses_gradients: whether the sampler looks at `stack.gradients`.
            objective: what outputs are held against.
            confined: the networks in their subspaces, if training is confined to such.
            division: the processes that find gradients, each of some networks, if there are several.
        """
        self.objective = objective
        self.stack, self.recipe, self.seeds, self.phase = stack, recipe, list(seeds), phase
        self.confined = confined
        self.state: dict[str, Tensor] = {}
        self.active = [True] * stack.runs
        self.epoch = self.step = self.steps = 0
        self.rate = 0.0
        self.batches: list[gradients.Batch] = []
        self.losses = stack.weights.new_zeros(0)
        self.optimizer = make_optimizer(
            recipe if confined is None else replace(recipe, weight_decay=0.0),  # of the weights, not the coordinates
            [each for parameters in self.trained for each in parameters],
        )
        self._draws = gradients.draws_at_random(stack, x)
        self._gradients, together = gradients.choose(stack, x, recipe.batch_size, DTYPES[recipe.precision], objective)
        if division is not None:
            self._gradients = division.divide(self._gradients, objective)
        is_looked_at = uses_gradients or recipe.clip_norm is not None or confined is not None or division is not None
        self.collects = together or is_looked_at
        device = stack.weights.device
        self.loss_sum = torch.zeros(len(stack.networks), device=device, dtype=torch.float64)
        self.wrong = torch.zeros(len(stack.networks), device=device, dtype=objective.counted_in)

    @property
    def indices(self) -> list[int]:
        """Which networks still train."""
        return [k for k in range(len(self.stack.networks)) if self.active[k // self.stack.replicas]]

    @property
    def trained(self) -> list[list[nn.Parameter]]:
        """What the optimiser moves of each network: its parameters, or its coordinates."""
        return self.stack.parameters if self.confined is None else [[z] for z in self.confined.coordinates]

    def clear(self) -> None:
        """Set all gradients to zero."""
        if self.collects:
            self.stack.gradients.zero_()
        else:
            for k in self.indices:
                self.stack.drop(k)

    def backward(self, share: float = 1.0, *, again: bool = False) -> None:
        """Add the gradients of `share` times each network's loss on this step's mini-batch.

        With `again`, the batch is seen a second time: neither statistics nor the log count it.
        """
        buffers = [buffer.clone() for buffer in self.stack.buffers.values()] if again else []
        indices = self.indices
        losses, wrong = self._gradients(self.stack, indices, self.batches, share, self._seed_modules)
        if again:
            for buffer, old in zip(self.stack.buffers.values(), buffers, strict=True):
                buffer.copy_(old)
            return
        self.losses = losses
        size = self._counts(self.batches)
        if len(indices) == len(self.loss_sum):
            self.loss_sum += losses.double() * size
            self.wrong += wrong
        else:
            rows = torch.tensor(indices, device=self.loss_sum.device)
            self.loss_sum.index_add_(0, rows, losses.double() * size)
            self.wrong.index_add_(0, rows, wrong)

    def backward_at(self, row: Tensor) -> None:
        """Add the gradient of the loss at other parameters to that of the first network, for one run alone.

        The mini-batch is the first network's, and what is seen there counts in the log for all networks.

        Args:
            row: the parameters, shape (entries,).
        """
        kept = self.stack.weights[0].clone()
        self.stack.weights[0] = row
        losses, wrong = self._gradients(self.stack, [0], self.batches[:1], 1.0, self._seed_modules)
        self.stack.weights[0] = kept
        self.loss_sum += losses.double() * self._counts(self.batches[:1])
        self.wrong += wrong

    def update(self, rate: float | None = None) -> None:
        """Let the optimiser take its step, at the learning rate or another."""
        indices, confined = self.indices, self.confined
        gradients = [self.stack.gradients[k] for k in indices] if confined is None else confined.project(indices)
        if self.recipe.clip_norm is not None:
            for gradient in gradients:
                gradient.mul_((self.recipe.clip_norm / (gradient.norm() + 1e-12)).clamp_max(1.0))
        if confined is not None and self.recipe.weight_decay:
            confined.decay(indices, self.recipe.weight_decay)
        self.optimizer.param_groups[0]["lr"] = self.rate if rate is None else rate
        self.optimizer.step()
        if confined is not None:
            confined.place(indices)
        self.stack.clip()

    def noise(self, k: int) -> Tensor:
        """Return standard normal numbers for network k, shape (entries,): the same at each call within a step.

        They are zero where there is no parameter.
        """
        numbers = torch.randn(self.stack.weights.shape[1], generator=self.generator(k, NOISE))
        return numbers.to(self.stack.weights) * self.stack.occupied

    def forget(self) -> None:
        """Let the optimiser forget its momenta."""
        self.optimizer.state.clear()

    def identity(self, k: int) -> tuple[int, int]:
        """Return the seed of network k, and which of its run's replicas it is."""
        return self.seeds[k // self.stack.replicas], k % self.stack.replicas

    def generator(self, k: int, stream: int) -> torch.Generator:
        """Return what network k draws from in this step, for one of the purposes of `streams`."""
        seed, replica = self.identity(k)
        return generator(seed, stream, replica, self.phase, self.epoch, self.step)

    def _counts(self, batches: Sequence[gradients.Batch]) -> int | Tensor:
        """Return how many decisions mini-batches are, as a number where all are as many."""
        counts = [self.objective.count(y) for _, y in batches]
        return counts[0] if len(set(counts)) == 1 else torch.tensor(counts, device=self.loss_sum.device)

    def _seed_modules(self, k: int) -> None:
        """Give modules that draw at random while they train, as dropout does, a stream of their own at each step."""
        if self._draws:
            seed, replica = self.identity(k)
            seed_device(self.loss_sum.device, derive_seed(seed, MODULES, replica, self.phase, self.epoch, self.step))
