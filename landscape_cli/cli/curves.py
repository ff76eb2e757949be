"""Errors along many paths between networks of one model, by one evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.batch_norm import recompute_statistics
from landscape_cli.cli.console import progress
from landscape_cli.cli.options import Statistics
from landscape_cli.cli.session import score_columns
from landscape_cli.cli.statistics import samples_recomputed, warn_of_missing
from landscape_cli.evaluate import Evaluator, Scores
from landscape_cli.geometry import geodesic, linear
from landscape_cli.paths import barrier, even_steps

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.checkpoint import Params
    from landscape_cli.data import DataSet
    from landscape_cli.symmetry import Symmetry


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


class Meter:
    """Measures paths between networks of one model."""

    def __init__(
        self,
        model: nn.Module,
        example: Params,
        data: DataSet,
        *,
        symmetry: Symmetry | None,
        points: int,
        loss: bool,
        bn: Statistics,
        device: torch.device,
        quiet: bool,
    ) -> None:
        """Put the data on the device.

        Args:
            model: the architecture.
            example: one of the networks.
            data: what to measure on.
            symmetry: of all networks, for geodesics; None for straight lines.
            points: how many on a path, or on a piece of one, ends included.
            loss: whether to report the loss as well.
            bn: what becomes of batch-norm statistics.
            device: where to compute.
            quiet: whether to leave out progress and remarks.
        """
        self.model, self.data, self.points, self.quiet = model, data, points, quiet
        self._example, self._symmetry, self._loss, self._bn = example, symmetry, loss, bn
        self._recomputed = samples_recomputed(model, example, data.train, bn, quiet=quiet)
        self._advance: Callable[[int], None] | None = None
        self._undecided: dict[str, list[Tensor]] = {"train": [], "test": []}
        self.evaluator = Evaluator(
            model,
            {"train": data.train, "test": data.test},
            device=device,
            advance=self._done,
            recompute_on="train" if self._recomputed else None,
        )

    @contextmanager
    def watched(self, description: str, networks: int) -> Iterator[None]:
        """Show progress while so many networks are measured."""
        samples = networks * (self._recomputed + self.evaluator.samples)
        with progress(description, samples, "samples", quiet=self.quiet) as self._advance:
            yield
        self._advance = None

    def at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        """Return the network at τ on the path between two."""
        if self._symmetry is None:
            return linear(start, end, tau)
        return geodesic(start, end, tau, self._symmetry)

    def curve(self, stops: Sequence[Params]) -> Curve:
        """Measure the path through these networks; those between two pieces are measured once."""
        scores = self.evaluator.evaluate(self._points(stops))
        for split, score in scores.items():
            self._undecided[split].append(score.undecided)
        return Curve(scores, len(stops) - 1, self._loss)

    def errors(self, network: Params) -> dict[str, float]:
        """Return the errors of one network."""
        return score_columns(self.evaluator.evaluate([network]), 0, loss=False)

    def with_statistics(self, network: Params) -> Params:
        """Return the network with its batch-norm statistics recomputed, if they are to be."""
        if not self._recomputed:
            return network
        return recompute_statistics(self.model, network, self.evaluator.splits["train"].x)

    def warn_of_missing(self) -> None:
        """Say how many of all points measured have no error."""
        warn_of_missing(
            [torch.cat(counts) for counts in self._undecided.values()],
            "points",
            model=self.model,
            params=self._example,
            train=self.data.train,
            bn=self._bn,
            quiet=self.quiet,
        )

    def _points(self, stops: Sequence[Params]) -> Iterator[Params]:
        taus = even_steps(self.points)
        for k in range(len(stops) - 1):
            for tau in taus[min(k, 1) :]:
                yield self.at(stops[k], stops[k + 1], tau)

    def _done(self, samples: int) -> None:
        if self._advance is not None:
            self._advance(samples)
