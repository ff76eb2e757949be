"""Whether an ordering holds: differences of means, their standard errors, and the verdict over several of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Values = Mapping[tuple[str, ...], float]
"""A number for every network, or every pair of networks, named as in ("rsgd-1", "adv-21")."""

HOLDS, FAILS, NOISE = "holds", "does not hold", "within noise"
THRESHOLD = 2.0
ROUNDING = 1e-12
"""Relative to the means, a standard error that no difference is told from: equal numbers' means may differ by it."""
JACKKNIFE = """\
Pairs that share a network are not independent, so what is counted are networks, that is seeds: the standard error is
a jackknife's. Each network is left out in turn, with all its pairs; for a sampler with n networks the sum of squared
deviations of the n differences from their mean counts (n - 1)/n, and the samplers' contributions add up to the
squared standard error. For a mean over networks that is the usual standard error."""
DEVIATION = """\
"mean ± deviation" is over networks or over pairs, the deviation the sample's (n - 1)."""
RULE = f"""\
Every finding is a list of inequalities, each between two means, or between a mean and a number. Its *difference* is
the side that should be larger less the other. It *holds* if the difference exceeds {THRESHOLD:g} of its standard
errors, *does not hold* if it lies below -{THRESHOLD:g}, and is *within noise* otherwise. A finding holds if all its
inequalities hold; it does not hold if one does not; else it is within noise.

{JACKKNIFE} With fewer than three networks of a
sampler, leaving one out may leave none: then nothing is told from noise. Three seeds are few: of two means that do not
differ at all, about one in nine comparisons would be told apart.

{DEVIATION}"""


class NothingMeasured(ValueError):
    """What a finding is about was not measured, or not yet."""


@dataclass(frozen=True)
class Estimate:
    """A number made of means, and how far it may be off.

    Attributes:
        value: the number.
        error: its jackknife standard error over networks; NaN if there are too few.
        networks: how many there are of the sampler that has the fewest.
    """

    value: float
    error: float
    networks: int


@dataclass(frozen=True)
class Comparison:
    """One inequality.

    Attributes:
        claim: what should be, in words.
        difference: the side that should be larger, less the other.
        error: its standard error; NaN if there are too few networks.
        networks: how many there are of the sampler that has the fewest.
        threshold: how many standard errors a difference is told by.
    """

    claim: str
    difference: float
    error: float
    networks: int
    threshold: float = THRESHOLD

    @property
    def verdict(self) -> str:
        """What the data says of it."""
        if self.difference > self.threshold * self.error:
            return HOLDS
        return FAILS if self.difference < -self.threshold * self.error else NOISE


def verdict(found: Sequence[str], needed: Sequence[str] | None = None) -> str:
    """Return the verdict over several.

    Args:
        found: of which none may say that it does not hold.
        needed: which all have to hold; None: those.

    Raises:
        ValueError: if there is none.
    """
    needed = found if needed is None else needed
    if not needed:
        raise ValueError("a finding needs at least one inequality")
    if FAILS in [*found, *needed]:
        return FAILS
    return HOLDS if all(one == HOLDS for one in needed) else NOISE


def smaller(claim: str, low: Values, high: Values) -> Comparison:
    """Compare two means, the first of which should be smaller."""
    return compare(claim, [low, high], lambda means: means[1] - means[0])


def positive(claim: str, values: Values) -> Comparison:
    """Compare a mean with zero, above which it should lie."""
    return compare(claim, [values], lambda means: means[0])


def below(claim: str, values: Values, limit: float) -> Comparison:
    """Compare a mean with a number, below which it should lie."""
    return compare(claim, [values], lambda means: limit - means[0])


def compare(claim: str, samples: Sequence[Values], difference: Callable[[list[float]], float]) -> Comparison:
    """Return a difference of means, with the jackknife's standard error over networks.

    Args:
        claim: in words.
        samples: what the means are of.
        difference: makes it of the means.

    Raises:
        NothingMeasured: if a sample is empty.
    """
    found = jackknife(claim, samples, difference)
    return Comparison(claim, found.value, found.error, found.networks)


def jackknife(what: str, samples: Sequence[Values], number: Callable[[list[float]], float]) -> Estimate:
    """Return a number made of means, with its standard error: each network left out in turn, with all its pairs.

    Args:
        what: the number, in words.
        samples: what the means are of.
        number: makes it of the means.

    Raises:
        NothingMeasured: if a sample is empty.
    """
    if not samples or not all(samples):
        raise NothingMeasured(f"nothing was measured for: {what}")
    networks = sorted({network for sample in samples for key in sample for network in key})
    families = [[network for network in networks if sampler_of(network) == family] for family in samplers_of(networks)]
    variance = 0.0
    for own in families:
        left = [_without(network, samples, number) for network in own]
        centre = fmean(left)
        variance += (len(own) - 1) / len(own) * sum((value - centre) ** 2 for value in left)
    means = [fmean(sample.values()) for sample in samples]
    rounding = ROUNDING * max(map(abs, means))
    return Estimate(number(means), max(math.sqrt(variance), rounding), min(map(len, families)))


def samplers_of(networks: Iterable[str]) -> list[str]:
    """Return the samplers of networks, sorted."""
    return sorted(set(map(sampler_of, networks)))


def sampler_of(network: str) -> str:
    """Return the sampler in a name like "rsgd-1" or "sgd-small-31"."""
    return network.rpartition("-")[0]


def _without(network: str, samples: Sequence[Values], difference: Callable[[list[float]], float]) -> float:
    means = []
    for sample in samples:
        left = [value for key, value in sample.items() if network not in key]
        means.append(fmean(left) if left else math.nan)
    return difference(means)
