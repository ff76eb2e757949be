"""What the stages of this study leave behind, read from JSON: what its parts share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from study.readings import name_of, read
from study.verdicts import Comparison, Values, compare

Body = dict[str, Any]
"""A JSON object."""


def networks_in(file: Path) -> dict[tuple[str], Body]:
    """Return what a file says of each network, by name."""
    body = read(file)
    return {(name_of(network["network"]),): network for network in body.get("networks", [body])}


def column_of(networks: dict[tuple[str], Body], name: str) -> Values:
    """Return one number of each network; those without it are left out."""
    return {key: network[name] for key, network in networks.items() if network[name] is not None}


def versions_in(folder: Path) -> dict[str, str]:
    """Return the versions of the software that made the first result in a folder."""
    for file in sorted(folder.rglob("*.json")):
        body = read(file)
        if "provenance" in body:
            versions: dict[str, str] = body["provenance"]["versions"]
            return versions
    return {}


def asked_for(file: Path, names: Iterable[str]) -> str:
    """Return options that a result was made with, in words, those that were given."""
    arguments = read(file)["provenance"]["arguments"]
    said = [f"{name.replace('_', ' ')} {arguments[name]}" for name in names if arguments.get(name)]
    return ", ".join(said)


def within(claim: str, samples: Sequence[Values], limit: float) -> list[Comparison]:
    """Compare the difference of two means with a number, below which it should lie either way."""
    return [
        compare(f"{claim} < {limit:g}", samples, lambda means: limit - (means[0] - means[1])),
        compare(f"{claim} > -{limit:g}", samples, lambda means: limit + (means[0] - means[1])),
    ]


def average(values: Values) -> float:
    """Return the mean of a number over networks."""
    return sum(values.values()) / len(values)
