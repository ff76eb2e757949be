"""The figure of a connector: the triangle of three networks with its subdivision, or what each facet comes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Shape
from landscape_cli.figures.figure import new_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from landscape_cli.measures.connector_result import ConnectorResult, PointScores

CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(3) / 2))
MOST_LABELS = 24
LABEL = {"boxstyle": "round", "facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.15}


def connector_figure(result: ConnectorResult, *, title: str) -> Figure:
    """Draw the training error on a complex of three networks, before and after; of others by facet.

    Where losses were measured, they are drawn too, and of three networks both splits.

    Args:
        result: the connector.
        title: of the figure.
    """
    if result.complex.shape == Shape.COMPLEX and result.complex.networks == len(CORNERS):
        return _triangles(result, title)
    return _facets(result, title)


def _triangles(result: ConnectorResult, title: str) -> Figure:
    """Draw the triangle before and after training on one scale of colours: the training error, with losses all."""
    after = result.after.columns(loss=result.loss)
    measured = [f"{split}_{result.after.quantity.name}" for split in result.after.error]
    drawn = list(after) if result.loss and result.after.quantity.has_error else measured[:1]
    figure, grid = new_grid(len(drawn), 2)
    for panels, column in zip(grid, drawn, strict=True):
        values = [scores.columns(loss=result.loss)[column].tolist() for scores in (result.before, result.after)]
        known = [value for row in values for value in row if not math.isnan(value)]
        highest = max(known, default=0.0) or 1.0
        colored = None
        for axes, name, row in zip(panels, ("before training", "trained"), values, strict=True):
            colored = _draw_triangle(axes, result, row, highest) or colored
            axes.set(title=name, aspect="equal")
            axes.set_axis_off()
        if colored is not None:
            figure.colorbar(colored, ax=list(panels), label=column.replace("_", " "))
    figure.suptitle(title)
    return figure


def _draw_triangle(axes: Any, result: ConnectorResult, values: Sequence[float], highest: float) -> Any:
    """Draw one triangle; return what its colours are, None if no point has any."""
    places = [
        tuple(sum(CORNERS[k][axis] for k in vertex.of) / len(vertex.of) for axis in (0, 1))
        for vertex in result.complex.vertices
    ]
    x, y = (
        [
            sum(places[vertex][axis] * part for vertex, part in point.items()) / result.grid.steps
            for point in result.grid.points
        ]
        for axis in (0, 1)
    )
    cells = [
        cell
        for facet in range(len(result.complex.facets))
        for cell in result.grid.triangles(facet)
        if not any(math.isnan(values[point]) for point in cell)
    ]
    drawn = None
    if cells:
        colours = [0.0 if math.isnan(value) else value for value in values]
        drawn = axes.tripcolor(x, y, cells, colours, shading="gouraud", cmap="viridis", vmin=0.0, vmax=highest)
    for facet in result.complex.facets:
        outline = [places[vertex] for vertex in (*facet, facet[0])]
        axes.plot(*zip(*outline, strict=True), color="white", linewidth=0.7)
    for place, vertex in zip(places, result.complex.vertices, strict=True):
        axes.plot(*place, "s" if vertex.trained else "o", color="white", markeredgecolor="black")
        axes.annotate(vertex.name, place, xytext=(5, 5), textcoords="offset points", bbox=LABEL)
    return drawn


def _facets(result: ConnectorResult, title: str) -> Figure:
    """Draw for each facet the largest and the mean error, and the largest before training, a panel a split.

    Losses are drawn below where they were measured.
    """
    rows = [[f"{split}_{result.after.quantity.name}" for split in result.after.error]]
    if result.loss and result.after.quantity.has_error:
        rows.append([column for column in result.after.columns(loss=True) if column not in rows[0]])
    figure, grid = new_grid(len(rows), len(rows[0]))
    facets = range(len(result.complex.facets))
    for axes, column in zip(grid.flat, (column for row in rows for column in row), strict=True):
        curves = {
            "max before training": _of_facets(result, result.before, column, "max"),
            "max": _of_facets(result, result.after, column, "max"),
            "mean": _of_facets(result, result.after, column, "mean"),
        }
        for (label, values), mark in zip(curves.items(), ("x", "o", "."), strict=True):
            axes.plot(list(facets), values, mark, label=label)
        highest = max((v for values in curves.values() for v in values if not math.isnan(v)), default=0.0)
        axes.set(xlabel="facet", ylabel=column.replace("_", " "), ylim=(0, 1.1 * highest or 1))
        if len(facets) <= MOST_LABELS:
            names = ["-".join(result.complex.vertices[k].name for k in facet) for facet in result.complex.facets]
            axes.set_xticks(list(facets), names, rotation=90 if len(facets) > 4 else 0)
        axes.legend()
    figure.suptitle(title)
    return figure


def _of_facets(result: ConnectorResult, scores: PointScores, column: str, figure: str) -> list[float]:
    """Return one figure of every facet, NaN where a point of it has no score."""
    values = [scores.at(points).columns(loss=result.loss)[column] for points in result.grid.facets]
    return [float(each.max() if figure == "max" else each.mean()) for each in values]
