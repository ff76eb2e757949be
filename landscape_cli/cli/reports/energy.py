"""What `landscape flatness` shows of local energies: a table, and a sketch of each network's."""

from __future__ import annotations

from landscape_cli.cli.console import print_table
from landscape_cli.cli.sketch import number, print_curves
from landscape_cli.io.results import Result


def show_energy(result: Result) -> None:
    """Print the local energy of every network and strength, and a line for each network."""
    print_table(result)
    curves: dict[str, list[float]] = {}
    for row in result.rows:
        curves.setdefault(str(row["network"]), []).append(number(row.get("train_energy")))
    print_curves(curves)
