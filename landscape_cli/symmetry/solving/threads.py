"""Two computations followed side by side, back to the parameters: is each number of one made of one unit's alone?

If each of the one and each of the other is made in the same way, of what belongs to one unit and of what both have in
common, a unit of the one may take the place of one of the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from landscape_cli.symmetry.solving.alone import alike_kinds, groups_of, is_alone
from landscape_cli.symmetry.solving.hashes import Hashes, is_sum
from landscape_cli.symmetry.tracing.graph import LEAF, Node
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import covered
from landscape_cli.symmetry.tracing.operators import operator_of
from landscape_cli.symmetry.tracing.record import Traced

Units = tuple[Array, Array]
"""The numbers of the units of either side, in an order."""


@dataclass(frozen=True)
class Strand:
    """Where units lie in what a node made.

    Attributes:
        axes: along which, in order.
        rank: how many axes there are.
        units: what is at each place along them, as labels say it.
        raw: the same before labels are resolved: where some are told apart by which of several places they have.
    """

    axes: tuple[int, ...]
    rank: int
    units: Array
    raw: Array

    def places(self, units: Array) -> Array | None:
        """Return the places of units, in their order, shape (units, places); None if one has more than another."""
        rows = [np.flatnonzero(self.units == unit) for unit in units]
        return np.stack(rows) if len({len(row) for row in rows}) == 1 else None


@dataclass
class Thread:
    """What two computations are made of, unit by unit.

    Attributes:
        nodes: of either, each made of one unit's numbers alone at every place of a unit.
        leaves: the parameters of the one, and for each that of the other, with where the units lie in them.
    """

    nodes: set[int] = field(default_factory=set)
    leaves: dict[tuple[str, str], tuple[Strand, Strand]] = field(default_factory=dict)


class Threads:
    """Follows computations of a run."""

    def __init__(self, traced: Traced, exact: Hashes, alike: Hashes) -> None:
        """Look up what uses what; `exact` tells what is the same, `alike` what is but for tensors and sizes."""
        self.graph, self.labels, self.exact, self.alike = traced.graph, traced.labels, exact, alike
        self._traced = traced
        self._carried: dict[int, list[tuple[frozenset[int], list[Array]]]] = {}

    @cached_property
    def users(self) -> dict[int, set[int]]:
        """What uses each node, of all that comes to outputs or decides which way the forward pass goes."""
        nodes = self.graph.nodes
        pending = [*self.graph.outputs, *self.graph.conditions]
        users: defaultdict[int, set[int]] = defaultdict(set)
        seen = set(pending)
        while pending:
            here = pending.pop()
            for operand in nodes[here].operands:
                users[operand].add(here)
                if operand not in seen:
                    seen.add(operand)
                    pending.append(operand)
        return dict(users)

    def layers_of(self, number: int) -> list[tuple[frozenset[int], list[Array]]]:
        """Return what is said along axes of a node: these, and units as labels say them, then as they resolve."""
        if number not in self._carried:
            labels = self.labels
            self._carried[number] = [
                (covered(layer), [labels.find(layer.numpy()), *labels.resolve(layer.numpy(), lone=True)])
                for layer in self.graph.nodes[number].labels
            ]
        return self._carried[number]

    def carries(self, number: int, units: Array) -> bool:
        """Tell whether units are anywhere in a node."""
        lone = self.labels.find(np.array(self.graph.nodes[number].units, dtype=np.int64))
        return bool(np.isin(lone, units).any()) or any(
            np.isin(said, units).any() for _, every in self.layers_of(number) for said in every
        )

    def strand(self, number: int, units: Array) -> Strand | None:
        """Return where units lie in a node, all of them along the same axes; None if it is otherwise."""
        found = []
        for axes, every in self.layers_of(number):
            said = next((said for said in every if np.isin(said, units).any()), None)
            if said is not None:
                found.append((axes, said, every[0]))
        lone = self.labels.find(np.array(self.graph.nodes[number].units, dtype=np.int64))
        if len(found) != 1 or np.isin(lone, units).any():
            return None
        (along, said, raw), *_ = found
        dims = tuple(sorted(along))
        strand = Strand(dims, said.ndim, said.reshape(-1), raw.reshape(-1))
        full = len(strand.units) == prod(said.shape[axis] for axis in dims)
        return strand if full and np.isin(units, strand.units).all() else None

    def follow(self, pairs: Iterable[tuple[int, int]], units: Units) -> Thread | None:
        """Return what nodes, pair by pair, are made of; None if not of each unit alone, and alike."""
        thread, pending, seen = Thread(), list(pairs), set[tuple[int, int]]()
        sizes = len(units[0]), len(units[1])
        outer = self.labels.above(np.concatenate(units))
        outer = outer[outer >= 0]
        while pending:
            pair = pending.pop()
            if pair in seen:
                continue
            seen.add(pair)
            if self.exact[pair[0]] == self.exact[pair[1]]:
                if np.array_equal(*units):
                    continue  # which both have in common
                if not any(self.carries(pair[0], side) for side in units):
                    if self.carries(pair[0], outer):
                        return None  # which is of blocks that these are in
                    continue
            strands = [self.strand(number, side) for number, side in zip(pair, units, strict=True)]
            left, right = (self.graph.nodes[number] for number in pair)
            if strands[0] is None or strands[1] is None or strands[0].axes != strands[1].axes:
                return None
            if LEAF in {left.operator, right.operator}:
                if not self._are_of_a_kind(left, right, strands[0].axes):
                    return None
                thread.leaves[left.name, right.name] = strands[0], strands[1]
            elif self._picks(left, right):
                if np.array_equal(*units):
                    return None  # of places that labels do not tell apart
                pending += zip(left.operands, right.operands, strict=True)
            elif left.operator == right.operator == "cat" and strands[0].axes == (left.axis,) == (right.axis,):
                sides = [self._holding(node, side) for node, side in zip((left, right), units, strict=True)]
                if sides[0] is None or sides[1] is None:
                    return None
                pending.append((sides[0], sides[1]))
            elif len(left.operands) == len(right.operands) and alike_kinds(left.kind, right.kind, sizes):
                if not all(is_alone(left, axis, strands[0].rank) for axis in strands[0].axes):
                    return None
                if groups_of(left) > 1 and not self._are_channels(left, right, units):
                    return None
                pending += self.paired(left, right)
            else:
                return None
            thread.nodes |= set(pair)
        return thread

    def paired(self, left: Node, right: Node) -> list[tuple[int, int]]:
        """Return the operands of two nodes that correspond to each other."""
        if not is_sum(left) or left.kind != right.kind:
            return list(zip(left.operands, right.operands, strict=True))
        sides = [sorted(node.operands, key=lambda operand: self.alike[operand]) for node in (left, right)]
        return list(zip(*sides, strict=True))

    def _holding(self, node: Node, units: Array) -> int | None:
        """Return which of the operands that are put side by side has units; None if several have."""
        holding = [operand for operand in node.operands if self.carries(operand, units)]
        return holding[0] if len(holding) == 1 else None

    def _are_channels(self, left: Node, right: Node, units: Units) -> bool:
        """Tell whether convolutions in groups read one channel for each unit, which is its own."""
        read = [self.strand(node.operands[0], side) for node, side in zip((left, right), units, strict=True)]
        of_each = zip((left, right), read, strict=True)
        return all(strand is not None and len(strand.units) == groups_of(node) for node, strand in of_each)

    def _picks(self, left: Node, right: Node) -> bool:
        """Tell whether two nodes are each other places of one."""
        if left is right:
            return False
        same = len(left.operands) == len(right.operands) == 1 and left.operands == right.operands
        return same and left.operator == right.operator and operator_of(str(left.operator)).moves

    def _are_of_a_kind(self, left: Node, right: Node, axes: Sequence[int]) -> bool:
        """Tell whether two parameters, or pieces of such, have one shape but for axes."""
        if left.operator != LEAF or right.operator != LEAF:
            return False
        shapes, learned = [], []
        for node in (left, right):
            whole, at = self.graph.pieces.get(node.name, (node.name, {}))
            shape = [size for dim, size in enumerate(self._traced.shapes[whole]) if dim not in at]
            shapes.append([size for dim, size in enumerate(shape) if dim not in axes])
            learned.append(whole in self._traced.learned)
        return shapes[0] == shapes[1] and learned[0] == learned[1]

    def is_used_otherwise(self, nodes: Iterable[int], within: set[int], units: Units) -> bool:
        """Tell whether some of these are an output, decide something, or are used by others than those within.

        Others may take places that are none of these units'.
        """
        shown = {*self.graph.outputs, *self.graph.conditions}
        for number in nodes:
            if number in shown:
                return True
            for user in self.users.get(number, set()) - within:
                carries = any(self.carries(user, side) for side in units)
                if carries or not operator_of(str(self.graph.nodes[user].operator)).moves:
                    return True
        return False
