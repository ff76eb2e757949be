"""Entropy-SGD: SGD on the local entropy (Chaudhari et al., 2019), which is high in wide valleys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings
from landscape_cli.choices import Optimizer
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.recipe import BINARY_RATES
from landscape_cli.samplers.rsgd import number_or_auto
from landscape_cli.samplers.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.network import Params
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.recipe import Recipe
    from landscape_cli.samplers.stack import Stack

INNER_RATES = {"sgd": 0.1, "adam": 0.001}
"""Of the exploring copy, by optimiser, but of binary networks."""


@dataclass(frozen=True)
class EntropySGD(Sampler):
    """Move towards the mean of a copy that explores the neighbourhood (Chaudhari et al., 2019, algorithm 1).

    The copy x' takes L steps of the recipe's optimiser at a fixed rate η', on the loss alone; to each is added, beside
    all momentum, -η'γ (x' - x) and noise ε√(2η') N(0, 1). Then the network x moves against x - μ, μ the copy's running
    mean, by Nesterov's method at the recipe's rate and momentum; the copy starts there, its momentum forgotten. Decay
    is in both gradients. γ grows with every such move. An epoch is a pass over the training set, as for the others. The
    rows of the stack are the copies; the state holds the networks, their velocities, the means, γ in the beginning, one
    a run (0: yet to be found), and η'.

        [solution] = train(spec, data, EntropySGD(steps=20), recipe=Recipe(epochs=50), seeds=[1])

    Attributes:
        steps: L, mini-batches that explore the neighbourhood before the network moves.
        gamma_init: γ in the beginning: how strongly the exploring copy is tied to the network; None for the value that
            makes γ/2 |x' - x|² equal the loss of the first exploration's last mini-batch; until then it is 0.
        gamma_growth: the factor by which γ grows over the training (the paper's scoping).
        noise: ε, the size of the thermal noise.
        inner_rate: η', the rate of the copy; None for 0.1, Adam's 0.001, or the usual one of binary networks.
        memory: α, the weight of the past in the mean of the exploring copy.

    Raises:
        TrainingError: if a setting is impossible.
    """

    summary = "Entropy-SGD"
    own_statistics = False
    reports_solution = True
    usual_rate = 0.1
    revision = 2

    gamma_init: float | None = option(
        0.03, "γ in the beginning; auto: from the first exploration.", read=number_or_auto, metavar="auto|X"
    )
    gamma_growth: float = option(10.0, "Factor by which γ grows in all.")
    steps: int = option(20, "L, steps of exploration.", name="esgd_steps")
    noise: float = option(1e-4, "ε, size of the thermal noise.", name="esgd_noise")
    inner_rate: float | None = option(
        None,
        "Learning rate of exploration, beside that of the network's moves.",
        name="esgd_inner_lr",
        shown="0.1, adam 0.001; binary: 20, adam 0.05",
    )
    memory: float = 0.75

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if self.steps < 1:
            raise TrainingError("Entropy-SGD needs at least 1 step of exploration")
        if (
            not all(math.isfinite(v) and v >= 0 for v in (self.gamma_init or 0.0, self.noise))
            or not 0 <= self.memory < 1
        ):
            raise TrainingError("γ and the noise of Entropy-SGD must not be negative, its memory at least 0, below 1")
        if not (math.isfinite(self.gamma_growth) and self.gamma_growth > 0):
            raise TrainingError(f"γ's growth must be positive, and is {self.gamma_growth}")
        if self.inner_rate is not None and not (math.isfinite(self.inner_rate) and self.inner_rate > 0):
            raise TrainingError(f"the learning rate of exploration must be positive, and is {self.inner_rate}")

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Start copies and means at the networks."""
        import torch

        from landscape_cli.binary.layers import latent_names

        rates = BINARY_RATES if latent_names(stack.networks[0]) else INNER_RATES
        rate = rates[recipe.optimizer or Optimizer.SGD] if self.inner_rate is None else self.inner_rate
        return {
            "network": stack.weights.clone(),
            "velocity": torch.zeros_like(stack.weights),
            "mean": stack.weights.clone(),
            "gamma": torch.full((stack.runs,), self.gamma_init or 0.0, dtype=torch.float64),
            "inner_rate": torch.tensor(rate, dtype=torch.float64),
        }

    def strength(self, context: StepContext, run: int) -> float:
        """Return γ in this step; after the last of an epoch, in that."""
        done = context.epoch * context.steps + min(context.step, context.steps - 1)
        moves = -(-context.recipe.epochs * context.steps // self.steps)
        return float(context.state["gamma"][run]) * math.pow(self.gamma_growth, done // self.steps / moves)

    def pull(self, gamma: float, context: StepContext) -> float:
        """Return the fraction of its way back to the network that a step takes the copy, one at most."""
        return min(gamma * float(context.state["inner_rate"]), 1.0)

    def step(self, context: StepContext) -> None:
        """Move the copies; every L steps, and after the last, the networks."""
        import torch

        stack, state = context.stack, context.state
        network, mean, rate = state["network"], state["mean"], float(state["inner_rate"])
        drift = torch.sub(network, stack.weights)
        for k in context.indices:
            drift[k] *= self.pull(self.strength(context, k), context)
            if self.noise:
                drift[k].add_(context.noise(k), alpha=self.noise * math.sqrt(2 * rate))
        context.clear()
        context.backward()
        context.update(rate)
        stack.weights.add_(drift)
        stack.clip()
        done = context.epoch * context.steps + context.step + 1
        arrives = done % self.steps == 0 or done == context.recipe.epochs * context.steps
        for loss, k in zip(context.losses, context.indices, strict=True):
            copy = stack.weights[k]
            mean[k].lerp_(copy, 1 - self.memory)
            if arrives:
                if self.gamma_init is None and not state["gamma"][k]:
                    distance = float((copy - network[k]).square().sum())
                    state["gamma"][k] = float(loss) / (distance / 2) if distance else 0.0
                self._move(context, k)
        if arrives:
            context.forget()

    def _move(self, context: StepContext, k: int) -> None:
        """Move a network against its distance from the copy's mean, and start a new copy there."""
        recipe, stack = context.recipe, context.stack
        network, velocity, mean = (context.state[name][k] for name in ("network", "velocity", "mean"))
        momentum = self.momentum if recipe.momentum is None else recipe.momentum
        slope = network - mean + recipe.weight_decay * network
        velocity.mul_(momentum).add_(slope)
        network.sub_(slope.add_(velocity, alpha=momentum), alpha=context.rate)
        stack.weights[k] = network
        stack.clip()
        network.copy_(stack.weights[k])
        mean.copy_(network)

    def solution(self, context: StepContext, run: int) -> Params:
        """Return the network, not the copy."""
        return context.stack.params(run, context.state["network"][run])
