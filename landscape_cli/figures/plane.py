"""The figure of a plane: the error in it, and the loss, as contours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import LineDirection
from landscape_cli.figures.figure import (
    DEFAULT,
    NARROW,
    OF_LINE,
    SMALL,
    Look,
    finish,
    fit_height,
    new_figure,
    size_of,
    write_legend,
    write_title,
)
from landscape_cli.figures.plane_data import (
    OFF,
    OTHERS,
    OUTSIDE,
    Field,
    axis_label,
    fields_of,
    is_off,
    names_of,
    outside,
    plane_name,
)
from landscape_cli.figures.style import short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = "viridis"
DECADES, WIDE = 1.5, 2.6
"""Values that span more have levels by their logarithms; two of each decade, rather than three."""
LEVELS = 9
"""How many levels contours have, about."""
LONG = 4.0
"""Planes that are so many times as wide as high, or as high as wide, have axes of different scales."""
FEW_TICKS, TICKS = 3, 5
"""How many numbers the shorter side of a long plane has at most, and any side of a narrow figure."""
APART, EDGE = 0.12, 0.06
"""Parts of an axis between the labels of contours, and to the frame."""
BESIDE, BAR, ABOVE = 0.62, 0.66, 0.64
"""Inches of labels beside a panel, of a bar of colors, and of title and labels above and below, with small letters."""
ALONG = {choice.value for choice in LineDirection}
"""Directions that are no networks."""
MOST_NAMES = 12
"""Of more networks that are projected, none is named."""
OUTLINE = 1.6
"""Of labels that may lie on any color, in points."""


def plane_figure(plane: Mapping[str, Any], *, look: Look = DEFAULT) -> Figure:
    """Draw the train and test error in a plane on one scale, and the losses below where they were measured.

    Contours are labelled, of values that span decades at levels by their logarithms. The networks are named in place,
    or what stands in for them. Where there is no value, the plane is hatched.

    Args:
        plane: the result, as `PlaneResult.to_dict` gives it.
        look: title, labels of the networks, and the size.
    """
    rows = fields_of(plane)
    figure, grid = new_figure(len(rows), max(map(len, rows)), look, tall=1.15)
    figure.set_layout_engine("compressed")  # which knows of panels that are as high as wide
    labels, projected = names_of(plane, look)
    stacked = grid[0][0].get_gridspec().ncols == 1
    margin = BESIDE + BAR / (1 if stacked else len(grid[0]))
    size = fit_height(figure, grid[0][0], _ratio(plane) if _is_to_scale(plane) else 1.0, beside=margin, above=ABOVE)
    entries: dict[str, Any] = {}
    for axes, fields in zip(grid, rows, strict=True):
        known = [value for field in fields for value in field.known]
        levels, norm = _levels(known)
        filled = None
        for ax, field in zip(axes, fields, strict=True):
            filled = _draw_field(ax, plane, field, levels, norm, entries) or filled
            names = _Names(ax, size)
            _mark_others(ax, plane, entries, projected, names)
            _mark_outside(ax, plane, entries, names)
            _mark_directions(ax, plane, names)
            _mark(ax, plane, labels, names)
            names.write()
            flat = _is_to_scale(plane) and _ratio(plane) > LONG / 2
            long = len(axis_label(plane, 1)) * OF_LINE * size_of(figure) / SMALL > size[1]
            ylabel = axis_label(plane, 1).replace(" (", "\n(") if long else axis_label(plane, 1)
            ax.set(xlabel=axis_label(plane, 0), ylabel=ylabel)
            _set_scale(ax, plane)
            ax.set_title(f"{field.split} {field.quantity}")
        if filled is not None:
            for beside in axes if stacked else [list(axes)]:
                bar = figure.colorbar(filled, ax=beside, label=fields[0].quantity, format="%g", aspect=30)
                bar.minorticks_off()
                bar.set_ticks(levels[:: -(-len(levels) // FEW_TICKS)] if flat else levels)
    write_legend(figure, entries)
    torus = " · units turn on their spheres" if plane.get("on_torus") else ""
    scales = " · axes of different scales" if "directions" not in plane and not _is_to_scale(plane) else ""
    write_title(figure, look, f"{plane_name(plane, labels)}{_treatment(plane)}{torus}{scales}")
    return finish(figure)


def _ratio(plane: Mapping[str, Any]) -> float:
    """Return how many times as wide as high a plane is."""
    return (plane["x"][-1] - plane["x"][0]) / (plane["y"][-1] - plane["y"][0])  # type: ignore[no-any-return] # JSON, checked before


def _is_to_scale(plane: Mapping[str, Any]) -> bool:
    """Tell whether both axes are distances in weight space, and of one scale where that can be read."""
    distances = "directions" not in plane or {each["direction"] for each in plane["directions"]} == {"pca"}
    return distances and 1 / LONG <= _ratio(plane) <= LONG


def _set_scale(ax: Any, plane: Mapping[str, Any]) -> None:
    """Let both axes have one scale if they may, and no more numbers than there is room for."""
    ratio, narrow = 1.0, ax.figure.get_figwidth() < NARROW
    if _is_to_scale(plane):
        ax.set(aspect="equal")
        ratio = _ratio(plane)
    for axis, is_short in (("x", ratio < 2 / LONG), ("y", ratio > LONG / 2)):
        ax.locator_params(axis=axis, nbins=FEW_TICKS if is_short else TICKS if narrow else TICKS + 2)


def _treatment(plane: Mapping[str, Any]) -> str:
    arguments = plane.get("provenance", {}).get("arguments", {})
    return " · batch-norm recomputed" if arguments.get("bn") == "recompute" else ""


def _levels(known: Sequence[float]) -> tuple[list[float], Any]:
    """Return the levels of contours, and how values become colors: by logarithms where they span decades."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator

    if not known:
        return [], None
    low, high = min(known), max(known)
    positive = [value for value in known if value > 0]
    least = min(positive, default=math.nan)
    if low >= 0 and positive and high / least > 10**DECADES and high > 0:
        least = max(least, high / 10**4)
        exponents = range(math.floor(math.log10(least)), math.ceil(math.log10(high)) + 1)
        series = (1, 2, 5) if high / least < 10**WIDE else (1, 3)
        steps = [step * 10.0**exponent for exponent in exponents for step in series]
        above = [step for step in steps if step > least]
        below = [step for step in steps if step <= least][-1:]
        levels = below + [step for step in above if step < high] + [step for step in above if step >= high][:1]
        return levels, LogNorm(levels[0], levels[-1])
    if high == low:
        span = abs(high) or 1.0
        least = low - 0.05 * span
        return [least if low < 0 else max(0.0, least), low + 0.05 * span], Normalize(low - span, low + span)
    levels = [float(level) for level in MaxNLocator(LEVELS).tick_values(low, high)]
    if low >= 0:
        levels = [level for level in levels if level >= 0]
    if high <= 1 < levels[-1]:  # of errors, which are no larger
        levels = [level for level in levels if level < 1] + [1.0]
    return levels, Normalize(levels[0], levels[-1])


