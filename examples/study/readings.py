"""What the stages of a study leave behind, read from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from study.verdicts import Values, sampler_of

SAMPLERS = ("rsgd", "sgd", "adv")
"""From flat to sharp, as the paper has them."""
PAIRS = (("rsgd", "rsgd"), ("rsgd", "sgd"), ("sgd", "sgd"), ("rsgd", "adv"), ("sgd", "adv"), ("adv", "adv"))
CONTROLS = ("sgd-small", "sgd-old", "sgd-centre")
"""Rows beside them, which one of them is held against."""
SOLVED = 0.001
"""The training error up to which a network is a solution."""
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
        figures: what is added to the captions of "energy" and "profiles".
        splits: on which sets planes are shown.
        columns_of_planes: panels in a row of their figure; None for all in one.
        optimized: the kinds of path that are measured with optimised midpoints, too.
        experiments: the files of experiments that explain what was found.
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
    figures: dict[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ("train",)
    columns_of_planes: int | None = None
    optimized: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curve:
    """A path between two networks, the one of the flatter sampler first.

    Attributes:
        taus: from 0 to 1.
        train: the training error at each.
        barrier: the largest of these.
        midpoint: what is said of an optimised midpoint; None without one.
        loss: the training loss at each; nothing where it was not measured.
    """

    taus: tuple[float, ...]
    train: tuple[float, ...]
    barrier: float
    midpoint: dict[str, Any] | None = None
    loss: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rows:
    """What was measured of networks, each for itself.

    Attributes:
        errors: by split, of each network.
        energies: local energy by the strength of the noise, of each network.
    """

    errors: dict[str, Values] = field(default_factory=dict)
    energies: dict[float, Values] = field(default_factory=dict)


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
        epochs: of each network's training, its last phase.
        tuning: what was tried beforehand, and what was chosen; empty where nothing was.
        absent: what has not been measured yet: names of files.
        experiments: paths that were measured to explain a finding, by the names of their files.
        more: further networks that were trained to explain one.
        settings: the name, or the file, of the settings that it was measured with.
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
    epochs: Values = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    experiments: dict[str, dict[Pair, Curve]] = field(default_factory=dict)
    more: Rows = field(default_factory=Rows)
    settings: str = ""

    @property
    def unsolved(self) -> list[str]:
        """The networks with a training error above that of solutions."""
        return sorted(name for (name,), error in self.errors["train"].items() if error > SOLVED)

    def solutions_only(self) -> Study:
        """Return the same without the networks that are none, and without their pairs."""
        lost = set(self.unsolved)

        def kept(values: Mapping[tuple[str, ...], Any]) -> dict[Any, Any]:
            return {key: value for key, value in values.items() if not lost.intersection(key)}

        return replace(
            self,
            errors={split: kept(values) for split, values in self.errors.items()},
            energies={level: kept(values) for level, values in self.energies.items()},
            curves={kind: kept(values) for kind, values in self.curves.items()},
            bent={kind: kept(values) for kind, values in self.bent.items()},
            distances=kept(self.distances),
            unaligned=kept(self.unaligned),
        )


def read_studies(results: Path, form: Form) -> list[Study]:
    """Return the studies in a folder of results, by name."""
    folders = {file.parent.parent for part in ("raw", "tuning") for file in results.glob(f"*/{part}/*.json")}
    return [read_study(folder, form) for folder in sorted(folders)]


def read_study(folder: Path, form: Form) -> Study:
    """Read the results in a folder.

    Files that are not there are named in `absent`.

    Raises:
        ValueError: if networks are not named after a sampler.
    """
    missing: list[str] = []
    flatness = read(folder / "flatness.json", {"networks": []})
    curves = {kind: read_curves(folder / "paths", [f"{kind}.json"], missing) for kind in form.kinds}
    bent = {kind: read_curves(folder / "paths", [f"optimized-{kind}-*.json"], missing) for kind in form.kinds}
    reports = [report for file in sorted((folder / "raw").glob("*.json")) for report in of_training(file)]
    further = [file for sampler in SAMPLERS if (file := folder / "more" / f"{sampler}.json").exists()]
    more = [report for file in further for report in of_training(file)]
    return Study(
        form=form,
        name=folder.name,
        errors=errors_of(reports),
        energies=energies_of(flatness, form),
        curves=curves,
        bent=bent,
        distances=read_distances(folder / "distances.json"),
        unaligned=read_distances(folder / "distances-unaligned.json"),
        planes={path.stem: read(path) for path in sorted((folder / "planes").glob("*.json"), reverse=True)},
        versions=flatness.get("provenance", {}).get("versions", {}),
        missing=missing,
        epochs={row: report["epochs"] for row, report in reports if "epochs" in report},
        tuning=read(folder / "tuning" / "chosen.json", {}),
        experiments={
            file.stem: read_curves(file.parent, [file.name], missing) for file in folder.glob("experiments/*.json")
        },
        more=Rows(errors_of(more), energies_of(read(folder / "more" / "flatness.json", {"networks": []}), form)),
        settings=(folder / "settings").read_text().strip() if (folder / "settings").exists() else "",
        absent=absent_from(folder, form),
    )


def errors_of(reports: list[tuple[tuple[str, ...], dict[str, Any]]]) -> dict[str, Values]:
    """Return training and test errors by what training reported."""
    return {split: {row: report[f"{split}_error"] for row, report in reports} for split in ("train", "test")}


def energies_of(flatness: dict[str, Any], form: Form) -> dict[float, Values]:
    """Return local energies by the strength of the noise."""
    energies: dict[float, dict[tuple[str, ...], float]] = {}
    for network in flatness["networks"]:
        for level in network["local_energy"]:
            energies.setdefault(level[form.level], {})[(name_of(network["network"]),)] = level["train_energy"]
    return dict(energies)


def absent_from(folder: Path, form: Form) -> list[str]:
    """Return what is not there of what a study measures: files, or what they have in common where all are missing."""
    alone = ["flatness", "distances", "distances-unaligned", *(f"paths/{kind}" for kind in form.kinds)]
    sets = {file: [file] for file in alone} | {"planes": [f"planes/{title}" for title in form.titles]}
    for kind in form.optimized:
        sets[f"paths/optimized-{kind}"] = [f"paths/optimized-{kind}-{'-'.join(pair)}" for pair in PAIRS]
    if any(folder.glob("experiments/*.json")):
        sets["experiments"] = [name if "/" in name else f"experiments/{name}" for name in form.experiments]
    absent = [] if any(folder.glob("raw/*.json")) else ["raw"]
    for name, files in sets.items():
        lost = [file for file in files if not (folder / f"{file}.json").exists()]
        absent += [name] if lost == files else lost
    return absent


def of_training(file: Path) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Return what training reported of each network."""
    report = read(file)
    return [((name_of(network["network"]),), network) for network in report.get("networks", [report])]


