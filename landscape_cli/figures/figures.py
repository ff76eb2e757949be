"""Pictures of results; needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.figures.figure import new_figure, save


def plot_flatness(path: Path, rows: Sequence[Mapping[str, Any]], *, force: bool) -> None:
    """Draw the local energy of each network against the strength of the noise, or the fraction of signs flipped."""
    figure, axes = new_figure(1)
    kind, label = ("flip", "probability of a flip") if "flip" in rows[0] else ("sigma", "σ")
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        axes[0].errorbar(
            [row[kind] for row in own],
            [row["train_energy"] for row in own],
            [row["train_standard_error"] for row in own],
            fmt=".-",
            capsize=2,
            label=network,
        )
    axes[0].set(xlabel=label, ylabel="local energy δE (train error)")
    axes[0].legend()
    save(figure, path, force=force)


def plot_plane(
    path: Path,
    xs: Sequence[float],
    ys: Sequence[float],
    rows: Sequence[Mapping[str, Any]],
    corners: Sequence[Mapping[str, Any]],
    *,
    force: bool,
) -> None:
    """Draw the train and test error in a plane, with the three networks in it."""
    figure, axes = new_figure(2)
    for ax, split in zip(axes, ("train", "test"), strict=True):
        values = [row[f"{split}_error"] for row in rows]
        field = [values[k * len(xs) : (k + 1) * len(xs)] for k in range(len(ys))]
        if not all(map(math.isnan, values)):
            filled = ax.contourf(xs, ys, field, levels=20, cmap="viridis")
            figure.colorbar(filled, ax=ax, label=f"{split} error")
        for corner in corners:
            ax.plot(corner["x"], corner["y"], "o", color="white", markeredgecolor="black")
            ax.annotate(
                corner["name"],
                (corner["x"], corner["y"]),
                xytext=(5, 5),
                textcoords="offset points",
                color="white",
            )
        ax.set(xlabel="x", ylabel="y", aspect="equal")
    figure.suptitle(", ".join(f"{corner['name']}: {corner['network']}" for corner in corners), fontsize=9)
    save(figure, path, force=force)
