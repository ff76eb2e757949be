"""What there is to measure on a path, and the result of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_cli.evaluation.scores import Scores, SplitFacts, quantity_of
from landscape_cli.measures.path_result import PathResult


@dataclass(frozen=True)
class PathShape:
    """Paths of one kind but for what is measured.

    Networks of a path have places: what it leads through, then what lies between, piece by piece and order by order,
    then what lies before and behind it.

    Attributes:
        kind: of the paths, such as "linear".
        splits: what scores are of, by split.
        points: how many there are on a piece, ends included.
        orders: in how many orders random paths are walked; 1 of others.
        random: whether they are random.
        loss: whether the loss counts as well.
        repaired: the modules whose units are corrected between the ends.
        beyond: how many points lie before and behind.
    """

    kind: str
    splits: Mapping[str, SplitFacts]
    points: int
    orders: int
    random: bool
    loss: bool
    repaired: tuple[str, ...]
    beyond: tuple[int, int]

    def networks(self, pieces: int = 1) -> int:
        """Return how many networks are measured for a path of so many pieces."""
        return pieces + 1 + pieces * self.orders * (self.points - 2) + sum(self.beyond)

    def result(self, scores: Mapping[str, Scores], counts: Mapping[str, Sequence[int]], *, pieces: int) -> PathResult:
        """Return the result, of the scores of all networks at their places, and what is counted at every point."""
        return PathResult(
            self.kind,
            {split: self._along(score.error, pieces) for split, score in scores.items()},
            {split: self._along(score.loss, pieces) for split, score in scores.items()},
            random=self.random,
            pieces=pieces,
            loss=self.loss,
            counts=counts,
            quantity=quantity_of(self.splits),
            repaired=self.repaired,
            beyond=self.beyond,
        )

    def _along(self, values: Tensor, pieces: int) -> Tensor:
        """Return the values of all networks as they come on the path, shape (orders, points)."""
        last = pieces + 1 + pieces * self.orders * (self.points - 2)
        between = values[pieces + 1 : last].view(pieces, self.orders, self.points - 2)
        parts = [values[0].expand(self.orders, 1)]
        for stop, inner in zip(values[1 : pieces + 1], between, strict=True):
            parts += [inner, stop.expand(self.orders, 1)]
        before, behind = values[last:].split(self.beyond)
        return torch.cat([before[None], *parts, behind[None]] if last < len(values) else parts, dim=1)
