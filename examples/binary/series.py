"""Overparameterisation: what becomes of energies, errors and barriers as networks grow (the paper's Fig. 6)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from study.claims import Finding, barrier, column, of_sampler, spread
from study.page import Series, table, told
from study.readings import SAMPLERS, SOLVED, Study, of_pair
from study.verdicts import Comparison, NothingMeasured, Values, smaller

LEVEL = 0.1
"""The fraction of flipped signs whose local energies are compared."""
SIZE = re.compile(r"-(\d+)(?=-|$)")
"""The size in the name of a study, as in "hmm-801-committee"."""
MEASURES: dict[str, Callable[[Study, str], Values]] = {
    f"local energy δE({LEVEL:g})": lambda study, sampler: of_sampler(study.energies.get(LEVEL, {}), sampler),
    "test error": lambda study, sampler: of_sampler(study.errors["test"], sampler),
    "barrier, as trained": lambda study, sampler: barrier(of_pair(study.curves["raw"], (sampler, sampler))),
    "barrier, aligned": lambda study, sampler: barrier(of_pair(study.curves["aligned"], (sampler, sampler))),
    "barrier, optimised": lambda study, sampler: barrier(of_pair(study.bent["aligned"], (sampler, sampler))),
    "Hamming distance, aligned": lambda study, sampler: column(
        of_pair(study.distances, (sampler, sampler)), study.form.metric
    ),
}
"""What is compared: of each network of a sampler, or of each pair of them."""
FILES = "@(flatness.json|distances.json|paths/*)"
"""What they are read from, as a pattern."""
CLAIMS = {
    "6d": ("the larger, the flatter", f"local energy δE({LEVEL:g})"),
    "6e": ("the larger, the smaller the test error", "test error"),
    "6f": ("the larger, the lower the barriers, as trained", "barrier, as trained"),
    "6g": ("the larger, the lower the barriers, aligned", "barrier, aligned"),
}


def series_of(studies: Sequence[Study], again: Callable[[Sequence[Study], str], str]) -> list[Series]:
    """Return the studies that differ in size alone, at least two of each kind, by increasing size.

    Args:
        studies: of all kinds.
        again: the command that makes files of several studies again.
    """
    groups: dict[str, list[Study]] = {}
    for study in studies:
        if SIZE.search(study.name):
            groups.setdefault(SIZE.sub("-N", study.name), []).append(study)
    found = []
    for name, members in groups.items():
        own = sorted(members, key=size_of)
        if len(own) > 1:
            sizes = tuple(map(size_of, own))
            lines = {title: lines_of(own, measure) for title, measure in MEASURES.items()}
            tables = [f"{summary(own)}\n\nAgain: `{again(own, FILES)}`", *on_solutions(own)]
            found.append(Series(name, sizes, lines, claims_on(own), "\n\n".join(tables)))
    return found


def size_of(study: Study) -> int:
    """Return the number in a study's name: of inputs, or of units in a hidden layer."""
    found = SIZE.search(study.name)
    assert found is not None
    return int(found[1])


def lines_of(studies: Sequence[Study], measure: Callable[[Study, str], Values]) -> dict[str, list[list[float]]]:
    """Return, for each sampler, the values at each size."""
    return {sampler: [list(measure(study, sampler).values()) for study in studies] for sampler in SAMPLERS}


def claims_on(studies: Sequence[Study]) -> list[Finding]:
    """Return the findings: every sampler, each size against the next, where both have networks of it."""
    found = []
    for label, (claim, title) in CLAIMS.items():
        numbers, comparisons = [], []
        for sampler in SAMPLERS:
            values = [MEASURES[title](study, sampler) for study in studies]
            numbers.append(f"{sampler.upper()} {' → '.join(map(spread, values))}")
            for small, large in itertools.pairwise(studies):
                with suppress(NothingMeasured):
                    comparisons.append(falls(title, sampler, small, large))
        found.append(Finding(label, claim, numbers, comparisons).by_effects())
    return found


def falls(title: str, sampler: str, small: Study, large: Study) -> Comparison:
    """Compare a measure at two sizes; networks of different sizes are different ones, whatever their seeds."""
    low, high = (
        {
            tuple(name.replace(sampler, f"{sampler}@{size_of(study)}", 1) for name in key): value
            for key, value in MEASURES[title](study, sampler).items()
        }
        for study in (large, small)
    )
    return smaller(f"{title}, {sampler.upper()}: N = {size_of(large)} < N = {size_of(small)}", low, high)


def summary(studies: Sequence[Study]) -> str:
    """Return the table of all measures."""
    rows = [
        [f"{size_of(study)}", sampler.upper(), *(spread(measure(study, sampler)) for measure in MEASURES.values())]
        for study in studies
        for sampler in SAMPLERS
    ]
    return table("### By size", ["N", "sampler", *MEASURES], rows)


def on_solutions(studies: Sequence[Study]) -> list[str]:
    """Return the table of findings once more, on solutions alone; nothing if all networks are."""
    lost = [f"{len(study.unsolved)} at N = {size_of(study)}" for study in studies if study.unsolved]
    if not lost:
        return []
    left = [finding for finding in claims_on([s.solutions_only() for s in studies]) if finding.comparisons]
    said = f"Without the networks whose training error is above {SOLVED:g}, {', '.join(lost)}:"
    rows = [[f.label, "<br>".join(f.numbers), told(f)] for f in left]
    return [table(f"### On solutions alone\n\n{said}", ["finding", "mean ± deviation", "verdict"], rows)]
