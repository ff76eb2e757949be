"""Figures of a path: where its points lie, and the barrier along it (docs/method.md: Words, Paths and barriers)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from landscape_cli.arguments import check_number, check_whole
from landscape_cli.errors import GeometryError
from landscape_cli.io.results import finite

LARGEST_DENOMINATOR = 10**7
"""Of τ: a path has no more points."""


@dataclass(frozen=True)
class Barrier:
    """The barrier of an error (or loss) along a path; all figures are NaN where one on the path is.

    Attributes:
        max: the largest value.
        tau: where it is first reached.
        above_ends: that less the larger value at an end.
        above_line: the most by which a value exceeds the linear interpolation of the ends.
        deviation: of random paths, whose figures are means over several orders, the sample deviation of `max`: NaN of
            one order alone; None of other paths.
    """

    max: float
    tau: float
    above_ends: float
    above_line: float
    deviation: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        figures = asdict(self)
        if self.deviation is None:
            del figures["deviation"]
        return dict(finite(figures))


def even_steps(points: int) -> list[float]:
    """Return τ for so many points, evenly spaced, 0 and 1 included.

    Raises:
        GeometryError: if there are fewer than two.
    """
    check_whole("points", points, GeometryError)
    if points < 2:
        raise GeometryError(f"a path has at least 2 points, its ends, not {points}")
    return [k / (points - 1) for k in range(points)]


def steps_beyond(points: int, beyond: Sequence[float]) -> tuple[int, int]:
    """Return how many more points lie before and behind a path of so many, as far apart, up to two τ.

    Args:
        points: on the path.
        beyond: from where to where, as in (-0.5, 1.5).

    Raises:
        GeometryError: if the first τ is above 0, or the second below 1.
    """
    if not isinstance(beyond, Sequence) or len(beyond) != 2:
        raise GeometryError(f"`beyond=` is two numbers, as in (-0.5, 1.5), not {beyond!r}")
    for tau in beyond:
        check_number("beyond", tau, GeometryError)
    first, last = (as_fraction(tau) for tau in beyond)
    if first > 0 or last < 1:
        raise GeometryError(f"`beyond=` begins at 0 or before and ends at 1 or behind, not at {beyond[0]}, {beyond[1]}")
    before, behind = math.floor(-first * (points - 1)), math.floor((last - 1) * (points - 1))
    if before + behind > LARGEST_DENOMINATOR:
        raise GeometryError(f"`beyond=` has {before + behind:,} more points: choose fewer `points=`, or go less far")
    return before, behind


def as_fraction(tau: float | Fraction) -> Fraction:
    """Return the fraction that τ, rounded to a float, stands for: 1/3 of 0.3333333333333333."""
    return Fraction(tau).limit_denominator(LARGEST_DENOMINATOR)


def piece_at(tau: float, pieces: int) -> tuple[int, float]:
    """Return on which of so many equal pieces of a path τ lies, and where between its ends: 0 to 1."""
    if pieces == 1:
        return 0, tau
    along = as_fraction(tau) * pieces
    piece = min(math.floor(along), pieces - 1)
    return piece, float(along - piece)


def barrier_of(taus: Sequence[float], values: Sequence[float]) -> Barrier:
    """Return the barrier of an error (or loss) along a path; all figures are NaN if a value is.

    Args:
        taus: where on the path, in ascending order, ends included.
        values: the error there.
    """
    if any(math.isnan(value) for value in values):
        return Barrier(math.nan, math.nan, math.nan, math.nan)
    top = max(values)
    ends = values[0], values[-1]
    span = taus[-1] - taus[0]
    line = [ends[0] + (ends[1] - ends[0]) * (tau - taus[0]) / span for tau in taus]
    return Barrier(
        max=top,
        tau=taus[list(values).index(top)],
        above_ends=top - max(ends),
        above_line=max(value - level for value, level in zip(values, line, strict=True)),
    )
