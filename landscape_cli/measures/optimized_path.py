"""What was measured along a path through a trained midpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from landscape_cli.io.results import finite
from landscape_cli.measures.path_result import PathResult
from landscape_cli.network import Params

if TYPE_CHECKING:
    from landscape_cli.geometry.barrier import Barrier


@dataclass(frozen=True, eq=False)
class OptimizedPath:
    """The path through a trained midpoint: from the start to it, and on to the end.

    Attributes:
        midpoint: the network trained from the middle of the path, on the CPU.
        path: what was measured along both pieces.
        epochs: how long it was trained; 0 where the middle was good enough.
        middle: the errors of the middle, before training, by name (`train_error`, …).
        distances: from the midpoint to "start" and "end", by name.
        normalized: how the midpoint was normalised, as a checkpoint keeps it; None if it was not.
        names: of both ends.
        others: the same through further midpoints of the same pair, whose errors `path` has too.
    """

    midpoint: Params = field(repr=False)
    path: PathResult
    epochs: int
    middle: Mapping[str, float]
    distances: Mapping[str, Mapping[str, float | int | None]]
    normalized: Mapping[str, Any] | None
    names: tuple[str, str]
    others: Sequence[OptimizedPath] = ()

    @property
    def barrier(self) -> dict[str, Barrier]:
        """The barrier of the error along both pieces together, by split."""
        return self.path.barrier

    @property
    def pieces(self) -> tuple[PathResult, PathResult]:
        """What was measured along each piece, τ from 0 to 1."""
        return self.path.piece(0), self.path.piece(1)

    @property
    def metrics(self) -> dict[str, float]:
        """Errors and losses of the midpoint, as its checkpoint keeps them."""
        return self.path.scores(self._index)

    @property
    def _index(self) -> int:
        return (len(self.path.taus) - 1) // 2

    def about(self) -> dict[str, Any]:
        """Return which kind of path it is, and of how many orders if it is a random one."""
        return self.path.about()

    def figures(self) -> dict[str, Any]:
        """Return what is reported of the midpoint, the barriers, the pieces and the points."""
        scored = ("_error",) if self.path.quantity.has_error else ("_error", "_loss", "_r2")
        errors = {name: value for name, value in self.metrics.items() if name.endswith(scored)}
        measured = {"path": None, "epochs": self.epochs, "middle": dict(self.middle)}
        start, end = self.names
        whole = self.path.figures()
        midpoint = measured | errors | {"distances": {end: dict(row) for end, row in self.distances.items()}}
        alone = [each.figures() for each in self.others]
        several = {"midpoints": [each["midpoint"] | {"barrier": each["barrier"]} for each in alone]} if alone else {}
        return {
            "midpoint": midpoint,
            **several,
            "barrier": whole["barrier"],
            "pieces": [
                {"from": a, "to": b} | piece.figures()
                for (a, b), piece in zip(((start, "midpoint"), ("midpoint", end)), self.pieces, strict=True)
            ],
            "points": whole["points"],
        }

    def without_networks(self) -> OptimizedPath:
        """Return the same without midpoints: what results say of it."""
        return replace(self, midpoint={}, others=tuple(replace(each, midpoint={}) for each in self.others))

    def to_dict(self) -> dict[str, Any]:
        """Return what the command `path` writes of a pair of networks, as JSON values."""
        return dict(finite(self.about() | self.figures()))


def pooled(paths: Sequence[OptimizedPath]) -> OptimizedPath:
    """Return the paths through several midpoints of one pair as one, with the first's midpoint.

    Args:
        paths: at least one, of one pair.
    """
    first = paths[0]
    if len(paths) == 1:
        return first
    measured = [each.path for each in paths]
    errors, losses = (
        {split: torch.cat([part[split] for part in parts]) for split in parts[0]}
        for parts in ([each.errors for each in measured], [each.losses for each in measured])
    )
    path = replace(first.path, errors=errors, losses=losses, random=True, counts={}, midpoints=len(paths))
    return replace(first, path=path, others=tuple(paths))
