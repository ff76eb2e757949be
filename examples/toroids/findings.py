"""What the study of continuous networks measures, and the paper's findings 1 to 5 (docs/method.md: Findings)."""

from __future__ import annotations

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
from study.readings import MIXED, Curve, Form, Study, of_pair
from study.verdicts import positive

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
    titles={"raw": "as trained", "normal": "normalised"},
    captions={
        "planes": "Training error in the plane of a flat solution and a sharp one, unaligned and aligned.",
        "distances": "Geodesic distances of normalised and aligned solutions, and of their midpoints.",
        "midpoints": "Distances, normalised; midpoints of geodesics",
    },
)


def findings(study: Study) -> list[Finding]:
    """Return every finding, part by part; those on optimised paths where there are any."""
    found = [flatter_energies(study), flatter_errors(study)]
    kinds = reversed(study.form.kinds)
    found += [barrier_order(study, kind, f"2{letter}") for kind, letter in zip(kinds, "abc", strict=True)]
    found += [aligning_lowers(study, "3a", ("linear", "aligned")), distortion_goes(study)]
    bends = (("geodesic", "4a"), ("aligned", "4b"))
    found += [bends_near_zero(study, kind, label) for kind, label in bends if study.bent[kind]]
    found.append(flatter_closer(study, "5a", "normalised and aligned, flatter solutions are closer to each other"))
    return [*found, midpoints_flatter(study)] if study.bent["geodesic"] else found


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


def midpoints_flatter(study: Study) -> Finding:
    """Finding 5: how much farther optimised midpoints are from the sharper end than from the flatter one."""
    numbers, comparisons = [], []
    for pair in MIXED:
        own = of_pair(study.bent["geodesic"], pair)
        near, far = ({key: to_end(curve, end, "geodesic") for key, curve in own.items()} for end in ("start", "end"))
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
