"""The picture of a plane: the error in it, as contours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landscape_cli.figures.figure import new_figure, save


def plot_plane(path: Path, plane: Mapping[str, Any], *, force: bool) -> None:
    """Draw the train and test error in a plane, with the three networks in it, or what stands in for them.

    Args:
        path: the picture.
        plane: the result, as `PlaneResult.to_dict` gives it.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    xs, ys, corners = plane["x"], plane["y"], plane["networks"]
    figure, axes = new_figure(2)
    for ax, split in zip(axes, ("train", "test"), strict=True):
        errors = [row[f"{split}_error"] for row in plane["points"]]
        values = [math.nan if error is None else error for error in errors]
        field = [values[k * len(xs) : (k + 1) * len(xs)] for k in range(len(ys))]
        if not all(map(math.isnan, values)):
            filled = ax.contourf(xs, ys, field, levels=20, cmap="viridis")
            figure.colorbar(filled, ax=ax, label=f"{split} error")
        for corner in corners:
            stands_in = "third" in corner  # no network: a cross, and what it is
            ax.plot(corner["x"], corner["y"], "X" if stands_in else "o", color="white", markeredgecolor="black")
            ax.annotate(
                corner["network"] if stands_in else corner["name"],
                (corner["x"], corner["y"]),
                xytext=(5, 5),
                textcoords="offset points",
                color="white",
            )
        ax.set(xlabel="x", ylabel="y", aspect="equal")
    figure.suptitle(", ".join(f"{corner['name']}: {corner['network']}" for corner in corners), fontsize=9)
    save(figure, path, force=force)
