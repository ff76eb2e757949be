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
RULE = f"""\
Every finding is a list of inequalities, each between two means, or between a mean and a number. Its *difference* is
the side that should be larger less the other. It *holds* if the difference exceeds {THRESHOLD:g} of its standard
errors, *does not hold* if it lies below -{THRESHOLD:g}, and is *within noise* otherwise. A finding holds if all its
inequalities hold; it does not hold if one does not; else it is within noise.

Pairs that share a network are not independent, so what is counted are networks, that is seeds: the standard error is
a jackknife's. Each network is left out in turn, with all its pairs; for a sampler with n networks the sum of squared
deviations of the n differences from their mean counts (n - 1)/n, and the samplers' contributions add up to the
squared standard error. For a mean over networks that is the usual standard error. With fewer than three networks of a
sampler, leaving one out may leave none: then nothing is told from noise. Three seeds are few: of two means that do not
differ at all, about one in nine comparisons would be told apart.

"mean ± deviation" is over networks or over pairs, the deviation the sample's (n - 1)."""


@dataclass(frozen=True)
class Comparison:
    """One inequality.

    Attributes:
        claim: what should be, in words.
        difference: the side that should be larger, less the other.
        error: its standard error; NaN if there are too few networks.
    """

    claim: str
    difference: float
    error: float

    @property
    def verdict(self) -> str:
        """What the data says of it."""
        if self.difference > THRESHOLD * self.error:
            return HOLDS
        return FAILS if self.difference < -THRESHOLD * self.error else NOISE


def verdict(comparisons: Iterable[Comparison]) -> str:
    """Return the verdict over several inequalities.

    Raises:
        ValueError: if there is none.
    """
    found = {comparison.verdict for comparison in comparisons}
    if not found:
        raise ValueError("a finding needs at least one inequality")
    if FAILS in found:
        return FAILS
    return HOLDS if found == {HOLDS} else NOISE


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
        ValueError: if a sample is empty.
    """
    if not all(samples):
        raise ValueError(f"nothing was measured for: {claim}")
    means = [fmean(sample.values()) for sample in samples]
    full = difference(means)
    networks = sorted({network for sample in samples for key in sample for network in key})
    variance = 0.0
    for family in sorted({sampler_of(network) for network in networks}):
        own = [network for network in networks if sampler_of(network) == family]
        left = [_without(network, samples, difference) for network in own]
        centre = fmean(left)
        variance += (len(own) - 1) / len(own) * sum((value - centre) ** 2 for value in left)
    return Comparison(claim, full, max(math.sqrt(variance), ROUNDING * max(map(abs, means))))


def sampler_of(network: str) -> str:
    """Return the sampler that a name like "rsgd-1" begins with."""
    return network.split("-")[0]


def _without(network: str, samples: Sequence[Values], difference: Callable[[list[float]], float]) -> float:
    means = []
    for sample in samples:
        left = [value for key, value in sample.items() if network not in key]
        means.append(fmean(left) if left else math.nan)
    return difference(means)
