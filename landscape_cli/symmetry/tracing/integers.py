"""Whole numbers that stand for units and slots, in arrays: functions of them that the labels need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
Hash = NDArray[np.uint64]

NONE = -1
SPAN = 1 << 32
DENSE = 16
"""How many times wider than their count numbers may spread to be sorted by counting."""


def pairs_of(first: Array, second: Array) -> Array:
    """Return the different pairs, shape (pairs, 2)."""
    if first.size and int(first.min()) >= 0 and int(second.min()) >= 0:
        code = np.unique(first * SPAN + second)
        return np.stack([code // SPAN, code % SPAN], axis=1)
    return np.unique(np.stack([first, second], axis=1), axis=0)


def ranked(values: Array) -> tuple[Array, Array]:
    """Return the different values in order, and for each value, shape (n,), which of them it is."""
    if not values.size:
        return values, values
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span > DENSE * len(values):
        different, which = np.unique(values, return_inverse=True)
        return different, which.ravel()
    seen = np.zeros(span, dtype=bool)  # numbers of units lie close together: no need to sort them
    seen[values - low] = True
    return np.flatnonzero(seen) + low, (np.cumsum(seen) - 1)[values - low]


def first_places(values: Array) -> tuple[Array, Array]:
    """Return the different values in order, and where each comes first."""
    different, which = ranked(values)
    first = np.zeros(len(different), dtype=np.int64)
    first[which[::-1]] = np.arange(len(values))[::-1]  # of several, the last to be written stays
    return different, first


def different_rows(rows: Array) -> Array:
    """Return the different rows in order, shape (different, columns)."""
    code, low, spans = _packed(rows)
    if code is None:
        return np.unique(rows, axis=0)
    columns, rest = [], np.unique(code)
    for span in reversed(spans):
        rest, column = np.divmod(rest, span)
        columns.append(column)
    return np.stack(columns[::-1], axis=1) + low


def ranked_rows(rows: Array) -> Array:
    """Return for each row which of the different rows, in order, it is; shape (n,)."""
    code, _, _ = _packed(rows)
    if code is None:
        return np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return ranked(code)[1]


def _packed(rows: Array) -> tuple[Array | None, Array, list[int]]:
    """Return one number a row, in the order of rows; the lowest of each column, and its span. None if they overflow."""
    low = rows.min(axis=0, initial=0)
    spans = [int(span) for span in rows.max(axis=0, initial=0) - low + 1]
    if math.prod(spans) >= 1 << 62:
        return None, low, spans
    code = np.zeros(len(rows), dtype=np.int64)
    for column, span in zip((rows - low).T, spans, strict=True):
        code = code * span + column
    return code, low, spans


def components(pairs: Array) -> Array:
    """Return for each pair, shape (pairs, 2), which component it is in of the graph whose edges they are."""
    left, right = (np.unique(pairs[:, side], return_inverse=True)[1].ravel() for side in (0, 1))
    component = np.arange(int(left.max(initial=-1)) + 1)
    while True:
        lowest = np.full(int(right.max(initial=-1)) + 1, len(component))
        np.minimum.at(lowest, right, component[left])
        lower = component.copy()
        np.minimum.at(lower, left, lowest[right])
        if np.array_equal(lower, component):
            return ranked(component[left])[1]
        component = lower


def is_function(labels: Array, values: Array) -> bool:
    """Tell whether equal labels have equal values."""
    pairs = pairs_of(labels.ravel(), values.ravel())
    return len(np.unique(pairs[:, 0])) == len(pairs)


def mix(values: Hash) -> Hash:
    """Scramble 64 bits (Steele et al., 2014, splitmix64)."""
    with np.errstate(over="ignore"):
        values = (values + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        scrambled: Hash = values ^ (values >> np.uint64(31))
        return scrambled
