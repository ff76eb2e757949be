"""What the study of binary networks measures, and the paper's findings on them.

See docs/method.md: Findings: 1, 2, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from study.claims import (
    Finding,
    aligning_lowers,
    barrier,
    barrier_order,
    bends_near_zero,
    drops,
    flatter_closer,
    flatter_energies,
    flatter_errors,
    spread,
    words,
)
from study.readings import PAIRS, Form, Study, of_pair
from study.verdicts import Comparison, NothingMeasured, compare, positive

FORM = Form(
    kinds={"raw": "as trained", "aligned": "aligned"},
    level="flip",
    symbol="p",
    noise="the fraction of signs that are flipped",
    metric="hamming_fraction",
    measure="Hamming",
    digits=4,
    columns=(("cosine", "cosine", 3), ("test predictions that differ", "test_disagreement", 4)),
    bent="aligned",
    titles={
        "rsgd-raw": "RSGD, as trained",
        "rsgd-aligned": "RSGD, aligned",
        "sgd-raw": "SGD, as trained",
        "sgd-aligned": "SGD, aligned",
        "adv-raw": "ADV, as trained",
        "adv-aligned": "ADV, aligned",
    },
    columns_of_planes=2,
    optimized=("aligned",),
    captions={
        "planes": "Training error in the plane of three solutions of a sampler: unaligned, aligned (the paper's "
        "figures 20 to 23).",
        "distances": "Fractions of signs that differ: between aligned solutions, and between them and their midpoints.",
        "midpoints": "Distances, as fractions of signs that differ; midpoints of aligned paths",
    },
)
HARDLY = 0.1
"""The part of a barrier up to which a change of it hardly matters."""


def findings(study: Study) -> list[Finding]:
    """Return every finding that something was measured for, part by part, told by its effects.

    A perceptron has no hidden units: what aligning does is not asked of it.
    """
    found = []
    for make in claims_on(study):
        with suppress(NothingMeasured):
            found.append(make(study).by_effects())
    return found


def claims_on(study: Study) -> list[Callable[[Study], Finding]]:
    """Return what makes each finding that is asked of such networks."""
    made = [*FINDINGS]
    if is_deep(study.name):
        made += [lambda study: aligning_lowers(study, "6a", ("raw", "aligned")), aligning_nears]
    elif has_units(study.name):
        made.append(aligning_matters_little)
    return made


def has_units(name: str) -> bool:
    """Tell whether the networks of a study have hidden units."""
    return not name.endswith("perceptron")


def is_deep(name: str) -> bool:
    """Tell whether they have more than one layer of weights that are trained."""
    return has_units(name) and not name.endswith("committee")


def bending_lowers(study: Study) -> Finding:
    """Finding 4: the barrier of each pair along the aligned path, and along the one with a bend."""
    numbers, comparisons = [], []
    for pair in PAIRS:
        straight, bent = (of_pair(curves["aligned"], pair) for curves in (study.curves, study.bent))
        drop = drops(straight, bent)
        numbers.append(f"{words(pair)} {spread(barrier(straight))} → {spread(barrier(bent))}")
        comparisons.append(positive(f"barrier, aligned less optimised: {words(pair)} > 0", drop))
    return Finding("4a", "optimising the path lowers the barriers (aligned)", numbers, comparisons)


def aligning_nears(study: Study) -> Finding:
    """Finding 6: the Hamming distance of each pair before and after aligning."""
    numbers, comparisons = [], []
    metric = study.form.metric
    for pair in PAIRS:
        before, after = (of_pair(rows, pair) for rows in (study.unaligned, study.distances))
        drop = {key: before[key][metric] - after[key][metric] for key in before.keys() & after.keys()}
        means = (spread({key: row[metric] for key, row in rows.items()}) for rows in (before, after))
        numbers.append(f"{words(pair)} {' → '.join(means)}")
        comparisons.append(positive(f"Hamming distance, as trained less aligned: {words(pair)} > 0", drop))
    return Finding("6b", "aligning lowers the Hamming distances", numbers, comparisons)


def aligning_matters_little(study: Study) -> Finding:
    """Finding 6, of a committee machine: the change of each barrier, against a part of the barrier."""
    numbers, comparisons = [], []
    for pair in PAIRS:
        before, after = (of_pair(study.curves[kind], pair) for kind in ("raw", "aligned"))
        numbers.append(f"{words(pair)} {spread(barrier(before))} → {spread(barrier(after))}")
        comparisons.append(hardly_changed(f"barrier: {words(pair)}", barrier(before), drops(before, after)))
    claim = f"aligning hardly matters: it changes barriers by less than {HARDLY:g} of themselves"
    return Finding("6c", claim, numbers, comparisons)


def hardly_changed(what: str, before: dict[tuple[str, str], float], drop: dict[tuple[str, str], float]) -> Comparison:
    """Compare the mean change of a number with a part of its mean, below which it should lie."""
    return compare(
        f"{what}, |as trained less aligned| < {HARDLY:g} of it",
        [before, drop],
        lambda means: HARDLY * means[0] - abs(means[1]),
    )


FINDINGS: tuple[Callable[[Study], Finding], ...] = (
    flatter_energies,
    flatter_errors,
    lambda study: barrier_order(study, "aligned", "2a"),
    lambda study: barrier_order(study, "raw", "2b"),
    bending_lowers,
    lambda study: bends_near_zero(study, "aligned", "4b"),
    lambda study: flatter_closer(study, "5", "aligned, flatter solutions are closer to each other"),
)
"""Those asked of all networks."""
