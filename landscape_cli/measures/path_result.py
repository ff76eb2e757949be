"""What was measured along a path: errors and losses point by point, and barriers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from landscape_cli.evaluation.scores import ERROR, Quantity
from landscape_cli.geometry.barrier import Barrier, barrier_of
from landscape_cli.io.results import finite
from landscape_cli.measures.spread import Spread, spread


@dataclass(frozen=True, eq=False)
class PathResult:
    """What was measured along a path of one piece or several, each of as many points, which share their ends.

    Attributes:
        kind: of the path, such as "linear".
        errors: the error at every point, by split: shape (orders, points), float64, NaN where outputs are. Random paths
            are walked in several orders, of which means and deviations are shown; others have one.
        losses: the mean loss (cross-entropy in nats, …), likewise.
        random: whether the path is one of random ones.
        pieces: of how many pieces it is.
        loss: whether the loss counts as well, in barriers and points.
        counts: what is counted from the start to every point, by name, such as flips of signs.
        quantity: what barriers are of: the error, or the loss where there is no error.
        repaired: the modules whose units are corrected between the ends (REPAIR).
        midpoints: through how many midpoints of their own as many of the orders each lead.
        beyond: how many of the points lie before and behind the path, as far apart as those on it.
    """

    kind: str
    errors: Mapping[str, Tensor] = field(repr=False)
    losses: Mapping[str, Tensor] = field(repr=False)
    random: bool = False
    pieces: int = 1
    loss: bool = False
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    quantity: Quantity = ERROR
    repaired: Sequence[str] = ()
    midpoints: int = 1
    beyond: tuple[int, int] = (0, 0)

    @property
    def taus(self) -> list[float]:
        """τ of every point, from 0 to 1, and beyond."""
        before, behind = self.beyond
        steps = next(iter(self.errors.values())).shape[1] - before - behind - 1
        return [k / steps for k in range(-before, steps + 1 + behind)]

    @property
    def barrier(self) -> dict[str, Barrier]:
        """The barrier of the error, by split; of random paths each figure is the mean over the orders' own barriers.

        It is that between the ends. Where there is no error, it is of the loss.
        """
        values = self.quantity.choose(self.errors, self.losses)
        return {split: self._barrier(of_split) for split, of_split in values.items()}

    @property
    def loss_barrier(self) -> dict[str, Barrier]:
        """The barrier of the loss, by split."""
        return {split: self._barrier(values) for split, values in self.losses.items()}

    @property
    def points(self) -> list[dict[str, Any]]:
        """τ, counts and scores of every point by name (`train_error`, …), with deviations of random paths."""
        rows = []
        for k, tau in enumerate(self.taus):
            row: dict[str, Any] = {"tau": tau} | {name: steps[k] for name, steps in self.counts.items()}
            values = {name: column[:, k].tolist() for name, column in self._columns().items()}
            if self.random:
                spreads = {name: _over_orders(numbers) for name, numbers in values.items()}
                row |= {name: both.mean for name, both in spreads.items()}
                row |= {f"{name}_deviation": both.deviation for name, both in spreads.items()}
            else:
                row |= {name: number for name, [number] in values.items()}
            rows.append(row)
        return rows

    def piece(self, k: int) -> PathResult:
        """Return what was measured along one piece; its τ and what is counted begin at 0."""
        points = (len(self.taus) - 1) // self.pieces
        span = slice(k * points, (k + 1) * points + 1)
        return PathResult(
            self.kind,
            {split: values[:, span] for split, values in self.errors.items()},
            {split: values[:, span] for split, values in self.losses.items()},
            random=self.random,
            loss=self.loss,
            counts={name: [step - steps[span][0] for step in steps[span]] for name, steps in self.counts.items()},
            quantity=self.quantity,
            midpoints=self.midpoints,
        )

    def scores(self, point: int) -> dict[str, float]:
        """Return errors and losses of a point that all orders share, as a checkpoint keeps them."""
        return {name: float(values[0, point]) for name, values in self._columns(loss=True).items()}

    def about(self) -> dict[str, Any]:
        """Return which kind of path it is, of how many orders if it is a random one, and what is corrected on it."""
        orders = len(next(iter(self.errors.values()))) // self.midpoints
        repaired = {"repair": list(self.repaired)} if self.repaired else {}
        several = {"midpoints": self.midpoints} if self.midpoints > 1 else {}
        walked = self.random and (orders > 1 or not several)
        about = {"kind": self.kind} | ({"orders": orders} if walked else {}) | several | repaired
        return about | self.quantity.about()

    def figures(self) -> dict[str, Any]:
        """Return the barriers and the points."""
        barrier: dict[str, Any] = {split: figures.to_dict() for split, figures in self.barrier.items()}
        if self.loss and self.quantity.has_error:
            barrier["loss"] = {split: figures.to_dict() for split, figures in self.loss_barrier.items()}
        return {"barrier": barrier, "points": self.points}

    def to_dict(self) -> dict[str, Any]:
        """Return what the command `path` writes of a pair of networks, as JSON values."""
        return dict(finite(self.about() | self.figures()))

    def _columns(self, *, loss: bool | None = None) -> dict[str, Tensor]:
        """Return errors, and losses if they count, by the names of their columns; shape (orders, points)."""
        return self.quantity.columns(self.errors, self.losses, loss=self.loss if loss is None else loss)

    def _barrier(self, values: Tensor) -> Barrier:
        before, behind = self.beyond
        inside = slice(before, values.shape[1] - behind)
        barriers = [barrier_of(self.taus[inside], row) for row in values[:, inside].tolist()]
        if not self.random:
            return barriers[0]
        figures = [asdict(barrier) for barrier in barriers]
        spreads = {name: _over_orders([row[name] for row in figures]) for name in figures[0] if name != "deviation"}
        means = {name: both.mean for name, both in spreads.items()}
        return Barrier(**means, deviation=spreads["max"].deviation)


def _over_orders(values: Sequence[float]) -> Spread:
    return spread(values, mean=statistics.mean)
