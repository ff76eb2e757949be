"""RSGD: replicated SGD (Pittorino et al., 2021), which seeks flat minima (SPEC 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.samplers.method import Method, Work
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.stack import Stack

ROUNDING = 1e-12
"""Relative mean squared distance of replicas below which they are the same network."""
SCHEDULES = ("exp", "linear")


@dataclass(frozen=True)
class Replication:
    """How replicas are coupled.

    Attributes:
        replicas: y, how many.
        gamma: γ in the first epoch; None for the value that makes the coupling equal the training loss there.
        growth: the factor by which γ grows from the first epoch to the last.
        schedule: "exp": by the same factor each epoch; "linear": by the same amount.
    """

    replicas: int = 3
    gamma: float | None = None
    growth: float = 1e4
    schedule: str = "exp"

    def __post_init__(self) -> None:
        if self.replicas < 2:
            raise TrainingError("RSGD needs at least 2 replicas: for one, use `algo=` sgd")
        if self.gamma is not None and not (math.isfinite(self.gamma) and self.gamma >= 0):
            raise TrainingError(f"γ must not be negative, and is {self.gamma}")
        if not (math.isfinite(self.growth) and self.growth > 0):
            raise TrainingError(f"γ's growth must be positive, and is {self.growth}")
        if self.schedule not in SCHEDULES:
            raise TrainingError(f"unknown schedule of γ {self.schedule!r}: choose {', '.join(SCHEDULES)}")

    def factor(self, epoch: int, epochs: int) -> float:
        """Return by how much γ has grown in an epoch, counted from 0."""
        fraction = epoch / max(1, epochs - 1)
        return self.growth**fraction if self.schedule == "exp" else 1 + (self.growth - 1) * fraction


class Replicated(Method):
    """Replicas that are pulled together ever more strongly while they train; their centre is the solution.

    The objective is the mean over the replicas of their losses, plus γ times the mean squared distance from their
    centre. The learning rate is that of one network, multiplied by the number of replicas, because each replica's
    loss carries the inverse. Batch-norm statistics of replicas belong to other weights than the centre's.

    `state` holds γ in the first epoch, one a run.
    """

    own_statistics = False
    reports_solution = True
    uses_gradients = True

    def __init__(self, settings: Replication) -> None:
        super().__init__()
        self.settings = settings

    def begin(self, stack: Stack, data: list[Split], recipe: Recipe) -> None:
        """Find γ for every run.

        Raises:
            TrainingError: if γ is to be found, and replicas do not differ.
        """
        given = self.settings.gamma
        gammas = [balanced_gamma(stack, run, data[run]) if given is None else given for run in range(stack.runs)]
        self.state = {"gamma": torch.tensor(gammas, dtype=torch.float64)}

    def strength(self, run: int, recipe: Recipe, epoch: int) -> float:
        """Return the γ of an epoch."""
        return float(self.state["gamma"][run]) * self.settings.factor(epoch, recipe.epochs)

    def pull(self, gamma: float, rate: float) -> float:
        """Return the fraction of each replica's way to the centre that a step takes: 2γ·rate, and one at most.

        Where γ has outgrown the learning rate so far that it would be more, the step would overshoot and the replicas
        fly apart.
        """
        return min(2 * gamma * rate, 1.0)

    def step(self, work: Work) -> None:
        """Write the coupling's gradient, (2γ/y) (θ_a - θ̄), add the losses' to it, and move."""
        stack, count = work.stack, work.stack.replicas
        device = stack.weights.device
        mean_free = torch.eye(count, device=device) - torch.full((count, count), 1 / count, device=device)
        for run in range(stack.runs):
            if work.active[run]:
                gamma = self.strength(run, work.recipe, work.epoch)
                slope = 2 * gamma if work.rate == 0 else self.pull(gamma, work.rate) / work.rate
                rows = stack.members(run)
                torch.mm(mean_free * (slope / count), stack.weights[rows], out=stack.gradients[rows])
        work.backward(1 / count)
        work.update(count)


def balanced_gamma(stack: Stack, run: int, data: Split) -> float:
    """Return the γ for which the coupling equals the mean training loss of a run's replicas.

    Batch-norm layers normalise with the statistics of the training set, as they do while training: new networks'
    running statistics are of no data yet.

    Raises:
        TrainingError: if the replicas do not differ.
    """
    spread = stack.spread(run)
    rows = stack.members(run)
    if spread <= ROUNDING * float(stack.weights[rows].square().sum(1).mean()):
        raise TrainingError("all replicas start from the same network, so γ cannot be found: pass `gamma_init=`")
    evaluator = Evaluator(stack.networks[rows.start], data, device=stack.weights.device, recompute_on="data")
    members = range(rows.start, rows.stop)
    scores = evaluator.evaluate([stack.params(k) for k in members])
    for k in members:
        stack.networks[k].train()
    return float(scores["data"].loss.mean()) / spread
