"""Scales (or signs) of what two units own at once, as an entry of an outer product is: those of the units give it.

Where one equation alone states such a variable, it is what the others there leave to it; the rest of the equations is
as if both were not there. Those left in several equations are eliminated; of those that nothing gives, the scale is 1.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from math import lcm

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.solving.elimination import Row, quotient, reduced, solve_for_latest, substituted
from landscape_cli.symmetry.tracing.equations import Statement
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import Power

Rows = Sequence[Statement]
MOST = 1 << 19
"""Up to how many equations of such variables are looked through."""


def define(
    rows: Rows,
    shared: NDArray[np.bool_],
    *,
    modulo: int,
    agree: Callable[[Array], NDArray[np.bool_]],
) -> tuple[Rows, dict[int, Row]]:
    """Return the equations that are left, and what gives each shared variable that has one of its own.

    Args:
        rows: the equations: rows of variables that, to the powers beside, multiply to 1.
        shared: which variables belong to two units at once.
        modulo: 2 for signs, 0 for scales.
        agree: tells of rows of variables whether they may give another: not if it would be unclear which unit's it is.
    """
    at = [shared[batch].any(axis=1) for batch, _ in rows]
    if not any(here.any() for here in at) or sum(int(here.sum()) for here in at) > MOST:
        return rows, {}
    rest: list[Statement] = [
        (batch[~here], powers) for (batch, powers), here in zip(rows, at, strict=True) if not here.all()
    ]
    bound: Rows = [(batch[here], powers) for (batch, powers), here in zip(rows, at, strict=True) if here.any()]
    given, bound, left = _told_once(bound, shared, modulo, agree)
    found = [_total(row, powers) for batch, powers in bound for row in batch.tolist()]
    stated = {tuple(sorted(row.items())): row for row in (reduced(row, modulo) for row in found)}
    order, more = _peel(list(stated.values()), shared)
    solved, more = _solve(more, shared, modulo)
    left += more
    for variable, row in (*solved.items(), *reversed(order)):
        if variable in row:
            share = quotient(-1, row[variable])
            row = {other: share * power for other, power in row.items() if other != variable}
        total = reduced(_without_shared(row, given, shared), modulo)
        if agree(np.array([list(total)], dtype=np.int64))[0]:
            given[variable] = total
        else:
            left.append(total)
    batches: defaultdict[tuple[int, ...], list[list[int]]] = defaultdict(list)
    for row in left:
        total = dict(sorted(reduced(_without_shared(row, given, shared), modulo).items()))
        if total:
            common = lcm(*(power.denominator for power in total.values()))
            batches[tuple(int(power * common) for power in total.values())].append(list(total))
    return [*rest, *((np.array(batch), powers) for powers, batch in batches.items())], given


def _told_once(
    rows: Rows, shared: NDArray[np.bool_], modulo: int, agree: Callable[[Array], NDArray[np.bool_]]
) -> tuple[dict[int, Row], Rows, list[Row]]:
    """Return what gives the shared variables that no row but one states, alone of its kind there: most, many at once.

    Beside it are the rows of all others, and what rows leave whose variables do not agree.
    """
    times = np.zeros(len(shared), dtype=np.int64)
    for batch, _ in rows:
        np.add.at(times, batch[shared[batch]], 1)
    given: dict[int, Row] = {}
    others: list[Statement] = []
    left: list[Row] = []
    for batch, powers in rows:
        here, ordered = shared[batch], np.sort(batch, axis=1)
        once = (here.sum(axis=1) == 1) & (np.where(here, times[batch], 1) == 1).all(axis=1)
        once &= ~((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any(axis=1)
        counts = [bool(power % modulo if modulo else power) for power in powers]
        for k in [k for k, counted in enumerate(counts) if counted and once.any()]:
            beside = [j for j, counted in enumerate(counts) if counted and j != k]
            shares = [1 if modulo else quotient(-1, powers[k]) * powers[j] for j in beside]
            told = batch[once & here[:, k]]
            clear = agree(told[:, beside]).tolist()
            for variable, row, agreed in zip(told[:, k].tolist(), told[:, beside].tolist(), clear, strict=True):
                total = {other: share for other, share in zip(row, shares, strict=True) if other}
                if agreed:
                    given[variable] = total
                else:
                    left.append(total)
        at = once & here[:, counts].any(axis=1)
        others += [(batch[~at], powers)] if not at.all() else []
    return given, others, left


def _solve(rows: Sequence[Row], shared: NDArray[np.bool_], modulo: int) -> tuple[dict[int, Row], list[Row]]:
    """Return shared variables as combinations of others, and the equations that are left between these."""
    pivots: dict[int, Row] = {}
    users: defaultdict[int, set[int]] = defaultdict(set)
    left = []
    for row in rows:
        row = substituted(row, pivots, modulo)
        if any(shared[variable] for variable in row):
            solve_for_latest(row, pivots, users, modulo, lambda variable: int(shared[variable]))
        else:
            left.append(row)
    return pivots, left


def _peel(rows: list[Row], shared: NDArray[np.bool_]) -> tuple[list[tuple[int, Row]], list[Row]]:
    """Return shared variables with the one equation that states each once earlier ones are gone, and what is left."""
    users: defaultdict[int, set[int]] = defaultdict(set)
    for number, row in enumerate(rows):
        for variable in row:
            if shared[variable]:
                users[variable].add(number)
    ready = deque(variable for variable, numbers in users.items() if len(numbers) == 1)
    order: list[tuple[int, Row]] = []
    gone: set[int] = set()
    while ready:  # those of one equation from the start first: what they share with others may be free
        variable = ready.popleft()
        for number in users.pop(variable, set()):
            order.append((variable, rows[number]))
            gone.add(number)
            for other in rows[number]:
                if other in users:
                    users[other].discard(number)
                    if len(users[other]) == 1:
                        ready.append(other)
    return order, [row for number, row in enumerate(rows) if number not in gone]


def _total(variables: Sequence[int], powers: Sequence[Power]) -> Row:
    total: defaultdict[int, Power] = defaultdict(int)
    for variable, power in zip(variables, powers, strict=True):
        if variable:
            total[variable] += power
    return dict(total)


def _without_shared(row: Row, given: dict[int, Row], shared: NDArray[np.bool_]) -> Row:
    """Return a row with shared variables replaced by what gives them, 1 if nothing does."""
    total: defaultdict[int, Power] = defaultdict(int)
    for variable, power in row.items():
        for part, share in (given.get(variable, {}) if shared[variable] else {variable: 1}).items():
            total[part] += power * share
    return dict(total)
