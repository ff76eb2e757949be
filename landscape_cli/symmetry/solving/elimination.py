"""Linear equations between scales, or signs, solved: Gauss-Jordan elimination over the rationals, or over GF(2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction

from landscape_cli.symmetry.tracing.integers import Array

Power = int | Fraction
"""Whole wherever it can be: fractions take fifty times as long."""
Row = dict[int, Power]
"""A linear combination of variables: their powers."""


def eliminate(
    equations: Iterable[tuple[Array, tuple[int, ...]]],
    kind: str,
    *,
    represent: Callable[[Array], tuple[list[list[int]], list[int]]],
    depth: Callable[[int], int],
) -> Callable[[int], Row]:
    """Solve the equations between the variables kept; return what gives each as a combination of free ones.

    The free ones are of outer rather than inner units, and otherwise as early in forward order as can be, so that
    a stream's scale is set by its first writer.

    Args:
        equations: rows of variables that, to the powers beside, multiply to 1.
        kind: "scale", or "sign": modulo 2.
        represent: returns the rows of variables that stand for all, and the variables whose rows nobody can stand for.
        depth: returns how deep in the nesting of units a variable lies.
    """
    modulo = 2 if kind == "sign" else 0
    seen: set[tuple[tuple[int, int], ...]] = set()
    pivots: dict[int, Row] = {}
    users: defaultdict[int, set[int]] = defaultdict(set)
    for rows, common in equations:
        kept, unrepresented = represent(rows)
        alone = [((variable,), (1,)) for variable in unrepresented]
        for entry, powers in [*alone, *((entry, common) for entry in kept)]:
            total: defaultdict[int, int] = defaultdict(int)
            for variable, power in zip(entry, powers, strict=True):
                if variable:
                    total[variable] += power
            key = tuple(sorted((v, p % 2 if modulo else p) for v, p in total.items()))
            if key not in seen:
                seen.add(key)
                row = _substitute({v: p for v, p in key if p}, pivots, modulo)
                if row:
                    _solve_for_latest(row, pivots, users, modulo, depth)
    return lambda variable: pivots.get(variable, {variable: 1})


def _solve_for_latest(
    row: Row, pivots: dict[int, Row], users: defaultdict[int, set[int]], modulo: int, depth: Callable[[int], int]
) -> None:
    """Solve one equation for its innermost, latest variable, and put that into all solutions that use it."""
    latest = max(row, key=lambda variable: (depth(variable), variable))
    lead = row.pop(latest)
    solved = reduced({variable: quotient(-power, lead) for variable, power in row.items()}, modulo)
    for user in users.pop(latest, set()):
        pivots[user] = _substitute(pivots[user], {latest: solved}, modulo)
        for variable in pivots[user]:
            users[variable].add(user)
    pivots[latest] = solved
    for variable in solved:
        users[variable].add(latest)


def _substitute(row: Row, pivots: dict[int, Row], modulo: int) -> Row:
    total: Row = {}
    for variable, power in row.items():
        for part, share in pivots.get(variable, {variable: 1}).items():
            total[part] = total.get(part, 0) + power * share
    return reduced(total, modulo)


def quotient(power: Power, by: Power) -> Power:
    """Return the quotient of two powers, whole if it is."""
    if by in {1, -1}:
        return power * by
    result = Fraction(power) / by
    return result if result.denominator > 1 else int(result)


def reduced(row: Row, modulo: int) -> Row:
    """Return a combination without powers of 0, modulo 2 for signs."""
    if modulo:
        return {variable: 1 for variable, power in row.items() if power % modulo}
    return {variable: power for variable, power in row.items() if power}
