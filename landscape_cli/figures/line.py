"""The picture of a line through one network: the error along it, and the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landscape_cli.figures.curve import draw_curve
from landscape_cli.figures.figure import new_figure, save


def plot_line(path: Path, line: Mapping[str, Any], *, force: bool) -> None:
    """Draw the error along a line, and the loss beside it where it was measured.

    Args:
        path: the picture.
        line: the result, as `LineResult.to_dict` gives it.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    points = line["points"]
    kinds = ("error", "loss") if "quantity" not in line else (line["quantity"],)
    drawn = [what for what in kinds if any(name.endswith(f"_{what}") for name in points[0])]
    figure, panels = new_figure(len(drawn))
    [direction] = line["directions"]
    for axes, what in zip(panels, drawn, strict=True):
        highest = 0.0
        for split in [name.removesuffix(f"_{what}") for name in points[0] if name.endswith(f"_{what}")]:
            values = [math.nan if (value := p[f"{split}_{what}"]) is None else value for p in points]
            none = [math.nan] * len(values)
            highest = max(highest, draw_curve(axes, [p["x"] for p in points], values, none, split))
        axes.axvline(0, color="gray", linewidth=0.8)
        axes.set(xlabel=f"{direction['direction']}, in lengths of {direction['length']:.3g}", ylabel=what)
        axes.set(ylim=(0, 1.1 * highest or 1))
        axes.legend()
    figure.suptitle(str(line["networks"][0]["network"]), fontsize=9)
    save(figure, path, force=force)
