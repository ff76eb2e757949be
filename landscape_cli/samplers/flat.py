"""What the flat-minima field compares with: SAM, SWA and Entropy-SGD."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.network import Params
from landscape_cli.samplers.method import Method, Work
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.stack import Stack


@dataclass(frozen=True)
class Sharpness:
    """Of SAM: rho, the distance to the point whose gradient is taken."""

    rho: float = 0.05

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rho) and self.rho >= 0):
            raise TrainingError(f"ρ of SAM must not be negative, and is {self.rho}")


class SharpnessAware(Method):
    """SAM: descend along the gradient at the worst point nearby (Foret et al., 2021, algorithm 1).

    That point is θ + ρ g/|g|, with g the gradient on the same mini-batch. Running statistics are those at θ.
    """

    uses_gradients = True

    def __init__(self, settings: Sharpness) -> None:
        super().__init__()
        self.settings = settings

    def step(self, work: Work) -> None:
        """Climb, take the gradient, come back, descend."""
        work.clear()
        work.backward()
        home = work.stack.weights.clone()
        for k in work.which:  # a row at a time, whose sum does not depend on how many there are
            gradient = work.stack.gradients[k]
            length = gradient.norm().clamp_min_(torch.finfo(torch.float32).tiny)
            work.stack.weights[k].addcmul_(gradient, self.settings.rho / length)
        work.clear()
        work.backward(again=True)
        work.stack.weights.copy_(home)
        work.update()


@dataclass(frozen=True)
class Averaging:
    """Of SWA: after which fraction of the epochs averaging starts, and the constant learning rate from there on."""

    start: float = 0.75
    rate: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise TrainingError(f"SWA must start at a fraction of the training below 1, not at {self.start}")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise TrainingError(f"the learning rate of SWA must be positive, and is {self.rate}")


class WeightAverage(Method):
    """SWA: the mean of the networks after each of the last epochs, at a constant rate (Izmailov et al., 2018).

    The learning rate falls by a cosine to that constant until averaging starts. `state` holds the mean, shape
    (networks, places), and of how many epochs it is.
    """

    own_statistics = False
    reports_solution = True

    def __init__(self, settings: Averaging) -> None:
        super().__init__()
        self.settings = settings

    def begin(self, stack: Stack, data: list[Split], recipe: Recipe) -> None:
        """Begin with the networks themselves, of no epoch."""
        self.state = {"mean": stack.weights.clone(), "epochs": torch.zeros((), dtype=torch.int64)}

    def rate(self, recipe: Recipe, fraction: float) -> float:
        """Return the learning rate: a cosine down (or up) to the constant one."""
        start, rate = self.settings.start, self.settings.rate
        if fraction >= start:
            return rate
        return rate + (recipe.learning_rate - rate) * (1 + math.cos(math.pi * fraction / start)) / 2

    def end_epoch(self, work: Work) -> None:
        """Take the networks into the mean; until averaging starts, they are the mean."""
        if work.epoch + 1 > self.settings.start * work.recipe.epochs:
            self.state["epochs"] += 1
        count = max(1, int(self.state["epochs"]))
        for k in work.which:
            self.state["mean"][k].lerp_(work.stack.weights[k], 1 / count)

    def solution(self, stack: Stack, run: int) -> Params:
        """Return the mean."""
        return stack.params(run, self.state["mean"][run])


@dataclass(frozen=True)
class LocalEntropy:
    """Of Entropy-SGD.

    Attributes:
        steps: L, mini-batches that explore the neighbourhood before the network moves.
        gamma: γ in the first epoch: how strongly the exploring copy is tied to the network.
        growth: the factor by which γ grows over the training (the paper's scoping).
        noise: ε, the size of the thermal noise.
        memory: α, the weight of the past in the mean of the exploring copy.
    """

    steps: int = 20
    gamma: float = 0.03
    growth: float = 10.0
    noise: float = 1e-4
    memory: float = 0.75

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise TrainingError("Entropy-SGD needs at least 1 step of exploration")
        if not all(math.isfinite(v) and v >= 0 for v in (self.gamma, self.noise)) or not 0 <= self.memory < 1:
            raise TrainingError("γ and the noise of Entropy-SGD must not be negative, its memory at least 0, below 1")
        if not (math.isfinite(self.growth) and self.growth > 0):
            raise TrainingError(f"γ's growth must be positive, and is {self.growth}")


class EntropySGD(Method):
    """Entropy-SGD: move to the mean of a copy that explores the neighbourhood (Chaudhari et al., 2019, algorithm 1).

    The copy takes L steps of the recipe's optimiser, at its learning rate, on the loss plus γ/2 |x - x'|², with noise.
    Then the network moves all the way to the copy's mean at first, and in proportion to the learning rate later (the
    paper's outer rate is 1/γ times that), and a new copy starts there. An epoch is a pass over the training set, as
    for the others. The rows of the stack are the copies; `state` holds the networks and the means.
    """

    own_statistics = False
    reports_solution = True
    uses_gradients = True

    def __init__(self, settings: LocalEntropy) -> None:
        super().__init__()
        self.settings = settings

    def begin(self, stack: Stack, data: list[Split], recipe: Recipe) -> None:
        """Start copies and means at the networks."""
        self.state = {"network": stack.weights.clone(), "mean": stack.weights.clone()}

    def strength(self, run: int, recipe: Recipe, epoch: int) -> float:
        """Return γ."""
        fraction = epoch / max(1, recipe.epochs - 1)
        return self.settings.gamma * math.pow(self.settings.growth, fraction)

    def pull(self, gamma: float, rate: float) -> float:
        """Return the fraction of its way back to the network that a step takes the copy."""
        return gamma * rate

    def step(self, work: Work) -> None:
        """Move the copies; every L steps, and after the last, the networks."""
        weights, home, mean = work.stack.weights, self.state["network"], self.state["mean"]
        gamma = self.strength(0, work.recipe, work.epoch)
        torch.sub(weights, home, out=work.stack.gradients).mul_(gamma)
        work.backward()
        work.update()
        done = work.epoch * work.steps + work.step + 1
        arrives = done % self.settings.steps == 0 or done == work.recipe.epochs * work.steps
        for k in work.which:
            if self.settings.noise and work.rate > 0:
                weights[k].add_(work.noise(k), alpha=self.settings.noise * math.sqrt(work.rate))
            mean[k].lerp_(weights[k], 1 - self.settings.memory)
            if arrives:
                home[k].lerp_(mean[k], work.rate / work.recipe.learning_rate)
                weights[k] = home[k]
                mean[k] = home[k]
        if arrives:
            work.forget()

    def solution(self, stack: Stack, run: int) -> Params:
        """Return the network, not the copy."""
        return stack.params(run, self.state["network"][run])
