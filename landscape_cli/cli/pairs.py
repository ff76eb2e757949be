"""Families of networks: what patterns name, which pairs are measured, and statistics over pairs."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Mapping, Sequence
from itertools import combinations, combinations_with_replacement, product
from pathlib import Path
from typing import Any

import typer

from landscape_cli.choices import Pairing
from landscape_cli.errors import CheckpointError
from landscape_cli.measures.families import Pair


def choose(patterns: Sequence[Path], pairing: Pairing) -> tuple[dict[str, list[Path]], list[Path], list[Pair]]:
    """Return the families, the files of all of them in a row, and the pairs to measure.

    Raises:
        CheckpointError: as `expand` does.
        BadParameter: as `pair_up` does.
    """
    families = expand(patterns)
    return families, [file for files in families.values() for file in files], pair_up(families, pairing)


def check_no_patterns(files: Sequence[Path]) -> None:
    """Refuse patterns where single files are named.

    Raises:
        BadParameter: naming the pattern, and what takes one.
    """
    for file in files:
        if glob.has_magic(str(file)) and not file.exists():
            raise typer.BadParameter(f"{file} is a pattern, which names a family: add --pairs all, cross or zip")


def expand(patterns: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files of each family, in natural order (2 before 10), by its pattern.

    The same pattern twice is one family, and a plain file name a family of one.

    Raises:
        CheckpointError: if a pattern matches no file, or a file is in two families.
    """
    families: dict[str, list[Path]] = {}
    for pattern in dict.fromkeys(patterns):
        name = str(pattern)
        if pattern.exists() or not glob.has_magic(name):
            families[name] = [pattern]
            continue
        files = [Path(found) for found in dict.fromkeys(glob.glob(name, recursive=True)) if os.path.isfile(found)]
        if not files:
            raise CheckpointError(f"no file matches the pattern {name!r}: correct it")
        families[name] = sorted(files, key=_natural)
    owner: dict[Path, str] = {}
    for name, files in families.items():
        for file in files:
            other = owner.setdefault(file.resolve(), name)
            if other != name:
                raise CheckpointError(f"{file} is in two families, {other!r} and {name!r}: choose narrower patterns")
    return families


def pair_up(families: Mapping[str, Sequence[Path]], pairing: Pairing) -> list[Pair]:
    """Return the pairs to measure, family pair by family pair; places count through the families in their order.

    Raises:
        BadParameter: if the families do not suit the way of pairing, or there is no pair.
    """
    places: dict[str, list[int]] = {}
    for name, files in families.items():
        first = sum(map(len, places.values()))
        places[name] = list(range(first, first + len(files)))
    if pairing is Pairing.ZIP:
        if len(places) != 2:
            raise typer.BadParameter(f"--pairs zip takes two different families, not {len(places)}")
        (one, first_places), (other, second_places) = places.items()
        if len(first_places) != len(second_places):
            raise typer.BadParameter(
                f"--pairs zip takes two families of one size: {one!r} has {len(first_places)} networks, "
                f"{other!r} has {len(second_places)}"
            )
        return [Pair(*both, (one, other)) for both in zip(first_places, second_places, strict=True)]
    pairs = []
    for one, other in combinations_with_replacement(places, 2):
        if one != other:
            pairs += [Pair(*both, (one, other)) for both in product(places[one], places[other])]
        elif pairing is Pairing.ALL:
            pairs += [Pair(*both, (one, other)) for both in combinations(places[one], 2)]
    if not pairs:
        needed = "two networks" if pairing is Pairing.ALL else "two different families"
        raise typer.BadParameter(f"--pairs {pairing.value} needs at least {needed}")
    return pairs


def listing(families: Mapping[str, Sequence[Path]]) -> dict[str, list[str]]:
    """Return the families as a result shows them."""
    return {name: [str(file) for file in files] for name, files in families.items()}


def shown_spread(spread: Mapping[str, float]) -> str:
    """Return mean ± deviation as a table shows it."""
    mean, deviation = spread["mean"], spread["deviation"]
    if math.isnan(mean):
        return "-"
    return f"{mean:.4g}" if math.isnan(deviation) else f"{mean:.4g} ± {deviation:.2g}"


def _natural(path: Path) -> tuple[list[Any], str]:
    """Return what to sort file names by, so that 2 comes before 10: text and numbers in turn."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], str(path)
