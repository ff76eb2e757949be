"""FGE: fast geometric ensembling (Garipov et al., 2018), snapshots of one run at the minima of a cyclic rate.

See docs/method.md: Ensembles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.sampler import Phase, Sampler
from landscape_cli.samplers.snapshot import ROUNDING, warn_of_lost

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.samplers.stack import Stack

SHARE = 100
"""By how much less than the largest rate the least one is, where it is not said."""


@dataclass(frozen=True)
class FGE(Sampler):
    """Plain training first, then short cycles of the learning rate: at each minimum, the network is a snapshot.

    The first stretch takes `start` of the epochs, rounded to whole ones; its rate falls by a cosine to the least one.
    In a cycle the rate falls linearly from the recipe's to the least one, where the network is taken, and rises back.
    Training ends with the last minimum: the half cycle after it would lead away from the solution. The recipe's
    schedule is not used.

        taken = []
        sampler, observer = FGE(cycle_epochs=4, keep_snapshots=True), TrainingObserver(network=taken.append)
        [last] = train(spec, data, sampler, recipe=Recipe(epochs=100), seeds=[1], observer=observer)

    Attributes:
        start: the fraction of the epochs before the first cycle.
        cycle_epochs: how many a cycle has: an even number, so that its minimum is the end of an epoch.
        lr_min: the least rate; None for a hundredth of the recipe's.
        keep_snapshots: whether the observer gets each snapshot; the last is the solution.

    Raises:
        TrainingError: if a setting is impossible.
    """

    summary = "fast geometric ensembling"
    own_schedule = True

    start: float = option(0.6, "Fraction of the epochs before the cycles.", name="fge_start")
    cycle_epochs: int = option(4, "Epochs of a cycle, an even number.")
    lr_min: float | None = option(None, "Least learning rate.", shown="lr/100")
    keep_snapshots: bool = option(False, "Write each snapshot as well, NAME-snapshot1.st, ...")

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if not 0 <= self.start < 1:
            raise TrainingError(f"FGE's cycles must start at a fraction of the epochs below 1, not at {self.start}")
        if self.cycle_epochs < 2 or self.cycle_epochs % 2:
            raise TrainingError(f"`cycle_epochs=` must be an even number of epochs, and is {self.cycle_epochs}")
        if self.lr_min is not None and not (math.isfinite(self.lr_min) and self.lr_min >= 0):
            raise TrainingError(f"`lr_min=` must not be negative, and is {self.lr_min}")

    def first(self, epochs: int) -> int:
        """Return how many epochs of a training of so many come before the first cycle."""
        return math.floor(self.start * epochs + 0.5)

    def fits(self, epochs: int) -> bool:
        """Tell whether what is left of so many epochs is one cycle or more."""
        left = epochs - self.first(epochs)
        return left > 0 and left % self.cycle_epochs == 0

    def minima(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs with whose ends the rate is at its least."""
        return tuple(range(self.first(epochs) + self.cycle_epochs // 2, epochs, self.cycle_epochs))

    def snapshots(self, epochs: int) -> tuple[int, ...]:
        """Return the minima, if snapshots are kept."""
        return self.minima(epochs) if self.keep_snapshots else ()

    def phases(self, recipe: Recipe, *, binary: bool) -> tuple[Phase, ...]:
        """Return the one phase, which ends with the last minimum.

        Raises:
            TrainingError: if the epochs are not those of whole cycles, or the least rate is larger than the largest.
        """
        epochs = recipe.epochs
        if not self.fits(epochs):
            fitting = [number for number in (self._next(epochs, -1), self._next(epochs, 1)) if number is not None]
            raise TrainingError(
                f"of {epochs} epochs {self.first(epochs)} are before the cycles, and the others are no whole cycles of "
                f"{self.cycle_epochs}: give `epochs=` {' or '.join(map(str, fitting))}"
            )
        if self.lr_min is not None and recipe.learning_rate is not None and self.lr_min > recipe.learning_rate:
            raise TrainingError(f"`lr_min=` is {self.lr_min:g}, above the learning rate of {recipe.learning_rate:g}")
        return (Phase("train", replace(recipe, epochs=self.minima(epochs)[-1])),)

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Warn of snapshots that nobody gets.

        Warns:
            LandscapeWarning: naming how many.
        """
        if not self.keep_snapshots:
            warn_of_lost(len(self.minima(recipe.epochs + self.cycle_epochs // 2)))
        return {}

    def learning_rate(self, recipe: Recipe, fraction: float) -> float:
        """Return the learning rate; the recipe is the phase's, which has half a cycle less than training was given."""
        largest = recipe.initial_rate
        least = largest / SHARE if self.lr_min is None else self.lr_min
        first, epoch = self.first(recipe.epochs + self.cycle_epochs // 2), fraction * recipe.epochs
        position = (epoch - first) / self.cycle_epochs
        if position < -ROUNDING:
            return least + (largest - least) * (1 + math.cos(math.pi * epoch / first)) / 2
        position -= math.floor(position + ROUNDING)
        return least + (largest - least) * abs(1 - 2 * position)

    def _next(self, epochs: int, by: int) -> int | None:
        """Return the nearest number of epochs that fits, in one direction; None if there is none."""
        # Rounding of `start` lets no more than two in a row be skipped of those that fit.
        reach = math.ceil(2 * (self.cycle_epochs + 1) / (1 - self.start))
        candidates = range(epochs, epochs + by * reach, by)
        return next((number for number in candidates if number > 0 and self.fits(number)), None)
