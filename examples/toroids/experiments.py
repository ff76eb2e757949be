"""The experiments on what does not hold (protocol.md): what each would show if its explanation were right."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from statistics import fmean

from study.claims import NEAR_ZERO, Finding, barrier, of_sampler, spread, to_end, words
from study.effects import difference, effect, largest, log_ratio
from study.page import table, told
from study.readings import MIXED, SAMPLERS, SOLVED, Curve, Study, of_pair
from study.verdicts import NothingMeasured, Values, below, positive, smaller

from toroids.findings import FLAT, lean

REVERSED = (("sgd", "rsgd"), ("sgd", "adv"))
"""Samplers by the barrier between their networks as trained: SGD's is the lowest."""

FIRST = ("rsgd", "sgd")
SHARP = (("rsgd", "adv"), ("sgd", "adv"), ("adv", "adv"))


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
        effects.append(difference(f"{sampler.upper()}, with itself less between two", itself, pairs, side="="))
    comparisons = [
        smaller(f"barrier with itself: {low.upper()} < {high.upper()}", of_sampler(own, low), of_sampler(own, high))
        for low, high in REVERSED
    ]
    claim = "a network and itself, its units relabelled at random, have a barrier as high as two as trained"
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
    claim = "the aligned line between normalised networks leans less than as trained, and as much as the geodesic"
    effects = [
        effect("mean lean, normalised line less geodesic", left, fmean, side="="),
        *(effect(words(pair), [own], fmean) for pair, own in zip(MIXED, left, strict=True)),
    ]
    return Finding("3b", claim, numbers, comparisons, effects)


def both_pieces(study: Study, long: str = "") -> Finding:
    """Finding 4a: barriers of optimised geodesics whose midpoint was trained on points of both pieces."""
    numbers, comparisons, barriers = [], [], []
    for pair in SHARP:
        trained = barrier(study.experiments.get(f"both-pieces-{long}{'-'.join(pair)}", {}))
        before = study.experiments.get(f"both-pieces-{'-'.join(pair)}", {}) if long else study.bent["geodesic"]
        alone = {key: value for key, value in barrier(before).items() if key in trained}
        drop = {key: alone[key] - trained[key] for key in alone}
        barriers.append(trained)
        numbers.append(f"{words(pair)}: {spread(alone)} → {spread(trained)}")
        comparisons.append(positive(f"how much lower the barrier is, {words(pair)} > 0", drop))
    claim = "on points of both pieces instead of the midpoint alone" if not long else "there for sixty epochs, not ten"
    claim = f"training {claim} lowers the barriers of paths that end in ADV"
    return Finding("4a", claim, numbers, comparisons, [largest("the largest mean barrier", barriers)])


def solved(study: Study) -> Finding:
    """Finding 4a: barriers of optimised geodesics whose midpoint was trained until it is a solution itself."""
    numbers, comparisons, barriers = [], [], []
    for pair in FLAT:
        own = study.experiments.get(f"solved-{'-'.join(pair)}", {})
        before = {key: curve for key, curve in study.bent["geodesic"].items() if key in own}
        barriers.append(barrier(own))
        errors = [
            spread({key: curve.midpoint["train_error"] for key, curve in curves.items() if curve.midpoint})
            for curves in (before, own)
        ]
        numbers.append(
            f"{words(pair)}: {spread(barrier(before))} → {spread(barriers[-1])}, midpoints' errors {' → '.join(errors)}"
        )
        comparisons.append(below(f"barrier, {words(pair)} < {NEAR_ZERO:g}", barriers[-1], NEAR_ZERO))
    claim = f"midpoints that are solutions bring barriers between flat solutions below {NEAR_ZERO:g}"
    return Finding("4a", claim, numbers, comparisons, [largest("the largest mean barrier", barriers)])


def nearer(study: Study, first: str, second: str, claim: str) -> Finding:
    """Finding 5b: how much nearer to RSGD midpoints between RSGD and SGD are, trained one way and then another."""
    curves = study.experiments | {"bent": study.bent["geodesic"]}
    excess: list[Values] = [
        {key: to_end(curve, "end", "geodesic") - to_end(curve, "start", "geodesic") for key, curve in own.items()}
        for own in (curves.get(first, {}), curves.get(second, {}))
    ]
    before = {key: value for key, value in excess[0].items() if key in excess[1]}
    gain = {key: excess[1][key] - before[key] for key in before}
    numbers = [f"distance to SGD less that to RSGD: {spread(before)} → {spread(excess[1])}"]
    comparisons = [positive("how much nearer to RSGD > 0", gain)]
    return Finding("5b", claim, numbers, comparisons, [effect("how much nearer", [gain], lambda means: means[0])])