def read_curves(folder: Path, patterns: list[str], missing: list[str]) -> dict[Pair, Curve]:
    """Return the paths in the files that patterns name; what could not be measured goes to `missing`.

    A pair that was walked both ways has the mean of both.
    """
    found: dict[Pair, list[Curve]] = {}
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern)}):
        for pair in read(file)["pairs"]:
            names = name_of(pair["start"]), name_of(pair["end"])
            train = [point["train_error"] for point in pair["points"] or []]
            if not train or any(error is None for error in train):
                missing.append(f"{file.stem}: {names[0]} – {names[1]}")
                continue
            taus = [point["tau"] for point in pair["points"]]
            loss = tuple(point["train_loss"] for point in pair["points"] if "train_loss" in point)
            curve = Curve(tuple(taus), tuple(train), pair["barrier"]["train"]["max"], midpoint_of(pair), loss)
            flat = flatter_first(names)
            found.setdefault(flat, []).append(curve if flat == names else turned(curve))
    return {names: mean_of(curves) for names, curves in found.items()}


def midpoint_of(pair: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is said of a pair's optimised midpoint; of several, the means."""
    several = pair.get("midpoints")
    if not several:
        return pair.get("midpoint")
    ends = {
        end: {
            name: fmean(one["distances"][end][name] for one in several)
            for name, value in several[0]["distances"][end].items()
            if value is not None
        }
        for end in ("start", "end")
    }
    return {name: fmean(one[name] for one in several) for name in ("epochs", "train_error")} | {"distances": ends}


def mean_of(curves: list[Curve]) -> Curve:
    """Return the mean of paths between the same two networks, walked one way and the other."""
    first = curves[0]
    if len(curves) == 1:
        return first
    train, loss = (
        tuple(fmean(values) for values in zip(*(getattr(curve, name) for curve in curves), strict=True))
        for name in ("train", "loss")
    )
    return replace(first, train=train, loss=loss, barrier=fmean(curve.barrier for curve in curves))


def turned(curve: Curve) -> Curve:
    """Return a path from the other end."""
    midpoint = curve.midpoint
    if midpoint is not None:
        ends = midpoint["distances"]
        midpoint = midpoint | {"distances": {"start": ends["end"], "end": ends["start"]}}
    taus = tuple(1 - tau for tau in reversed(curve.taus))
    return Curve(taus, tuple(reversed(curve.train)), curve.barrier, midpoint, tuple(reversed(curve.loss)))


def read_distances(path: Path) -> dict[Pair, dict[str, Any]]:
    """Return the row of each pair."""
    rows = read(path, {"pairs": []})["pairs"]
    return {flatter_first((name_of(row["a"]), name_of(row["b"]))): row for row in rows}


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


def read(path: Path, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a JSON file; one that is not there is `otherwise`, if that is given."""
    if otherwise is not None and not path.exists():
        return otherwise
    result: dict[str, Any] = json.loads(path.read_text())
    return result
