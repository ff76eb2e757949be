"""What layers say of the same places, without looking at each place that they say the same of as of another.

Layers are small where they do not depend on an axis, and often say the same of many of its indices, as of all windows
of an image. What they are to say together, place by place, is as large as all axes together make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from landscape_cli.symmetry.tracing.integers import DENSE, Array, Hash, is_function, mix, ranked, split_rows
from landscape_cli.symmetry.tracing.layers import Layer, covered, reach, to_layer, together

Counted = tuple[Array, Layer]
"""The different numbers of a layer in order, and a layer of which of them each place holds."""
MANY = 4096
"""How many places are worth a look for those that are alike."""


def narrowed(layers: Sequence[Layer]) -> list[Layer]:
    """Return layers without indices along axes of which all of them say what they do of an earlier one.

    So every combination of what they say at a place is kept, if not how often it occurs.
    """
    layers = list(layers)
    sizes = np.broadcast_shapes(*(layer.shape for layer in layers))
    if prod(sizes) < MANY:
        return layers
    for axis, size in enumerate(sizes):
        if size > 2 and (kept := _kinds_along([layer for layer in layers if layer.shape[axis] > 1], axis)) is not None:
            layers = [layer if layer.shape[axis] == 1 else layer.index_select(axis, kept) for layer in layers]
    return layers


def _kinds_along(layers: Sequence[Layer], axis: int) -> Layer | None:
    """Return one index for each kind of those along an axis, in order; None if no two are alike."""
    rows = [layer.movedim(axis, 0).reshape(layer.shape[axis], -1).numpy() for layer in layers]
    rows.sort(key=lambda numbers: numbers.shape[1])
    steps: NDArray[np.bool_] = np.zeros(len(rows[0]) - 1, dtype=bool)
    for numbers in rows:  # those like the one before first, as that takes no hashing
        for part in (numbers[:, :1], numbers[:, 1:]):  # most differ at the first place
            same = ~steps
            if same.any():
                steps |= (part[1:] != part[:-1]).any(axis=1)
    kept = np.concatenate([[0], np.flatnonzero(steps) + 1])
    first = _first_of_kinds([numbers[kept] for numbers in rows] if len(kept) < len(rows[0]) else rows)
    if first is not None:
        return to_layer(kept[first])
    return to_layer(kept) if len(kept) < len(rows[0]) else None


def _first_of_kinds(rows: Sequence[Array]) -> Array | None:
    """Return the first of each kind of rows, those of several matrices side by side; None if no two are alike."""
    size = len(rows[0])
    kind: Array = np.zeros(size, dtype=np.int64)
    count = 1
    for numbers in rows:
        code: Hash = np.zeros(size, dtype=np.uint64)
        for part in (numbers[:, :1], numbers[:, 1:]):  # most differ at the first place
            if part.shape[1]:
                weights = mix(np.arange(part.shape[1], dtype=np.uint64)) | np.uint64(1)
                code += (mix(part.astype(np.uint64)) * weights).sum(axis=1, dtype=np.uint64)
                unlike, kind = ranked(mix(code + mix(kind.astype(np.uint64))).view(np.int64))
                count = len(unlike)
                if count == size:
                    return None
    first = np.full(count, size)
    np.minimum.at(first, kind, np.arange(size))
    return np.sort(first)


def apart(layers: Sequence[Layer]) -> bool:
    """Tell whether layers of one run of axes each, no two of which overlap, tell apart all places along these."""
    runs = {covered(layer) for layer in layers}
    if sum(map(len, runs)) > len(frozenset().union(*runs)):
        return False
    return all(_is_apart([layer for layer in layers if covered(layer) == run]) for run in runs)


def _is_apart(layers: Sequence[Layer]) -> bool:
    code, _ = _code(layers)
    return len(ranked(code.reshape(-1).numpy())[0]) == code.numel()


def _code(layers: Sequence[Layer]) -> tuple[Layer, int]:
    """Return a layer of what layers over the same axes say together, in numbers from 0, and how many there are."""
    code, count = np.zeros(layers[0].numel(), dtype=np.int64), 1
    for layer in layers:
        numbers, which = ranked(layer.reshape(-1).numpy())
        numbers, code = ranked(code * len(numbers) + which) if count > 1 else (numbers, which)
        count = len(numbers)
    return to_layer(code).view(layers[0].shape), count


def counted(layer: Layer) -> Counted:
    """Return the different numbers of a layer in order, and a layer of which of them each place holds."""
    numbers, which = ranked(layer.reshape(-1).numpy())
    return numbers, to_layer(which).view(layer.shape)


def meetings(first: Counted, second: Counted) -> tuple[Array, Array]:
    """Return the different pairs of what two layers say at a place, shape (pairs, 2), in order, and how often each is.

    Counted are the places of each number of either at each place of the axes that both depend on.
    """
    sides, layers = (first, second), (first[1], second[1])
    shape = np.broadcast_shapes(*(layer.shape for layer in layers))
    common = covered(layers[0]) & covered(layers[1])
    at = np.arange(prod(shape[axis] for axis in common)).reshape([n if k in common else 1 for k, n in enumerate(shape)])
    sizes = [len(numbers) * at.size for numbers, _ in sides]
    if max(sizes) > DENSE * prod(shape) or len(first[0]) * sizes[1] > DENSE * prod(shape):
        rows, which = split_rows(
            np.stack([side.reshape(-1).numpy() for side in torch.broadcast_tensors(*layers)], axis=1)
        )
        return np.stack(
            [numbers[column] for (numbers, _), column in zip(sides, rows.T, strict=True)], axis=1
        ), np.bincount(which)
    tables = [
        np.bincount((which.numpy() * at.size + at).ravel(), minlength=size).reshape(len(numbers), at.size)
        for (numbers, which), size in zip(sides, sizes, strict=True)
    ]
    times = (tables[0].astype(np.float64) @ tables[1].T.astype(np.float64)).astype(np.int64)
    places = np.nonzero(times)
    return np.stack([numbers[at] for (numbers, _), at in zip(sides, places, strict=True)], axis=1), times[places]


def said_together(layers: Sequence[Layer]) -> Layer:
    """Return a layer that says what several do together: in small numbers, if that can be."""
    if len(layers) == 1:
        return layers[0]
    codes = [_code([layer for layer in layers if covered(layer) == run]) for run in dict.fromkeys(map(covered, layers))]
    sizes = np.broadcast_shapes(*(layer.shape for layer in layers))
    if prod(count for _, count in codes) > DENSE * prod(sizes):
        return together(layers)
    total, _ = codes[0]
    for code, count in codes[1:]:
        total = total * count + code
    return total


def tells(layers: Sequence[Layer], other: Layer) -> bool:
    """Tell whether at every place what some layers say together tells what another does."""
    for axis in covered(other) - reach(layers):
        if bool((other != other.narrow(axis, 0, 1)).any()):
            return False
    *layers, other = narrowed([*layers, other])
    if prod(np.broadcast_shapes(*(layer.shape for layer in layers))) >= MANY and apart(layers):
        return True
    return is_function(*(side.reshape(-1).numpy() for side in torch.broadcast_tensors(said_together(layers), other)))


def tell(layers: Sequence[Layer], others: Sequence[Layer]) -> bool:
    """Tell whether at every place what some layers say tells what others do."""
    return reach(layers) >= reach(others) and all(tells(layers, other) for other in others)
