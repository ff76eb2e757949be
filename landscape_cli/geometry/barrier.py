"""Figures of a path: where its points lie, and the barrier along it (SPEC 1, 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from landscape_cli.errors import GeometryError


def even_steps(points: int) -> list[float]:
    """Return τ for so many points, evenly spaced, 0 and 1 included.

    Raises:
        GeometryError: if there are fewer than two.
    """
    if points < 2:
        raise GeometryError(f"a path has at least 2 points, its ends, not {points}")
    return [k / (points - 1) for k in range(points)]


def barrier(taus: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """Return the barrier of an error (or loss) along a path.

    Args:
        taus: where on the path, in ascending order, ends included.
        values: the error there.

    Returns:
        max: the largest value; tau: where it is first reached; above_ends: that less the larger value at an end;
        above_line: the most by which a value exceeds the linear interpolation of the ends. All are NaN if a value is,
        as it might have been the largest.
    """
    if any(math.isnan(value) for value in values):
        return dict.fromkeys(("max", "tau", "above_ends", "above_line"), math.nan)
    top = max(values)
    ends = values[0], values[-1]
    span = taus[-1] - taus[0]
    line = [ends[0] + (ends[1] - ends[0]) * (tau - taus[0]) / span for tau in taus]
    return {
        "max": top,
        "tau": taus[list(values).index(top)],
        "above_ends": top - max(ends),
        "above_line": max(value - level for value, level in zip(values, line, strict=True)),
    }
