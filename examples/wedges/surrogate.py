"""Findings 10c and 12: the surrogate, whose loss is the distance to the nearest wedge (docs/method.md: Surrogate)."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from study.claims import Finding, spread
from study.page import table
from study.readings import name_of, read
from study.verdicts import Comparison, Values, below, compare, smaller

from wedges.connectors import OBJECTIVES, Connectors, lower
from wedges.readings import column_of, networks_in
from wedges.subspaces import Curve, falls
from wedges.widths import Arm, turning_costs_less

THRESHOLD = re.compile(r"threshold=([\d.e+-]+)")
STAR = re.compile(r"m(\d+)-(vertices|connector)-(\d+)\.json")
ZERO = 1e-6
"""Below which the least loss on a plane counts as zero."""
NEAR = 0.15
"""How far from the formula it may be, in parts of it."""
PART = 0.01
"""Of the largest loss on the lines between solutions, below which a trained star stays."""


@dataclass
class Stars:
    """Stars of so many solutions, by what they were trained on, and the lines between their solutions.

    Attributes:
        highest: the largest distance from the wedges on the star of each landscape, by objective.
        lines: the largest on the lines between its solutions, their mean.
    """

    highest: dict[str, dict[tuple[str, ...], float]] = field(default_factory=lambda: {on: {} for on in OBJECTIVES})
    lines: dict[tuple[str, ...], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Surrogate:
    """All that was measured of the surrogate.

    Attributes:
        dim: the dimension that exact optima are of.
        radius: the distance of each plane's position from the origin.
        least: by number of short directions, of wedges, and dimension of the plane, the least loss on each plane.
        trained: by dimension, the loss that training in a subspace ends at.
        stars: by number of solutions.
    """

    dim: int
    radius: Values
    least: dict[tuple[int, int], dict[int, dict[tuple[str, ...], float]]]
    trained: dict[int, Values]
    stars: dict[int, Stars]

    def formula(self, short: int, size: int) -> Values:
        """Return the formula's least loss on each plane, of one wedge."""
        part = math.sqrt(max(short - size, 0) / self.dim)
        return {key: radius * part for key, radius in self.radius.items()}


def read_surrogate(folder: Path) -> Surrogate | None:
    """Return what was measured of the surrogate; None if nothing was."""
    if not (folder / "exact.json").exists():
        return None
    exact = read(folder / "exact.json")
    least: dict[tuple[int, int], dict[int, dict[tuple[str, ...], float]]] = {}
    radius: dict[tuple[str, ...], float] = {}
    for plane in exact["planes"]:
        key = (f"plane-{plane['landscape']}-{plane['plane']}",)
        radius[key] = plane["radius"]
        own = least.setdefault((plane["short"], plane["wedges"]), {})
        for size, loss in zip(exact["dims"], plane["losses"], strict=True):
            own.setdefault(size, {})[key] = loss
    sizes = {int(file.stem[1:]): file for file in (folder / "subspaces").glob("d*.json")}
    trained = {size: column_of(networks_in(sizes[size]), "train_loss") for size in sorted(sizes)}
    return Surrogate(exact["dim"], radius, least, trained, read_stars(folder))


def read_stars(folder: Path) -> dict[int, Stars]:
    """Return the trained stars, by number of solutions, in increasing order."""
    stars: dict[int, Stars] = {}
    for file in sorted((folder / "stars").glob("m*.json")):
        if match := STAR.fullmatch(file.name):
            size, objective, landscape = int(match[1]), match[2], match[3]
            key, body = (f"landscape-{landscape}",), read(file)
            own = stars.setdefault(size, Stars())
            unit = distance_of(folder / "solutions" / f"landscape{landscape}.json")
            own.highest[objective][key] = unit * body["connector"]["loss"]["train"]["max"]
            names = set(map(name_of, body["networks"]))
            own.lines[key] = unit * between(folder / "stars" / f"lines-{landscape}.json", names)
    return dict(sorted(stars.items()))


def distance_of(file: Path) -> float:
    """Return which distance a loss of 1 is, in the landscape that networks were trained in."""
    model = THRESHOLD.search(read(file)["provenance"]["arguments"]["model"])
    return float(model[1]) / math.log(2) if model else 1.0


def between(file: Path, names: set[str]) -> float:
    """Return the largest loss on each line between some networks, their mean."""
    pairs = [pair for pair in read(file)["pairs"] if {name_of(pair["start"]), name_of(pair["end"])} <= names]
    return fmean(max(point["train_loss"] for point in pair["points"]) for pair in pairs)


def on_itself(found: Surrogate) -> list[Finding]:
    """Return what is asked of the surrogate itself: findings 10c, 12a, 12b, and 12d to be set beside networks."""
    findings = [optimum(found)]
    if found.stars:
        findings = [points_are_needed(found), *findings, star_is_low(found)]
    return [*findings, threshold(found)]


def points_are_needed(found: Surrogate) -> Finding:
    """Finding 10c: a star's centre alone against points of the star."""
    numbers, comparisons = [], []
    for size, stars in found.stars.items():
        by = stars.highest
        numbers.append(f"{size} solutions: " + ", ".join(f"{OBJECTIVES[on]} {spread(by[on])}" for on in OBJECTIVES))
        claim = f"largest loss on the star of {size}: trained on points < centre alone"
        comparisons.append(smaller(claim, by["connector"], by["vertices"]))
    return Finding("10c", "in the surrogate, only training on points is enough [ours]", numbers, comparisons)


