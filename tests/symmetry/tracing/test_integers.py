"""Sorting by counting gives what sorting gives."""

from __future__ import annotations

import numpy as np
import pytest

from landscape_cli.symmetry.tracing.integers import different_rows, first_places, ranked, ranked_rows


@pytest.mark.parametrize("span", [3, 50, 10**6, 10**13])
@pytest.mark.parametrize("count", [1, 40, 1000])
def test_ranks_are_those_of_sorting(span: int, count: int) -> None:
    draw = np.random.default_rng(span + count)
    values = draw.integers(-2, span, count)
    different, which = ranked(values)
    expected, places = np.unique(values, return_inverse=True)
    assert np.array_equal(different, expected)
    assert np.array_equal(which, places.ravel())
    for found, wanted in zip(first_places(values), np.unique(values, return_index=True), strict=True):
        assert np.array_equal(found, wanted)
    for columns in (1, 2, 3, 6):
        rows = draw.integers(-2, span, (count, columns))
        rows = rows[draw.integers(0, count, 2 * count)]
        expected, places = np.unique(rows, axis=0, return_inverse=True)
        assert np.array_equal(different_rows(rows), expected)
        assert np.array_equal(ranked_rows(rows), places.ravel())


def test_nothing_has_no_ranks() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert [part.shape for part in ranked(nothing)] == [(0,), (0,)]
    assert different_rows(nothing.reshape(0, 2)).shape == (0, 2)
    assert ranked_rows(nothing.reshape(0, 2)).shape == (0,)
