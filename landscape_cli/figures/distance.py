"""The figure of distances: a matrix for each, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import as_number
from landscape_cli.figures.figure import (
    DEFAULT,
    LEAST_PANEL,
    Look,
    finish,
    fit_height,
    new_figure,
    size_of,
    write_title,
)
from landscape_cli.figures.style import short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = "viridis"
MOST_NUMBERS = 12
"""Networks along a side: of more no numbers are written."""
OF_LABEL, OF_LETTER = 0.12, 0.065
"""Inches of a label's height and of a letter's width: where there is no room for all labels, some are written."""
BESIDE, ABOVE = 0.85, 0.35
"""Inches beside a matrix and its labels, for the bar of colors, and above, for what it is of."""
MOST_PANELS = 9
ACROSS = 3
SIDES = {"a", "b", "family_a", "family_b"}


def distance_figure(*results: Mapping[str, Any], look: Look = DEFAULT) -> Figure:
    """Draw a matrix for each distance that was measured; of a result with a matrix, that one alone.

    Args:
        *results: of `distance`, as files hold them.
        look: title, labels of the networks, and the size.
    """
    drawn = [(result, name) for result in results for name in _metrics(result)][:MOST_PANELS]
    across = min(
        2 if len(drawn) == 4 else ACROSS, len(drawn), max(1, int(look.width / LEAST_PANEL)) if look.width else ACROSS
    )
    figure, grid = new_figure(-(-len(drawn) // across), across, look)
    figure.set_layout_engine("compressed")  # which knows of panels that are as high as wide
    panels = list(grid.flat)
    names = [look.label(short_labels(result["networks"], longest=14)) for result, _ in drawn]
    longest = OF_LETTER * max(len(name) for some in names for name in some)
    side, _ = fit_height(figure, panels[0], 1.0, beside=longest + BESIDE, above=longest + ABOVE)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    for axes, labels, (result, name) in zip(panels, names, drawn, strict=False):
        values = _matrix(result, name)
        image = axes.imshow(values, cmap=COLORS)
        figure.colorbar(image, ax=axes, format="%.3g", shrink=0.8)
        axes.set_title(name.replace("_", " "))
        room = max(1, int(side / OF_LABEL))
        some = range(0, len(labels), -(-len(labels) // room))
        axes.set_xticks(some, [labels[k] for k in some], rotation=90)
        axes.set_yticks(some, [labels[k] for k in some])
        if len(labels) <= MOST_NUMBERS:
            _write_numbers(axes, values, image, size_of(figure) - (2 if len(labels) < 7 else 3.5))
    write_title(figure, look, "")
    return finish(figure)


def _metrics(result: Mapping[str, Any]) -> list[str]:
    """Return the distances that are drawn: the one of the matrix, or all."""
    if "matrix" in result:
        return [result["matrix"]["metric"]]
    return [name for name in result["pairs"][0] if name not in SIDES]


def _matrix(result: Mapping[str, Any], name: str) -> list[list[float]]:
    """Return one distance of all pairs, NaN where it was not measured, and of a network to itself."""
    measured = {(row["a"], row["b"]): as_number(row.get(name)) for row in result["pairs"]}
    names: Sequence[str] = result["networks"]
    return [
        [measured.get((a, b), measured.get((b, a), math.nan)) if a != b else math.nan for b in names] for a in names
    ]


def _write_numbers(axes: Any, values: Sequence[Sequence[float]], image: Any, size: float) -> None:
    """Write every number into its cell, in a color that is read there."""
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if not math.isnan(value):
                red, green, blue, _ = image.cmap(image.norm(value))
                dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
                text = f"{value:.3g}"
                axes.text(j, i, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")
