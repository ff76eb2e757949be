"""The figure of a line through one network: the error along it, and the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import cut_middle
from landscape_cli.figures.curve import column, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.path import measured
from landscape_cli.figures.style import FAINT, LONGEST, SPLITS, short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def line_figure(line: Mapping[str, Any], *, look: Look = DEFAULT) -> Figure:
    """Draw the error along a line, and the loss beside it where it was measured; the network is a line at zero.

    Args:
        line: the result, as `LineResult.to_dict` gives it.
        look: title, the label of the network, and the size.
    """
    quantities = measured([line])
    figure, [panels] = new_figure(1, len(quantities), look)
    direction, points = line["directions"][0], line["points"]
    [network] = look.label(short_labels([line["networks"][0]["network"]]))
    entries: dict[str, Any] = {}
    for axes, quantity in zip(panels, quantities, strict=True):
        values: list[float] = []
        for split, style in SPLITS.items():
            name = f"{split}_{quantity}"
            if any(name in row for row in points):
                none = [math.nan] * len(points)
                curve, drawn = draw_curve(axes, column(points, "x"), column(points, name), none, style)
                entries.setdefault(split, curve)
                values += drawn
        entries[network] = axes.axvline(0, color=FAINT, linewidth=0.8, linestyle=":")
        set_scores(axes, values, look, quantity)
        length = "" if direction["length"] is None else f", in lengths of {direction['length']:.3g}"
        axes.set_xlabel(f"{cut_middle(direction['direction'], LONGEST)}{length}")
    write_legend(figure, entries)
    write_title(
        figure, look, f"line through {network}{' · units turn on their spheres' if line.get('on_torus') else ''}"
    )
    return finish(figure)
