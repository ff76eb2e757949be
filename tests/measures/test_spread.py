"""Mean and deviation of a few numbers."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from landscape_cli.measures.spread import spread


def test_mean_and_deviation() -> None:
    values = [0.3, 0.1, 0.7, 0.2]
    assert spread(values) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert spread([0.1] * 3, mean=statistics.mean) == (0.1, 0.0)
    alone = spread([0.25])
    assert alone.mean == 0.25
    assert math.isnan(alone.deviation)


def test_one_missing_and_all_is() -> None:
    for missing in (None, math.nan, math.inf):
        assert all(map(math.isnan, spread([0.1, missing, 0.2])))
