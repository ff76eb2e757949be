"""SWA: stochastic weight averaging (Izmailov et al., 2018), which comes to the middle of flat regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings
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


ROUNDING = 1e-9
"""Of an epoch: where training is this little before its end, it is in the next."""


@dataclass(frozen=True)
class SWA(Sampler):
    """The mean of the networks after each of the last epochs, at a constant rate (Izmailov et al., 2018).

    The learning rate is the recipe's for half of the epochs until averaging starts, then falls linearly, epoch by
    epoch, to that constant, which it is from nine tenths of them on. The state holds the mean, shape (networks,
    entries), and of how many epochs it is. The recipe's schedule is not used.

        [solution] = train(spec, data, SWA(start=0.75, rate=0.01), recipe=Recipe(epochs=100), seeds=[1])

    Attributes:
        start: after which fraction of the epochs averaging starts.
        rate: the constant learning rate from there on; None for half of the recipe's.

    Raises:
        TrainingError: if there is no epoch to average, or the rate is not positive.
    """

    summary = "weight averaging"
    own_schedule = True
    own_statistics = False
    reports_solution = True
    revision = 2

    start: float = option(0.75, "Fraction of the epochs not averaged.", name="swa_start")
    rate: float | None = option(None, "Constant learning rate from there.", name="swa_lr", shown="lr/2")

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if not 0 <= self.start < 1:
            raise TrainingError(f"SWA must start at a fraction of the training below 1, not at {self.start}")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise TrainingError(f"the learning rate of SWA must be positive, and is {self.rate}")

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Begin with the networks themselves, of no epoch."""
        import torch

        return {"mean": stack.weights.clone(), "epochs": torch.zeros((), dtype=torch.int64)}

    def learning_rate(self, recipe: Recipe, fraction: float) -> float:
        """Return the learning rate of an epoch."""
        first = recipe.initial_rate
        last = first / 2 if self.rate is None else self.rate
        epoch = math.floor(fraction * recipe.epochs + ROUNDING)
        done = epoch / (self.start * recipe.epochs) if self.start else 1.0
        return first + (last - first) * min(max((done - 0.5) / 0.4, 0.0), 1.0)

    def end_epoch(self, context: StepContext) -> None:
        """Take the networks into the mean; until averaging starts, they are the mean."""
        mean, epochs = context.state["mean"], context.state["epochs"]
        if context.epoch + 1 > self.start * context.recipe.epochs:
            epochs += 1
        count = max(1, int(epochs))
        for k in context.indices:
            mean[k].lerp_(context.stack.weights[k], 1 / count)

    def solution(self, context: StepContext, run: int) -> Params:
        """Return the mean."""
        return context.stack.params(run, context.state["mean"][run])
