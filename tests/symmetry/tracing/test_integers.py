"""Sorting few by comparing, and more by counting, gives what NumPy's sorting gives."""

from __future__ import annotations

import numpy as np
import pytest

from landscape_cli.symmetry.tracing.integers import (
    different,
    different_rows,
    first_places,
    ranked,
    ranked_rows,
    split_rows,
)


@pytest.mark.parametrize("span", [3, 50, 10**6, 10**13])
@pytest.mark.parametrize("count", [1, 40, 1000])
def test_ranks_are_those_of_sorting(span: int, count: int) -> None:
    draw = np.random.default_rng(span + count)
    values = draw.integers(-2, span, count)
    expected, places = np.unique(values, return_inverse=True)
    for found, wanted in zip((*ranked(values), different(values)), (expected, places.ravel(), expected), strict=True):
        assert np.array_equal(found, wanted)
    for found, wanted in zip(first_places(values), np.unique(values, return_index=True), strict=True):
        assert np.array_equal(found, wanted)
    for columns in (1, 2, 3, 6):
        rows = draw.integers(-2, span, (count, columns))
        rows = rows[draw.integers(0, count, 2 * count)]
        expected, places = np.unique(rows, axis=0, return_inverse=True)
        assert np.array_equal(different_rows(rows), expected)
        assert np.array_equal(ranked_rows(rows), places.ravel())
        for found, wanted in zip(split_rows(rows), (expected, places.ravel()), strict=True):
            assert np.array_equal(found, wanted)


def test_nothing_has_no_ranks() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert [part.shape for part in ranked(nothing)] == [(0,), (0,)]
    assert different_rows(nothing.reshape(0, 2)).shape == (0, 2)
    assert ranked_rows(nothing.reshape(0, 2)).shape == (0,)


def test_hashes_alike_are_ranked() -> None:
    hashes = np.full(3, (1 << 64) - 5, dtype=np.uint64)
    values, which = ranked(hashes)
    assert values.tolist() == [(1 << 64) - 5]
    assert which.tolist() == [0, 0, 0]
