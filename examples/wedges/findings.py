"""What the study of the second paper measures, and its findings 7 to 12 (docs/method.md: Findings)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from study.claims import Finding

from wedges.connectors import SOLVED, Connectors, connected, heights, read_connectors, trained_how
from wedges.ensembles import Ensembles, gains, measured, read_ensembles
from wedges.readings import versions_in
from wedges.subspaces import Curve, dimensions, few_dimensions_do, read_curves
from wedges.surrogate import Surrogate, like, on_itself, optima, read_surrogate, star_heights, unlike
from wedges.widths import Arm, hyperparameters, read_arms, widen


@dataclass(frozen=True)
class Study:
    """All results of one data set and architecture, or of the surrogate; what was not measured is empty or None.

    Attributes:
        name: of its folder.
        curves: training in subspaces.
        arms: networks by their hyperparameters.
        connectors: of sets of solutions.
        ensembles: by kind, and by "trained" or "aligned".
        surrogate: what was measured of that.
        pictures: of connectors, as `landscape path` has drawn them.
        versions: of the software.
    """

    name: str
    curves: list[Curve]
    arms: dict[str, Arm]
    connectors: Connectors | None
    ensembles: dict[tuple[str, str], Ensembles]
    surrogate: Surrogate | None
    pictures: list[Path]
    versions: dict[str, str]


def read_study(folder: Path) -> Study:
    """Read the results in a folder, of those stages that have gone through."""
    surrogate = read_surrogate(folder)
    return Study(
        name=folder.name,
        curves=read_curves(folder / "subspaces") if surrogate is None else [],
        arms=read_arms(folder / "widths"),
        connectors=read_connectors(folder / "connectors"),
        ensembles=read_ensembles(folder / "ensembles"),
        surrogate=surrogate,
        pictures=sorted((folder / "connectors").glob("*.png"), reverse=True),
        versions=versions_in(folder),
    )


def findings(study: Study) -> list[Finding]:
    """Return every finding on what was measured, part by part."""
    found = on_itself(study.surrogate) if study.surrogate else []
    if study.curves:
        found += [few_dimensions_do(study.curves), unlike(study.curves)]
    if study.arms:
        found += widen(study.arms)
    if study.connectors:
        found += [*connected(study.connectors), *trained_how(study.connectors)]
    if study.ensembles:
        found += gains(study.ensembles)
    likeness = like(study.curves, study.connectors, study.arms)
    return [*found, likeness] if likeness else found


def tables(study: Study) -> list[str]:
    """Return the tables behind the findings."""
    parts = []
    if study.curves:
        parts.append(dimensions(study.curves))
    if study.arms:
        parts.append(hyperparameters(study.arms))
    if study.connectors:
        parts.append(heights(study.connectors))
    if study.ensembles:
        parts.append(measured(study.ensembles))
    if study.surrogate:
        parts += [optima(study.surrogate), *([star_heights(study.surrogate)] if study.surrogate.stars else [])]
    return parts


def remarks(study: Study) -> list[str]:
    """Return what is to be said of networks that are not what they should be."""
    said = []
    for curve in study.curves:
        if curve.unreached:
            names = ", ".join(curve.unreached)
            said.append(f"On the grid, {names} did not come to 90 % of the full accuracy: D is counted as their d90.")
    censored = [f"{arm}: {', '.join(own.censored)}" for arm, own in study.arms.items() if own.censored]
    if censored:
        said.append(f"No growth so large at any angle, which is counted as the largest: {'; '.join(censored)}.")
    if study.connectors and study.connectors.unsolved:
        names = ", ".join(study.connectors.unsolved)
        said.append(f"Not solutions, as their training error is above {SOLVED:g}: {names}.")
    return said
