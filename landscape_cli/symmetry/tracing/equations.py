"""Scales and signs: variables on the places of parameters, the equations between them, and their solution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import torch

from landscape_cli.symmetry.tracing.integers import Array, different_rows, ranked
from landscape_cli.symmetry.tracing.layers import Term, Terms, aligned, covered

Row = dict[int, Fraction]


@dataclass(frozen=True)
class Block:
    """The variables along some axes of one tensor of the model.

    Attributes:
        tensor: its name; empty for variables of no tensor.
        dims: the axes.
        variables: at each place of these axes, their product flattened.
        owners: the unit or slot that the place belongs to.
    """

    tensor: str
    dims: tuple[int, ...]
    variables: Array
    owners: Array


class Sorts(Protocol):
    """Which variables stand for which."""

    def depth(self, variable: int) -> int:
        """Return how deep in the nesting of units a variable lies."""

    def represent(self, rows: Array) -> tuple[list[list[int]], list[int]]:
        """Return the rows of variables that stand for all, and the variables whose rows nobody can stand for."""


class Equations:
    """Collects variables, and linear equations that hold entry by entry.

    Attributes:
        blocks: all variables of the model's tensors.
        count: how many variables there are.
        where: the operator at work, for reasons.
        signed: rows of variables whose signs are stated to multiply to +, and the operator that does.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.count = 1
        self.where = ""
        self.signed: list[tuple[Array, str]] = []
        self._known: set[object] = set()
        self._shared: dict[object, Array] = {}
        self._rows: dict[str, list[tuple[Array, tuple[int, ...]]]] = {"scale": [], "sign": []}

    def variables(self, tensor: str, dims: tuple[int, ...], owners: Array) -> Array:
        """Return new variables for the places of some axes of a tensor; places of one owner share one."""
        unique, places = ranked(owners.ravel())
        made = self.count + places
        self.count += len(unique)
        self.blocks.append(Block(tensor, dims, made, owners.ravel()))
        return made

    def of_axis(self, tensor: str, dim: int | None) -> set[int]:
        """Return the variables along one axis of a tensor, if it is a single place."""
        return {
            int(block.variables[0])
            for block in self.blocks
            if block.tensor == tensor and block.dims == (dim,) and len(block.variables) == 1
        }

    def equate(self, kind: str, one: Terms, other: Terms = (), *, rank: int) -> None:
        """State that two scales (or signs) are equal at every place; one alone is the scale 1.

        Terms that depend on different axes are each the same everywhere: one sign each, which multiply to +. Scales are
        stated to be 1 each, which is more than needed by factors that belong to no unit.
        """
        one, other = (tuple((aligned(layer, rank), power) for layer, power in terms) for terms in (one, other))
        terms = combine(one, other, -1)
        lone = [term for term in terms if not covered(term[0])]
        parts = clusters([covered(layer) for layer, _ in terms if covered(layer)])
        groups = [[term for term in terms if covered(term[0]) and covered(term[0]) <= axes] for axes in parts]
        if len(groups) == 1:
            groups[0] += lone
        elif lone:
            groups.append(lone)
        stated = [(_rows_of(group), tuple(power for _, power in group)) for group in groups]
        if kind == "sign" and len(groups) > 1:
            stated = self._apart(stated)
        for rows, powers in stated:
            key = (kind, powers, rows.shape, rows.tobytes())
            if key not in self._known:
                self._known.add(key)
                self._rows[kind].append((rows, powers))
                if kind == "sign":
                    self.signed.append((rows, self.where))

    def _apart(self, stated: Sequence[tuple[Array, tuple[int, ...]]]) -> list[tuple[Array, tuple[int, ...]]]:
        """Return rows of signs, each set of them equal to one sign of its own, and all those multiplying to +."""
        key = tuple((powers, rows.shape, rows.tobytes()) for rows, powers in stated)
        if key not in self._shared:
            self._shared[key] = np.concatenate([self.variables("", (), np.array([-1])) for _ in stated])
        shared = self._shared[key]
        found = [
            (np.concatenate([rows, np.full((len(rows), 1), own)], axis=1), (*powers, 1))
            for (rows, powers), own in zip(stated, shared, strict=True)
        ]
        return [*found, (shared[None], (1,) * len(shared))]

    def nothing(self, kind: str, variables: Array) -> None:
        """State that variables are 0."""
        self._rows[kind].append((variables.reshape(-1, 1), (1,)))

    def solve(self, kind: str, sorts: Sorts) -> Callable[[int], Row]:
        """Solve the equations between the variables kept; return what gives each as a combination of free ones.

        The free ones are of outer rather than inner units, and otherwise as early in forward order as can be, so that
        a stream's scale is set by its first writer.

        Args:
            kind: "scale", or "sign": modulo 2.
            sorts: which variables are of one sort, of which one is kept.
        """
        modulo = 2 if kind == "sign" else 0
        seen: set[tuple[tuple[int, int], ...]] = set()
        pivots: dict[int, Row] = {}
        users: defaultdict[int, set[int]] = defaultdict(set)
        for rows, common in self._rows[kind]:
            kept, torn = sorts.represent(rows)
            alone = [((variable,), (1,)) for variable in torn]
            for entry, powers in [*alone, *((entry, common) for entry in kept)]:
                total: defaultdict[int, int] = defaultdict(int)
                for variable, power in zip(entry, powers, strict=True):
                    if variable:
                        total[variable] += power
                key = tuple(sorted((v, p % 2 if modulo else p) for v, p in total.items()))
                if key not in seen:
                    seen.add(key)
                    row = _substitute({v: Fraction(p) for v, p in key if p}, pivots, modulo)
                    if row:
                        _eliminate(row, pivots, users, modulo, sorts.depth)
        return lambda variable: pivots.get(variable, {variable: Fraction(1)})


def _eliminate(
    row: Row, pivots: dict[int, Row], users: defaultdict[int, set[int]], modulo: int, depth: Callable[[int], int]
) -> None:
    """Solve one equation for its innermost, latest variable, and put that into all solutions that use it."""
    latest = max(row, key=lambda variable: (depth(variable), variable))
    lead = row.pop(latest)
    solved = _reduced({variable: -power / lead for variable, power in row.items()}, modulo)
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
        for part, share in pivots.get(variable, {variable: Fraction(1)}).items():
            total[part] = total.get(part, Fraction(0)) + power * share
    return _reduced(total, modulo)


def _reduced(row: Row, modulo: int) -> Row:
    if modulo:
        row = {variable: power % modulo for variable, power in row.items()}
    return {variable: power for variable, power in row.items() if power}


def _rows_of(terms: Sequence[Term]) -> Array:
    """Return the different rows of variables that meet anywhere."""
    layers = torch.broadcast_tensors(*(layer for layer, _ in terms))
    return different_rows(torch.stack(layers, dim=-1).reshape(-1, len(layers)).numpy())


def combine(one: Terms, other: Terms, factor: int = 1) -> Terms:
    """Return `one + factor * other`."""
    total = list(one)
    for layer, power in other:
        for k, (known, before) in enumerate(total):
            if known is layer:
                total[k] = (known, before + factor * power)
                break
        else:
            total.append((layer, factor * power))
    return tuple((layer, power) for layer, power in total if power and bool(layer.any()))


def clusters(coverages: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Return the finest sets of axes such that every coverage lies within one."""
    found: list[frozenset[int]] = []
    for axes in coverages:
        if axes:
            touching = [known for known in found if known & axes]
            found = [known for known in found if not known & axes]
            found.append(axes.union(*touching))
    return found
