"""The figure of training: what logs say of the loss and the error, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import column, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.networks import lines_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
DRAWN = {
    "loss": "training loss",
    "error": "training error",
    "gamma": "coupling γ",
    "spread": "spread of replicas",
}
LOGARITHMIC = {"gamma", "spread"}


def training_figure(*logs: Sequence[Row], look: Look = DEFAULT) -> Figure:
    """Draw the loss and the error of training runs by epoch, and what couples replicas if anything does.

    Epochs of several phases follow each other; where one ends is a thin line.

    Args:
        *logs: the rows of logs, with numbers as numbers.
        look: title, labels of the runs, the size, and in `sources` the names of the logs.
    """
    runs = [
        (name, run)
        for name, rows in zip(look.sources or [""] * len(logs), logs, strict=True)
        for run in _runs(name, rows)
    ]
    drawn = [name for name in DRAWN if any(not _is_empty(rows, name) for _, (_, rows) in runs)]
    figure, grid = (
        new_figure(1, min(len(drawn), 2), look) if len(drawn) < 3 else new_figure(-(-len(drawn) // 2), 2, look)
    )
    lines = lines_of(look.label([name for _, (name, _) in runs]), Look(labels=look.labels))
    entries: dict[str, Any] = {}
    ends: dict[str, Any] = {}
    panels = list(grid.flat)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    for axes, name in zip(panels, drawn, strict=False):
        values: list[float] = []
        for line in lines:
            for member in line.members:
                rows = runs[member][1][1]
                epochs = [float(k) for k in range(1, len(rows) + 1)]
                numbers = column(rows, name)
                if all(map(math.isnan, numbers)):
                    continue
                curve, seen = draw_curve(axes, epochs, numbers, [math.nan] * len(rows), {**line.style, "marker": ""})
                entries.setdefault(line.label, curve)
                values += seen
                for end in (k for k in range(1, len(rows)) if rows[k]["phase"] != rows[k - 1]["phase"]):
                    mark = axes.axvline(end + 0.5, color=line.style["color"], linewidth=0.6, linestyle=":")
                    ends = {"end of a phase": mark}
        if name in LOGARITHMIC and any(value > 0 for value in values):
            axes.set_yscale("log")
            axes.set_ylabel(DRAWN[name])
        else:
            set_scores(axes, values, look if name in {"loss", "error"} else DEFAULT, DRAWN[name], above=0.06)
        axes.set_xlabel("epoch")
    write_legend(figure, entries | ends)
    write_title(figure, look, "")
    return finish(figure)


def _runs(name: str, rows: Sequence[Row]) -> list[tuple[str, Sequence[Row]]]:
    """Return the runs of a log, by name: that of the log, and the seed where there are several."""
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    if len(seeds) == 1:
        return [(name or f"seed {seeds[0]:g}", rows)]
    return [(f"{name} seed {seed:g}".strip(), [row for row in rows if row["seed"] == seed]) for seed in seeds]


def _is_empty(rows: Sequence[Row], name: str) -> bool:
    return all(map(math.isnan, column(rows, name)))
