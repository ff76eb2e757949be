"""How large a finding is: one number with an interval, where its verdict says only whether."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

from study.verdicts import DEVIATION, FAILS, HOLDS, JACKKNIFE, NOISE, Estimate, NothingMeasured, Values, jackknife

CONFIDENCE = 0.95
FLOOR = 1e-4
"""Of the two numbers of a ratio: below it networks differ by a few decisions, and a ratio of two such says nothing."""
RULE = f"""\
*Effect*: how large a finding is, with a {CONFIDENCE:.0%} interval: the jackknife's standard error over seeds times
Student's quantile with one degree of freedom less than there are seeds (2.78 for five, 4.30 for three). Of logarithms
of ratios, errors below {FLOOR:g} count as that much: -0.69 is half, 0.69 twice. Where an effect says on which side it
should lie, it *holds* if its whole interval does, *does not hold* if all of it lies on the other, and is *within noise*
otherwise; one that should *equal* a number does not hold if its interval leaves that out."""
BY_EFFECTS = f"""\
A finding holds if its effects do, and none of its inequalities is reversed; it does not hold if one is, or an effect
does not; else so many seeds cannot tell. Of a finding without an effect every inequality has to hold. A finding's
inequalities are each between two means, or between a mean and a number. Its *difference* is the side that should be
larger less the other; it *holds* if the 95 % interval of that lies above zero, is *reversed* if below.

{JACKKNIFE}

{DEVIATION}"""


@dataclass(frozen=True)
class Effect:
    """A number with its interval.

    Attributes:
        words: what it is.
        estimate: it, and its standard error.
        side: where the paper has it: "<" or ">" of `limit`, "=" at it; nothing where it only stands beside others.
        limit: a number.
        least: below which it cannot be.
    """

    words: str
    estimate: Estimate
    side: str = ""
    limit: float = 0.0
    least: float = -math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval; infinite of fewer than two networks."""
        found = self.estimate
        if found.networks < 2 or math.isnan(found.error):
            return -math.inf, math.inf
        half = quantile(found.networks) * found.error
        return max(found.value - half, self.least), found.value + half

    @property
    def verdict(self) -> str:
        """What the data say of its side."""
        low, high = self.interval
        if self.side == "=":
            return HOLDS if low <= self.limit <= high else FAILS
        lower, higher = (HOLDS, FAILS) if self.side == "<" else (FAILS, HOLDS)
        return lower if high < self.limit else higher if low > self.limit else NOISE

    def __str__(self) -> str:
        low, high = self.interval
        claim, said = (f" {self.side} {self.limit:g}", f" {self.verdict}") if self.side else ("", "")
        return f"{self.words}{claim}: {self.estimate.value:.4f} [{low:.4f}, {high:.4f}]{said}"


def quantile(networks: int) -> float:
    """Return how many standard errors of so many networks a 95 % interval reaches to either side."""
    return float(stdtrit(networks - 1, (1 + CONFIDENCE) / 2)) if networks > 1 else math.inf


def difference(words: str, first: Values, second: Values, *, side: str = "") -> Effect:
    """Return a mean less another.

    Raises:
        NothingMeasured: if one is of nothing.
    """
    return effect(words, [first, second], lambda means: means[0] - means[1], side=side)


def log_ratio(words: str, pairs: Sequence[tuple[Values, Values]], *, side: str = "") -> Effect:
    """Return the mean logarithm of ratios of means, the first of each pair to the second.

    Raises:
        NothingMeasured: if a mean is of nothing.
    """
    samples = [sample for pair in pairs for sample in pair]

    def number(means: list[float]) -> float:
        logs = [math.log(max(mean, FLOOR)) for mean in means]
        return fmean(first - second for first, second in zip(logs[::2], logs[1::2], strict=True))

    return effect(words, samples, number, side=side)


def largest(words: str, samples: Sequence[Values], *, below: float | None = None) -> Effect:
    """Return the largest of several means, none of which is below zero, perhaps as one that should lie below a number.

    Its error is that of this mean, whatever others may come to.

    Raises:
        NothingMeasured: if a mean is of nothing.
    """
    if not all(samples):
        raise NothingMeasured(f"nothing was measured for: {words}")
    found = jackknife(words, [max(samples, key=lambda sample: fmean(sample.values()))], lambda means: means[0])
    return Effect(words, found, *(("<", below) if below is not None else ()), least=0.0)


def effect(words: str, samples: Sequence[Values], number: Callable[[list[float]], float], *, side: str = "") -> Effect:
    """Return a number made of means.

    Raises:
        NothingMeasured: if a mean is of nothing.
    """
    return Effect(words, jackknife(words, samples, number), side)
