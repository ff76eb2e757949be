"""What `landscape flatness` shows of local energies: a table, means of families, and a sketch of each network's."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from landscape_cli.choices import Perturbation
from landscape_cli.cli.reports.families import shown_spread
from landscape_cli.cli.sketch import number, print_curves
from landscape_cli.cli.tables import print_table
from landscape_cli.io.results import Result

STRENGTHS = {choice.value for choice in Perturbation}


def show_energy(result: Result) -> None:
    """Print the local energy of every network and strength, that of families, and a line for each network."""
    print_table(result)
    families = _of_families(result)
    if families:
        print_table(replace(result, rows=families))
    curves: dict[str, list[float]] = {}
    for row in result.rows:
        curves.setdefault(str(row["network"]), []).append(number(row.get("train_energy")))
    print_curves(curves)


def _of_families(result: Result) -> list[dict[str, Any]]:
    """Return mean ± deviation over the networks of each family, for every strength; nothing where there are none."""
    rows: list[dict[str, Any]] = []
    kind = next((name for name in result.rows[0] if name in STRENGTHS), "")
    scores = [name for name in result.rows[0] if name.endswith("_energy")]
    for family, files in result.body.get("families", {}).items():
        own = [row for row in result.rows if row["network"] in files]
        for strength in dict.fromkeys(row[kind] for row in own):
            some = [row for row in own if row[kind] == strength]
            row = {"family": family, "networks": len(some), kind: strength}
            rows.append(row | {name: _spread([number(each.get(name)) for each in some]) for name in scores})
    return rows


def _spread(values: list[float]) -> str:
    """Return mean ± deviation of the numbers that there are."""
    known = [value for value in values if math.isfinite(value)]
    deviation = stdev(known) if len(known) > 1 else math.nan
    return shown_spread({"mean": fmean(known) if known else math.nan, "deviation": deviation})
