"""Scales and signs of what two units own at once, and no unit alone.

Such are channels that a shuffle sends from a group of one grouped convolution to a group of another. The equations
between their variables alone, all others being 1, fall into components, one for each pair of units or a few. What a
component leaves free is a factor of its own; those of components alike are a group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.solving.elimination import Row, reduced, solve_for_latest, substituted
from landscape_cli.symmetry.solving.variables import VariableTable
from landscape_cli.symmetry.tracing.equations import Block, Statement
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import Power

MOST = 64
"""Up to how many variables of a component are looked through."""
Tables = list[tuple[Block, Power, Array]]
"""Where factors multiply: some axes of a tensor, the power, and the places, a row for each factor."""


def free_of_pairs(variables: VariableTable, rows: Sequence[Statement], modulo: int = 0) -> Iterator[Tables]:
    """Yield groups of factors that are free by themselves, in forward order.

    Args:
        variables: which units own which.
        rows: rows of variables that, to the powers beside, multiply to 1.
        modulo: 2 for signs, 0 for scales.
    """
    alike: dict[tuple[tuple[int, Power], ...], list[Row]] = {}
    for component in _components(variables, rows, modulo):
        for row in _kernel(component, modulo) if component else ():
            cells = sorted((int(variables.cells_of[variable]), power, variable) for variable, power in row.items())
            held = [cell for cell, _, _ in cells if variables.cells[cell].block.tensor]
            in_one = len(held) > len(set(held)) == 1  # along several axes of one tensor, they could undo each other
            if in_one or len({variables.cells[cell].block.tensor for cell in held}) > 1:
                key = tuple((cell, power) for cell, power, _ in cells)
                alike.setdefault(key, []).append({variable: power for _, power, variable in cells})
    for key, members in alike.items():
        yield from _grouped(variables, key, members)


def _components(variables: VariableTable, rows: Sequence[Statement], modulo: int) -> Iterator[list[Row]]:
    """Yield the equations of each component, of variables that several units own; nothing of large ones.

    Those that are 1 by equations of their own, and in no others, are left out.
    """
    tied = np.zeros(len(variables.several), dtype=bool)
    several: list[tuple[Array, NDArray[np.bool_], tuple[Power, ...]]] = []
    for batch, powers in rows:
        at = variables.several[batch]
        if not at.any():
            continue
        counts = np.array([bool(power % modulo if modulo else power) for power in powers])
        alone = (at.sum(axis=1) == 1) & (at & counts).any(axis=1)
        tied[batch[~alone][at[~alone]]] = True
        several.append((batch, at, powers))
    found: list[Row] = []
    for batch, at, powers in several:
        here = (at & tied[batch]).any(axis=1)
        for row, shared in zip(batch[here].tolist(), at[here].tolist(), strict=True):
            total: defaultdict[int, Power] = defaultdict(int)
            for variable, power, own in zip(row, powers, shared, strict=True):
                if own:
                    total[variable] += power
            found.append(dict(total))
    if not found:
        return
    from scipy.sparse import coo_array  # not above: it takes long to import, and few models have such variables
    from scipy.sparse.csgraph import connected_components

    size = len(variables.several)
    ends = np.array([(min(row), variable) for row in found for variable in row])
    which = connected_components(coo_array((np.ones(len(ends)), ends.T), shape=(size, size)), directed=False)[1]
    parts: defaultdict[int, list[Row]] = defaultdict(list)
    for row in found:
        parts[int(which[min(row)])].append(row)
    for part in parts.values():
        yield part if len(set().union(*part)) <= MOST else []


def _kernel(equations: Sequence[Row], modulo: int) -> list[Row]:
    """Return powers of variables, one row for each that is free, such that all equations hold."""
    pivots: dict[int, Row] = {}
    users: defaultdict[int, set[int]] = defaultdict(set)
    for row in equations:
        left = substituted(reduced(row, modulo), pivots, modulo)
        if left:
            solve_for_latest(left, pivots, users, modulo, lambda _: 0)
    members: defaultdict[int, Row] = defaultdict(dict)
    for variable in sorted(set().union(*equations)):
        for free, power in pivots.get(variable, {variable: 1}).items():
            members[free][variable] = power
    return [members[free] for free in sorted(members)]


def _grouped(variables: VariableTable, key: Sequence[tuple[int, Power]], members: Sequence[Row]) -> Iterator[Tables]:
    """Yield the places of factors alike, those together that have as many."""
    by_shape: defaultdict[tuple[int, ...], list[list[Array]]] = defaultdict(list)
    for row in members:
        places = [
            np.flatnonzero(variables.cells[cell].block.variables == variable)
            for (cell, _), variable in zip(key, row, strict=True)
        ]
        by_shape[tuple(len(each) for each in places)].append(places)
    for rows in by_shape.values():
        tables: dict[tuple[int, Power], list[Array]] = {}
        for k, (cell, power) in enumerate(key):
            if variables.cells[cell].block.tensor:
                tables.setdefault((cell, power), []).append(np.stack([places[k] for places in rows]))
        yield [
            (variables.cells[cell].block, power, np.concatenate(parts, axis=1))
            for (cell, power), parts in tables.items()
        ]
