"""Families of networks: pairs of them, and what is measured as mean and deviation per family pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from landscape_cli.measures.spread import spread


@dataclass(frozen=True)
class Pair:
    """Two networks to measure.

    Attributes:
        start: the first's index in the list of networks.
        end: the second's.
        families: the names of their families; None where the user named the two themselves.
    """

    start: int
    end: int
    families: tuple[str, str] | None = None


def grouped(pairs: Sequence[Pair], measured: Sequence[Any]) -> dict[tuple[str, str], list[Any]]:
    """Return what was measured of each pair, by family pair, in the order of the pairs."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for pair, value in zip(pairs, measured, strict=True):
        assert pair.families is not None
        groups.setdefault(pair.families, []).append(value)
    return groups


def spread_of(values: Sequence[Any]) -> Any:
    """Return mean and deviation over pairs of every number in values of one shape (numbers, or mappings of such).

    The deviation is the sample's (n - 1); of one pair there is none (NaN). Where one pair lacks a number (None, or
    not finite), mean and deviation are NaN.
    """
    shape = next((value for value in values if isinstance(value, Mapping)), None)
    if shape is not None:
        return {key: spread_of([None if value is None else value[key] for value in values]) for key in shape}
    return spread(values)._asdict()


MARKS = ("max", "above_ends", "above_line")
"""The figures of a barrier; where it lies has no mean worth the name."""


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
        {"families": list(families), "pairs": len(group)}
        | spread_of([{key: value for key, value in row.items() if key not in names} for row in group])
        for families, group in grouped(pairs, rows).items()
    ]


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
