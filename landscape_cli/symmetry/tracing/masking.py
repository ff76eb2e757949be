"""Masks made of places in their order, as of top-k, and what is made of masks: how many places are so at most."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.counts import Most, along, only
from landscape_cli.symmetry.tracing.ranks import Order
from landscape_cli.symmetry.tracing.repeats import Numbers, Repeated, counted_numbers, sums, truth, united

TURNED = {"ge": "le", "gt": "lt", "le": "ge", "lt": "gt", "eq": "eq", "ne": "ne"}
"""Comparisons by what they are from the other side."""


def held(numbers: Numbers, number: float, rank: int) -> Most:
    """Return at how many places at most one number is, of those that are all repeated."""
    if not numbers.none_else or numbers.repeated is None:
        return (math.inf,) * rank
    return ((math.inf,) * rank + numbers.repeated.get(number, (0.0,) * rank))[-rank:] if rank else ()


def compared_with_ranked(name: str, numbers: Tensor, order: Order) -> Numbers | None:
    """Return what is known of a comparison of numbers with the one among them of one rank; None if it is another."""
    axis, shape = order.axis, tuple(numbers.shape)
    sizes = tuple(1 if k == axis else size for k, size in enumerate(shape))
    alone = order.ranks.numel() == 1 and order.is_told and order.shape == sizes
    if not alone or not torch.equal(order.beside.expand(sizes).reshape(-1), torch.arange(math.prod(sizes))):
        return None
    rank, size = int(order.ranks), shape[axis]
    yes = {"ge": rank + 1, "gt": rank, "le": size - rank, "lt": size - rank - 1, "eq": 1, "ne": size - 1}[
        name if order.largest else TURNED[name]
    ]
    return truth(only(yes, axis, len(shape)), only(size - yes, axis, len(shape)))


def compared_with_all(order: Order, numbers: Tensor, shape: Sequence[int]) -> Numbers:
    """Return what is known of whether places in their order are those of these numbers, as in one-hot vectors."""
    rank = len(shape)
    sizes = [(1,) * (rank - len(each)) + tuple(each) for each in (order.shape, numbers.shape)]
    every = set(range(order.size)) <= set(numbers.reshape(-1).tolist())
    yes, no = [math.inf] * rank, [math.inf] * rank
    for axis, (size, (mine, others)) in enumerate(zip(shape, zip(*sizes, strict=True), strict=True)):
        if mine == 1 and others == numbers.numel() > 1:
            yes[axis] = float(numbers.reshape(-1).unique(return_counts=True)[1].max())
            no[axis] = size - every
        elif others == 1 and order.are_apart([axis - rank]):
            yes[axis] = 1
    return truth(tuple(yes), tuple(no))


def written(
    base: Numbers, source: Numbers, shape: Sequence[int], axis: int, index: Tensor, order: Order | None
) -> Numbers:
    """Return what is known once numbers were written over others, along an axis at places that an index names."""
    rank, sizes = len(shape), tuple(index.shape)
    alike = all(sizes[k] == size for k, size in enumerate(shape) if k != axis)
    many = sizes[axis] if order is not None and order.are_apart([axis]) else min(1, sizes[axis])
    left = only(shape[axis] - many, axis, rank) if alike else (math.inf,) * rank
    once = [k != axis and order is not None and order.are_apart([k, axis]) for k in range(rank)]
    most = tuple(sizes[axis] if k == axis else 1.0 if once[k] else math.inf for k in range(rank))
    return united(base.limited(left), source.uncounted().limited(most))


def listed(
    shape: Sequence[int], lists: Sequence[Tensor | None], orders: Sequence[Order | None]
) -> tuple[Most, Most] | None:
    """Return how many places are not written at most, and how many are, by lists of them; None if that is not known.

    Args:
        shape: of what is written into.
        lists: places along each of its axes, as far as their numbers are known.
        orders: of those that are in an order.
    """
    axes = [k for k, order in enumerate(orders) if order is not None]
    order = orders[axes[0]] if len(axes) == 1 else None
    others = [k for k in range(len(shape)) if k not in axes]
    given = [each for k in others for each in [lists[k]] if each is not None and each.dtype != torch.bool]
    if order is None or len(given) < len(others):
        return None
    sizes = np.broadcast_shapes(order.shape, *(tuple(each.shape) for each in given))
    line = np.zeros(sizes, dtype=np.int64)
    for k, each in zip(others, given, strict=True):
        line = line * shape[k] + each.numpy() % shape[k]
    layers = (layer.expand(order.shape).numpy() for layer in (order.ranks, order.beside))
    ranks, beside = (np.broadcast_to(layer, sizes).ravel() for layer in layers)
    lines, which, times = np.unique(line.ravel(), return_inverse=True, return_counts=True)
    pairs = np.unique(np.stack([which.ravel(), ranks]), axis=1)
    whose = np.unique(np.stack([which.ravel(), beside]), axis=1)
    apart = pairs.shape[1] == line.size and whose.shape[1] == len(lines)
    every = len(lines) == math.prod(shape[k] for k in others)
    fewest = int(times.min()) if apart and every else 0
    axis, rank = axes[0], len(shape)
    return only(shape[axis] - fewest, axis, rank), only(float(times.max()), axis, rank)


def are_zeros(numbers: Numbers) -> bool:
    """Tell whether numbers are all 0."""
    return numbers.none_else and numbers.repeated is not None and numbers.repeated.keys() <= {0.0}


def any_of(numbers: Numbers, axis: int, shape: Sequence[int], *, every: bool = False) -> Numbers:
    """Return what is known of whether truth values are so anywhere along an axis, or everywhere; its size is 1 then."""
    rank = len(shape)
    yes, no = (held(numbers, number, rank) for number in (1.0, 0.0))
    if every:
        yes, no = no, yes
    made = sums(counted_numbers({0.0: no, 1.0: yes}), shape[axis], axis, shape)
    none = held(made, 0.0, rank) if made.repeated and 0.0 in made.repeated else (math.inf,) * rank
    some = tuple(math.inf if k == axis else shape[axis] * most for k, most in enumerate(yes))
    return truth(none, some) if every else truth(some, none)


def of_products(left: Numbers, right: Numbers, sizes: tuple[int, int, int]) -> Numbers:
    """Return what is known of sums of products of two masks, matrices of a row and column of these sizes."""
    rows, terms, columns = sizes
    ones = min(along(held(left, 1.0, 2), -1, 2), along(held(right, 1.0, 2), -2, 2), terms)
    made = sums(counted_numbers({0.0: (), 1.0: ()}), int(ones))
    masks = all(side.none_else and set(side.repeated or ()) <= {0.0, 1.0} for side in (left, right))
    if made.repeated is None or not masks:
        return made
    zeros = []
    for mask, spread, own, other, size in ((left, right, -1, -2, columns), (right, left, -2, -1, rows)):
        hidden, each = along(held(mask, 0.0, 2), own, 2), along(held(spread, 1.0, 2), own, 2)
        all_are_read = along(held(spread, 0.0, 2), other, 2) < terms
        zeros.append(min(size, hidden * each) if all_are_read else math.inf)
    return made.counted({**made.repeated, 0.0: (zeros[1], zeros[0])})


def joined(parts: Sequence[tuple[Numbers, Sequence[int]]], axis: int, *, stacked: bool) -> Repeated | None:
    """Return at how many places numbers are at most that are put side by side along an axis; None if any may be."""
    sums_of: dict[float, Most] = {}
    for numbers, shape in parts:
        if numbers.repeated is None:
            return None
        rank = len(shape)
        for number, most in numbers.repeated.items():
            long = ((math.inf,) * rank + most)[len(most) :] if rank else ()
            own = tuple(min(count, size) for count, size in zip(long, shape, strict=True))
            own = (*own[:axis], 1.0, *own[axis:]) if stacked else own
            before = sums_of.get(number, (0.0,) * len(own))
            sums_of[number] = tuple(
                a + b if k == axis else max(a, b) for k, (a, b) in enumerate(zip(before, own, strict=True))
            )
    return sums_of
