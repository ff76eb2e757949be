"""Findings 9 and 10: low-loss sets through several solutions (docs/method.md: Connectors)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from study.claims import NEAR_ZERO, Finding, spread
from study.page import table
from study.readings import read
from study.verdicts import Comparison, Values, below, positive, smaller

from wedges.readings import Body, column_of, networks_in

FILE = re.compile(r"m(\d+)-(trained|aligned)-(vertices|connector)-(\d+)\.json")
KINDS = {"trained": "as trained", "aligned": "aligned"}
OBJECTIVES = {"vertices": "vertices alone", "connector": "on points"}
PART = 0.25
"""Of the flat simplex's largest error, below which the connector's lies."""
COST = 0.01
"""By how much the test error on it may exceed the solutions' mean."""
SOLVED = 0.005
"""The training error up to which a network is called a solution."""


@dataclass
class Sets:
    """Connectors of disjoint sets of solutions: of one size, as trained or aligned, and trained in one way.

    Attributes:
        highest: the largest training error on each connector.
        mean: its mean.
        flat: the largest training error on the flat simplex.
        before: on the connector whose vertices are the untrained barycentres.
        test: the mean test error on each connector.
        ends: the mean test error of its solutions.
        bodies: the results themselves.
    """

    highest: dict[tuple[str, ...], float] = field(default_factory=dict)
    mean: dict[tuple[str, ...], float] = field(default_factory=dict)
    flat: dict[tuple[str, ...], float] = field(default_factory=dict)
    before: dict[tuple[str, ...], float] = field(default_factory=dict)
    test: dict[tuple[str, ...], float] = field(default_factory=dict)
    ends: dict[tuple[str, ...], float] = field(default_factory=dict)
    bodies: dict[tuple[str, ...], Body] = field(default_factory=dict)


@dataclass(frozen=True)
class Connectors:
    """All connectors of a study.

    Attributes:
        solutions: by split, the error of each solution.
        sets: by size, by "trained" or "aligned", and by what they were trained on.
    """

    solutions: dict[str, Values]
    sets: dict[tuple[int, str, str], Sets]

    @property
    def sizes(self) -> list[int]:
        """How many solutions there are in a set."""
        return sorted({size for size, _, _ in self.sets})

    @property
    def unsolved(self) -> list[str]:
        """The networks whose training error is too large for a solution."""
        return [key[0] for key, error in self.solutions["train"].items() if error > SOLVED]


def read_connectors(folder: Path) -> Connectors | None:
    """Return the connectors that were measured; None if there are none."""
    sets: dict[tuple[int, str, str], Sets] = {}
    for file in sorted(folder.glob("m*.json")):
        if match := FILE.fullmatch(file.name):
            size, kind, objective, number = match.groups()
            own = sets.setdefault((int(size), kind, objective), Sets())
            key, body = (f"set{size}-{number}",), read(file)
            own.highest[key] = body["connector"]["train"]["max"]
            own.mean[key] = body["connector"]["train"]["mean"]
            own.flat[key] = body["simplex"]["train"]["max"]
            own.before[key] = body["before"]["train"]["max"]
            own.test[key] = body["connector"]["test"]["mean"]
            own.ends[key] = fmean(vertex["test_error"] for vertex in body["vertices"] if not vertex["trained"])
            own.bodies[key] = body
    if not sets:
        return None
    trained = networks_in(folder / "solution.json")
    return Connectors({split: column_of(trained, f"{split}_error") for split in ("train", "test")}, sets)


def connected(found: Connectors) -> list[Finding]:
    """Return finding 9, in four parts for the smallest sets, and in one for larger ones."""
    findings = []
    for place, size in enumerate(found.sizes):
        own = {kind: found.sets[size, kind, "vertices"] for kind in KINDS}
        parts = [lower(size, own), near_zero(size, own), aligning_helps(size, own), test_is_kept(size, own)]
        if place == 0:
            findings += parts
            continue
        numbers = [line for part in parts for line in part.numbers]
        comparisons = [one for part in parts for one in part.comparisons]
        claim = f"the same of sets of {size} solutions, all four parts [paper: any set]"
        findings.append(Finding(f"9{chr(ord('d') + place)}", claim, numbers, comparisons))
    return findings


