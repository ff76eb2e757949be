"""The picture of a plane: the error in it, and the loss, as contours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.figures.figure import new_grid, save

OUTLINE = 2.0
"""Of labels that may lie on any color, in points."""


def plot_plane(path: Path, plane: Mapping[str, Any], *, force: bool) -> None:
    """Draw the train and test error in a plane, and the losses below where they were measured.

    The three networks lie in it, or what stands in for them.

    Args:
        path: the picture.
        plane: the result, as `PlaneResult.to_dict` gives it.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    xs, ys = plane["x"], plane["y"]
    kinds = ("error", "loss") if "quantity" not in plane else (plane["quantity"],)
    drawn = [what for what in kinds if f"train_{what}" in plane["points"][0]]
    labels = corner_labels(plane)
    figure, grid = new_grid(len(drawn), 2)
    for axes, what in zip(grid, drawn, strict=True):
        for ax, split in zip(axes, ("train", "test"), strict=True):
            scores = [row[f"{split}_{what}"] for row in plane["points"]]
            values = [math.nan if score is None else score for score in scores]
            field = [values[k * len(xs) : (k + 1) * len(xs)] for k in range(len(ys))]
            if not all(map(math.isnan, values)):
                filled = ax.contourf(xs, ys, field, levels=20, cmap="viridis")
                figure.colorbar(filled, ax=ax, label=f"{split} {what}")
            _mark(ax, plane, labels, outlined="third" in plane or len(drawn) > 1)
            _mark_others(ax, plane)
            ax.set(xlabel=axis_label(plane, 0), ylabel=axis_label(plane, 1))
            if "directions" not in plane or {each["direction"] for each in plane["directions"]} == {"pca"}:
                ax.set(aspect="equal")
    names = [f"{corner['name']}: {label}" for corner, label in zip(plane["networks"], labels, strict=True)]
    figure.suptitle(", ".join(names), fontsize=9)
    save(figure, path, force=force)


def corner_labels(plane: Mapping[str, Any]) -> list[str]:
    """Return what the corners of a plane are: networks' files, or what stands in, numbered where two are the same."""
    corners = plane["networks"]
    same = [corner["network"] for corner in corners if "third" in corner]
    labels = []
    for k, corner in enumerate(corners):
        number = sum("third" in other for other in corners[: k + 1])
        labels.append(corner["network"] + f" {number}" * ("third" in corner and same.count(corner["network"]) > 1))
    return labels


def axis_label(plane: Mapping[str, Any], axis: int) -> str:
    """Return what an axis is: x or y, and of a plane through one network the direction and its length."""
    letter = "xy"[axis]
    if "directions" not in plane:
        return letter
    direction = plane["directions"][axis]
    share = direction.get("explained_variance")
    detail = f"{share:.0%} of the variance" if share is not None else f"in lengths of {direction['length']:.3g}"
    return f"{letter}: {direction['direction']} ({detail})"


def _mark_others(ax: Any, plane: Mapping[str, Any]) -> None:
    """Mark the networks of a trajectory, joined in their order, and others that are shown."""
    trajectory, projected = plane.get("trajectory", ()), plane.get("projected", ())
    if trajectory:
        xs, ys = ([network[axis] for network in trajectory] for axis in "xy")
        ax.plot(xs, ys, "o-", color="white", markeredgecolor="black", markersize=4, linewidth=1)
    if projected:
        xs, ys = ([network[axis] for network in projected] for axis in "xy")
        ax.plot(xs, ys, "D", color="white", markeredgecolor="black", markersize=5, linestyle="none")


def _mark(ax: Any, plane: Mapping[str, Any], labels: Sequence[str], *, outlined: bool) -> None:
    """Mark the corners: networks by their letters, what stands in for one by a cross and what it is."""
    from matplotlib.patheffects import withStroke

    effects = [withStroke(linewidth=OUTLINE, foreground="black")] if outlined else None
    middle = (min(plane["x"]) + max(plane["x"])) / 2
    for corner, label in zip(plane["networks"], labels, strict=True):
        stands_in = "third" in corner
        inwards = stands_in and corner["x"] > middle  # or long words would be cut at the edge
        ax.plot(corner["x"], corner["y"], "X" if stands_in else "o", color="white", markeredgecolor="black")
        ax.annotate(
            label if stands_in else corner["name"],
            (corner["x"], corner["y"]),
            xytext=(-5 if inwards else 5, 5),
            textcoords="offset points",
            color="white",
            ha="right" if inwards else "left",
            path_effects=effects,
        )
