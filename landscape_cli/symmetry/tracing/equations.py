"""Scales and signs: variables on the places of parameters, and the equations between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from landscape_cli.symmetry.tracing.integers import Array, different_rows, ranked, split_rows
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, Power, Term, Terms, aligned, covered
from landscape_cli.symmetry.tracing.narrowed import narrowed

Statement = tuple[Array, tuple[Power, ...]]
"""Rows of variables that, to these powers, multiply to 1."""


@dataclass(frozen=True)
class Block:
    """The variables along some axes of one tensor of the model.

    Attributes:
        tensor: its name; empty for variables of no tensor.
        dims: the axes.
        variables: at each place of these axes, their product flattened.
        owners: the unit or slot that the place belongs to.
        beside: another that it belongs to as well.
    """

    tensor: str
    dims: tuple[int, ...]
    variables: Array
    owners: Array
    beside: Array | None = None

    def columns(self, labels: Labels) -> list[Array]:
        """Return what owns the places, by the units and slots that it has come to."""
        beside = labels.resolve(self.beside) if self.beside is not None else []
        return [*labels.resolve(self.owners), *beside]


class Equations:
    """Collects variables, and linear equations that hold entry by entry.

    Attributes:
        blocks: all variables of the model's tensors.
        count: how many variables there are.
        where: the operator at work, for reasons.
        signed: rows of variables whose signs are stated to multiply to +, and the operator that does.
        output: the variable of a scale that all outputs have.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.count = 1
        self.where = ""
        self.signed: list[tuple[Array, str]] = []
        self.output = 0
        self._known: set[object] = set()
        self._shared: dict[object, Array] = {}
        self._rows: dict[str, list[Statement]] = {"scale": [], "sign": []}
        self._conditional: list[tuple[str, Terms, Layer, int]] = []

    def variables(self, tensor: str, dims: tuple[int, ...], owners: Array) -> Array:
        """Return new variables for the places of some axes of a tensor; places of one owner share one."""
        unique, places = ranked(owners.ravel())
        made = self.count + places
        self.count += len(unique)
        self.blocks.append(Block(tensor, dims, made, owners.ravel()))
        return made

    def of_pairs(self, first: Array, second: Array) -> Array:
        """Return new variables of no tensor for places that two own each, which share one where they are the same."""
        unique, places = split_rows(np.stack([first.ravel(), second.ravel()], axis=1))
        made = self.count + places
        self.count += len(unique)
        self.blocks.append(Block("", (), made, first.ravel(), second.ravel()))
        return made

    def of_axis(self, tensor: str, dim: int | None) -> set[int]:
        """Return the variables along one axis of a tensor, if it is a single place."""
        return {
            int(block.variables[0])
            for block in self.blocks
            if block.tensor == tensor and block.dims == (dim,) and len(block.variables) == 1
        }

    def equate(self, kind: str, left: Terms, right: Terms = (), *, rank: int) -> None:
        """State that two scales (or signs) are equal at every place; one alone is the scale 1.

        Terms that depend on different axes are each the same everywhere: one factor each, of no unit's own, which
        multiply to 1.
        """
        left, right = (tuple((aligned(layer, rank), power) for layer, power in terms) for terms in (left, right))
        terms = combine(left, right, -1)
        stated = [(_rows_of(group), tuple(power for _, power in group)) for group in _independent(terms)]
        if len(stated) > 1:
            stated = self._apart(stated)
        for rows, powers in stated:
            key = (kind, powers, rows.shape, rows.tobytes())
            if key not in self._known:
                self._known.add(key)
                self._rows[kind].append((rows, powers))
                if kind == "sign":
                    self.signed.append((rows, self.where))

    def equate_if_used(self, kind: str, left: Terms, variables: Layer, *, rank: int) -> None:
        """State that a scale (or sign) is that of each of some variables, shape (n,), if any other equation has one."""
        self._conditional.append((kind, left, variables, rank))

    def settle_conditional(self) -> None:
        """State what was to be stated if variables are used, of all that are."""
        count = -1
        while count < (count := sum(map(len, self._rows.values()))):
            left_out = []
            for conditional in self._conditional:
                kind, left, variables, rank = conditional
                if any(np.isin(rows, variables.numpy()).any() for rows, _ in self._rows[kind]):
                    lifted = tuple((aligned(layer, rank).unsqueeze(-1), power) for layer, power in left)
                    self.equate(kind, lifted, ((variables.view((*[1] * rank, -1)), 1),), rank=rank + 1)
                else:
                    left_out.append(conditional)
            self._conditional = left_out

    def _apart(self, stated: Sequence[Statement]) -> list[Statement]:
        """Return rows of factors, each set of them equal to one of its own, and all those multiplying to 1."""
        key = tuple((powers, rows.shape, rows.tobytes()) for rows, powers in stated)
        if key not in self._shared:
            self._shared[key] = np.concatenate([self.variables("", (), np.array([-1])) for _ in stated])
        shared = self._shared[key]
        equal = [
            (np.concatenate([rows, np.full((len(rows), 1), factor)], axis=1), (*powers, -1))
            for (rows, powers), factor in zip(stated, shared, strict=True)
        ]
        return [*equal, (shared[None], (1,) * len(shared))]

    def rows(self, kind: str) -> Sequence[Statement]:
        """Return the equations between scales, or signs: rows of variables that, to these powers, multiply to 1."""
        return self._rows[kind]

    def replace(self, kind: str, statements: Sequence[Statement]) -> None:
        """Put other statements in place of all those of a kind, which come to the same."""
        self._rows[kind] = list(statements)


def _independent(terms: Terms) -> list[list[Term]]:
    """Return groups of terms that depend on no axis in common; those that depend on none join a single group."""
    lone = [term for term in terms if not covered(term[0])]
    parts = clusters([covered(layer) for layer, _ in terms if covered(layer)])
    groups = [[term for term in terms if covered(term[0]) and covered(term[0]) <= axes] for axes in parts]
    if len(groups) == 1:
        groups[0] += lone
    elif lone:
        groups.append(lone)
    return groups


def _rows_of(terms: Sequence[Term]) -> Array:
    """Return the different rows of variables that meet anywhere."""
    layers = torch.broadcast_tensors(*narrowed([layer for layer, _ in terms]))
    return different_rows(torch.stack(layers, dim=-1).reshape(-1, len(layers)).numpy())


def combine(left: Terms, right: Terms, factor: int = 1) -> Terms:
    """Return `left + factor * right`."""
    total = list(left)
    for layer, power in right:
        for k, (summand, before) in enumerate(total):
            if summand is layer or (summand.shape == layer.shape and torch.equal(summand, layer)):
                total[k] = (summand, before + factor * power)
                break
        else:
            total.append((layer, factor * power))
    return tuple((layer, power) for layer, power in total if power and bool(layer.any()))


def clusters(coverages: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Return the finest sets of axes such that every coverage lies within one: the components of a hypergraph."""
    components: list[frozenset[int]] = []
    for axes in coverages:
        if axes:
            touching = [component for component in components if component & axes]
            components = [component for component in components if not component & axes]
            components.append(axes.union(*touching))
    return components
