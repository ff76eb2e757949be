"""The picture of flatness: the local energy of each network against the strength of its perturbation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.figures.figure import new_figure, save


def plot_flatness(
    path: Path, rows: Sequence[Mapping[str, Any]], *, kind: str, label: str, quantity: str = "error", force: bool
) -> None:
    """Draw the local energy of each network against the strength of its perturbation.

    Args:
        path: the picture.
        rows: of each network and strength: `network`, the strength, `train_energy`, `train_standard_error`.
        kind: the column of the strengths.
        label: what they are, beneath the axis.
        quantity: what the energy is of: "error" or "loss".
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    figure, axes = new_figure(1)
    for network in dict.fromkeys(row["network"] for row in rows):
        levels = [row for row in rows if row["network"] == network]
        axes[0].errorbar(
            [row[kind] for row in levels],
            [row["train_energy"] for row in levels],
            [row["train_standard_error"] for row in levels],
            fmt=".-",
            capsize=2,
            label=network,
        )
    axes[0].set(xlabel=label, ylabel=f"local energy δE (train {quantity})")
    axes[0].legend()
    save(figure, path, force=force)
