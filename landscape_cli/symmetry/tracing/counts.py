"""How many places along each axis of a tensor hold a number at most, and what becomes of that as places are moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.integers import Array

Most = tuple[float, ...]
"""At most so many along each axis, whichever place along the others; with fewer than all axes, of the last ones."""
ANYWHERE: Most = ()
"""As many as there are."""
MOST_PLACES = 1 << 18
"""Of tensors with more places nothing is said once these are moved about."""


def fitted(most: Most, shape: Sequence[int], to: Sequence[int]) -> Most:
    """Return what is so of a tensor of a shape once it is broadcast to another."""
    long = _padded(most, len(to))
    sizes = (1,) * (len(to) - len(shape)) + tuple(shape)
    return tuple(math.inf if old < new else most for most, old, new in zip(long, sizes, to, strict=True))


def added(*counts: Most) -> Most:
    """Return how many there are at most of several numbers together."""
    rank = max(map(len, counts), default=0)
    return tuple(map(sum, zip(*(_padded(most, rank) for most in counts), strict=True)))


def least(*counts: Most) -> Most:
    """Return how many there are at most where several bounds hold."""
    rank = max(map(len, counts))
    return tuple(map(min, zip(*(_padded(most, rank) for most in counts), strict=True)))


def only(most: float, axis: int, rank: int) -> Most:
    """Return at most so many along one axis, and any number along others."""
    return tuple(most if k == axis else math.inf for k in range(rank))


def along(most: Most, axis: int, rank: int) -> float:
    """Return how many there are at most along an axis."""
    return _padded(most, rank)[axis]


def _padded(most: Most, rank: int) -> Most:
    return (math.inf,) * (rank - len(most)) + most


def counted(numbers: Tensor, number: float) -> Most:
    """Return how many places along each axis hold a number."""
    here = numbers == number
    return tuple(float(here.sum(axis).max()) for axis in range(here.ndim))


def carried(counts: Sequence[Most], shape: Sequence[int], move: Callable[[Tensor], Any], made: int) -> list[list[Most]]:
    """Return how many there are at most in each of what an operator makes that moves places about.

    Args:
        counts: how many there are of each number.
        shape: of what it is given.
        move: does the same to whole numbers.
        made: how many tensors it makes.

    Returns:
        A list for each tensor made, of as many as `counts`.
    """
    finite = [[axis for axis, count in enumerate(_padded(most, len(shape))) if count < shape[axis]] for most in counts]
    if prod(shape) > MOST_PLACES or not any(finite):
        return [[ANYWHERE for _ in counts]] * made
    moved = move(torch.arange(prod(shape)).view(tuple(shape)))
    found: list[list[Most]] = []
    for places in [moved] if isinstance(moved, Tensor) else list(moved):
        if places.numel() > MOST_PLACES:
            found.append([ANYWHERE for _ in counts])
            continue
        lines = [places.movedim(axis, -1).reshape(-1, places.shape[axis]).numpy() for axis in range(places.ndim)]
        bounds: list[Most] = []
        for most, axes in zip(counts, finite, strict=True):
            held = _padded(most, len(shape))
            bounds.append(tuple(_on(line, shape, [(axis, held[axis]) for axis in axes]) for line in lines))
        found.append(bounds)
    return found


def _on(lines: Array, shape: Sequence[int], held: Sequence[tuple[int, float]]) -> float:
    """Return how many there are at most on any of some lines, given whence their places are and how many were there."""
    if not lines.size:
        return 0.0
    best = float(lines.shape[1])
    line = np.arange(len(lines))[:, None]
    size = int(lines.max()) + 1
    for axis, most in held:
        inner = prod(shape[axis + 1 :])
        beside = lines // (inner * shape[axis]) * inner + lines % inner
        origin, which, lengths = np.unique(line * size + beside, return_inverse=True, return_counts=True)
        _, first, times = np.unique(line * size + lines, return_index=True, return_counts=True)
        repeats = np.zeros(len(origin), dtype=np.int64)
        np.maximum.at(repeats, which.ravel()[first], times)
        here = np.minimum(lengths, most * repeats)
        best = min(best, float(np.bincount(origin // size, here).max()))
    return best
