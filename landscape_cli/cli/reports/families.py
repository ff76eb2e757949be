"""Figures of many pairs as mean and deviation per family pair: in a result, and as a table on a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from landscape_cli.cli.pairs import Pair, grouped, shown_spread, spread_of

MISSING = {"mean": math.nan, "deviation": math.nan}
MARKS = ("max", "above_ends", "above_line")
"""The figures of a barrier; where it lies has no mean worth the name."""
NEAREST = ("geodesic", "euclidean", "hamming_fraction")
"""Distances of midpoints, of which a table shows the first that is known."""


def path_summary(pairs: Sequence[Pair], measured: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and deviation of barriers, errors along the paths, and midpoints, for each family pair.

    Args:
        pairs: which networks.
        measured: of each pair: `barrier`, `points`, and with optimised midpoints `midpoint`; all None if it failed.
    """
    summary = []
    for families, values in grouped(pairs, measured).items():
        entry: dict[str, Any] = {"families": list(families), "pairs": len(values)}
        entry["barrier"] = spread_of([_marks(value["barrier"]) for value in values])
        if any("midpoint" in value for value in values):
            entry["midpoint"] = spread_of([_numbers(value["midpoint"]) for value in values])
        taus = next(([row["tau"] for row in value["points"]] for value in values if value["points"]), [])
        entry["points"] = [
            {"tau": tau} | spread_of([_scores(value["points"][k]) if value["points"] else None for value in values])
            for k, tau in enumerate(taus)
        ]
        summary.append(entry)
    return summary


def distance_summary(pairs: Sequence[Pair], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and deviation of every distance, for each family pair."""
    names = {"a", "b", "family_a", "family_b"}
    return [
        {"families": list(families), "pairs": len(own)}
        | spread_of([{key: value for key, value in row.items() if key not in names} for row in own])
        for families, own in grouped(pairs, rows).items()
    ]


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


def _marks(barriers: Mapping[str, Any] | None) -> Any:
    """Return barriers by split, and those of the loss, without where they lie."""
    if barriers is None:
        return None
    if "max" in barriers:
        return {mark: barriers[mark] for mark in MARKS}
    return {key: _marks(value) for key, value in barriers.items()}


def _scores(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "tau"}


def _numbers(midpoint: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if midpoint is None else {key: value for key, value in midpoint.items() if key != "path"}
