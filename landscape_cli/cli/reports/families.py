"""Figures of many pairs as mean and deviation per family pair: the rows of a table on a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from landscape_cli.cli.sketch import is_plain
from landscape_cli.cli.tables import Spread
from landscape_cli.measures.families import MARKS

MISSING = {"mean": math.nan, "deviation": math.nan}
NEAREST = ("geodesic", "euclidean", "hamming_fraction")
"""Distances of midpoints, of which a table shows the first that is known."""


def shown_paths(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a table with the barriers of each family pair, and how good and how far its midpoints are."""
    rows = []
    for entry in summary:
        barrier = entry["barrier"]
        row: dict[str, Any] = {"families": _name(entry), "pairs": entry["pairs"]}
        for split in ("train", "test"):
            row |= {f"{split} {mark}": shown_spread(barrier.get(split, {}).get(mark, MISSING)) for mark in MARKS}
        for split, marks in barrier.get("loss", {}).items():
            row[f"{split} loss max"] = shown_spread(marks["max"])
        rows.append(row | _shown_midpoint(entry.get("midpoint", {})))
    return rows


def shown_distances(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a table with the distances of each family pair."""
    return [
        {key: shown_spread(value) if isinstance(value, Mapping) else value for key, value in entry.items()}
        | {"families": _name(entry)}
        for entry in summary
    ]


def shown_spread(spread: Mapping[str, float]) -> Spread:
    """Return mean ± deviation as a table shows it."""
    return Spread(spread["mean"], spread["deviation"])


def _shown_midpoint(midpoint: Mapping[str, Any]) -> dict[str, Spread]:
    """Return how good the midpoints of a family pair are, and how far from both ends; nothing where all are missing."""
    if "train_error" not in midpoint:
        return {}
    quantity = "loss" if "train_loss" in midpoint else "error"
    row = {f"midpoint train {quantity}": shown_spread(midpoint[f"train_{quantity}"])}
    for end, spreads in midpoint["distances"].items():
        there = [name for name in NEAREST if name in spreads]
        metric = next((name for name in there if not math.isnan(spreads[name]["mean"])), there[-1])
        row[f"{metric.replace('_', ' ')} to {end}"] = shown_spread(spreads[metric])
    return row


def _name(entry: Mapping[str, Any]) -> str:
    return (" - " if is_plain() else " – ").join(entry["families"])
