"""How large a finding is: one number with an interval, where its verdict says only whether."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

from study.verdicts import Estimate, Values, jackknife

CONFIDENCE = 0.95
FLOOR = 1e-4
"""Of the two numbers of a ratio: half of one of 5000 samples, which smaller errors are not told from."""
RULE = f"""\
*Effect*: how large a finding is, with a {CONFIDENCE:.0%} interval: the jackknife's standard error over seeds times
Student's quantile with one degree of freedom less than there are seeds (2.78 for five). Of logarithms of ratios, errors
below {FLOOR:g} count as that much: -0.69 is half, 0.69 twice."""


@dataclass(frozen=True)
class Effect:
    """A number with its interval.

    Attributes:
        words: what it is.
        estimate: it, and its standard error.
    """

    words: str
    estimate: Estimate

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval; infinite of fewer than two networks."""
        found = self.estimate
        if found.networks < 2 or math.isnan(found.error):
            return -math.inf, math.inf
        half = float(stdtrit(found.networks - 1, (1 + CONFIDENCE) / 2)) * found.error
        return found.value - half, found.value + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.words}: {self.estimate.value:.4f} [{low:.4f}, {high:.4f}]"


def difference(words: str, first: Values, second: Values) -> Effect:
    """Return a mean less another.

    Raises:
        NothingMeasured: if one is of nothing.
    """
    return effect(words, [first, second], lambda means: means[0] - means[1])


def log_ratio(words: str, pairs: Sequence[tuple[Values, Values]]) -> Effect:
    """Return the mean logarithm of ratios of means, the first of each pair to the second.

    Raises:
        NothingMeasured: if a mean is of nothing.
    """
    samples = [sample for pair in pairs for sample in pair]

    def number(means: list[float]) -> float:
        logs = [math.log(max(mean, FLOOR)) for mean in means]
        return fmean(first - second for first, second in zip(logs[::2], logs[1::2], strict=True))

    return effect(words, samples, number)


def effect(words: str, samples: Sequence[Values], number: Callable[[list[float]], float]) -> Effect:
    """Return a number made of means.

    Raises:
        NothingMeasured: if a mean is of nothing.
    """
    return Effect(words, jackknife(words, samples, number))
