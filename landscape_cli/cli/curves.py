"""What was measured along a path: errors point by point, and barriers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.session import score_columns
from landscape_cli.paths import barrier, even_steps

if TYPE_CHECKING:
    from landscape_cli.evaluate import Scores


@dataclass(frozen=True)
class Curve:
    """What was measured along a path of one piece or several, each of as many points, which share their ends.

    Attributes:
        scores: of the points, by split.
        pieces: how many pieces there are.
        loss: whether the loss counts as well.
    """

    scores: Mapping[str, Scores]
    pieces: int
    loss: bool

    def rows(self, piece: int | None = None) -> list[dict[str, Any]]:
        """Return τ and the scores of every point, of one piece or of all; τ goes from 0 to 1."""
        first, taus = self._span(piece)
        return [{"tau": tau} | score_columns(self.scores, first + k, loss=self.loss) for k, tau in enumerate(taus)]

    def barriers(self, piece: int | None = None) -> dict[str, Any]:
        """Return the barriers of the errors, by split, and of the losses, of one piece or of all."""
        first, taus = self._span(piece)
        here = slice(first, first + len(taus))
        found: dict[str, Any] = {n: barrier(taus, score.error[here].tolist()) for n, score in self.scores.items()}
        if self.loss:
            found["loss"] = {n: barrier(taus, score.loss[here].tolist()) for n, score in self.scores.items()}
        return found

    def metrics(self, point: int) -> dict[str, float]:
        """Return errors and losses of one point, as a checkpoint keeps them."""
        return score_columns(self.scores, point, loss=True)

    def _span(self, piece: int | None) -> tuple[int, list[float]]:
        points = len(next(iter(self.scores.values())).wrong)
        each = (points - 1) // self.pieces
        return (0, even_steps(points)) if piece is None else (piece * each, even_steps(each + 1))
