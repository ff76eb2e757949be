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
    """Draw the error along a path, or the loss where there is none, with a band of one deviation where it has one."""
    figure, [axes] = new_figure(1)
    points, quantity = result.points, result.quantity.name
    highest = 0.0
    for split in result.errors:
        means = [point[f"{split}_{quantity}"] for point in points]
        deviations = [point.get(f"{split}_{quantity}_deviation", math.nan) for point in points]
        highest = max(highest, draw_curve(axes, result.taus, means, deviations, split))
    axes.set(xlabel="τ", ylabel=quantity, title=title, ylim=(0, 1.1 * highest or 1))
    axes.legend()
    return figure
