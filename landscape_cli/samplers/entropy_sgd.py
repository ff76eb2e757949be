"""Entropy-SGD: SGD on the local entropy (Chaudhari et al., 2019), which is high in wide valleys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings, decimal_number
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.network import Params
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.recipe import Recipe
    from landscape_cli.samplers.stack import Stack


def number(text: str) -> float:
    """Return γ in the first epoch, which is a number here.

    Raises:
        ValueError: if it is none.
    """
    if text == "auto":
        raise ValueError("`gamma_init=` takes a number for `algo=` esgd")
    try:
        return decimal_number(text)
    except ValueError:
        raise ValueError(f"`gamma_init=` takes a number or auto, not {text!r}") from None


@dataclass(frozen=True)
class EntropySGD(Sampler):
    """Move to the mean of a copy that explores the neighbourhood (Chaudhari et al., 2019, algorithm 1).

    The copy takes L steps of the recipe's optimiser, at its learning rate, on the loss plus γ/2 |x - x'|², with noise.
    Then the network moves all the way to the copy's mean at first, and in proportion to the learning rate later (the
    paper's outer rate is 1/γ times that), and a new copy starts there. An epoch is a pass over the training set, as
    for the others. The rows of the stack are the copies; the state holds the networks and the means.

        [solution] = train(spec, data, EntropySGD(steps=20), recipe=Recipe(epochs=50), seeds=[1])

    Attributes:
        steps: L, mini-batches that explore the neighbourhood before the network moves.
        gamma_init: γ in the first epoch: how strongly the exploring copy is tied to the network.
        gamma_growth: the factor by which γ grows over the training (the paper's scoping).
        noise: ε, the size of the thermal noise.
        memory: α, the weight of the past in the mean of the exploring copy.

    Raises:
        TrainingError: if a setting is impossible.
    """

    summary = "Entropy-SGD"
    own_statistics = False
    reports_solution = True
    uses_gradients = True

    gamma_init: float = option(0.03, "γ in the first epoch, a number.", read=number, metavar="auto|X")
    gamma_growth: float = option(10.0, "Factor by which γ grows in all.")
    steps: int = option(20, "L, steps of exploration.", name="esgd_steps")
    noise: float = option(1e-4, "ε, size of the thermal noise.", name="esgd_noise")
    memory: float = 0.75

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if self.steps < 1:
            raise TrainingError("Entropy-SGD needs at least 1 step of exploration")
        if not all(math.isfinite(v) and v >= 0 for v in (self.gamma_init, self.noise)) or not 0 <= self.memory < 1:
            raise TrainingError("γ and the noise of Entropy-SGD must not be negative, its memory at least 0, below 1")
        if not (math.isfinite(self.gamma_growth) and self.gamma_growth > 0):
            raise TrainingError(f"γ's growth must be positive, and is {self.gamma_growth}")

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Start copies and means at the networks."""
        return {"network": stack.weights.clone(), "mean": stack.weights.clone()}

    def strength(self, context: StepContext, run: int) -> float:
        """Return γ."""
        fraction = context.epoch / max(1, context.recipe.epochs - 1)
        return self.gamma_init * math.pow(self.gamma_growth, fraction)

    def pull(self, gamma: float, context: StepContext) -> float:
        """Return the fraction of its way back to the network that a step takes the copy."""
        return gamma * context.rate

    def step(self, context: StepContext) -> None:
        """Move the copies; every L steps, and after the last, the networks."""
        import torch

        stack, rate = context.stack, context.rate
        network, mean = context.state["network"], context.state["mean"]
        torch.sub(stack.weights, network, out=stack.gradients).mul_(self.strength(context, 0))
        context.backward()
        context.update()
        done = context.epoch * context.steps + context.step + 1
        arrives = done % self.steps == 0 or done == context.recipe.epochs * context.steps
        for k in context.indices:
            copy = stack.weights[k]
            if self.noise and rate > 0:
                copy.add_(context.noise(k), alpha=self.noise * math.sqrt(rate))
            mean[k].lerp_(copy, 1 - self.memory)
            if arrives:
                network[k].lerp_(mean[k], rate / context.recipe.initial_rate)
                copy.copy_(network[k])
                mean[k] = network[k]
        if arrives:
            context.forget()

    def solution(self, context: StepContext, run: int) -> Params:
        """Return the network, not the copy."""
        return context.stack.params(run, context.state["network"][run])
