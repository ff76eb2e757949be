"""Equations between what lives along one axis and what lives along another, met each with each: a factor for both.

Where each unit of one kind meets each of another, a product of their factors that is 1 says that those of either kind
are the same. Where they meet within blocks alone, as those of two layers within a head, they are so in each block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.solving.elimination import quotient
from landscape_cli.symmetry.tracing.equations import Equations, Statement
from landscape_cli.symmetry.tracing.integers import NONE, Array, components, different, different_rows, ranked_rows
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Power

MOST_HOLDERS = 3
"""Of how many units at once a variable is at most."""
MOST_COLUMNS = 8
"""Up to how many factors of an equation are put on either side, in every way."""


def separate(equations: Equations, labels: Labels) -> None:
    """Put in place of such equations those of either side, each equal to a new variable: of a block, or of no unit."""
    _part_pairs(equations, labels)
    owner = np.full(equations.count, NONE)
    several = np.zeros(equations.count, dtype=bool)
    holders = np.full((MOST_HOLDERS, equations.count), NONE)
    for block in equations.blocks:
        units = np.stack(block.columns(labels))
        number = (units >= 0).sum(axis=0)
        owner[block.variables], several[block.variables] = np.where(number == 1, units.max(axis=0), NONE), number > 1
        for k, column in enumerate(units[:MOST_HOLDERS]):
            holders[k, block.variables] = column
    for kind, modulo in (("scale", 0), ("sign", 2)):
        pending, done = without_ones(equations.rows(kind), equations.count, modulo), []
        pending = _put_in(pending, several, modulo) if several.any() else pending
        while pending:
            statement = pending.pop(0)
            parts = _separated(statement, equations, labels, owner, holders)
            pending[:0] = parts
            done += [] if parts else [statement]
        equations.replace(kind, done)


def _part_pairs(equations: Equations, labels: Labels) -> None:
    """Put in place of what two units have in common a product of what each has, if both may move.

    If but one does, as a head does, and the others are its places, each of these has its own.
    """
    parts: dict[int, tuple[int, ...]] = {}
    for block in [block for block in equations.blocks if block.beside is not None]:
        moving = [column for column in block.columns(labels) if (labels.why_fixed(column) == 0).any()]
        if len(moving) > 1:
            of_each = np.stack([equations.variables("", (), column) for column in moving], axis=1)
            parts |= zip(block.variables.tolist(), map(tuple, of_each.tolist()), strict=True)
    for kind in ("scale", "sign") if parts else ():
        equations.replace(kind, [_parted(statement, parts) for statement in equations.rows(kind)])


def _parted(statement: Statement, parts: Mapping[int, tuple[int, ...]]) -> Statement:
    """Return a statement with parts in place of variables, to the same power."""
    columns: list[Array] = []
    powers: list[Power] = []
    for column, power in zip(statement[0].T, statement[1], strict=True):
        rows = [parts.get(variable, (variable,)) for variable in column.tolist()]
        for k in range(max(map(len, rows))):
            columns.append(np.array([row[k] if k < len(row) else 0 for row in rows]))
            powers.append(power)
    return different_rows(np.stack(columns, axis=1)), tuple(powers)


def without_ones(statements: Sequence[Statement], count: int, modulo: int) -> list[Statement]:
    """Return the statements without variables that are 1, as some say alone or once others are left out, and those.

    Args:
        statements: rows of variables that, to the powers beside, multiply to 1.
        count: how many variables there are.
        modulo: 2 for signs, 0 for scales.
    """
    ones = np.zeros(count, dtype=bool)
    ones[0] = True
    odd = [np.array([bool(power % modulo if modulo else power) for power in powers]) for _, powers in statements]
    looked = list(zip((rows for rows, _ in statements), odd, strict=True))
    before = -1
    while before < (before := int(ones.sum())):
        for k, (rows, counts) in enumerate(looked):
            left = counts & ~ones[rows]
            number = left.sum(axis=1)
            alone = number == 1
            ones[rows[alone][left[alone]]] = True
            looked[k] = rows[number > 1], counts
    kept: list[Statement] = []
    for (rows, powers), counts in zip(statements, odd, strict=True):
        left = counts & ~ones[rows]
        if left.all():
            kept.append((rows, powers))
            continue
        known = different(rows[counts & ones[rows]])
        if known.any():
            kept.append((known[known > 0][:, None], (1,)))
        codes = left @ (1 << np.arange(len(powers)))
        for code in different(codes[codes > 0]).tolist():
            columns = [k for k in range(len(powers)) if code >> k & 1]
            of = different_rows(rows[codes == code][:, columns])
            kept.append((of, tuple(powers[k] for k in columns)))
    return kept


def _put_in(statements: Sequence[Statement], several: NDArray[np.bool_], modulo: int) -> list[Statement]:
    """Return statements with variables of several units replaced where one statement tells them by others alone."""
    by, row = np.full(len(several), NONE), np.zeros(len(several), dtype=np.int64)
    told: dict[int, tuple[Array, list[Power]]] = {}
    for number, (rows, powers) in enumerate(statements):
        own = [k for k in range(len(powers)) if several[rows[:, k]].any()]
        column = rows[:, own[0]] if len(own) == 1 else rows[:0, 0]
        known = (by[column] >= 0).any() or len(different(column)) < len(rows) or not several[column].all()
        if known or (modulo and powers[own[0]] % modulo == 0):
            continue
        others = [k for k in range(len(powers)) if k not in own]
        shares = [powers[k] if modulo else quotient(-powers[k], powers[own[0]]) for k in others]
        told[number] = rows[:, others], shares
        by[column], row[column] = number, np.arange(len(rows))
    replaced: list[Statement] = []
    for number, (rows, powers) in enumerate(statements):
        terms: list[tuple[Array, Power]] = []
        for column, power in zip(rows.T, powers, strict=True):
            source = int(by[column[0]])
            if number in told or source < 0 or (by[column] != source).any():
                terms.append((column, power))
            else:
                columns, shares = told[source]
                terms += [(of[row[column]], power * share) for of, share in zip(columns.T, shares, strict=True)]
        total: dict[bytes, tuple[Array, Power]] = {}
        for column, power in terms:
            total[column.tobytes()] = column, total.get(column.tobytes(), (column, 0))[1] + power
        left = [(column, power) for column, power in total.values() if (power % modulo if modulo else power)]
        if left:
            replaced.append((different_rows(np.column_stack([c for c, _ in left])), tuple(power for _, power in left)))
    return replaced


def _separated(
    statement: Statement, equations: Equations, labels: Labels, owner: Array, holders: Array
) -> list[Statement]:
    """Return two statements in place of one, each of some of its columns; none if they are not met each with each."""
    rows, powers = statement
    width = rows.shape[1]
    if width > MOST_COLUMNS or len(rows) < 4 or any(len(different(column)) == len(rows) for column in rows.T):
        return []
    for left in (some for size in range(1, width // 2 + 1) for some in combinations(range(width), size)):
        sides = [list(left), [k for k in range(width) if k not in left]]
        blocks = _blocks(*(ranked_rows(rows[:, columns]) for columns in sides))
        if blocks is None:
            continue
        owners = _owners(blocks, rows, labels, owner, holders)
        if owners is None:
            continue
        common = equations.variables("", (), owners)[blocks]
        return [
            (different_rows(np.column_stack([rows[:, columns], common])), (*(powers[k] for k in columns), power))
            for columns, power in zip(sides, (1, -1), strict=True)
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


def _owners(blocks: Array, rows: Array, labels: Labels, owner: Array, holders: Array) -> Array | None:
    """Return what each block of rows belongs to: the block of its units, or what these have in common; or nobody."""
    if not blocks.any():
        return labels.slots(1, "all")
    known = rows < len(owner)
    units = np.where(known, owner[np.where(known, rows, 0)], NONE)
    above = [labels.above(column) for column in units.T]
    common = [
        np.where(known[:, k], of[np.where(known[:, k], rows[:, k], 0)], NONE)
        for k in range(rows.shape[1])
        for of in holders
    ]
    for column in (*above, *common):
        pairs = different_rows(np.stack([blocks, column], axis=1))
        alone = len(pairs) == int(blocks.max()) + 1 and len(different(pairs[:, 1])) == len(pairs)
        if alone and (pairs[:, 1] >= 0).all():
            return pairs[:, 1]
    return None