def loss_falls(study: Study) -> Finding:
    """Finding 5b: the slope of the loss in the middle of geodesics, beside where midpoints end up."""
    numbers, comparisons, slopes = [], [], []
    for pair in MIXED:
        losses = of_pair(study.experiments.get("losses", {}), pair)
        midpoints = of_pair(study.bent["geodesic"], pair)
        if not losses or not midpoints:
            raise NothingMeasured("no losses")
        excess = {
            key: to_end(curve, "end", "geodesic") - to_end(curve, "start", "geodesic")
            for key, curve in midpoints.items()
        }
        side = math.copysign(1.0, fmean(excess.values()))
        slope = {key: side * steepness(curve) for key, curve in losses.items()}
        slopes.append(slope)
        ends = " and ".join(spread({key: curve.loss[end] for key, curve in losses.items()}) for end in (0, -1))
        first, second = (sampler.upper() for sampler in pair)
        near, far = (first, second) if side > 0 else (second, first)
        nearer_by = abs(fmean(excess.values()))
        numbers.append(
            f"{words(pair)}: losses of the ends {ends}; midpoints nearer to {near} by {nearer_by:.4f}; "
            f"loss towards {far} less towards {near} {spread(slope)}"
        )
        comparisons.append(positive(f"loss towards {far} less towards {near} > 0", slope))
    claim = "in the middle of the geodesic the loss falls towards the end that midpoints end up nearer to"
    return Finding("5b", claim, numbers, comparisons, [])


def steepness(curve: Curve) -> float:
    """Return the loss a twentieth of the path behind the middle, less that as far before it.

    Raises:
        NothingMeasured: if there is no point there.
    """
    at = {round(tau, 3): loss for tau, loss in zip(curve.taus, curve.loss, strict=True)}
    if not {0.45, 0.55} <= at.keys():
        raise NothingMeasured("no losses beside the middle")
    return at[0.55] - at[0.45]


def more_energies(study: Study) -> Finding:
    """Finding 1a: local energies with further seeds."""
    levels, comparisons = [], []
    for level, more in study.more.energies.items():
        own = with_more(study, study.energies.get(level, {}), more)
        low, high = (of_sampler(own, sampler) for sampler in FIRST)
        levels.append((low, high))
        comparisons.append(smaller(f"δE({level:g}): RSGD < SGD", low, high))
    if not levels:
        raise NothingMeasured("no further energies")
    effects = [log_ratio("log ratio, RSGD to SGD", levels, side="<")]
    numbers = [f"{study.form.symbol} = {max(study.more.energies):g}: RSGD {spread(low)}, SGD {spread(high)}"]
    claim = "with further seeds of either, RSGD's energies are told from SGD's"
    return Finding("1a", claim, numbers, comparisons, effects).by_effects()


def more_errors(study: Study) -> Finding:
    """Finding 1b: test errors with further seeds."""
    if not study.more.energies:
        raise NothingMeasured("no further networks")
    errors = with_more(study, study.errors["test"], study.more.errors["test"])
    low, high = (of_sampler(errors, sampler) for sampler in FIRST)
    claim = "with further seeds of either, RSGD's test errors are told from SGD's"
    effects = [difference("RSGD less SGD", low, high, side="<")]
    comparisons = [smaller("RSGD < SGD", low, high)]
    return Finding("1b", claim, [f"RSGD {spread(low)}, SGD {spread(high)}"], comparisons, effects).by_effects()


def with_more(study: Study, values: Values, more: Values) -> Values:
    """Return one number of those of the study's networks, and of the further ones, that are solutions."""
    train = {**study.errors["train"], **study.more.errors["train"]}
    return {key: value for key, value in {**values, **more}.items() if train[key] <= SOLVED}


def experiments(study: Study, again: str = "") -> list[str]:
    """Return the table of the experiments that were run, and the command that runs them; nothing if none was."""
    rows = []
    makes: tuple[Callable[[Study], Finding], ...] = (
        relabelled,
        normalised,
        both_pieces,
        lambda study: both_pieces(study, "long-"),
        solved,
        lambda study: nearer(
            study, "bent", "long", "sixty epochs, not ten, bring midpoints nearer to RSGD than to SGD"
        ),
        lambda study: nearer(
            study, "long", "long-small", "mini-batches of 43, not 128, bring midpoints nearer to RSGD"
        ),
        loss_falls,
        more_energies,
        more_errors,
    )
    for make in makes:
        with suppress(NothingMeasured):
            one = make(study).by_intervals()
            cells = ["<br>".join(one.numbers), "<br>".join(map(str, one.effects)), told(one)]
            rows.append([f"on {one.label}: {one.claim}", *cells])
    if not rows:
        return []
    text = table("### Experiments", ["experiment", "mean ± deviation", "effect", "verdict"], rows)
    return [f"{text}\n\nAgain: `{again}`" if again else text]
