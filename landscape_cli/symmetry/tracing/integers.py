"""Whole numbers that stand for units and slots, in arrays: functions of them that the labels need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
Hash = NDArray[np.uint64]

NONE = -1
SPAN = 1 << 32
DENSE = 16
"""How many times wider than their count numbers may spread to be sorted by counting."""
FEW = 512
"""Up to how many are sorted by comparing, whatever they are: there the calls count, not the numbers."""
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def pairs_of(first: Array, second: Array) -> Array:
    """Return the different pairs, shape (pairs, 2)."""
    return different_rows(np.stack([first, second], axis=1))


def _is_dense(values: NDArray[Any]) -> bool:
    """Tell whether values lie close together, as numbers of units do: there is no need to sort them."""
    if values.dtype.kind != "i":  # hashes, of which few may be alike, are too large to count from
        return False
    return bool(values.size) and int(values.max()) - int(values.min()) < DENSE * values.size


def _starts(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where values, or rows, that are in order differ from those before."""
    starts: NDArray[np.bool_] = np.empty(len(ordered), dtype=bool)
    starts[:1] = True
    differ = ordered[1:] != ordered[:-1]
    if differ.ndim == 2 and differ.shape[1] == 2:  # pairs, as most are, several times as fast
        np.logical_or(differ[:, 0], differ[:, 1], out=starts[1:])
    else:
        starts[1:] = differ if differ.ndim == 1 else differ.any(axis=1)
    return starts


def different(values: NDArray[Any]) -> NDArray[Any]:
    """Return the different values in order: counted or sorted, as hashing, numpy's own way, takes ten times as long."""
    if values.size > FEW and _is_dense(values):
        low = int(values.min())
        seen = np.zeros(int(values.max()) - low + 1, dtype=bool)
        seen[values - low] = True
        return np.flatnonzero(seen) + low
    ordered = np.sort(values, axis=None)
    return ordered[_starts(ordered)]


def ranked(values: NDArray[Any]) -> tuple[NDArray[Any], Array]:
    """Return the different values in order, and for each value, shape (n,), which of them it is."""
    if len(values) <= FEW:
        order = values.argsort()
        ordered = values[order]
        starts = _starts(ordered)
        which = np.empty(len(values), dtype=np.int64)
        which[order] = starts.cumsum() - 1
        return ordered[starts], which
    if not _is_dense(values):
        unlike, which = np.unique(values, return_inverse=True)
        return unlike, which.ravel()
    low = int(values.min())
    seen = np.zeros(int(values.max()) - low + 1, dtype=bool)
    seen[values - low] = True
    return np.flatnonzero(seen) + low, (np.cumsum(seen) - 1)[values - low]


def first_places(values: Array) -> tuple[Array, Array]:
    """Return the different values in order, and where each comes first."""
    if len(values) <= FEW:
        order = values.argsort(kind="stable")
        ordered = values[order]
        starts = _starts(ordered)
        return ordered[starts], order[starts]
    unlike, which = ranked(values)
    first = np.zeros(len(unlike), dtype=np.int64)
    first[which[::-1]] = np.arange(len(values))[::-1]  # of several, the last to be written stays
    return unlike, first


def different_rows(rows: Array) -> Array:
    """Return the different rows in order, shape (different, columns)."""
    if len(rows) <= FEW:
        ordered = rows[_order(rows)]
        return ordered[_starts(ordered)]
    return rows[first_places(_packed(rows))[1]]


def split_rows(rows: Array) -> tuple[Array, Array]:
    """Return the different rows in order, and for each row which of them it is; shapes (different, columns), (n,)."""
    code = _packed(rows)
    return rows[first_places(code)[1]], ranked(code)[1]


def ranked_rows(rows: Array) -> Array:
    """Return for each row which of the different rows, in order, it is; shape (n,)."""
    if len(rows) <= FEW:
        order = _order(rows)
        which = np.empty(len(rows), dtype=np.int64)
        which[order] = _starts(rows[order]).cumsum() - 1
        return which
    return ranked(_packed(rows))[1]


def _order(rows: Array) -> Array:
    """Return the order of rows, by their first column, then the next."""
    return np.lexsort(rows.T[::-1]) if rows.shape[1] else np.arange(len(rows))


def _packed(rows: Array) -> Array:
    """Return one number a row, in the order of rows, shape (n,)."""
    code, most = np.zeros(len(rows), dtype=np.int64), 1
    for column in rows.T:
        values, which = ranked(column)
        if most * max(len(values), 1) >= 1 << 62:
            before, code = ranked(code)
            most = len(before)
        code, most = code * len(values) + which, most * max(len(values), 1)
    return code


def components(pairs: Array) -> Array:
    """Return for each pair, shape (pairs, 2), which component it is in of the graph whose edges they are."""
    left, right = (ranked(pairs[:, side])[1] for side in (0, 1))
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
    labels, values = labels.ravel(), values.ravel()
    if not labels.size:
        return True
    which = labels - labels.min() if _is_dense(labels) else ranked(labels)[1]
    told = np.empty(int(which.max()) + 1, dtype=values.dtype)
    told[which] = values
    return np.array_equal(told[which], values)


def mix(values: Hash) -> Hash:
    """Scramble 64 bits (Steele et al., 2014, splitmix64)."""
    with np.errstate(over="ignore"):
        values = values + GOLDEN
        values = (values ^ (values >> np.uint64(30))) * FIRST
        values = (values ^ (values >> np.uint64(27))) * SECOND
        scrambled: Hash = values ^ (values >> np.uint64(31))
        return scrambled
