"""Units that move with others, or belong to them: how what is told of their places by others tells of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from landscape_cli.symmetry.tracing.integers import NONE, SPAN, Array, different, first_places, split_rows
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, covered, flat, to_layer
from landscape_cli.symmetry.tracing.narrowed import tell, tells

INPUT = "input"
"""Why what reads the network's inputs may not move."""
FIXED = "a fixed place"
"""Why what meets places may not that are fixed for several reasons."""


def derive_places(labels: Labels, unit: Layer, parts: list[Layer], reason: str) -> None:
    """State that each unit moves as what is there on the other side does: with units, or, where there are none, not."""
    units, *columns = (part.numpy().ravel() for part in torch.broadcast_tensors(unit, *parts))
    _, pattern = np.unique(np.stack(columns) >= 0, axis=1, return_inverse=True)
    for number in range(int(pattern.max()) + 1):
        here = pattern.ravel() == number
        _derive_alike(labels, units[here], [column[here] for column in columns], reason)


def _derive_alike(labels: Labels, units: Array, columns: list[Array], reason: str) -> None:
    """State that units move as others do that are in the same columns for all of them, at the slots in the rest."""
    free = [column for column in columns if column.max() >= 0]
    slots = [column for column in columns if column.max() < 0]
    if len(free) > 2:
        for column in (units, *columns):
            labels.fix(column, reason)
    elif not free:
        labels.unite(units, _one_slot(labels, slots, len(units)), reason)
    elif len(free) == 1 and len(different(free[0])) == len(units):
        labels.unite(units, free[0], reason)  # slots beside them say no more
    else:
        second = free[1] if len(free) == 2 else np.full(len(units), NONE)
        labels.derive(units, free[0], second, _one_slot(labels, slots, len(units)), reason)


def _one_slot(labels: Labels, slots: Sequence[Array], count: int) -> Array:
    """Return slots that tell apart what several layers of slots together do."""
    if len(slots) < 2:
        return slots[0] if slots else np.full(count, NONE)
    rows = np.stack(slots, axis=1)
    together, which = split_rows(rows)
    return named_slots(labels, together)[which]


def named_slots(labels: Labels, rows: Array) -> Array:
    """Return a slot for each row of slots, for the reason that they have in common; the input is one before others."""
    why = labels.why_fixed(rows)
    read = labels.reason(INPUT)
    common = np.where((why == why[:, :1]).all(axis=1), why[:, 0], labels.reason(FIXED))
    slots: Array = -1 - np.arange(len(rows)) - SPAN * np.where((why == read).any(axis=1), read, common)
    return slots


def belong(labels: Labels, layer: Layer, others: Sequence[Layer], reason: str) -> None:
    """State that units go where all that lies at their places goes: several together, where each does not tell others.

    So do those of a pair, of which the one is the first and the other is the second.
    """
    for run in dict.fromkeys(map(covered, others)):
        along = [other for other in others if covered(other) == run]
        if len(along) < 2 or all(other.max() < 0 for other in along) or any(tell([other], along) for other in along):
            for other in along:
                labels.respect(*flat(layer, other), reason)
        elif tells(along, layer):
            _, first = first_places(layer.numpy().ravel())
            unit, *parts = (part.reshape(-1)[to_layer(first)] for part in torch.broadcast_tensors(layer, *along))
            derive_places(labels, unit, parts, reason)
        else:
            rows, which = split_rows(np.stack([other.numpy().ravel() for other in along], axis=1))
            pairs = to_layer(labels.units(len(rows)))
            derive_places(labels, pairs, [to_layer(column) for column in rows.T], reason)
            labels.respect(*flat(layer, pairs[to_layer(which)].view(along[0].shape)), reason)


def refine(labels: Labels, layer: Layer, opposite: Sequence[Layer], reason: str) -> bool:
    """Let units move with new ones in place of blocks along some axes, as with each query's head for its key's.

    So it is where what lies along several axes is told by each unit of a layer, but does not tell these apart, while
    all that lies at each place along these axes does. Tell whether it is.
    """
    axes = covered(layer)
    parts = [part for part in opposite if part.max() >= 0 and covered(part) < axes and tells([layer], part)]
    where = {covered(part) for part in parts}
    if len(where) < 2 or sum(map(len, where)) > len(axes) or tells(parts, layer):
        return False
    for run in where:
        along = [part for part in parts if covered(part) == run]
        rows = _rows(layer, sorted(run))
        if tells([layer], rows) and not tells(along, rows):
            units = to_layer(labels.units(int(rows.max()) + 1, together=True))[rows]
            for part in along:
                labels.respect(*flat(units, part), reason)
            along = [units]
        for part in along:
            labels.respect(*flat(layer, part), reason)
    return is_derived(labels, layer)


def _rows(layer: Layer, axes: Sequence[int]) -> Layer:
    """Return which of the different rows of a layer lies at each place of some axes."""
    order = [*axes, *(axis for axis in range(layer.ndim) if axis not in axes)]
    sizes = [size if axis in axes else 1 for axis, size in enumerate(layer.shape)]
    _, which = split_rows(layer.permute(order).reshape(int(np.prod(sizes)), -1).numpy())
    return to_layer(which).view(sizes)


def is_derived(labels: Labels, layer: Layer) -> bool:
    """Tell whether the units of a layer all move with others."""
    units = labels.find(layer.numpy())
    return not any(np.isin(part, units).any() for part in labels.resolve(layer.numpy()))
