"""Mean and deviation of a few numbers, over orders of one path or over pairs of a family."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """Mean and sample deviation; NaN where a number is missing, the deviation also where there is but one."""

    mean: float
    deviation: float


def spread(values: Sequence[float | None], *, mean: Callable[[Sequence[float]], float] = statistics.fmean) -> Spread:
    """Return mean and sample deviation (n - 1) of numbers.

    Both are NaN where one is missing (None, or not finite): a mean over fewer than there are would mislead.

    Args:
        values: the numbers.
        mean: which mean: `statistics.mean` is exact where all agree.
    """
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if len(numbers) < len(values):
        return Spread(math.nan, math.nan)
    return Spread(mean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else math.nan)
