"""A curve of means with a band of one deviation on either side, and the axis that it is on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from landscape_cli.figures.figure import Look, limits

MOST_MARKERS = 24
"""Along one curve: of more points some have a marker."""


def as_number(value: Any) -> float:
    """Return a number of a result, NaN where there is none."""
    return math.nan if value is None else float(value)


def column(rows: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    """Return one column of a result's rows, NaN where a row has none."""
    return [as_number(row.get(name)) for row in rows]


def draw_curve(
    axes: Any,
    x: Sequence[float],
    means: Sequence[float],
    deviations: Sequence[float],
    style: Mapping[str, Any],
    *,
    band: bool = True,
) -> tuple[Any, list[float]]:
    """Draw a mean with a band of one deviation on either side, or with bars; return the line and all values drawn.

    Args:
        axes: where to draw.
        x: where the means are.
        means: the curve.
        deviations: of the means, NaN where there is none.
        style: of the line, as matplotlib's `plot` takes it.
        band: whether deviations are a band, and not bars.
    """
    every = max(1, -(-len(x) // MOST_MARKERS))
    (line,) = axes.plot(x, means, **{"markersize": 3.5, "linewidth": 1.3, "markevery": every} | dict(style))
    known = [0.0 if math.isnan(deviation) else deviation for deviation in deviations]
    low = [mean - deviation for mean, deviation in zip(means, known, strict=True)]
    high = [mean + deviation for mean, deviation in zip(means, known, strict=True)]
    if any(known) and band:
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    elif any(known):
        axes.errorbar(x, means, known, fmt="none", ecolor=line.get_color(), elinewidth=0.8, capsize=2)
    return line, [value for value in (*means, *low, *high) if not math.isnan(value)]


def set_scores(axes: Any, values: Sequence[float], look: Look, label: str, *, above: float = 0.14) -> None:
    """Set the axis of errors or losses: a little of what is below zero, a faint line at zero, and what it is."""
    axes.set_ylim(limits(values, look, above=above))
    axes.set_ylabel(label)
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
