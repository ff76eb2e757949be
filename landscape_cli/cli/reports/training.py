"""What `landscape train` shows on a terminal: what networks came to, and how far in their subspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from landscape_cli.cli.console import say
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import listed
from landscape_cli.io.results import Result

SOLVED = 0.001
"""Training error up to which a network is a solution, as the paper's are."""
OF_SUBSPACE = "subspace_"
SHOWN_OF_SUBSPACE = ("dim", "of", "basis", "seed", "moved", "moved_relative")


def say_unsolved(rows: Sequence[Mapping[str, Any]], *, quiet: bool) -> None:
    """Say which networks are no solutions: their training errors tell them apart beside their samplers."""
    errors = {row["network"]: row.get("train_error") or 0.0 for row in rows}
    unsolved = [name for name, error in errors.items() if error > SOLVED]
    if unsolved:
        worst = max(errors.values())
        say(
            f"warning: no solution, by a training error above {SOLVED:g}: {listed(unsolved)} (up to {worst:.3g}); give "
            "--epochs more, or another --lr",
            quiet=quiet,
        )


def show_networks(result: Result) -> None:
    """Print a row for each network, as narrow as may be where some are of epochs, or trained in a subspace."""
    rows = result.rows
    confined = any(name.startswith(OF_SUBSPACE) for name in rows[0])
    if not (confined or {"epoch", "snapshot"} & set(rows[0])):
        print_table(result)
        return
    print_table(replace(result, rows=[_scores(row, rows) for row in rows]))
    if confined:
        columns = [f"{OF_SUBSPACE}{name}" for name in SHOWN_OF_SUBSPACE]
        shown = [
            {"network": row["network"]} | {name.removeprefix(OF_SUBSPACE): row[name] for name in columns}
            for row in rows
        ]
        print_table(replace(result, rows=shown))


def _scores(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a network scores; its seed only where there are several, how long it was trained in one column."""
    left_out = {"algo", "epoch", "epochs"} | ({"seed"} if len({other["seed"] for other in rows}) == 1 else set())
    scores = {name: value for name, value in row.items() if name not in left_out and not name.startswith(OF_SUBSPACE)}
    first = {name: scores.pop(name) for name in ("network", "seed", "snapshot") if name in scores}
    return first | ({"epochs": row["epochs"]} if "epochs" in row else {}) | scores
