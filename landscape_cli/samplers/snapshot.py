"""Snapshot ensembles: one training that comes to several solutions, one a cycle of the rate (Huang et al., 2017).

See docs/method.md: Ensembles.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings
from landscape_cli.errors import LandscapeWarning, TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.sampler import Phase, Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.samplers.stack import Stack

ROUNDING = 1e-9
"""Of a cycle: where a position this little before its end lies, it is the next one's beginning."""


@dataclass(frozen=True)
class SnapshotEnsemble(Sampler):
    """The learning rate falls to zero by a cosine again and again: every time, the network is a snapshot.

    All cycles have as many epochs. The optimiser's momentum goes on from one to the next. The recipe's schedule is
    not used. With one cycle it is SGD by a cosine.

        taken = []
        sampler, observer = SnapshotEnsemble(cycles=5, keep_snapshots=True), TrainingObserver(network=taken.append)
        [last] = train(spec, data, sampler, recipe=Recipe(epochs=100), seeds=[1], observer=observer)

    Attributes:
        cycles: M, how many.
        keep_snapshots: whether the observer gets each snapshot; the last is the solution.

    Raises:
        TrainingError: if there is no cycle.
    """

    summary = "snapshots at the ends of cosine cycles"
    own_schedule = True

    cycles: int = option(5, "Cycles of the learning rate.")
    keep_snapshots: bool = option(False, "Write each snapshot as well, NAME-snapshot1.st, ...")

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if self.cycles < 1:
            raise TrainingError(f"`cycles=` must be at least 1, and is {self.cycles}")

    def snapshots(self, epochs: int) -> tuple[int, ...]:
        """Return the last epoch of each cycle, if snapshots are kept."""
        length = epochs // self.cycles
        return tuple(length * number for number in range(1, self.cycles + 1)) if self.keep_snapshots else ()

    def phases(self, recipe: Recipe, *, binary: bool) -> tuple[Phase, ...]:
        """Return the one phase.

        Raises:
            TrainingError: if cycles would not have as many epochs each.
        """
        epochs, cycles = recipe.epochs, self.cycles
        if epochs % cycles:
            fitting = [number for number in (epochs - epochs % cycles, epochs + -epochs % cycles) if number]
            raise TrainingError(
                f"{epochs} epochs are not {cycles} cycles of as many epochs: "
                f"give `epochs=` {' or '.join(map(str, fitting))}, or other `cycles=`"
            )
        return (Phase("train", recipe),)

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Warn of snapshots that nobody gets.

        Warns:
            LandscapeWarning: naming how many.
        """
        if not self.keep_snapshots:
            warn_of_lost(self.cycles)
        return {}

    def learning_rate(self, recipe: Recipe, fraction: float) -> float:
        """Return the learning rate: a cosine from the recipe's to zero in each cycle."""
        position = fraction * self.cycles
        position -= math.floor(position + ROUNDING)
        return recipe.initial_rate * (1 + math.cos(math.pi * position)) / 2


def warn_of_lost(count: int) -> None:
    """Warn, as training begins, that of so many snapshots only the last will be left.

    Warns:
        LandscapeWarning: saying what keeps them.
    """
    if count > 1:
        warnings.warn(
            f"of {count} snapshots {count - 1} will be thrown away, all but the last: `keep_snapshots=` keeps them",
            LandscapeWarning,
            stacklevel=3,
        )
