"""A basis of powers that people can read: each row in as few tensors as can be.

The rows of a null space are found in any mixture. The shortest row on one side of it, by the sum of absolute values,
has few entries as a rule, and is found by a linear program (basis pursuit; Chen, Donoho and Saunders, 1998).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from landscape_cli.symmetry.checking.probe import Vector

DENOMINATOR = 12
"""Of powers."""
OUTSIDE = 1e-6
"""What of a row, relative to it, must lie outside a space for it to be none of its sums."""


def span(rows: Vector) -> Vector:
    """Return orthonormal rows that span the same."""
    if not rows.size:
        return np.zeros((0, rows.shape[1]))
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    spanned: Vector = right[singular > 1e-7 * singular.max(initial=0)]
    return spanned


def short_rows(space: Vector, known: Vector, costs: Vector) -> Iterator[Vector]:
    """Yield rows that span a space of powers with the known ones: shortest, with simple numbers.

    Args:
        space: rows that span it, shape (n, entries).
        known: rows in it.
        costs: what a power of each entry counts, shape (entries,).
    """
    space = span(space)
    rows: list[Vector] = []
    while (side := _outside(space, known, rows)) is not None:
        rows.append(_shortest(space, side, costs))
    for k in range(len(rows)):  # once more, as the first had others in them
        side = _outside(space, known, rows[:k] + rows[k + 1 :])
        rows[k] = rows[k] if side is None else _shortest(space, side, costs)
    yield from map(_simple, rows)


def _outside(space: Vector, known: Vector, rows: list[Vector]) -> Vector | None:
    """Return the direction of a space that is farthest outside known rows and others; None if there is none."""
    if not len(space):
        return None
    spanned = span(np.concatenate([known, *(row[None] for row in rows)]))
    _, singular, right = np.linalg.svd(space - (space @ spanned.T) @ spanned, full_matrices=False)
    return right[0] if singular[0] > OUTSIDE else None


def _shortest(space: Vector, side: Vector, costs: Vector) -> Vector:
    """Return the row of a space that costs least, of those whose product with another one is 1."""
    from scipy.optimize import linprog

    _, first, which = np.unique(np.round(space.T, 9), axis=0, return_index=True, return_inverse=True)
    entries = space[:, first].T  # those that always have the same power count together
    sizes = np.diag(np.ones(len(first)))
    solved = linprog(
        np.concatenate([np.zeros(len(space)), np.bincount(which.ravel(), weights=costs)]),
        A_ub=np.block([[entries, -sizes], [-entries, -sizes]]),
        b_ub=np.zeros(2 * len(first)),
        A_eq=np.concatenate([space @ side, np.zeros(len(first))])[None],
        b_eq=[1.0],
        bounds=[(None, None)] * len(space) + [(0, None)] * len(first),
    )
    row: Vector = (space.T @ solved.x[: len(space)]) if solved.success else side
    return row


def _simple(row: Vector) -> Vector:
    """Return a row with its last entry, that of outputs, 1 if there is one, else its smallest; powers exact."""
    sizes = np.abs(row)
    there = np.flatnonzero(sizes > OUTSIDE * sizes.max())
    by = row[-1] if there[-1] == len(row) - 1 else sizes[there].min() * np.sign(row[there[0]])
    powers = np.where(sizes > OUTSIDE * sizes.max(), row, 0) / by
    exact = np.round(powers * DENOMINATOR) / DENOMINATOR
    simple: Vector = np.where(np.abs(powers - exact) < 1e-4, exact, powers)
    return simple
