"""Findings as inequalities between measured means: those that the studies share (docs/method.md: Findings)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Any

from study.effects import Effect, difference, effect, largest, log_ratio, quantile
from study.readings import CONTROLS, PAIRS, SAMPLERS, Curve, Pair, Study, of_pair
from study.verdicts import Comparison, NothingMeasured, Values, below, positive, sampler_of, smaller, verdict

LEVELS = ((PAIRS[0],), (PAIRS[1], PAIRS[2]), (PAIRS[3], PAIRS[4]), (PAIRS[5],))
"""Pairs of samplers by the barrier between them, from low to high."""
ROWS = (*SAMPLERS, *CONTROLS)
"""Everything that is trained, in the order of tables."""
SHOWN = "no verdict"
"""Of what is measured beside the findings, and has no inequality."""
NEAR_ZERO = 0.01
"""The training error up to which a barrier is near zero."""


@dataclass(frozen=True)
class Finding:
    """One finding, or one part of it.

    Attributes:
        label: its number, and a letter for a part.
        claim: what the paper says.
        numbers: what was measured, in lines.
        comparisons: the inequalities it comes down to; none of what is only shown.
        effects: how large it is, in numbers with an interval.
        each: whether each inequality has to hold, or the effects alone, where they say on which side they should lie.
    """

    label: str
    claim: str
    numbers: list[str]
    comparisons: list[Comparison]
    effects: list[Effect] = field(default_factory=list)
    each: bool = True

    @property
    def verdict(self) -> str:
        """What the data say."""
        if not self.comparisons:
            return SHOWN
        inequalities = [one.verdict for one in self.comparisons]
        sided = [one.verdict for one in self.effects if one.side]
        return verdict(inequalities, sided if sided and not self.each else [*inequalities, *sided])

    def by_intervals(self) -> Finding:
        """Return the same, its inequalities told by 95 % intervals, as effects are."""
        return replace(self, comparisons=[replace(one, threshold=quantile(one.networks)) for one in self.comparisons])

    def by_effects(self) -> Finding:
        """Return the same, told by its effects, and by inequalities that are reversed."""
        return replace(self.by_intervals(), each=False)


def flatter_energies(study: Study) -> Finding:
    """Finding 1: local energies."""
    numbers, comparisons = [], []
    symbol = study.form.symbol
    if not study.energies:
        raise NothingMeasured("no local energies")
    for level, energies in study.energies.items():
        own, ordered = in_order(energies, f"δE({level:g})")
        numbers.append(f"{symbol} = {level:g}: {own}")
        comparisons += ordered
    rows = [{row: of_sampler(energies, row) for row in ROWS} for energies in study.energies.values()]
    effects = [
        log_ratio(f"log ratio, {low.upper()} to {high.upper()}", [(own[low], own[high]) for own in rows], side=of(high))
        for low, high in compared(study.energies.values())
    ]
    return Finding("1a", f"local energy: RSGD < SGD < ADV at every {symbol}", numbers, comparisons, effects)


def flatter_errors(study: Study) -> Finding:
    """Finding 1: test errors."""
    errors = study.errors["test"]
    own, ordered = in_order(errors, "test error")
    effects = [
        difference(
            f"{low.upper()} less {high.upper()}", of_sampler(errors, low), of_sampler(errors, high), side=of(high)
        )
        for low, high in compared([errors])
    ]
    return Finding("1b", "test errors: RSGD < SGD < ADV", [own], ordered, effects)


def compared(values: Iterable[Values]) -> list[tuple[str, str]]:
    """Return which rows an effect compares: neighbours, and the flat sampler with each control that was measured."""
    there = {sampler_of(name) for each in values for (name,) in each}
    flattest = SAMPLERS[0]
    return [*itertools.pairwise(SAMPLERS), *((flattest, control) for control in CONTROLS if control in there)]


def of(row: str) -> str:
    """Return on which side of zero the paper has what is below a row; of controls it says nothing."""
    return "" if row in CONTROLS else "<"


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
    title = study.form.kinds[kind]
    barriers = barriers_of(study.curves[kind])
    comparisons = [
        smaller(f"barrier, {title}: {words(low)} < {words(high)}", barriers[low], barriers[high])
        for lower, higher in itertools.pairwise(LEVELS)
        for low in lower
        for high in higher
    ]
    numbers = [f"{words(pair)} {spread(barriers[pair])}" for pair in PAIRS]
    claim = "barriers: RSGD–RSGD < RSGD–SGD, SGD–SGD < RSGD–ADV, SGD–ADV < ADV–ADV"
    samples = [[barriers[pair] for pair in level] for level in LEVELS]
    steps = effect("mean difference of neighbours", [one for own in samples for one in own], mean_step, side=">")
    return Finding(label, f"{claim} ({title})", numbers, comparisons, [steps])


def mean_step(means: Sequence[float]) -> float:
    """Return the mean difference of neighbours in the order of pairs, which come level by level."""
    by_level = [[means[PAIRS.index(pair)] for pair in level] for level in LEVELS]
    return fmean(high - low for lower, higher in itertools.pairwise(by_level) for low in lower for high in higher)


def aligning_lowers(study: Study, label: str, kinds: Sequence[str]) -> Finding:
    """Findings 3 and 6: the barrier of each pair along a kind of path as trained, and aligned."""
    numbers, comparisons, ratios = [], [], []
    for pair in PAIRS:
        before, after = (of_pair(study.curves[kind], pair) for kind in kinds)
        drop = drops(before, after)
        ratios.append((barrier(after), barrier(before)))
        numbers.append(f"{words(pair)} {spread(barrier(before))} → {spread(barrier(after))}")
        comparisons.append(positive(f"barrier, as trained less aligned: {words(pair)} > 0", drop))
    effects = [log_ratio("mean log ratio, aligned to as trained", ratios, side="<")]
    return Finding(label, "aligning lowers the barriers", numbers, comparisons, effects)


def bends_near_zero(study: Study, kind: str, label: str) -> Finding:
    """Finding 4, along one kind of path."""
    title = study.form.kinds[kind]
    straight, bent = barriers_of(study.curves[kind]), barriers_of(study.bent[kind])
    numbers = [f"{words(pair)} {spread(straight[pair])} → {spread(bent[pair])}" for pair in PAIRS]
    comparisons = [
        below(f"barrier of the optimised path, {title}: {words(pair)} < {NEAR_ZERO:g}", bent[pair], NEAR_ZERO)
        for pair in PAIRS
    ]
    claim = f"the optimised single-bend path has a barrier near zero (below {NEAR_ZERO:g}), {title}"
    effects = [largest("the largest mean barrier", [bent[pair] for pair in PAIRS], below=NEAR_ZERO)]
    return Finding(label, claim, numbers, comparisons, effects)


def flatter_closer(study: Study, label: str, claim: str) -> Finding:
    """Finding 5: distances between networks of one sampler."""
    form = study.form
    distances = {pair: column(of_pair(study.distances, pair), form.metric) for pair in PAIRS}
    same = [(sampler, sampler) for sampler in SAMPLERS]
    comparisons = [
        smaller(f"{form.measure} distance: {words(low)} < {words(high)}", distances[low], distances[high])
        for low, high in itertools.pairwise(same)
    ]
    numbers = [f"{words(pair)} {spread(distances[pair], form.digits)}" for pair in PAIRS]
    flat, *_, sharp = same
    effects = [difference(f"{words(flat)} less {words(sharp)}", distances[flat], distances[sharp], side="<")]
    return Finding(label, claim, numbers, comparisons, effects)


def drops(before: dict[Pair, Curve], after: dict[Pair, Curve]) -> Values:
    """Return by how much the barrier of each pair is lower along the second kind of path."""
    return {key: before[key].barrier - after[key].barrier for key in before.keys() & after.keys()}


def to_end(curve: Curve, end: str, metric: str) -> float:
    """Return the distance from an optimised midpoint to an end."""
    assert curve.midpoint is not None
    distance: float = curve.midpoint["distances"][end][metric]
    return distance


def barrier(curves: dict[Pair, Curve]) -> Values:
    """Return the barrier of each pair."""
    return {key: curve.barrier for key, curve in curves.items()}


def barriers_of(curves: dict[Pair, Curve]) -> dict[Pair, Values]:
    """Return the barriers by pair of samplers."""
    return {pair: barrier(of_pair(curves, pair)) for pair in PAIRS}


def column(rows: dict[Pair, dict[str, Any]], name: str) -> Values:
    """Return one number of each pair's row."""
    return {key: row[name] for key, row in rows.items()}


def of_sampler(values: Values, sampler: str) -> Values:
    """Return what belongs to the networks of a sampler."""
    return {key: value for key, value in values.items() if sampler_of(key[0]) == sampler}


def words(pair: Sequence[str]) -> str:
    """Return a pair of samplers as the tables name it."""
    return "–".join(sampler.upper() for sampler in pair)


def spread(values: Values, digits: int = 4) -> str:
    """Return mean and, of several values, deviation."""
    return average(list(values.values()), digits)


def average(values: Sequence[float], digits: int) -> str:
    """Return mean and, of several numbers, deviation."""
    if not values:
        return "-"
    text = f"{fmean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {stdev(values):.{digits}f}"
