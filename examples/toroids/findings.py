"""The paper's findings 1 to 5 as inequalities between measured means (SPEC 11)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from readings import KINDS, MIXED, PAIRS, SAMPLERS, Curve, Pair, Study, of_pair
from verdicts import Comparison, Values, below, positive, sampler_of, smaller, verdict

LEVELS = ((PAIRS[0],), (PAIRS[1], PAIRS[2]), (PAIRS[3], PAIRS[4]), (PAIRS[5],))
"""Pairs of samplers by the barrier between them, from low to high."""
NEAR_ZERO = 0.01
"""The training error up to which a barrier is near zero."""


@dataclass(frozen=True)
class Finding:
    """One finding, or one part of it.

    Attributes:
        label: its number, and a letter for a part.
        claim: what the paper says.
        numbers: what was measured, in lines.
        comparisons: the inequalities it comes down to.
    """

    label: str
    claim: str
    numbers: list[str]
    comparisons: list[Comparison]

    @property
    def verdict(self) -> str:
        """What the data say."""
        return verdict(self.comparisons)


def findings(study: Study) -> list[Finding]:
    """Return every finding, part by part; those on optimised paths where there are any."""
    found = [flatter_energies(study), flatter_errors(study)]
    found += [barrier_order(study, kind, f"2{letter}") for kind, letter in zip(reversed(KINDS), "abc", strict=True)]
    found += [aligning_lowers(study), distortion_goes(study)]
    bends = (("geodesic", "4a"), ("aligned", "4b"))
    found += [bends_near_zero(study, kind, label) for kind, label in bends if study.bent[kind]]
    found.append(flatter_closer(study))
    return [*found, midpoints_flatter(study)] if study.bent["geodesic"] else found


def flatter_energies(study: Study) -> Finding:
    """Finding 1: local energies."""
    numbers, comparisons = [], []
    for sigma, energies in study.energies.items():
        own, ordered = in_order(energies, f"δE({sigma:g})")
        numbers.append(f"σ = {sigma:g}: {own}")
        comparisons += ordered
    return Finding("1a", "local energy: RSGD < SGD < ADV at every σ", numbers, comparisons)


def flatter_errors(study: Study) -> Finding:
    """Finding 1: test errors."""
    own, ordered = in_order(study.errors["test"], "test error")
    return Finding("1b", "test errors: RSGD < SGD < ADV", [own], ordered)


def in_order(values: Values, what: str) -> tuple[str, list[Comparison]]:
    """Return the means of the samplers in words, and the inequalities between neighbours."""
    own = {sampler: of_sampler(values, sampler) for sampler in SAMPLERS}
    words = ", ".join(f"{sampler.upper()} {spread(own[sampler])}" for sampler in SAMPLERS)
    return words, [
        smaller(f"{what}: {low.upper()} < {high.upper()}", own[low], own[high])
        for low, high in itertools.pairwise(SAMPLERS)
    ]


def barrier_order(study: Study, kind: str, label: str) -> Finding:
    """Finding 2, along one kind of path."""
    barriers = barriers_of(study.curves[kind])
    comparisons = [
        smaller(f"barrier, {KINDS[kind]}: {words(low)} < {words(high)}", barriers[low], barriers[high])
        for lower, higher in itertools.pairwise(LEVELS)
        for low in lower
        for high in higher
    ]
    numbers = [f"{words(pair)} {spread(barriers[pair])}" for pair in PAIRS]
    claim = "barriers: RSGD–RSGD < RSGD–SGD, SGD–SGD < RSGD–ADV, SGD–ADV < ADV–ADV"
    return Finding(label, f"{claim} ({KINDS[kind]})", numbers, comparisons)


def aligning_lowers(study: Study) -> Finding:
    """Finding 3: the barrier of each pair before and after aligning, along the line."""
    numbers, comparisons = [], []
    for pair in PAIRS:
        before, after = (of_pair(study.curves[kind], pair) for kind in ("linear", "aligned"))
        drop = {key: before[key].barrier - after[key].barrier for key in before.keys() & after.keys()}
        numbers.append(f"{words(pair)} {spread(barrier(before))} → {spread(barrier(after))}")
        comparisons.append(positive(f"barrier, as trained less aligned: {words(pair)} > 0", drop))
    return Finding("3a", "aligning lowers the barriers", numbers, comparisons)


def distortion_goes(study: Study) -> Finding:
    """Finding 3: the lean of a profile, along the aligned line and along the geodesic."""
    numbers, comparisons = [], []
    for pair in MIXED:
        line, geodesic = (
            {key: lean(curve) for key, curve in of_pair(study.curves[kind], pair).items()}
            for kind in ("aligned", "geodesic")
        )
        gain = {key: geodesic[key] - line[key] for key in line.keys() & geodesic.keys()}
        numbers.append(f"lean, {words(pair)}: line {spread(line)}, geodesic {spread(geodesic)}")
        comparisons.append(positive(f"lean of the geodesic: {words(pair)} > 0", geodesic))
        comparisons.append(positive(f"lean of the geodesic less the aligned line's: {words(pair)} > 0", gain))
    claim = "the geodesic removes the line's distortion: profiles flatter towards the flatter end"
    return Finding("3b", claim, numbers, comparisons)


def bends_near_zero(study: Study, kind: str, label: str) -> Finding:
    """Finding 4, along one kind of path."""
    straight, bent = barriers_of(study.curves[kind]), barriers_of(study.bent[kind])
    numbers = [f"{words(pair)} {spread(straight[pair])} → {spread(bent[pair])}" for pair in PAIRS]
    comparisons = [
        below(f"barrier of the optimised path, {KINDS[kind]}: {words(pair)} < {NEAR_ZERO:g}", bent[pair], NEAR_ZERO)
        for pair in PAIRS
    ]
    claim = f"the optimised single-bend path has a barrier near zero (below {NEAR_ZERO:g}), {KINDS[kind]}"
    return Finding(label, claim, numbers, comparisons)


def flatter_closer(study: Study) -> Finding:
    """Finding 5: geodesic distances between networks of one sampler."""
    distances = {pair: geodesics(of_pair(study.distances, pair)) for pair in PAIRS}
    same = [(sampler, sampler) for sampler in SAMPLERS]
    comparisons = [
        smaller(f"geodesic distance: {words(low)} < {words(high)}", distances[low], distances[high])
        for low, high in itertools.pairwise(same)
    ]
    numbers = [f"{words(pair)} {spread(distances[pair], 2)}" for pair in PAIRS]
    return Finding("5a", "normalised and aligned, flatter solutions are closer to each other", numbers, comparisons)


def midpoints_flatter(study: Study) -> Finding:
    """Finding 5: how much farther optimised midpoints are from the sharper end than from the flatter one."""
    numbers, comparisons = [], []
    for pair in MIXED:
        own = of_pair(study.bent["geodesic"], pair)
        near, far = ({key: to_end(curve, end) for key, curve in own.items()} for end in ("start", "end"))
        excess = {key: far[key] - near[key] for key in own}
        first, second = (sampler.upper() for sampler in pair)
        numbers.append(f"{words(pair)}: to {first} {spread(near, 2)}, to {second} {spread(far, 2)}")
        comparisons.append(positive(f"midpoint's distance to {second} less that to {first} > 0", excess))
    return Finding("5b", "optimised midpoints end up nearer to the flatter end (geodesic)", numbers, comparisons)


def lean(curve: Curve) -> float:
    """Return how much higher a profile is in the half of the sharper end, by the barrier.

    The errors less those of the line between the ends, averaged over each half of the path (the middle belongs to
    neither); the second half less the first, divided by the largest error on the path.
    """
    if curve.barrier == 0:
        return 0.0
    first, last = curve.train[0], curve.train[-1]
    excess = [error - (1 - tau) * first - tau * last for tau, error in zip(curve.taus, curve.train, strict=True)]
    halves = {
        side: fmean(value for tau, value in zip(curve.taus, excess, strict=True) if side * (tau - 0.5) > 1e-9)
        for side in (-1, 1)
    }
    return (halves[1] - halves[-1]) / curve.barrier


def to_end(curve: Curve, end: str) -> float:
    """Return the geodesic distance from an optimised midpoint to an end."""
    assert curve.midpoint is not None
    distance: float = curve.midpoint["distances"][end]["geodesic"]
    return distance


def barrier(curves: dict[Pair, Curve]) -> Values:
    """Return the barrier of each pair."""
    return {key: curve.barrier for key, curve in curves.items()}


def barriers_of(curves: dict[Pair, Curve]) -> dict[Pair, Values]:
    """Return the barriers by pair of samplers."""
    return {pair: barrier(of_pair(curves, pair)) for pair in PAIRS}


def geodesics(rows: dict[Pair, dict[str, Any]]) -> Values:
    """Return the geodesic distance of each pair."""
    return {key: row["geodesic"] for key, row in rows.items()}


def of_sampler(values: Values, sampler: str) -> Values:
    """Return what belongs to the networks of a sampler."""
    return {key: value for key, value in values.items() if sampler_of(key[0]) == sampler}


def words(pair: Sequence[str]) -> str:
    """Return a pair of samplers as the tables name it."""
    return "–".join(sampler.upper() for sampler in pair)


def spread(values: Values, digits: int = 4) -> str:
    """Return mean and, of several values, deviation."""
    numbers = list(values.values())
    if not numbers:
        return "-"
    text = f"{fmean(numbers):.{digits}f}"
    return text if len(numbers) == 1 else f"{text} ± {stdev(numbers):.{digits}f}"
