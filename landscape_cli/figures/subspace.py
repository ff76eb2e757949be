"""The figure of training in random subspaces: errors against their dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import ResultError
from landscape_cli.figures.curve import column, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.style import FAINT, styles_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TICKS = 8
WHOLE = "the whole space"

Row = Mapping[str, Any]


def subspace_figure(*results: Mapping[str, Any], look: Look = DEFAULT) -> Figure:
    """Draw the errors of networks trained in random subspaces against the dimension, a panel for each split.

    Of several runs of one dimension the mean is drawn, with a band of one deviation. A line for each number of weights
    (D) and basis; networks of the whole space are a dashed line at their mean.

    Args:
        *results: of `train`, as files hold them; their networks are drawn together.
        look: title, labels of the lines, and the size.

    Raises:
        ResultError: if all networks are of the whole space.
    """
    rows = [row for result in results for row in result["networks"]]
    quantity = "error" if any(row.get("train_error") is not None for row in rows) else "loss"
    splits = [split for split in ("train", "test") if any(f"{split}_{quantity}" in row for row in rows)]
    lines = _lines(rows)
    if not lines:
        raise ResultError("no network was trained in a subspace: draw results of training with `subspace=`")
    labels = dict(zip(lines, look.label(list(lines)), strict=True))
    styles = styles_of(lines)
    figure, [panels] = new_figure(1, len(splits), look, sharey=True)
    entries: dict[str, Any] = {}
    several = False
    values: list[float] = []
    for axes, split in zip(panels, splits, strict=True):
        name = f"{split}_{quantity}"
        for line, by_size in lines.items():
            known = {size: _known(some, name) for size, some in by_size.items()}
            known = {size: numbers for size, numbers in known.items() if numbers}
            deviations = [stdev(numbers) if len(numbers) > 1 else math.nan for numbers in known.values()]
            several |= not all(map(math.isnan, deviations))
            curve, drawn = draw_curve(axes, list(known), list(map(fmean, known.values())), deviations, styles[line])
            entries[labels[line]] = curve
            values += drawn
        whole = _known([row for row in rows if "subspace" not in row], name)
        if whole:
            entries[WHOLE] = axes.axhline(fmean(whole), color=FAINT, linewidth=1, linestyle="--")
            values.append(fmean(whole))
    sizes = sorted({size for by_size in lines.values() for size in by_size})
    for axes, split in zip(panels, splits, strict=True):
        set_scores(axes, values, look, f"{split} {quantity}", above=0.06)
        axes.set(xscale="log", xlabel="dimension d of the subspace")
        if len(sizes) <= MOST_TICKS:
            axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
            axes.set_xticks([], minor=True)
    write_legend(figure, entries)
    write_title(figure, look, f"random subspaces{': mean and band of one deviation over runs' if several else ''}")
    return finish(figure)


def _lines(rows: Sequence[Row]) -> dict[str, dict[float, list[Row]]]:
    """Return the networks of each line by the dimension, which ascends."""
    inside = sorted((row for row in rows if "subspace" in row), key=lambda row: float(row["subspace"]["dim"]))
    bases = {row["subspace"]["basis"] for row in inside}
    lines: dict[str, dict[float, list[Row]]] = {}
    for row in inside:
        subspace = row["subspace"]
        name = f"D = {subspace['of']:,.0f}" + (f", {subspace['basis']}" if len(bases) > 1 else "")
        lines.setdefault(name, {}).setdefault(float(subspace["dim"]), []).append(row)
    return lines


def _known(rows: Sequence[Row], name: str) -> list[float]:
    return [value for value in column(rows, name) if not math.isnan(value)]