def _draw_field(
    ax: Any, plane: Mapping[str, Any], field: Field, levels: Sequence[float], norm: Any, entries: dict[str, Any]
) -> Any:
    """Draw one field; return what its colors are, None if there is no value."""
    from matplotlib.patches import Patch
    from matplotlib.patheffects import withStroke

    count = sum(map(len, field.values))
    if len(field.known) < count:
        ax.patch.set(facecolor="0.93", hatch="////", edgecolor="0.6")
        entries["hatched: no value, outputs are not finite"] = Patch(facecolor="0.93", hatch="////", edgecolor="0.6")
    ax.set(xlim=(min(plane["x"]), max(plane["x"])), ylim=(min(plane["y"]), max(plane["y"])))
    if not field.known:
        return None
    floor = levels[0] * 0.999 if levels[0] > 0 else -math.inf  # of logarithms, which zero has none of
    values = [[max(value, floor) if math.isfinite(value) else math.nan for value in row] for row in field.values]
    extend = "min" if min(field.known) < levels[0] else "neither"
    settings: dict[str, Any] = {"levels": levels, "norm": norm}
    filled = ax.contourf(plane["x"], plane["y"], values, cmap=COLORS, extend=extend, **settings)
    if min(field.known) == max(field.known):
        return filled
    inner = [level for level in levels if min(field.known) < level < max(field.known)]
    if inner:
        lines = ax.contour(plane["x"], plane["y"], values, levels=inner, colors="white", linewidths=0.6)
        marked = inner[:: max(1, -(-len(inner) // 5))]
        kept: list[tuple[float, float]] = []
        for text in ax.clabel(lines, marked, fontsize=size_of(ax.figure) - 2, fmt="%.3g", colors="black"):
            x, y = ax.transAxes.inverted().transform(ax.transData.transform(text.get_position()))
            at_edge = not (EDGE < x < 1 - EDGE and EDGE < y < 1 - EDGE)  # where the frame would cut it
            if at_edge or any(abs(x - other[0]) < APART and abs(y - other[1]) < APART for other in kept):
                text.remove()  # where it is steep they would lie on each other
                continue
            kept.append((x, y))
            text.set_path_effects([withStroke(linewidth=OUTLINE, foreground="white")])
    return filled


def _mark_others(
    ax: Any, plane: Mapping[str, Any], entries: dict[str, Any], labels: Sequence[str], names: _Names
) -> None:
    """Mark the networks of a trajectory, joined in their order, and others that are shown, each with its name."""
    beyond = [id(network) for network, *_ in outside(plane)]
    for kind, words, style in OTHERS:
        there = [network for network in plane.get(kind, ()) if kind != "projected" or id(network) not in beyond]
        for off in (False, True):
            some = [network for network in there if is_off(plane, network) == off] if kind == "projected" else there
            if some and not (off and kind != "projected"):
                xs, ys = ([network[axis] for network in some] for axis in "xy")
                drawn = {"markeredgecolor": "black", "color": "white", **style}
                drawn |= {"markerfacecolor": "none", "markeredgewidth": 1.2} if off else {}
                effects = {} if off else {"path_effects": _outline()}  # which would fill what is hollow
                [entries[f"{words}, {OFF}" if off else words]] = ax.plot(xs, ys, **effects, **drawn)
    for network, label in zip(plane.get("projected", ()), labels, strict=True):
        if id(network) not in beyond and len(labels) <= MOST_NAMES:
            names.add(label, network["x"], network["y"])


def _mark_outside(ax: Any, plane: Mapping[str, Any], entries: dict[str, Any], names: _Names) -> None:
    """Mark networks that lie outside of the picture where its edge is nearest to them, each with its name."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for network, x, y in outside(plane):
        sideways = abs(network["x"] - x) / (right - left) >= abs(network["y"] - y) / (high - low)
        marker = (">" if network["x"] > x else "<") if sideways else ("^" if network["y"] > y else "v")
        [entries[OUTSIDE]] = ax.plot(
            *(x, y, marker), color="white", markeredgecolor="black", linestyle="none", clip_on=False, zorder=9
        )
        if "network" in network:
            names.add(short_labels([network["network"]])[0], x, y)


def _mark(ax: Any, plane: Mapping[str, Any], labels: Sequence[str], names: _Names) -> None:
    """Mark the corners, each with its name, what stands in for a network by a cross."""
    beyond = [id(network) for network, *_ in outside(plane)]
    for corner, label in zip(plane["networks"], labels, strict=True):
        if id(corner) in beyond:
            continue
        stands_in = "third" in corner
        ax.plot(corner["x"], corner["y"], "X" if stands_in else "o", color="white", markeredgecolor="black")
        names.add(label, corner["x"], corner["y"])


def _mark_directions(ax: Any, plane: Mapping[str, Any], names: _Names) -> None:
    """Mark the networks that axes lead to, which lie at 1 along them."""
    for axis, direction in enumerate(plane.get("directions", ())):
        place = [float(corner) + (k == axis) for k, corner in enumerate(plane["networks"][0][key] for key in "xy")]
        inside = all(values[0] <= at <= values[-1] for at, values in zip(place, (plane["x"], plane["y"]), strict=True))
        if inside and direction["direction"] not in ALONG and "normalize" not in direction:
            ax.plot(*place, "o", color="white", markeredgecolor="black")
            names.add(short_labels([direction["direction"]])[0], *place)


class _Names:
    """Names beside places, towards the middle, and a line further where they would lie on each other."""

    def __init__(self, ax: Any, size: tuple[float, float]) -> None:
        self._ax, self._size, self._names = ax, size, list[tuple[str, float, float]]()

    def add(self, name: str, x: float, y: float) -> None:
        """Let a name be written beside a place."""
        self._names.append((name, x, y))

    def write(self) -> None:
        """Write all, those of the corners, which are the last, first."""
        (left, right), (low, high) = self._ax.get_xlim(), self._ax.get_ylim()
        letters = size_of(self._ax.figure)
        taken: list[tuple[float, float, float]] = []
        shifts: list[tuple[float, bool]] = []
        for name, x, y in reversed(self._names):
            across, up = (x - left) / (right - left) * self._size[0] * 72, (y - low) / (high - low) * self._size[1] * 72
            inwards = x > (left + right) / 2  # or long words would be cut at the edge
            height = (y - low) / (high - low)
            below = height > 0.85 or (height > 0.08 and not inwards)  # or they would meet those of the other side
            width = len(name) * OF_LINE * 72 * letters / SMALL
            start = across - 6 - width if inwards else across + 6
            shift = -12.0 if below else 5.0
            while any(
                start < there + long and there < start + width and abs(up + shift - line) < letters
                for there, line, long in taken
            ):
                shift += -letters - 1 if below else letters + 1
            taken.append((start, up + shift, width))
            shifts.append((shift, inwards))
        for (name, x, y), (shift, inwards) in zip(self._names, reversed(shifts), strict=True):
            self._ax.annotate(
                name,
                (x, y),
                xytext=(-6 if inwards else 6, shift),
                textcoords="offset points",
                color="white",
                fontsize=letters,
                ha="right" if inwards else "left",
                path_effects=_outline(),
                zorder=10,
            )


def _outline() -> list[Any]:
    """Return what lets white be seen on any color."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=OUTLINE + 0.6, foreground="black")]
