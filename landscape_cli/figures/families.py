"""The figure of paths between families: the mean error along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import draw_curve
from landscape_cli.figures.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def families_figure(summary: Sequence[Mapping[str, Any]], *, title: str, quantity: str = "error") -> Figure:
    """Draw the mean error along the paths of each family pair, with a band of one deviation on either side.

    Args:
        summary: as `measures.families.path_summary` returns it.
        title: of the figure.
        quantity: what is drawn: "error" or "loss".
    """
    figure, panels = new_figure(2)
    for axes, split in zip(panels, ("train", "test"), strict=True):
        highest = 0.0
        for entry in summary:
            taus = [point["tau"] for point in entry["points"]]
            spreads = [point[f"{split}_{quantity}"] for point in entry["points"]]
            means, deviations = ([spread[key] for spread in spreads] for key in ("mean", "deviation"))
            label = f"{' – '.join(entry['families'])} ({entry['pairs']})"
            highest = max(highest, draw_curve(axes, taus, means, deviations, label))
        axes.set(xlabel="τ", ylabel=f"{split} {quantity}", ylim=(0, 1.1 * highest or 1))
        axes.legend()
    figure.suptitle(title)
    return figure
