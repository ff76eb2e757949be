"""The findings on solutions alone; as ADV may have few or none, what they say of RSGD and SGD besides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from study.claims import Finding, barrier, drops, of_sampler, words
from study.effects import Effect, difference, log_ratio
from study.readings import Pair, Study, of_pair
from study.verdicts import Comparison, NothingMeasured, Values, positive, smaller

from binary.findings import findings, has_units, is_deep

Said = tuple[list[Comparison], list[Effect]]
FLAT = (("rsgd", "rsgd"), ("rsgd", "sgd"), ("sgd", "sgd"))
"""Pairs of samplers without ADV."""


def on_what_is_left(study: Study) -> list[Finding]:
    """Return every finding that can be told, and beside it what it says of RSGD and SGD."""
    found = findings(study)
    deep = DEEP if is_deep(study.name) else {}
    for label, make in (HALVES | deep).items():
        if has_units(study.name) or label != "2b":  # a perceptron's is 2a once more
            with suppress(NothingMeasured):
                comparisons, effects = make(study)
                found.append(Finding(f"{label}, RSGD and SGD", "", [], comparisons, effects).by_effects())
    return sorted((finding for finding in found if finding.comparisons), key=lambda finding: finding.label)


def energies(study: Study) -> Said:
    """Finding 1a: local energies at every p."""
    rows = [(of_sampler(own, "rsgd"), of_sampler(own, "sgd")) for own in study.energies.values()]
    comparisons = [smaller(f"δE({level:g})", *row) for level, row in zip(study.energies, rows, strict=True)]
    return comparisons, [log_ratio("log ratio, RSGD to SGD", rows, side="<")]


def errors(study: Study) -> Said:
    """Finding 1b: test errors."""
    own = study.errors["test"]
    return less("RSGD less SGD", of_sampler(own, "rsgd"), of_sampler(own, "sgd"))


def ends(values: dict[Pair, float]) -> Said:
    """Findings 2 and 5: a number of two networks of one sampler."""
    return less("RSGD–RSGD less SGD–SGD", of_pair(values, FLAT[0]), of_pair(values, FLAT[-1]))


def less(said: str, low: Values, high: Values) -> Said:
    """Return the inequality of two means, the first of which should be smaller, and their difference."""
    return [smaller(said, low, high)], [difference(said, low, high, side="<")]


def bending(study: Study) -> Said:
    """Finding 4a: barriers along aligned paths, and along those with a bend."""
    return lowered(drops(study.curves["aligned"], study.bent["aligned"])), []


def aligning(study: Study) -> Said:
    """Finding 6a: barriers as trained and aligned, of the pairs that are left."""
    raw, aligned = (study.curves[kind] for kind in ("raw", "aligned"))
    both = [(barrier(of_pair(aligned, pair)), barrier(of_pair(raw, pair))) for pair in FLAT if of_pair(raw, pair)]
    return lowered(drops(raw, aligned)), [log_ratio("mean log ratio, aligned to as trained", both, side="<")]


def nearing(study: Study) -> Said:
    """Finding 6b: distances as trained and aligned."""
    metric = study.form.metric
    before, after = study.unaligned, study.distances
    return lowered({key: before[key][metric] - after[key][metric] for key in before.keys() & after.keys()}), []


def lowered(drop: dict[Pair, float]) -> list[Comparison]:
    """Return that a drop is above zero, for each pair of samplers that has any."""
    return [positive(f"{words(pair)} > 0", of_pair(drop, pair)) for pair in FLAT if of_pair(drop, pair)]


HALVES: dict[str, Callable[[Study], Said]] = {
    "1a": energies,
    "1b": errors,
    "2a": lambda study: ends({key: curve.barrier for key, curve in study.curves["aligned"].items()}),
    "2b": lambda study: ends({key: curve.barrier for key, curve in study.curves["raw"].items()}),
    "4a": bending,
    "5": lambda study: ends({key: row[study.form.metric] for key, row in study.distances.items()}),
}
"""What findings say of RSGD and SGD, by their labels."""
DEEP: dict[str, Callable[[Study], Said]] = {"6a": aligning, "6b": nearing}
"""The same of deep networks."""
