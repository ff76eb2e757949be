"""The figure of one path: the error along it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from landscape_cli.figures.curve import draw_curve
from landscape_cli.figures.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from landscape_cli.measures.path_result import PathResult


def path_figure(result: PathResult, *, title: str) -> Figure:
    """Draw the error along a path, with a band of one deviation on either side where there is one."""
    figure, [axes] = new_figure(1)
    points = result.points
    highest = 0.0
    for split in result.errors:
        means = [point[f"{split}_error"] for point in points]
        deviations = [point.get(f"{split}_error_deviation", math.nan) for point in points]
        highest = max(highest, draw_curve(axes, result.taus, means, deviations, split))
    axes.set(xlabel="τ", ylabel="error", title=title, ylim=(0, 1.1 * highest or 1))
    axes.legend()
    return figure
