"""The figure of a connector: the triangle of three networks with its subdivision, or what each facet comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import as_number, column, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, size_of, write_legend, write_title
from landscape_cli.figures.style import ACCENT, BLACK, BLUE, GREEN, short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORNERS = {"a": (0.0, 0.0), "b": (1.0, 0.0), "c": (0.5, math.sqrt(3) / 2)}
MOST_LABELS = 24
BEFORE = "before_"
SETS = {
    "before": ("max before training", {"color": ACCENT, "linestyle": "--", "linewidth": 2.4, "alpha": 0.5}),
    "simplex": ("max on the networks' simplex", {"color": BLACK, "linestyle": ":", "linewidth": 1}),
}

Body = Mapping[str, Any]


def connector_figure(result: Body, *, look: Look = DEFAULT) -> Figure:
    """Draw the training error on a complex of three networks, before and after, on one scale; of others by facet.

    Where losses were measured, they are drawn too, and of three networks both splits.

    Args:
        result: the connector, as `ConnectorResult.to_dict` gives it, and in `points`, if they are known, the rows of
            its points, as CSV files hold them: the triangle is made of these.
        look: title, labels of the networks, and the size.
    """
    names = {part for row in result.get("points", ()) for part in row["facet"].split("-")}
    if names and all(set(name) <= set(CORNERS) for name in names) and set(CORNERS) <= names:
        figure = _triangles(result, look)
    else:
        figure = _facets(result, look)
    arguments = result.get("provenance", {}).get("arguments", {})
    named = [arguments.get("start"), arguments.get("end"), *(arguments.get("more") or ())]  # what CSV files know
    networks = look.label(short_labels(result.get("networks", [str(name) for name in named if name])))
    letters = (f"{chr(97 + k)}: {name}" for k, name in enumerate(networks))
    kind = [str(value) for key in ("shape", "geometry") if (value := result.get(key, arguments.get(key)))]
    about = f"connector ({', '.join(kind)})" if kind else "connector"
    write_title(figure, look, f"{about} of {', '.join(letters)}" if networks else about)
    return finish(figure)


def _triangles(result: Body, look: Look) -> Figure:
    """Draw the triangle before and after training on one scale of colors: the training error, with losses all."""
    points = result["points"]
    measured = [name for name in points[0] if f"{BEFORE}{name}" in points[0]]
    drawn = measured if any(name.endswith("_loss") for name in measured) else measured[:1]
    figure, grid = new_figure(len(drawn), 2, look)
    for panels, name in zip(grid, drawn, strict=True):
        values = [column(points, f"{before}{name}") for before in (BEFORE, "")]
        highest = max((value for row in values for value in row if not math.isnan(value)), default=0.0) or 1.0
        lowest = min((0.0, *(value for row in values for value in row if not math.isnan(value))))
        colored = None
        for axes, title, row in zip(panels, ("before training", "trained"), values, strict=True):
            colored = _draw_triangle(axes, points, row, (lowest, highest)) or colored
            axes.set(title=title, aspect="equal")
            axes.set_axis_off()
        if colored is not None:
            figure.colorbar(colored, ax=list(panels), label=name.replace("_", " "), format="%.3g")
    return figure


def _place(row: Body) -> tuple[float, float]:
    """Return where a point lies: vertices are named by the corners whose barycentre they are."""
    vertices = row["facet"].split("-")
    x, y = 0.0, 0.0
    for k, name in enumerate(vertices, 1):
        weight = as_number(row[f"weight_{k}"]) / len(name)
        x += weight * sum(CORNERS[letter][0] for letter in name)
        y += weight * sum(CORNERS[letter][1] for letter in name)
    return x, y


def _draw_triangle(axes: Any, points: Sequence[Body], values: Sequence[float], scale: tuple[float, float]) -> Any:
    """Draw one triangle; return what its colors are, None if no point has any."""
    from matplotlib.patheffects import withStroke
    from matplotlib.tri import Triangulation

    x, y = zip(*map(_place, points), strict=True)
    triangles = Triangulation(x, y)
    missing = [any(math.isnan(values[point]) for point in cell) for cell in triangles.triangles]
    drawn = None
    if not all(missing):
        triangles.set_mask(missing)
        colors = [0.0 if math.isnan(value) else value for value in values]
        low, high = scale
        drawn = axes.tripcolor(triangles, colors, shading="gouraud", cmap="viridis", vmin=low, vmax=high)
    places: dict[str, tuple[float, float]] = {}
    for facet in dict.fromkeys(row["facet"] for row in points):
        for name in facet.split("-"):
            alone = {"facet": name, "weight_1": 1.0}
            places[name] = _place(alone)
        outline = [places[name] for name in (*facet.split("-"), facet.split("-")[0])]
        axes.plot(*zip(*outline, strict=True), color="white", linewidth=0.7)
    effects = [withStroke(linewidth=1.8, foreground="white")]
    for name, place in places.items():
        axes.plot(*place, "o" if len(name) == 1 else "s", color="white", markeredgecolor="black", markersize=4)
        style: dict[str, Any] = {"fontsize": size_of(axes.figure), "path_effects": effects}
        axes.annotate(name, place, xytext=(5, 5), textcoords="offset points", **style)
    return drawn


def _facets(result: Body, look: Look) -> Figure:
    """Draw for each facet the largest and the mean error, and the largest of other sets, a panel a split.

    Losses are drawn below where they were measured.
    """
    facets = result["facets"]
    quantity = result.get("quantity", "error")
    splits = [split for split in facets[0] if split not in {"vertices", "loss"}]
    rows = [[(f"{split} {quantity}", [split]) for split in splits]]
    if "loss" in facets[0]:
        rows.append([(f"{split} loss", ["loss", split]) for split in splits])
    figure, grid = new_figure(len(rows), len(splits), look)
    entries: dict[str, Any] = {}
    for axes, (label, keys) in zip(grid.flat, (panel for row in rows for panel in row), strict=True):
        of_facets = [_get(facet, keys) for facet in facets]
        values: list[float] = []
        for mark, key, color in (("o", "max", BLUE), ("s", "mean", GREEN)):
            numbers = [as_number(each.get(key)) for each in of_facets]
            [entries[f"{key} of the facet"]] = axes.plot(numbers, mark, color=color, markersize=4)
            values += numbers
        for name, (words, style) in SETS.items():
            highest = as_number(_get(result.get(name, {}), keys).get("max"))
            if not math.isnan(highest):
                entries[words] = axes.axhline(highest, zorder=0.5, **style)
                values.append(highest)
        set_scores(axes, [value for value in values if not math.isnan(value)], look, label)
        axes.set_xlabel("facet")
        if len(facets) <= MOST_LABELS:
            names = ["-".join(map(str, facet["vertices"])) for facet in facets]
            axes.set_xticks(range(len(facets)), names, rotation=90 if len(facets) > 4 else 0)
    write_legend(figure, entries)
    return figure


def _get(value: Body, keys: Sequence[str]) -> Body:
    """Return what lies under some keys; nothing where one is missing."""
    for key in keys:
        value = value.get(key) or {}
    return value
