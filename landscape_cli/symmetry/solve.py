"""Solving the equations between scales."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from landscape_cli.symmetry.atoms import Atom, Scale, Unknown

Row = dict[Unknown, Fraction]


def solve(unknowns: Iterable[tuple[Unknown, Atom]], equations: Iterable[Scale]) -> dict[Atom, dict[Unknown, Row]]:
    """Return, for every finest atom, each unknown as a combination of the free ones (often of one, or of none).

    The free ones are as early in forward order as can be, so that a stream's scale is set by its first writer.
    """
    systems: defaultdict[Atom, list[Row]] = defaultdict(list)
    for equation in equations:
        rows: defaultdict[Atom, Row] = defaultdict(dict)
        for (unknown, atom), power in equation.items():
            for leaf in atom.leaves():
                rows[leaf][unknown] = rows[leaf].get(unknown, Fraction(0)) + power
        for leaf, row in rows.items():
            systems[leaf].append(row)
    solutions: dict[Atom, dict[Unknown, Row]] = {}
    for leaf, present in _present(unknowns).items():
        pivots = _eliminate(systems[leaf])
        solutions[leaf] = {unknown: pivots.get(unknown, {unknown: Fraction(1)}) for unknown in present}
    return solutions


def _present(unknowns: Iterable[tuple[Unknown, Atom]]) -> dict[Atom, list[Unknown]]:
    present: defaultdict[Atom, list[Unknown]] = defaultdict(list)
    for unknown, atom in unknowns:
        for leaf in atom.leaves():
            present[leaf].append(unknown)
    return present


def _eliminate(system: list[Row]) -> dict[Unknown, Row]:
    """Gauss-Jordan elimination; return each dependent unknown as a combination of free ones."""
    pivots: dict[Unknown, Row] = {}
    for equation in system:
        row = _substitute(equation, pivots)
        if not row:
            continue
        latest = max(row, key=lambda unknown: unknown.order)
        lead = row.pop(latest)
        solved = {unknown: -power / lead for unknown, power in row.items()}
        pivots = {unknown: _substitute(old, {latest: solved}) for unknown, old in pivots.items()}
        pivots[latest] = solved
    return pivots


def _substitute(row: Row, pivots: dict[Unknown, Row]) -> Row:
    total: Row = {}
    for unknown, power in row.items():
        for part, share in pivots.get(unknown, {unknown: Fraction(1)}).items():
            total[part] = total.get(part, Fraction(0)) + power * share
    return {unknown: power for unknown, power in total.items() if power}