def optimum(found: Surrogate) -> Finding:
    """Finding 12a: the least loss on random planes against what the surrogate says of itself."""
    numbers, comparisons = [], []
    for (short, wedges), by_size in found.least.items():
        said = ", ".join(f"{size}: {spread(losses, 2)}" for size, losses in by_size.items() if size <= short)
        numbers.append(f"{short} short directions, wedges: {wedges}; least loss at d = {said}")
        for size, losses in by_size.items():
            what = f"least loss at d = {size}, {short} short directions, wedges: {wedges}"
            if size >= short:
                comparisons.append(below(f"{what} < {ZERO:g}", losses, ZERO))
            elif wedges == 1 and size <= short / 2:
                comparisons += near_formula(what, losses, found.formula(short, size))
    claim = "the least loss is zero once d reaches the short directions, and R √((s − d)/D) below [restored]"
    return Finding("12a", claim, numbers, comparisons)


def near_formula(what: str, losses: Values, formula: Values) -> list[Comparison]:
    """Compare a mean with a formula's, from which it should be no farther than a part of it."""
    samples = [losses, formula]
    return [
        compare(f"{what} < {1 + NEAR:g} of the formula", samples, lambda means: (1 + NEAR) * means[1] - means[0]),
        compare(f"{what} > {1 - NEAR:g} of the formula", samples, lambda means: means[0] - (1 - NEAR) * means[1]),
    ]


def star_is_low(found: Surrogate) -> Finding:
    """Finding 12b: a star trained on its points against the lines between its solutions."""
    numbers, comparisons = [], []
    for size, stars in found.stars.items():
        star = stars.highest["connector"]
        numbers.append(f"{size} solutions: lines {spread(stars.lines)}, star {spread(star, 5)}")
        limit = f"largest loss on the star of {size} < {PART:g} of the lines'"
        comparisons.append(compare(limit, [stars.lines, star], lambda means: PART * means[0] - means[1]))
    claim = "any number of its solutions is connected by a star of no loss [restored]"
    return Finding("12b", claim, numbers, comparisons)


def threshold(found: Surrogate) -> Finding:
    """Finding 12d, the surrogate's half: where its loss goes."""
    numbers = []
    for (short, wedges), by_size in found.least.items():
        if wedges == 1 and 0 in by_size:
            start = sum(by_size[0].values())
            parts = [f"d = {size}: {sum(losses.values()) / start:.3f}" for size, losses in by_size.items()]
            numbers.append(f"{short} short directions, parts of the loss left at {', '.join(parts)}")
    return Finding("12d", UNLIKE, numbers, [])


UNLIKE = "the surrogate has a threshold in d; networks have none [ours]"


def unlike(curves: list[Curve]) -> Finding:
    """Finding 12d, the networks' half: their curves, with the largest step."""
    numbers = []
    for curve in curves:
        means = {dim: sum(errors["train"].values()) / len(errors["train"]) for dim, errors in curve.errors.items()}
        steps = {high: means[low] - means[high] for low, high in itertools.pairwise(means)}
        said = ", ".join(f"d = {dim}: {error:.3f}" for dim, error in means.items())
        part = max(steps.values()) / (max(means.values()) - min(means.values()))
        largest = max(steps, key=steps.__getitem__)
        numbers.append(f"width {curve.width}, training error at {said}")
        numbers.append(f"width {curve.width}: its largest step, to d = {largest}, is {part:.2f} of the fall")
    return Finding("12d", UNLIKE, numbers, [])


def like(curves: list[Curve], connectors: Connectors | None, arms: dict[str, Arm]) -> Finding | None:
    """Finding 12c: where networks behave as the surrogate does; None unless all three were measured."""
    if not curves or connectors is None or "gradient" not in getattr(arms.get("base"), "profiles", {}):
        return None
    size = connectors.sizes[0]
    high = lower(size, {"trained": connectors.sets[size, "trained", "vertices"]})
    numbers, comparisons = turning_costs_less(arms)
    for curve in curves:
        comparisons += falls(curve)
    claim = "networks are like it: in subspaces, on connectors, in random directions [paper; restored]"
    return Finding("12c", claim, [*high.numbers, *numbers], [*comparisons, *high.comparisons])


def optima(found: Surrogate) -> str:
    """Return the table of the least loss on random planes, with what training comes to."""
    rows = []
    for (short, wedges), by_size in found.least.items():
        for size, losses in by_size.items():
            formula = spread(found.formula(short, size), 3) if wedges == 1 else "-"
            rows.append([str(short), str(wedges), str(size), spread(losses, 4), formula])
    exact = table("### Least loss on random planes", ["short directions", "wedges", "d", "exact", "formula"], rows)
    if not found.trained:
        return exact
    rows = [[str(size), spread(losses, 4)] for size, losses in found.trained.items()]
    return exact + "\n\n" + table("### What training comes to in a subspace", ["d", "loss"], rows)


def star_heights(found: Surrogate) -> str:
    """Return the table of stars."""
    rows = [
        [str(size), spread(stars.lines), *(spread(stars.highest[on], 5) for on in OBJECTIVES)]
        for size, stars in found.stars.items()
    ]
    head = ["solutions", "lines between them", "centre alone", "on points"]
    return table("### Stars: largest distance from the wedges", head, rows)
