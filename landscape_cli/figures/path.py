"""The figure of paths: errors and losses along them, with their barriers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import as_number, column, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, LEAST_PANEL, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.style import ACCENT, FAINT, SPLITS, short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Body = Mapping[str, Any]
BESIDE = 1.6
"""Inches that error and loss are wide at least beside each other."""


def path_figure(*results: Body, look: Look = DEFAULT) -> Figure:
    """Draw the error along paths, a panel for each, and the loss below if it was measured; axes are shared.

    The barrier is marked, with its number; so is the bend of a path through a trained midpoint, and the error of the
    middle before training. Random paths have a band of one deviation over orders.

    Args:
        *results: of paths, as `PathResult.to_dict` and `OptimizedPath.to_dict` give them, or as files hold them.
        look: titles, labels and the size.
    """
    quantities = measured(results)
    # One path has its quantities beside each other, several a row for each.
    # Where there is no room for several beside each other, a row is a path.
    down = len(results) > 1 and (look.width or math.inf) / len(results) < LEAST_PANEL
    shape = (1, len(quantities)) if len(results) == 1 else (len(quantities), len(results))
    shared = False if len(results) == 1 else "col" if down else "row"
    figure, grid = new_figure(
        *(shape[::-1] if down else shape), look, sharex=True, sharey=shared, least=BESIDE if down else LEAST_PANEL
    )
    panels = grid.T if down else grid.reshape(len(quantities), len(results))
    descriptions = _describe_all(results, look)
    entries: dict[str, Any] = {}
    for number, (row, quantity) in enumerate(zip(panels, quantities, strict=True)):
        drawn = [_draw(axes, result, quantity, entries) for axes, result in zip(row, results, strict=True)]
        for k, axes in enumerate(row):
            place = axes.get_subplotspec()
            label = quantity if place.is_first_col() or down or len(results) == 1 else ""
            set_scores(axes, [value for of_result in drawn for value in of_result], look, label, above=0.2)
            axes.set_xlabel("τ" if place.is_last_row() else "")
            if len(results) > 1 and (number == 0 or (not down and place.get_gridspec().ncols < len(results))):
                axes.set_title(descriptions[k])
    write_legend(figure, entries)
    title = _ends(results[0]) if len(results) == 1 or len({_ends(result) for result in results}) == 1 else ""
    write_title(figure, look, " · ".join(filter(None, (title, descriptions[0] if len(results) == 1 else ""))))
    return finish(figure)


def measured(results: Sequence[Body]) -> list[str]:
    """Return which of error and loss all of some results have along their paths."""
    columns = [set(result["points"][0]) for result in results]
    kinds = [kind for kind in ("error", "loss") if all({f"train_{kind}", f"test_{kind}"} & each for each in columns)]
    return kinds or ["error"]


def describe(result: Body) -> str:
    """Return what kind of paths a result is of, and how its networks were treated."""
    arguments = result.get("provenance", {}).get("arguments", {})
    words = [str(result["kind"])]
    aligned = arguments.get("align") or next(iter(result.get("provenance", {}).get("aligned", {}).values()), None)
    if aligned:
        words.append(f"aligned ({aligned})")
    if "orders" in result:
        words.append(f"{result['orders']} orders")
    if "repair" in result:
        words.append("repaired")
    if "midpoint" in result or arguments.get("optimize_midpoint"):
        words.append("optimised")
    if arguments.get("bn") == "recompute":
        words.append("batch-norm recomputed")
    return ", ".join(words)


def _describe_all(results: Sequence[Body], look: Look) -> list[str]:
    if look.labels:
        return look.label([describe(result) for result in results])
    words = [describe(result) for result in results]
    if len(set(words)) < len(words) and look.sources:
        words = short_labels(look.sources)
    return words


def _ends(result: Body) -> str:
    if "start" not in result:
        return ""
    start, end = short_labels([str(result["start"]), str(result["end"])])
    return f"{start} → {end}"


def _draw(axes: Any, result: Body, quantity: str, entries: dict[str, Any]) -> list[float]:
    """Draw one path; return every value drawn."""
    points = result["points"]
    taus = column(points, "tau")
    values: list[float] = []
    banded = False
    for split, style in SPLITS.items():
        name = f"{split}_{quantity}"
        if any(name in row for row in points):
            deviations = column(points, f"{name}_deviation")
            line, drawn = draw_curve(axes, taus, column(points, name), deviations, style)
            entries.setdefault(split, line)
            values += drawn
            banded |= not all(map(math.isnan, deviations))
    for end in (0.0, 1.0) if min(taus) < 0 or max(taus) > 1 else ():
        entries["the two networks"] = axes.axvline(end, color=FAINT, linewidth=0.8, linestyle=":")
    if banded:
        entries["band: one deviation over orders"] = axes.collections[-1]
    values += _draw_untrained(axes, result, quantity, points, entries)
    barrier = result.get("barrier") or {}
    mine = barrier if quantity == result.get("quantity", "error") else barrier.get("loss", {})
    mark_barrier(axes, mine.get("train") or {})
    return values


def mark_barrier(axes: Any, barrier: Mapping[str, Any]) -> None:
    """Mark the highest error of a path, with its number at the frame's top; nothing where no end is lower."""
    highest, tau = as_number(barrier.get("max")), as_number(barrier.get("tau"))
    if math.isnan(highest) or math.isnan(tau) or as_number(barrier.get("above_ends")) <= 0:
        return
    axes.plot([tau], [highest], marker="o", markersize=8, markerfacecolor="none", color=ACCENT, linestyle="none")
    side = "left" if tau < 0.25 else "right" if tau > 0.75 else "center"
    above = ({"left": 0.0, "center": 0.5, "right": 1.0}[side], 0.0)
    spread = as_number(barrier.get("deviation"))
    text = f"barrier {highest:.3g}{'' if math.isnan(spread) else f' ± {spread:.2g}'}"
    axes.annotate(
        text,
        (tau, highest),
        xytext=(tau, 0.99),  # above all curves
        textcoords=axes.get_xaxis_transform(),
        color=ACCENT,
        fontsize=8,
        ha=side,
        va="top",
        arrowprops={"arrowstyle": "-", "color": ACCENT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4, "relpos": above},
        zorder=10,
    )


def _draw_untrained(
    axes: Any, result: Body, quantity: str, points: Sequence[Body], entries: dict[str, Any]
) -> list[float]:
    """Draw the bend of a path through a trained midpoint, and what its middle was before training."""
    midpoint = result.get("midpoint")
    if not midpoint:
        return []
    entries["trained midpoint"] = axes.axvline(0.5, color=FAINT, linewidth=0.8, linestyle=":")
    values: list[float] = []
    for split, style in SPLITS.items():
        before = as_number((midpoint.get("middle") or {}).get(f"{split}_{quantity}"))
        if math.isnan(before):
            continue
        ends = [as_number(points[k].get(f"{split}_{quantity}")) for k in (0, -1)]
        faint = {**style, "alpha": 0.45, "linewidth": 1.0, "markerfacecolor": "white", "markersize": 4}
        (line,) = axes.plot([0.0, 0.5, 1.0], [ends[0], before, ends[1]], **faint)
        entries.setdefault("untrained: ends and middle", line)
        values.append(before)
    return values
