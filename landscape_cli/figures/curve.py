"""A curve of means over τ with a band of one deviation on either side, as figures of paths have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def draw_curve(
    axes: Any, taus: Sequence[float], means: Sequence[float], deviations: Sequence[float], label: str, **style: Any
) -> float:
    """Draw a mean with a band of one deviation on either side; return the highest number drawn, or 0.

    Args:
        axes: where to draw.
        taus: where the means are.
        means: the curve.
        deviations: of the means.
        label: of the curve in a legend.
        **style: of the line, as matplotlib's `plot` takes it.
    """
    (line,) = axes.plot(taus, means, **({"marker": ".", "linestyle": "-", "label": label} | style))
    low = [mean - deviation for mean, deviation in zip(means, deviations, strict=True)]
    high = [mean + deviation for mean, deviation in zip(means, deviations, strict=True)]
    if not all(map(math.isnan, high)):
        axes.fill_between(taus, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return max((value for value in (*means, *high) if not math.isnan(value)), default=0.0)
