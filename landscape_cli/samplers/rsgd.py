"""RSGD: replicated SGD (Pittorino et al., 2021), which seeks flat minima (docs/method.md: Samplers)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings, decimal_number
from landscape_cli.choices import GammaEvery, GammaSchedule, Optimizer, check_choice
from landscape_cli.errors import LandscapeWarning, TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.sampler import Phase, Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.records import EpochRecord
    from landscape_cli.samplers.stack import Stack

ROUNDING = 1e-12
"""Relative mean squared distance of replicas below which they are the same network."""
MERGED = 1e-4
"""Mean squared distance of replicas, of their centre's squared length, from which on they have merged: 1 % of it."""
UNLEARNT = 0.1
"""Training error above which replicas that merge have not learnt enough to be told from one network."""


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
    centre, at y times the learning rate of one network: so each replica descends by `∇L(θ_a) + 2γ (θ_a - θ̄)` at the
    learning rate itself. That is its gradient for the optimiser, decay and clipping, none of which sees a factor of y.
    Batch-norm statistics of replicas belong to other weights than the centre's. The state holds γ in the first epoch,
    and after which epoch replicas had merged (0: not yet; -1: they began together), one a run.

        [solution] = train(spec, data, RSGD(replicas=3), recipe=Recipe(learning_rate=0.05), seeds=[1])

    Attributes:
        replicas: y, how many.
        gamma_init: γ in the first epoch; None for the value that makes the coupling equal the training loss there.
        gamma_growth: the factor by which γ grows over the whole training.
        gamma_schedule: "exp": by the same factor each time; "linear": by the same amount.
        gamma_every: how often it grows: every "epoch" or every "step".
        replica_batch_size: samples in a mini-batch of one replica; None for the recipe's divided by their number.
        keep_replicas: whether the solution brings its replicas along, with their own statistics.

    Raises:
        TrainingError: if a setting is impossible.
    """

    summary = "coupled replicas (flat minima)"
    own_statistics = False
    reports_solution = True
    uses_gradients = True
    revision = 2

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
        GammaSchedule.EXP, "By the same factor each time, or the same amount.", choices=GammaSchedule
    )
    gamma_every: str = option(GammaEvery.EPOCH, "When γ grows.", choices=GammaEvery)
    replica_batch_size: int | None = option(
        None, "Samples in a mini-batch of one replica.", shown="the batch / the replicas"
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
        if self.replica_batch_size is not None and self.replica_batch_size < 1:
            raise TrainingError(f"`replica_batch_size=` must be at least 1, and is {self.replica_batch_size}")
        check_choice("schedule of γ", self.gamma_schedule, GammaSchedule, TrainingError)
        check_choice("`gamma_every=`", self.gamma_every, GammaEvery, TrainingError)

    @property
    def networks(self) -> int:
        """How many networks a run trains."""
        return self.replicas

    @property
    def kept(self) -> int:
        """How many of them its solution brings along."""
        return self.replicas if self.keep_replicas else 0

    def phases(self, recipe: Recipe, *, binary: bool) -> tuple[Phase, ...]:
        """Return the one phase, with the mini-batches of one replica."""
        size = self.replica_batch_size or max(1, round(recipe.batch_size / self.replicas))
        return (Phase("train", replace(recipe, batch_size=size)),)

    def growth(self, fraction: float) -> float:
        """Return by how much γ has grown after this fraction of the training."""
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
        return {
            "gamma": torch.tensor(gammas, dtype=torch.float64),
            "merged": torch.tensor([-int(_are_together(stack, run)) for run in range(stack.runs)]),
        }

    def strength(self, context: StepContext, run: int) -> float:
        """Return γ in this step; after the last of an epoch, in that."""
        part = min(context.step, context.steps - 1) / context.steps if self.gamma_every == GammaEvery.STEP else 0.0
        growth = self.growth((context.epoch + part) / context.recipe.epochs)
        return float(context.state["gamma"][run]) * growth

    def pull(self, gamma: float, context: StepContext) -> float | None:
        """Return the fraction of its way to the centre that a replica's gradient asks of a step: 2γ·rate, at most one.

        Where γ has outgrown the learning rate so far that it would be more, the step would overshoot and the replicas
        fly apart. None for Adam, whose steps are as long for any γ.
        """
        if context.recipe.optimizer == Optimizer.ADAM:
            return None
        return min(2 * gamma * context.rate, 1.0)

    def step(self, context: StepContext) -> None:
        """Write the coupling's gradient, 2γ (θ_a - θ̄), add the losses' to it, and move."""
        import torch

        stack, count = context.stack, context.stack.replicas
        mean_free = torch.eye(count).to(stack.weights) - 1 / count
        for run in range(stack.runs):
            if context.active[run]:
                gamma = self.strength(context, run)
                pull = self.pull(gamma, context)
                slope = 2 * gamma if pull is None or context.rate == 0 else pull / context.rate
                rows = stack.members(run)
                torch.mm(mean_free * slope, stack.weights[rows], out=stack.gradients[rows])
        context.backward()
        context.update()

    def end_epoch(self, context: StepContext) -> None:
        """Take note of the first epoch after which replicas have merged."""
        merged = context.state["merged"]
        for run in range(context.stack.runs):
            if context.active[run] and merged[run] == 0 and _are_together(context.stack, run):
                merged[run] = context.epoch + 1

    def merge_epoch(self, context: StepContext, run: int) -> int | None:
        """Return after which epoch a run's replicas had merged; None if they have not, or began together."""
        merged = int(context.state["merged"][run])
        return merged if merged > 0 else None

    def end_phase(self, phase: Phase, records: Sequence[EpochRecord], context: StepContext) -> None:
        """Warn of runs whose replicas merged before they had learnt much, or have learnt and not merged.

        Warns:
            LandscapeWarning: naming the worst, and their seeds.
        """
        last = {record.seed: record for record in records}
        merged = dict(zip(context.seeds, context.state["merged"].tolist(), strict=True))
        apart = [seed for seed, record in last.items() if not merged[seed] and _errs_in_the_middle(record)]
        if apart:
            warnings.warn(
                f"the replicas had not merged in {phase.recipe.epochs} epochs, as γ was too weak (seed "
                f"{', '.join(map(str, apart))}), so their centre may err more than each: give more `epochs=`, or "
                "a larger `gamma_init=` or `gamma_growth=`",
                LandscapeWarning,
                stacklevel=2,
            )
        early = {r.seed: r for r in records if r.epoch == r.merge_epoch and (r.error or 0) > UNLEARNT}
        if early:
            worst = max(early.values(), key=lambda record: record.error or 0)
            warnings.warn(
                f"the replicas merged in epoch {worst.epoch} of {phase.recipe.epochs}, at a training error of "
                f"{worst.error:.3g}, and were one network from there on (seed {', '.join(map(str, early))}): give a "
                "smaller `gamma_init=`, or more `epochs=`",
                LandscapeWarning,
                stacklevel=2,
            )


def _errs_in_the_middle(record: EpochRecord) -> bool:
    """Tell whether replicas have learnt, and their centre has not as well, as far as that is known."""
    learnt = record.error is not None and record.error <= UNLEARNT
    return learnt and (record.solution_error is None or record.solution_error > (record.error or 0.0))


def _are_together(stack: Stack, run: int) -> bool:
    return stack.spread(run) <= MERGED * float(stack.weights[stack.members(run)].mean(0).square().sum())


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