def lower(size: int, own: dict[str, Sets]) -> Finding:
    """Finding 9a: the connector's largest error against the flat simplex's."""
    sets = own["trained"]
    margin = {key: PART * sets.flat[key] - height for key, height in sets.highest.items()}
    numbers = [f"as trained: flat {spread(sets.flat)} → {spread(sets.highest)}"]
    claim = f"{PART:g} of the flat simplex's largest error less the connector's, {size} solutions > 0"
    title = f"as trained, a connector's error stays below {PART:g} of the flat simplex's [paper]"
    return Finding("9a", title, numbers, [positive(claim, margin)])


def near_zero(size: int, own: dict[str, Sets]) -> Finding:
    """Finding 9b: once aligned, it is near zero everywhere."""
    sets = own["aligned"]
    claim = f"largest error on the aligned connector, {size} solutions < {NEAR_ZERO:g}"
    numbers = [f"aligned: flat {spread(sets.flat)} → {spread(sets.highest)}"]
    title = f"aligned, it is near zero (below {NEAR_ZERO:g}) everywhere [ours]"
    return Finding("9b", title, numbers, [below(claim, sets.highest, NEAR_ZERO)])


def aligning_helps(size: int, own: dict[str, Sets]) -> Finding:
    """Finding 9c: aligned against as trained."""
    aligned, trained = own["aligned"].highest, own["trained"].highest
    numbers = [f"aligned {spread(aligned)}, as trained {spread(trained)}"]
    claim = f"largest error on the connector, {size} solutions: aligned < as trained"
    return Finding("9c", "aligning the set lowers it [ours]", numbers, [smaller(claim, aligned, trained)])


def test_is_kept(size: int, own: dict[str, Sets]) -> Finding:
    """Finding 9d: the test error on a connector against its solutions'."""
    numbers, comparisons = [], []
    for kind, title in KINDS.items():
        sets = own[kind]
        margin = {key: sets.ends[key] + COST - error for key, error in sets.test.items()}
        numbers.append(f"{title}: solutions {spread(sets.ends)}, connector {spread(sets.test)}")
        claim = f"solutions' mean test error + {COST:g} less the connector's, {title}, {size} solutions > 0"
        comparisons.append(positive(claim, margin))
    return Finding("9d", f"its mean test error is the solutions' within {COST:g} [ours]", numbers, comparisons)


def trained_how(found: Connectors) -> list[Finding]:
    """Return finding 10 of networks: vertices alone against points of the connector, where both were done."""
    parts = [
        ("10a", "highest", "largest training error", "in networks, training the vertices alone is enough"),
        ("10b", "test", "mean test error", "training on points of the connector generalises better"),
    ]
    findings = []
    for label, name, words, title in parts:
        numbers: list[str] = []
        comparisons: list[Comparison] = []
        for size in found.sizes:
            for kind, as_kind in KINDS.items():
                if (size, kind, "connector") not in found.sets:
                    continue
                by = {on: getattr(found.sets[size, kind, on], name) for on in OBJECTIVES}
                low, high = OBJECTIVES if label == "10a" else reversed(OBJECTIVES)
                numbers.append(f"{as_kind}: " + ", ".join(f"{OBJECTIVES[on]} {spread(by[on])}" for on in OBJECTIVES))
                claim = f"{words}, {as_kind}: {OBJECTIVES[low]} < {OBJECTIVES[high]}"
                comparisons.append(smaller(claim, by[low], by[high]))
        if comparisons:
            findings.append(Finding(label, f"{title} [ours]", numbers, comparisons))
    return findings


def heights(found: Connectors) -> str:
    """Return the table of connectors."""
    rows = [
        [
            str(size),
            KINDS[kind],
            OBJECTIVES[on],
            str(len(own.highest)),
            spread(own.flat),
            spread(own.before),
            spread(own.highest),
            spread(own.mean),
            spread(own.ends),
            spread(own.test),
        ]
        for (size, kind, on), own in sorted(found.sets.items(), key=lambda item: (item[0][0], *item[0][:0:-1]))
    ]
    head = ["solutions", "set", "trained", "sets", "flat simplex, max", "untrained, max", "connector, max", "mean"]
    return table("### Connectors: training error; test error", [*head, "solutions, test", "connector, test"], rows)
