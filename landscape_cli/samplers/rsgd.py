"""RSGD: replicated SGD (Pittorino et al., 2021), which seeks flat minima (docs/method.md: Samplers)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings, decimal_number
from landscape_cli.choices import GammaSchedule, check_choice
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.stack import Stack

ROUNDING = 1e-12
"""Relative mean squared distance of replicas below which they are the same network."""


def number_or_auto(text: str) -> float | None:
    """Return γ in the first epoch; None where it is to be found.

    Raises:
        ValueError: if it is neither a number nor "auto".
    """
    if text == "auto":
        return None
    try:
        return decimal_number(text)
    except ValueError:
        raise ValueError(f"`gamma_init=` takes a number or auto, not {text!r}") from None


@dataclass(frozen=True)
class RSGD(Sampler):
    """Replicas that are pulled together ever more strongly while they train; their centre is the solution.

    The objective is the mean over the replicas of their losses, plus γ times the mean squared distance from their
    centre. The learning rate is that of one network, multiplied by the number of replicas, because each replica's
    loss carries the inverse. Batch-norm statistics of replicas belong to other weights than the centre's. The state
    holds γ in the first epoch, one a run.

        [solution] = train(spec, data, RSGD(replicas=3), recipe=Recipe(learning_rate=0.05), seeds=[1])

    Attributes:
        replicas: y, how many.
        gamma_init: γ in the first epoch; None for the value that makes the coupling equal the training loss there.
        gamma_growth: the factor by which γ grows from the first epoch to the last.
        gamma_schedule: "exp": by the same factor each epoch; "linear": by the same amount.
        keep_replicas: whether the solution brings its replicas along, with their own statistics.

    Raises:
        TrainingError: if a setting is impossible.
    """

    summary = "coupled replicas (flat minima)"
    own_statistics = False
    reports_solution = True
    uses_gradients = True

    replicas: int = option(3, "Replicas.")
    gamma_init: float | None = option(
        None,
        "γ in the first epoch; auto: the coupling starts equal to the loss.",
        shown="auto",
        read=number_or_auto,
        metavar="auto|X",
    )
    gamma_growth: float = option(1e4, "Factor by which γ grows in all.", shown="1e4")
    gamma_schedule: str = option(
        GammaSchedule.EXP, "By the same factor each epoch, or the same amount.", choices=GammaSchedule
    )
    keep_replicas: bool = option(False, "Write each replica as well, NAME-replica1.st, ...")

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if self.replicas < 2:
            raise TrainingError("RSGD needs at least 2 replicas: for one, use `algo=` sgd")
        if self.gamma_init is not None and not (math.isfinite(self.gamma_init) and self.gamma_init >= 0):
            raise TrainingError(f"γ must not be negative, and is {self.gamma_init}")
        if not (math.isfinite(self.gamma_growth) and self.gamma_growth > 0):
            raise TrainingError(f"γ's growth must be positive, and is {self.gamma_growth}")
        check_choice("schedule of γ", self.gamma_schedule, GammaSchedule, TrainingError)

    @property
    def networks(self) -> int:
        """How many networks a run trains."""
        return self.replicas

    @property
    def kept(self) -> int:
        """How many of them its solution brings along."""
        return self.replicas if self.keep_replicas else 0

    def growth(self, epoch: int, epochs: int) -> float:
        """Return by how much γ has grown in an epoch, counted from 0."""
        fraction = epoch / max(1, epochs - 1)
        if self.gamma_schedule == GammaSchedule.EXP:
            return math.pow(self.gamma_growth, fraction)
        return 1 + (self.gamma_growth - 1) * fraction

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Find γ for every run.

        Raises:
            TrainingError: if γ is to be found, and replicas do not differ.
        """
        import torch

        given = self.gamma_init
        gammas = [balanced_gamma(stack, run, data[run]) if given is None else given for run in range(stack.runs)]
        return {"gamma": torch.tensor(gammas, dtype=torch.float64)}

    def strength(self, context: StepContext, run: int) -> float:
        """Return the γ of an epoch."""
        return float(context.state["gamma"][run]) * self.growth(context.epoch, context.recipe.epochs)

    def pull(self, gamma: float, rate: float) -> float:
        """Return the fraction of each replica's way to the centre that a step takes: 2γ·rate, and one at most.

        Where γ has outgrown the learning rate so far that it would be more, the step would overshoot and the replicas
        fly apart.
        """
        return min(2 * gamma * rate, 1.0)

    def step(self, context: StepContext) -> None:
        """Write the coupling's gradient, (2γ/y) (θ_a - θ̄), add the losses' to it, and move."""
        import torch

        stack, count = context.stack, context.stack.replicas
        device = stack.weights.device
        mean_free = torch.eye(count, device=device) - torch.full((count, count), 1 / count, device=device)
        for run in range(stack.runs):
            if context.active[run]:
                gamma = self.strength(context, run)
                slope = 2 * gamma if context.rate == 0 else self.pull(gamma, context.rate) / context.rate
                rows = stack.members(run)
                torch.mm(mean_free * (slope / count), stack.weights[rows], out=stack.gradients[rows])
        context.backward(1 / count)
        context.update(count)


def balanced_gamma(stack: Stack, run: int, data: Split) -> float:
    """Return the γ for which the coupling equals the mean training loss of a run's replicas.

    Batch-norm layers normalise with the statistics of the training set, as they do while training: new networks'
    running statistics are of no data yet.

    Raises:
        TrainingError: if the replicas do not differ.
    """
    from landscape_cli.evaluation.evaluator import Evaluator

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
