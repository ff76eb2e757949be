"""Whole numbers that stand for units and slots, in arrays: functions of them that the labels need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
Hash = NDArray[np.uint64]

NONE = -1
SPAN = 1 << 32


def pairs_of(one: Array, other: Array) -> Array:
    """Return the different pairs, shape (pairs, 2)."""
    if one.size and int(one.min()) >= 0 and int(other.min()) >= 0:
        code = np.unique(one * SPAN + other)
        return np.stack([code // SPAN, code % SPAN], axis=1)
    return np.unique(np.stack([one, other], axis=1), axis=0)


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
