"""Which places labels tell apart, and telling apart those that they do not: copies of what is the same there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landscape_cli.symmetry.tracing.equations import clusters
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, along, compress, covered, distinct, to_layer
from landscape_cli.symmetry.tracing.relate import resolved


def tell_apart(
    labels: Labels, layers: Sequence[Layer], shape: Sequence[int], reason: str | None, *, of_units: bool = True
) -> tuple[Layer, ...]:
    """Return the layers with slots added where they do not tell apart all places along an axis; units if no reason.

    Without `of_units` copies stay such where units live, or nothing does.
    """
    telling = list(resolved(labels, layers))
    long = [frozenset([axis]) for axis, size in enumerate(shape) if size > 1]
    for axes in clusters([*long, *map(covered, telling)]):
        sizes = [size if axis in axes else 1 for axis, size in enumerate(shape)]
        here = [layer for layer in telling if covered(layer) <= axes]
        if not of_units and (not here or any(int(layer.max()) >= 0 for layer in here)):
            continue
        ranks = _ranks_among_equals(here, sizes)
        if ranks.any():
            count = int(ranks.max()) + 1
            slots = labels.units(count) if reason is None else labels.slots(count, reason)
            telling.append(compress(to_layer(slots[ranks]).view(sizes)))
    return distinct(telling)


def _ranks_among_equals(layers: Sequence[Layer], sizes: Sequence[int]) -> Array:
    """Return for each place how many before it the layers say the same of, shape (places,)."""
    count = int(np.prod(sizes))
    if not layers:
        return np.arange(count)
    columns = np.stack([layer.expand(list(sizes)).reshape(-1).numpy() for layer in layers], axis=1)
    order = np.lexsort(columns.T)
    ordered = columns[order]
    new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    ranks = np.empty(count, dtype=np.int64)
    ranks[order] = np.arange(count) - np.maximum.accumulate(np.where(new, np.arange(count), 0))
    return ranks


def are_told(labels: Labels, layers: Sequence[Layer], shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Tell whether layers tell apart all places along some axes, at each place of the others."""
    telling = resolved(labels, layers)
    long = [frozenset([axis]) for axis, size in enumerate(shape) if size > 1]
    for run in clusters([*long, *map(covered, telling)]):
        if run.isdisjoint(axes):
            continue
        beside = [along(to_layer(np.arange(shape[axis])), axis, len(shape)) for axis in run.difference(axes)]
        here = [layer for layer in telling if covered(layer) <= run]
        if _ranks_among_equals([*here, *beside], [size if axis in run else 1 for axis, size in enumerate(shape)]).any():
            return False
    return True
