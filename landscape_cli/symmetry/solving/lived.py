"""Where parts of a model that trade places live, place by place in an order in which they correspond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod

import numpy as np

from landscape_cli.symmetry.solving.exchange import Moved, rows_of
from landscape_cli.symmetry.solving.places import Part
from landscape_cli.symmetry.tracing.integers import Array


def table_of(part: Part, member_of: Array, stands_for: Array, moved: Moved, count: int) -> Array | None:
    """Return the places of each of several parts along axes of a tensor, in an order that corresponds."""
    columns = part.run.columns
    of = np.stack([np.where(column >= 0, member_of[np.maximum(column, 0)], -1) for column in columns])
    if not len(columns) or of.max() < 0:
        return np.zeros((count, 0), dtype=np.int64)
    member, there = of.max(axis=0), of >= 0
    if (np.where(there, of, member) != member).any():
        return None
    key = rows_of(columns, moved, stands_for)
    rows = [np.flatnonzero(member == k) for k in range(count)]
    in_step = [row[np.argsort(key[row], kind="stable")] for row in rows]
    order = np.argsort(in_step[0])
    alike = all(np.array_equal(key[row], key[in_step[0]]) for row in in_step)
    return np.stack([row[order] for row in in_step]) if alike else None


def in_common(tables: Mapping[tuple[int, ...], Array], shape: Sequence[int]) -> dict[tuple[int, ...], Array] | None:
    """Return where parts live in a tensor, along axes that no other run of its axes has; None if that is not clear.

    What lives along several runs, as rows and columns of a stack's matrices, is moved once, along the axes that they
    share, where all else about it stays at its place.
    """
    shared = set[int]().union(*(set(a) & set(b) for a, b in combinations(tables, 2)))
    if not shared:
        return dict(tables)
    dims = tuple(sorted(shared))
    moved: list[Array] = []
    for along, table in tables.items():
        places = dict(zip(along, np.unravel_index(table, [shape[dim] for dim in along]), strict=True))
        if not shared <= places.keys() or any((at != at[0]).any() for dim, at in places.items() if dim not in shared):
            return None
        at = np.ravel_multi_index([places[dim] for dim in dims], [shape[dim] for dim in dims])
        _, first = np.unique(at[0], return_index=True)
        whole = len(first) * prod(shape[dim] for dim in along if dim not in shared) == at.shape[1]
        if not whole:
            return None
        moved.append(at[:, np.sort(first)])
    return {dims: moved[0]} if all(np.array_equal(moved[0], at) for at in moved) else None
