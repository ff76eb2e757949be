"""Linear equations between scales, or signs, solved: Gauss-Jordan elimination over the rationals, or over GF(2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from landscape_cli.symmetry.tracing.equations import Statement
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import Power

Row = dict[int, Power]
"""A linear combination of variables: their powers."""


def eliminate(
    equations: Iterable[Statement],
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
    seen: set[tuple[tuple[int, Power], ...]] = set()
    pivots: dict[int, Row] = {}
    users: defaultdict[int, set[int]] = defaultdict(set)
    for rows, common in equations:
        kept, unrepresented = represent(rows)
        alone: list[tuple[Sequence[int], Sequence[Power]]] = [((variable,), (1,)) for variable in unrepresented]
        for entry, powers in [*alone, *((entry, common) for entry in kept)]:
            total: defaultdict[int, Power] = defaultdict(int)
            for variable, power in zip(entry, powers, strict=True):
                if variable:
                    total[variable] += power
            key = tuple(sorted((v, p % 2 if modulo else p) for v, p in total.items()))
            if key not in seen:
                seen.add(key)
                row = substituted({v: p for v, p in key if p}, pivots, modulo)
                if row:
                    solve_for_latest(row, pivots, users, modulo, depth)
    return lambda variable: pivots.get(variable, {variable: 1})


class Span:
    """The linear combinations of rows, over the rationals or GF(2)."""

    def __init__(self, modulo: int = 0) -> None:
        """Start with none."""
        self._modulo = modulo
        self._rows: dict[int, Row] = {}

    def add(self, row: Row) -> bool:
        """Add a row; tell whether it was no combination of those before."""
        row = reduced(row, self._modulo)
        while row:
            last = max(row)
            pivot = self._rows.get(last)
            if pivot is None:
                self._rows[last] = row
                return True
            row = added(row, pivot, quotient(-row[last], pivot[last]), self._modulo)
        return False


def added(row: Row, other: Row, share: Power, modulo: int) -> Row:
    """Return the sum of a row and a share of another."""
    total = defaultdict(int, row)
    for variable, power in other.items():
        total[variable] += share * power
    return reduced(total, modulo)


def solve_for_latest(
    row: Row, pivots: dict[int, Row], users: defaultdict[int, set[int]], modulo: int, depth: Callable[[int], int]
) -> None:
    """Solve one equation for its innermost, latest variable, and put that into all solutions that use it."""
    latest = max(row, key=lambda variable: (depth(variable), variable))
    lead = row.pop(latest)
    solved = reduced({variable: quotient(-power, lead) for variable, power in row.items()}, modulo)
    for user in users.pop(latest, set()):
        pivots[user] = substituted(pivots[user], {latest: solved}, modulo)
        for variable in pivots[user]:
            users[variable].add(user)
    pivots[latest] = solved
    for variable in solved:
        users[variable].add(latest)


def substituted(row: Row, pivots: dict[int, Row], modulo: int) -> Row:
    """Return a row with what has been solved replaced by its solution."""
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
