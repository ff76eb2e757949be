"""What the study of continuous networks measures, and the paper's findings 1 to 5 (docs/method.md: Findings)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from statistics import fmean

from study.claims import (
    Finding,
    aligning_lowers,
    barrier_order,
    bends_near_zero,
    flatter_closer,
    flatter_energies,
    flatter_errors,
    spread,
    to_end,
    words,
)
from study.effects import effect
from study.readings import MIXED, PAIRS, SAMPLERS, Curve, Form, Study, of_pair
from study.verdicts import NothingMeasured, positive

FLAT = (("rsgd", "rsgd"), ("rsgd", "sgd"), ("sgd", "sgd"))
"""Pairs of samplers none of which seeks sharp solutions."""
EXPERIMENTS = (
    *(f"relabelled-{sampler}" for sampler in SAMPLERS),
    "normalised",
    *(f"both-pieces-{long}{sampler}-adv" for long in ("", "long-") for sampler in SAMPLERS),
    "long",
    "long-small",
    "losses",
    "more/rsgd",
    "more/sgd",
    "more/flatness",
    *(f"solved-{first}-{second}" for first, second in FLAT),
)
"""The files of what `explain.sh` measures."""
FORM = Form(
    kinds={
        "linear": "linear, as trained",
        "aligned": "linear, aligned",
        "geodesic": "geodesic, normalised and aligned",
    },
    level="sigma",
    symbol="σ",
    noise="the strength of the noise",
    metric="geodesic",
    measure="geodesic",
    digits=2,
    columns=(("root-mean-square angle", "rms_angle", 3), ("test predictions that differ", "test_disagreement", 4)),
    bent="geodesic",
    titles={
        f"{folder}-{'-'.join(pair)}": f"{words(pair)}, {title}"
        for pair in PAIRS
        for folder, title in (("raw", "as trained"), ("normal", "normalised"))
    },
    captions={
        "planes": "Training and test error in the plane of two solutions, the second unaligned and aligned, as trained "
        "and normalised (the paper's figures 4 and 11 to 16).",
        "distances": "Geodesic distances of normalised and aligned solutions, and of their midpoints (the paper's "
        "figures 5 and 17).",
        "midpoints": "Distances, normalised; midpoints of geodesics",
    },
    figures={"energy": " The paper's figure 1.", "profiles": " The paper's figures 2, 3, 9 and 10."},
    splits=("train", "test"),
    columns_of_planes=4,
    optimized=("linear", "aligned", "geodesic"),
    experiments=EXPERIMENTS,
)


def distortion_goes(study: Study) -> Finding:
    """Finding 3: the lean of a profile, along the aligned line and along the geodesic."""
    numbers, comparisons, leans = [], [], []
    for pair in MIXED:
        line, geodesic = (
            {key: lean(curve) for key, curve in of_pair(study.curves[kind], pair).items()}
            for kind in ("aligned", "geodesic")
        )
        gain = {key: geodesic[key] - line[key] for key in line.keys() & geodesic.keys()}
        leans.append(geodesic)
        numbers.append(f"lean, {words(pair)}: line {spread(line)}, geodesic {spread(geodesic)}")
        comparisons.append(positive(f"lean of the geodesic: {words(pair)} > 0", geodesic))
        comparisons.append(positive(f"lean of the geodesic less the aligned line's: {words(pair)} > 0", gain))
    claim = "the geodesic removes the line's distortion: profiles flatter towards the flatter end"
    return Finding("3b", claim, numbers, comparisons, [effect("mean lean of geodesics", leans, fmean, side=">")])


def midpoints_flatter(study: Study) -> Finding:
    """Finding 5: how much farther optimised midpoints are from the sharper end than from the flatter one."""
    numbers, comparisons, excesses = [], [], []
    for pair in MIXED:
        own = of_pair(study.bent["geodesic"], pair)
        near, far = ({key: to_end(curve, end, "geodesic") for key, curve in own.items()} for end in ("start", "end"))
        excess = {key: far[key] - near[key] for key in own}
        excesses.append(excess)
        first, second = (sampler.upper() for sampler in pair)
        numbers.append(f"{words(pair)}: to {first} {spread(near, 2)}, to {second} {spread(far, 2)}")
        comparisons.append(positive(f"midpoint's distance to {second} less that to {first} > 0", excess))
    effects = [effect("mean distance to the sharper end less that to the flatter", excesses, fmean, side=">")]
    claim = "optimised midpoints end up nearer to the flatter end (geodesic)"
    return Finding("5b", claim, numbers, comparisons, effects)


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


FINDINGS: dict[str, Callable[[Study], Finding]] = {
    "1a": flatter_energies,
    "1b": flatter_errors,
    "2a": lambda study: barrier_order(study, "geodesic", "2a"),
    "2b": lambda study: barrier_order(study, "aligned", "2b"),
    "2c": lambda study: barrier_order(study, "linear", "2c"),
    "3a": lambda study: aligning_lowers(study, "3a", ("linear", "aligned")),
    "3b": distortion_goes,
    "4a": lambda study: bends_near_zero(study, "geodesic", "4a"),
    "4b": lambda study: bends_near_zero(study, "aligned", "4b"),
    "4c": lambda study: bends_near_zero(study, "linear", "4c"),
    "5a": lambda study: flatter_closer(
        study, "5a", "normalised and aligned, flatter solutions are closer to each other"
    ),
    "5b": midpoints_flatter,
}
"""Every finding, part by part (protocol.md)."""


def findings(study: Study) -> list[Finding]:
    """Return every finding that something was measured for, told by its effects."""
    found = []
    for make in FINDINGS.values():
        with suppress(NothingMeasured):
            found.append(make(study).by_effects())
    return found
