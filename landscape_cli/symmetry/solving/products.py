"""Equations between what lives along one axis and what lives along another, met each with each: a factor for both.

Where each unit of one kind meets each of another, a product of their factors that is 1 says that those of either kind
are the same. Where they meet within blocks alone, as those of two layers within a head, they are so in each block.
"""

from __future__ import annotations

import numpy as np

from landscape_cli.symmetry.tracing.equations import Equations, Statement
from landscape_cli.symmetry.tracing.integers import NONE, Array, components, different_rows, ranked_rows
from landscape_cli.symmetry.tracing.labels import Labels


def separate(equations: Equations, labels: Labels) -> None:
    """Put in place of such equations those of either side, each equal to a new variable: of a block, or of no unit."""
    owner = np.full(equations.count, NONE)
    for block in equations.blocks:
        units = np.stack(labels.resolve(block.owners))
        owner[block.variables] = np.where((units >= 0).sum(axis=0) == 1, units.max(axis=0), NONE)
    for kind in ("scale", "sign"):
        pending, done = list(equations.rows(kind)), []
        while pending:
            statement = pending.pop(0)
            parts = _separated(statement, equations, labels, owner)
            pending[:0] = parts
            done += [] if parts else [statement]
        equations.replace(kind, done)


def _separated(statement: Statement, equations: Equations, labels: Labels, owner: Array) -> list[Statement]:
    """Return two statements in place of one, each of some of its columns; none if they are not met each with each."""
    rows, powers = statement
    width = rows.shape[1]
    if len(rows) < 4 or len(rows) <= max(len(np.unique(rows[:, k])) for k in range(width)):
        return []
    for first in range(width):
        rest = [k for k in range(width) if k != first]
        blocks = _blocks(rows[:, first], ranked_rows(rows[:, rest]))
        if blocks is None:
            continue
        owners = _owners(blocks, rows[:, first], labels, owner)
        if owners is None:
            continue
        common = equations.variables("", (), owners)[blocks]
        return [
            (different_rows(np.column_stack([rows[:, columns], common])), (*(powers[k] for k in columns), power))
            for columns, power in (([first], 1), (rest, -1))
        ]
    return []


def _blocks(left: Array, right: Array) -> Array | None:
    """Return in which block each pair is, in which each of the one side meets each of the other, several both."""
    pairs = np.stack([left, right], axis=1)
    block = components(pairs)
    unique = different_rows(np.column_stack([pairs, block]))
    counts = [np.bincount(different_rows(unique[:, [side, 2]])[:, 1]) for side in (0, 1)]
    full = np.array_equal(counts[0] * counts[1], np.bincount(unique[:, 2]))
    return block if full and min(int(count.min()) for count in counts) > 1 else None


def _owners(blocks: Array, variables: Array, labels: Labels, owner: Array) -> Array | None:
    """Return what each block of pairs belongs to: the block of its units, or, if there is only one, nobody."""
    if not blocks.any():
        return labels.slots(1, "all")
    known = variables < len(owner)
    above = np.where(known, labels.above(owner[np.where(known, variables, 0)]), NONE)
    pairs = different_rows(np.stack([blocks, above], axis=1))
    alone = len(pairs) == int(blocks.max()) + 1 and len(np.unique(pairs[:, 1])) == len(pairs)
    return pairs[:, 1] if alone and (pairs[:, 1] >= 0).all() else None
