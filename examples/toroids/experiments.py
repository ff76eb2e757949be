"""The experiments on what does not hold (protocol.md): what each would show if its explanation were right."""

from __future__ import annotations

from contextlib import suppress
from statistics import fmean

from study.claims import Finding, of_sampler, spread, words
from study.effects import difference, effect
from study.page import table, told
from study.readings import MIXED, SAMPLERS, Study, of_pair
from study.verdicts import NothingMeasured, Values, positive, smaller

from toroids.findings import lean

REVERSED = (("sgd", "rsgd"), ("sgd", "adv"))
"""Samplers by the barrier between their networks as trained: SGD's is the lowest."""


def relabelled(study: Study) -> Finding:
    """Finding 2c: the barrier between a network and itself, its units in another order."""
    own: Values = {
        (name,): curve.barrier
        for sampler in SAMPLERS
        for (name, _), curve in study.experiments.get(f"relabelled-{sampler}", {}).items()
    }
    numbers, effects = [], []
    for sampler in SAMPLERS:
        pairs = {key: c.barrier for key, c in of_pair(study.curves["linear"], (sampler, sampler)).items()}
        itself = of_sampler(own, sampler)
        numbers.append(f"{sampler.upper()}: between two {spread(pairs)}, with itself relabelled {spread(itself)}")
        effects.append(difference(f"{sampler.upper()}, with itself less between two", itself, pairs))
    comparisons = [
        smaller(f"barrier with itself: {low.upper()} < {high.upper()}", of_sampler(own, low), of_sampler(own, high))
        for low, high in REVERSED
    ]
    claim = "a network and itself, its units relabelled at random, have a barrier in the order of those as trained"
    return Finding("2c", claim, numbers, comparisons, effects)


def normalised(study: Study) -> Finding:
    """Finding 3b: the lean of profiles along lines between networks as trained and normalised, all aligned."""
    lines = {"trained": study.curves["aligned"], "normal": study.experiments.get("normalised", {})}
    numbers, comparisons, left = [], [], []
    for pair in MIXED:
        leans = {
            kind: {key: lean(curve) for key, curve in of_pair(curves, pair).items()}
            for kind, curves in (lines | {"geodesic": study.curves["geodesic"]}).items()
        }
        trained, normal, geodesic = leans.values()
        drop = {key: trained[key] - normal[key] for key in trained.keys() & normal.keys()}
        left.append({key: normal[key] - geodesic[key] for key in normal.keys() & geodesic.keys()})
        numbers.append(
            f"{words(pair)}: line as trained {spread(trained)}, line normalised {spread(normal)}, "
            f"geodesic {spread(geodesic)}"
        )
        comparisons.append(positive(f"lean of the line, as trained less normalised: {words(pair)} > 0", drop))
    claim = "normalising alone takes from the aligned line what it leans more than the geodesic"
    effects = [effect("mean lean, normalised line less geodesic", left, fmean)]
    return Finding("3b", claim, numbers, comparisons, effects)


def experiments(study: Study) -> list[str]:
    """Return the table of the experiments that were run; nothing if none was."""
    rows = []
    for make in (relabelled, normalised):
        with suppress(NothingMeasured):
            one = make(study)
            cells = ["<br>".join(one.numbers), "<br>".join(map(str, one.effects)), told(one)]
            rows.append([f"on {one.label}: {one.claim}", *cells])
    return [table("### Experiments", ["experiment", "mean ± deviation", "effect", "verdict"], rows)] if rows else []
