"""What the stages of a study leave behind, read from JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.verdicts import Values, sampler_of

SAMPLERS = ("rsgd", "sgd", "adv")
"""From flat to sharp, as the paper has them."""
PAIRS = (("rsgd", "rsgd"), ("rsgd", "sgd"), ("sgd", "sgd"), ("rsgd", "adv"), ("sgd", "adv"), ("adv", "adv"))
MIXED = (("rsgd", "sgd"), ("rsgd", "adv"), ("sgd", "adv"))

Pair = tuple[str, str]


@dataclass(frozen=True)
class Form:
    """What a study measures, as its files call it and as its page does.

    Attributes:
        kinds: the kinds of path, by the names of their files.
        level: what `landscape flatness` calls the strength of the noise.
        symbol: its letter.
        noise: it, in words.
        metric: which column of `landscape distance` counts.
        measure: its name, as in "geodesic".
        digits: how many of its decimals are shown.
        columns: further columns shown of it: heading, name and decimals.
        bent: the kind of path whose optimised midpoints are shown.
        titles: of planes, by the names of their files.
        captions: of the figures "planes" and "distances", and the "midpoints" of the table of distances.
    """

    kinds: dict[str, str]
    level: str
    symbol: str
    noise: str
    metric: str
    measure: str
    digits: int
    columns: tuple[tuple[str, str, int], ...]
    bent: str
    titles: dict[str, str]
    captions: dict[str, str]


@dataclass(frozen=True)
class Curve:
    """A path between two networks, the one of the flatter sampler first.

    Attributes:
        taus: from 0 to 1.
        train: the training error at each.
        barrier: the largest of these.
        midpoint: what is said of an optimised midpoint; None without one.
    """

    taus: tuple[float, ...]
    train: tuple[float, ...]
    barrier: float
    midpoint: dict[str, Any] | None = None


@dataclass(frozen=True)
class Study:
    """All results of one data set and architecture.

    Attributes:
        form: what was measured.
        name: of its folder.
        errors: by split, of each network.
        energies: local energy by the strength of the noise, of each network.
        curves: by kind of path, each pair's.
        bent: the same with optimised midpoints.
        distances: between aligned networks: the rows of `landscape distance`, by pair.
        unaligned: between networks as they are labelled.
        planes: as `landscape plane` gives them, by name.
        versions: of the software.
        missing: pairs that could not be measured.
    """

    form: Form
    name: str
    errors: dict[str, Values]
    energies: dict[float, Values]
    curves: dict[str, dict[Pair, Curve]]
    bent: dict[str, dict[Pair, Curve]]
    distances: dict[Pair, dict[str, Any]]
    unaligned: dict[Pair, dict[str, Any]]
    planes: dict[str, dict[str, Any]]
    versions: dict[str, str]
    missing: list[str]


def read_study(folder: Path, form: Form) -> Study:
    """Read the results in a folder.

    Raises:
        OSError: if a file is missing.
        ValueError: if networks are not named after a sampler.
    """
    missing: list[str] = []
    flatness = read(folder / "flatness.json")
    energies: dict[float, dict[tuple[str, ...], float]] = {}
    for network in flatness["networks"]:
        for level in network["local_energy"]:
            energies.setdefault(level[form.level], {})[(name_of(network["network"]),)] = level["train_energy"]
    curves = {kind: read_curves(folder / "paths", [f"{kind}.json"], missing) for kind in form.kinds}
    bent = {kind: read_curves(folder / "paths", [f"optimized-{kind}-*.json"], missing) for kind in form.kinds}
    return Study(
        form=form,
        name=folder.name,
        errors=read_errors(folder / "raw"),
        energies=dict(energies),
        curves=curves,
        bent=bent,
        distances=read_distances(folder / "distances.json"),
        unaligned=read_distances(folder / "distances-unaligned.json"),
        planes={path.stem: read(path) for path in sorted((folder / "planes").glob("*.json"), reverse=True)},
        versions=flatness["provenance"]["versions"],
        missing=missing,
    )


def read_errors(folder: Path) -> dict[str, Values]:
    """Return train and test error of each network, from what training reported."""
    found: dict[str, dict[tuple[str, ...], float]] = {"train": {}, "test": {}}
    for sampler in SAMPLERS:
        report = read(folder / f"{sampler}.json")
        for network in report.get("networks", [report]):
            for split, values in found.items():
                values[(name_of(network["network"]),)] = network[f"{split}_error"]
    return dict(found)


def read_curves(folder: Path, patterns: list[str], missing: list[str]) -> dict[Pair, Curve]:
    """Return the paths in the files that patterns name; what could not be measured goes to `missing`."""
    found = {}
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern)}):
        for pair in read(file)["pairs"]:
            names = name_of(pair["start"]), name_of(pair["end"])
            train = [point["train_error"] for point in pair["points"] or []]
            if not train or any(error is None for error in train):
                missing.append(f"{file.stem}: {names[0]} – {names[1]}")
                continue
            taus = [point["tau"] for point in pair["points"]]
            curve = Curve(tuple(taus), tuple(train), pair["barrier"]["train"]["max"], pair.get("midpoint"))
            found[flatter_first(names)] = curve if flatter_first(names) == names else turned(curve)
    return found


def turned(curve: Curve) -> Curve:
    """Return a path from the other end."""
    midpoint = curve.midpoint
    if midpoint is not None:
        ends = midpoint["distances"]
        midpoint = midpoint | {"distances": {"start": ends["end"], "end": ends["start"]}}
    taus = tuple(1 - tau for tau in reversed(curve.taus))
    return Curve(taus, tuple(reversed(curve.train)), curve.barrier, midpoint)


def read_distances(path: Path) -> dict[Pair, dict[str, Any]]:
    """Return the row of each pair."""
    return {flatter_first((name_of(row["a"]), name_of(row["b"]))): row for row in read(path)["pairs"]}


def of_pair(values: dict[Pair, Any], pair: Pair) -> dict[Pair, Any]:
    """Return what belongs to a pair of samplers."""
    return {key: value for key, value in values.items() if (sampler_of(key[0]), sampler_of(key[1])) == pair}


def flatter_first(names: Pair) -> Pair:
    """Return two networks in the order of their samplers, those of one by name.

    Raises:
        ValueError: if a name does not begin with a sampler.
    """
    first, second = sorted(names, key=lambda name: (SAMPLERS.index(sampler_of(name)), name))
    return first, second


def name_of(path: str) -> str:
    """Return a network's name, as in "rsgd-1", by its file."""
    return Path(path).stem.removesuffix("_aligned")


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    result: dict[str, Any] = json.loads(path.read_text())
    return result
