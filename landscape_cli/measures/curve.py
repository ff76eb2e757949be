"""What was measured along a path: errors point by point, and barriers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from landscape_cli.geometry.barrier import barrier, even_steps


@dataclass(frozen=True)
class Curve:
    """What was measured along a path of one piece or several, each of as many points, which share their ends.

    Attributes:
        columns: errors and losses of the points (`train_error`, …), each of shape (orders, points), float64. Random
            paths are walked in several orders, of which means and deviations are shown; others have one.
        pieces: how many pieces there are.
        loss: whether the loss counts as well.
        flips: of a path of flips, how many there are before each point; None of others.
    """

    columns: Mapping[str, Tensor]
    pieces: int
    loss: bool
    flips: Sequence[int] | None = None

    def rows(self, piece: int | None = None) -> list[dict[str, Any]]:
        """Return τ and the scores of every point, of one piece or of all; τ goes from 0 to 1."""
        first, taus = self._span(piece)
        rows = []
        for k, tau in enumerate(taus, start=first):
            row: dict[str, Any] = {"tau": tau}
            if self.flips is None:
                rows.append(row | {name: float(values[0, k]) for name, values in self._shown().items()})
                continue
            row["flips"] = self.flips[k] - self.flips[first]
            spreads = {name: _spread(values[:, k].tolist()) for name, values in self._shown().items()}
            row |= {name: mean for name, (mean, _) in spreads.items()}
            rows.append(row | {f"{name}_deviation": deviation for name, (_, deviation) in spreads.items()})
        return rows

    def barriers(self, piece: int | None = None) -> dict[str, Any]:
        """Return the barriers of the errors, by split, and of the losses, of one piece or of all.

        Of several orders, the mean of each figure over the orders' own barriers, and the deviation of the largest.
        """
        found: dict[str, Any] = {}
        for name in self._shown():
            split, _, what = name.rpartition("_")
            into = found.setdefault("loss", {}) if what == "loss" else found
            into[split] = self._barrier(name, piece)
        return found

    def metrics(self, point: int) -> dict[str, float]:
        """Return errors and losses of a point that all orders share, as a checkpoint keeps them."""
        return {name: float(values[0, point]) for name, values in self.columns.items()}

    def _shown(self) -> dict[str, Tensor]:
        return {name: values for name, values in self.columns.items() if self.loss or not name.endswith("_loss")}

    def _barrier(self, name: str, piece: int | None) -> dict[str, float]:
        first, taus = self._span(piece)
        each = [barrier(taus, row[first : first + len(taus)].tolist()) for row in self.columns[name]]
        if self.flips is None:
            return each[0]
        spreads = {mark: _spread([one[mark] for one in each]) for mark in each[0]}
        return {mark: mean for mark, (mean, _) in spreads.items()} | {"deviation": spreads["max"][1]}

    def _span(self, piece: int | None) -> tuple[int, list[float]]:
        points = next(iter(self.columns.values())).shape[1]
        each = (points - 1) // self.pieces
        return (0, even_steps(points)) if piece is None else (piece * each, even_steps(each + 1))


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample deviation over orders, exact where all agree; NaN where one is, or for want of two."""
    if any(math.isnan(value) for value in values):
        return math.nan, math.nan
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else math.nan
