"""Figures of many pairs as mean and deviation per family pair: in a result, and as a table on a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from landscape_cli.cli.pairs import shown_spread
from landscape_cli.measures.families import MARKS

MISSING = {"mean": math.nan, "deviation": math.nan}
NEAREST = ("geodesic", "euclidean", "hamming_fraction")
"""Distances of midpoints, of which a table shows the first that is known."""


def shown_paths(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a table with the barriers of each family pair, and how good and how far its midpoints are."""
    rows = []
    for entry in summary:
        barrier, midpoint = entry["barrier"], entry.get("midpoint", {})
        row: dict[str, Any] = {"families": _name(entry), "pairs": entry["pairs"]}
        for split in ("train", "test"):
            row |= {f"{split} {mark}": shown_spread(barrier.get(split, {}).get(mark, MISSING)) for mark in MARKS}
        for split, marks in barrier.get("loss", {}).items():
            row[f"{split} loss max"] = shown_spread(marks["max"])
        if "train_error" in midpoint:
            row["midpoint train error"] = shown_spread(midpoint["train_error"])
            for end, spreads in midpoint["distances"].items():
                there = [name for name in NEAREST if name in spreads]
                metric = next((name for name in there if not math.isnan(spreads[name]["mean"])), there[-1])
                row[f"{metric.replace('_', ' ')} to {end}"] = shown_spread(spreads[metric])
        rows.append(row)
    return rows


def shown_distances(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a table with the distances of each family pair."""
    return [
        {key: shown_spread(value) if isinstance(value, Mapping) else value for key, value in entry.items()}
        | {"families": _name(entry)}
        for entry in summary
    ]


def _name(entry: Mapping[str, Any]) -> str:
    return " – ".join(entry["families"])
