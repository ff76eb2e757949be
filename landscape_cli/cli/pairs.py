"""Patterns name families of networks, and families give the pairs that are measured."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from itertools import combinations, combinations_with_replacement, product
from pathlib import Path
from typing import Any, NamedTuple

import typer

from landscape_cli.choices import Pairing
from landscape_cli.errors import CheckpointError
from landscape_cli.io.regular import resolved
from landscape_cli.measures.families import Pair


class Chosen(NamedTuple):
    """What is to be measured.

    Attributes:
        families: the files of each family, by its pattern; none where single files are named.
        files: all of them in a row.
        pairs: which of the files, by their indices.
    """

    families: Mapping[str, Sequence[Path]]
    files: Sequence[Path]
    pairs: Sequence[Pair]


def choose(patterns: Sequence[Path], pairing: Pairing) -> Chosen:
    """Return the pairs of networks of the families that patterns name.

    Raises:
        CheckpointError: as `expand` does.
        BadParameter: as `pair_up` does.
    """
    families = expand(patterns)
    return Chosen(families, [file for files in families.values() for file in files], pair_up(families, pairing))


def both_ways(chosen: Chosen) -> Chosen:
    """Return the same pairs, and after them each from its second network to its first; families likewise."""
    back = [Pair(pair.end, pair.start, pair.families and (pair.families[1], pair.families[0])) for pair in chosen.pairs]
    return chosen._replace(pairs=[*chosen.pairs, *back])


def choose_two(start: Path, end: Path, more: Sequence[Path]) -> Chosen:
    """Return the one pair of two files that are named.

    Raises:
        BadParameter: if more are named, or a pattern.
    """
    if more:
        raise typer.BadParameter(
            f"path takes two networks, several with --kind connector, or families with --pairs: leave out {more[0]}"
        )
    check_no_patterns([start, end])
    return Chosen({}, [start, end], [Pair(0, 1)])


def check_no_patterns(files: Sequence[Path]) -> None:
    """Refuse patterns where single files are named.

    Raises:
        BadParameter: naming the pattern, and what takes one.
    """
    for file in files:
        if is_pattern(file):
            raise typer.BadParameter(f"{file} is a pattern, which names a family: add --pairs all, cross or zip")


def is_pattern(file: Path) -> bool:
    """Tell whether a name is a pattern, and no file's."""
    return glob.has_magic(str(file)) and not file.exists()


def expand(patterns: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files of each family, in natural order (2 before 10), by its pattern.

    The same pattern twice is one family, and a plain file name a family of one.

    Raises:
        CheckpointError: if a pattern matches no file, or a file is in two families.
    """
    families = {str(pattern): _matching(pattern) for pattern in dict.fromkeys(patterns)}
    family_of: dict[Path, str] = {}
    for name, files in families.items():
        for file in files:
            first = family_of.setdefault(resolved(file), name)
            if first != name:
                raise CheckpointError(f"{file} is in two families, {first!r} and {name!r}: choose narrower patterns")
    return families


def pair_up(families: Mapping[str, Sequence[Path]], pairing: Pairing) -> list[Pair]:
    """Return the pairs to measure, family pair by family pair; indices count through the families in their order.

    Raises:
        BadParameter: if the families do not suit the way of pairing, or there is no pair.
    """
    indices: dict[str, range] = {}
    count = 0
    for name, files in families.items():
        indices[name] = range(count, count + len(files))
        count += len(files)
    if pairing is Pairing.ZIP:
        return _zipped(indices)
    pairs = []
    for first, second in combinations_with_replacement(indices, 2):
        if first != second:
            pairs += [Pair(*both, (first, second)) for both in product(indices[first], indices[second])]
        elif pairing is Pairing.ALL:
            pairs += [Pair(*both, (first, first)) for both in combinations(indices[first], 2)]
    if not pairs:
        needed = "two networks" if pairing is Pairing.ALL else "two different families"
        raise typer.BadParameter(f"--pairs {pairing.value} needs at least {needed}")
    return pairs


def listing(families: Mapping[str, Sequence[Path]]) -> dict[str, list[str]]:
    """Return the families as a result shows them."""
    return {name: [str(file) for file in files] for name, files in families.items()}


def _matching(pattern: Path) -> list[Path]:
    """Return the files that a pattern matches, in natural order; itself if it is a file's name."""
    name = str(pattern)
    if pattern.exists() or not glob.has_magic(name):
        return [pattern]
    files = [Path(match) for match in dict.fromkeys(glob.glob(name, recursive=True)) if os.path.isfile(match)]
    if not files:
        raise CheckpointError(f"no file matches the pattern {name!r}: correct it")
    return sorted(files, key=natural)


def _zipped(indices: Mapping[str, range]) -> list[Pair]:
    """Return the k-th network of one family with the k-th of another."""
    if len(indices) != 2:
        raise typer.BadParameter(f"--pairs zip takes two different families, not {len(indices)}")
    first, second = indices
    if len(indices[first]) != len(indices[second]):
        raise typer.BadParameter(
            f"--pairs zip takes two families of one size: {first!r} has {len(indices[first])} networks, "
            f"{second!r} has {len(indices[second])}"
        )
    return [Pair(*both, (first, second)) for both in zip(indices[first], indices[second], strict=True)]


def natural(path: Path) -> tuple[list[Any], str]:
    """Return what to sort file names by, so that 2 comes before 10: text and numbers in turn."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], str(path)
