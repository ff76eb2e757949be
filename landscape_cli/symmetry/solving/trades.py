"""Units that trade places one by one between layers, rather than layers as wholes: found where they are put together.

Either the units of two layers are summed with weights of their own, or lie side by side: then they are one group. Or
two are multiplied, or the larger one counts, or their difference whichever way: then these two trade places alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from landscape_cli.symmetry.solving.alone import factors_of
from landscape_cli.symmetry.solving.hashes import Hashes
from landscape_cli.symmetry.solving.meetings import Meeting, meetings
from landscape_cli.symmetry.solving.places import Part
from landscape_cli.symmetry.solving.refinement import color, runs_of
from landscape_cli.symmetry.solving.siblings import Comparison
from landscape_cli.symmetry.solving.threads import Strand, Thread, Threads, Units
from landscape_cli.symmetry.spec import PermutationGroup, Symmetry
from landscape_cli.symmetry.tracing.graph import LEAF, Node
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.operators import operator_of
from landscape_cli.symmetry.tracing.record import Traced

Place = tuple[str, tuple[int, ...]]
"""A tensor, and axes of it."""
Side = tuple[Place, Array]
"""Where units live, and their places there, in an order, shape (units, places)."""


@dataclass(frozen=True)
class Trade:
    """Units that trade places one by one.

    Attributes:
        groups: the names of the groups whose units do: those of several, or of one, whose units have several sides that
            trade places.
        slots: where what trades places lives: for each slot the places on either side, that correspond; none if that is
            not clear.
    """

    groups: tuple[str, ...]
    slots: tuple[tuple[Side, ...], ...]


def find_trades(traced: Traced, parts: Sequence[Part], symmetry: Symmetry) -> list[Trade]:
    """Return the units that trade places one by one, of groups that move as wholes so far.

    Args:
        traced: what one run left behind, its labels settled.
        parts: what lives along the axes of parameters.
        symmetry: what was found.
    """
    return list(_Search(traced, parts, symmetry).run())


class _Search:
    """Looks at everything where computations that are alike are put together.

    Attributes:
        groups: those whose units are looked at, by name.
        units: the numbers of their units, in order.
        called: the same, and others that these have elsewhere.
    """

    def __init__(self, traced: Traced, parts: Sequence[Part], symmetry: Symmetry) -> None:
        self.traced, self.graph, self.labels = traced, traced.graph, traced.labels
        self.comparison = Comparison(traced)
        nodes = [replace(node, kind=_loose(node)) for node in self.graph.nodes]
        ranks = {name: (len(shape), name in traced.learned) for name, shape in traced.shapes.items()}
        self.alike = Hashes(nodes, lambda node: (ranks.get(node.name), len(node.units)))
        self.threads = Threads(traced, self.comparison.exact, self.alike)
        self.groups: dict[str, PermutationGroup] = {}
        self.units: dict[str, Array] = {}
        self.called: dict[str, list[Array]] = {}
        self.group_of = np.full(max(self.labels.count, 1), -1)
        names = {group.name for group in symmetry.permutations}
        inside = {name for group in symmetry.permutations for name in group.inside}
        for group in symmetry.permutations:
            if group.blocks > 1 or group.name in inside or not names.isdisjoint(group.inside):
                continue  # whose units are in blocks of their own, or are such
            every = _units(group, parts)
            free = [units for units in every if not self.labels.why_fixed(units).any()]
            called = [*free, *(units for units in every if free and np.array_equal(self.labels.above(units), free[0]))]
            if called:
                for units in called:
                    self.group_of[units] = len(self.groups)
                self.groups[group.name], self.units[group.name], self.called[group.name] = group, called[0], called
        self.names = list(self.groups)

    def run(self) -> Iterator[Trade]:
        """Yield what is found: those of units of several groups first, of each group once; then those of sides."""
        of_sides: dict[str, Trade] = {}
        taken: set[str] = set()
        for meeting in meetings(self.graph, self.comparison, self.threads.users):
            for like in self._alike(meeting.terms):
                for trade in self._trades(meeting, like):
                    if len(trade.groups) == 1:
                        of_sides.setdefault(trade.groups[0], trade)
                    elif taken.isdisjoint(trade.groups):
                        taken |= set(trade.groups)
                        yield trade
        yield from of_sides.values()

    def _alike(self, numbers: Sequence[int]) -> Iterator[list[int]]:
        by_kind: defaultdict[int, list[int]] = defaultdict(list)
        for number in dict.fromkeys(numbers):
            by_kind[self.alike[number]].append(number)
        yield from (like for like in by_kind.values() if len(like) > 1)

    def _trades(self, meeting: Meeting, like: Sequence[int]) -> Iterator[Trade]:
        """Yield the trades between nodes that are alike and put together."""
        for first in like:
            found = [self._between(meeting, first, other) for other in like if other != first]
            by_first: defaultdict[str, dict[str, Thread]] = defaultdict(dict)
            on_sides: defaultdict[str, list[tuple[Thread, Units]]] = defaultdict(list)
            for one, two, thread in (each for each in found if each is not None):
                if one == two:
                    on_sides[one].append((thread, (self.units[one], self.units[one])))
                else:
                    by_first[one].setdefault(two, thread)
            for one, threads in by_first.items():
                yield Trade((one, *threads), self._slots((one, *threads), list(threads.values())) or ())
            yield from (Trade((one,), slots) for one, sides in on_sides.items() if (slots := self._sides(sides)))
        if meeting.axis is None:
            for name in self.groups_at(like[0]):
                if (trade := self._of_factors(name, like, meeting)) is not None:
                    yield trade

    def _between(self, meeting: Meeting, first: int, other: int) -> tuple[str, str, Thread] | None:
        """Return the groups whose units are one between two nodes that are put together, and what these are made of."""
        if meeting.axis is not None:
            return self._beside(meeting, meeting.axis, first, other)
        return self._in_sum(meeting, first, other) if meeting.adds else None

    def groups_at(self, number: int) -> list[str]:
        """Return the groups whose units are in what a node made."""
        said = [each.ravel() for _, every in self.threads.layers_of(number) for each in every]
        found = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *said]))
        of = self.group_of[found[(found >= 0) & (found < len(self.group_of))]]
        return [self.names[k] for k in np.unique(of[of >= 0]).tolist()]

    def _in_sum(self, meeting: Meeting, first: int, other: int) -> tuple[str, str, Thread] | None:
        """Return the groups that two terms sum over, and what of, if what they come to is linear in these sums."""
        spine, pair = {first, other}, (first, other)
        while (found := self._contracted(*pair)) is None:
            deeper = self._linear(*pair)
            if deeper is None:
                return None
            pair = deeper
            spine |= set(pair)
        one, two, thread = found
        users, units = self.threads.users, (self.units[one], self.units[two])
        if any(not users.get(k, set()) <= spine | meeting.within for k in spine):
            return None
        if not self._is_once((first, other), meeting.within):
            return None
        return None if self.threads.is_used_otherwise(thread.nodes, thread.nodes | spine, units) else found

    def _is_once(self, terms: tuple[int, int], within: Collection[int]) -> bool:
        """Tell whether terms are each once in a sum, whose own sums no one else uses."""
        uses = [operand for k in within for operand in self.graph.nodes[k].operands]
        inner = [k for k in within if k in uses]
        own = all(self.threads.users.get(k, set()) <= set(within) and uses.count(k) == 1 for k in inner)
        return own and all(uses.count(term) == 1 for term in terms)

    def _linear(self, first: int, other: int) -> tuple[int, int] | None:
        """Return the operands of two nodes that are linear in them, all else that multiplies these in common."""
        left, right = (self.graph.nodes[number] for number in (first, other))
        if left.kind != right.kind or len(left.operands) != len(right.operands) or left.operator == LEAF:
            return None
        name, factors = str(left.operator), factors_of(left)
        pairs = self.threads.paired(left, right)
        if factors is not None:
            pairs = [pairs[k] for k in factors]
        elif not operator_of(name).moves and name not in {"mul", "neg", "sum", "mean"}:
            return None
        differ = [pair for pair in pairs if self.comparison.exact[pair[0]] != self.comparison.exact[pair[1]]]
        return differ[0] if len(differ) == 1 else None

    def _contracted(self, first: int, other: int) -> tuple[str, str, Thread] | None:
        """Return the groups whose units two nodes sum over, and what is summed."""
        left, right = (self.graph.nodes[number] for number in (first, other))
        if left.kind != right.kind or len(left.operands) != len(right.operands):
            return None
        factors = (0,) if left.operator in {"sum", "mean"} else factors_of(left)
        if factors is None:
            return None
        pairs = [(left.operands[k], right.operands[k]) for k in factors]
        sides = [set.intersection(*(set(self.groups_at(pair[k])) for pair in pairs)) for k in (0, 1)]
        for one in sorted(sides[0] - set(self.groups_at(first))):
            for two in sorted(sides[1] - set(self.groups_at(other))):
                units = self.units[one], self.units[two]
                if left.operator == "mean" and len(units[0]) != len(units[1]):
                    continue
                thread = self.threads.follow(pairs, units)
                if thread is not None and thread.leaves:
                    return one, two, thread
        return None

    def _beside(self, meeting: Meeting, axis: int, first: int, other: int) -> tuple[str, str, Thread] | None:
        """Return the groups of two nodes that are put side by side, if what becomes of either is the same."""
        inner = meeting.within - {max(meeting.within)}
        for one in self.groups_at(first):
            for two in self.groups_at(other):
                units = self.units[one], self.units[two]
                strands = [self.threads.strand(k, side) for k, side in zip((first, other), units, strict=True)]
                if one == two or any(each is None or each.axes != (axis,) for each in strands):
                    continue
                thread = self.threads.follow([(first, other)], units)
                if thread is None or not thread.leaves:
                    continue
                alone = not self.threads.is_used_otherwise(thread.nodes, thread.nodes | meeting.within, units)
                if alone and self._are_one_beyond(thread.nodes | inner, units):
                    return one, two, thread
        return None

    def _are_one_beyond(self, within: Collection[int], units: Units) -> bool:
        """Tell whether units of two groups occur in the same way wherever they do but within some nodes.

        Those of several blocks, as of groups of channels that a convolution reads, go where these go.
        """
        if len(np.unique(self.labels.above(np.concatenate(units)))) > 1:
            return False
        seen = [node.labels for number, node in enumerate(self.graph.nodes) if number not in within]
        colors = color(self.labels, runs_of(self.labels, seen))
        return len(np.unique(colors[np.concatenate(units)])) == 1

    def _slots(self, members: tuple[str, ...], threads: Sequence[Thread]) -> tuple[tuple[Side, ...], ...] | None:
        """Return where the units of groups live, slot by slot; None if that is not clear."""
        places = [{(axis.tensor, axis.dims): axis.places.table for axis in self.groups[name].axes} for name in members]
        slots = []
        for place, table in places[0].items():
            slot = [(place, table)]
            for there, thread in zip(places[1:], threads, strict=True):
                match = self._matching(place, thread)
                if match not in there or there[match].shape[1] != table.shape[1]:
                    return None
                slot.append((match, there[match]))
            slots.append(tuple(slot))
        for k, there in enumerate(places):
            if len({slot[k][0] for slot in slots}) < len(there):
                return None
        return tuple(slots)

    def _matching(self, place: Place, thread: Thread) -> Place:
        """Return what corresponds to a place in the other of two threads: itself where both live there."""
        for (one, two), (left, right) in thread.leaves.items():
            if self._place(one, left.axes) == place:
                return self._place(two, right.axes)
        return place

    def _place(self, leaf: str, axes: Sequence[int]) -> Place:
        """Return the tensor and the axes of it that a node of it, or of a piece of it, has along some of its own."""
        whole, at = self.graph.pieces.get(leaf, (leaf, {}))
        rest = [dim for dim in range(len(self.traced.shapes[whole])) if dim not in at]
        return whole, tuple(sorted((*at, *(rest[axis] for axis in axes))))

    def _of_factors(self, name: str, like: Sequence[int], meeting: Meeting) -> Trade | None:
        """Return the trade of a group's units between nodes that are put together at each of their places.

        Parameters that are put together as they are, such as biases, say no more than one.
        """
        made = [k for k in like if self.graph.nodes[k].operator != LEAF]
        known = [(k, units) for k in made if (units := self._as_said(k, self.called[name])) is not None]
        for first, mine in known:
            threads = []
            for other, theirs in known:
                thread = self.threads.follow([(first, other)], (mine, theirs)) if other != first else None
                if thread is None or not thread.leaves:
                    continue
                if not self.threads.is_used_otherwise(thread.nodes, thread.nodes | meeting.within, (mine, theirs)):
                    threads.append((thread, (mine, theirs)))
            slots = self._sides(threads)
            if slots:
                return Trade((name,), slots)
        return None

    def _as_said(self, number: int, called: Sequence[Array]) -> Array | None:
        """Return units as labels call them in a node, each at one place; None if they lie otherwise."""
        for units in called:
            strand = self.threads.strand(number, units)
            places = None if strand is None else strand.places(units)
            if strand is not None and places is not None and places.shape[1] == 1:
                return strand.raw[places[:, 0]]
        return None

    def _sides(self, threads: Sequence[tuple[Thread, Units]]) -> tuple[tuple[Side, ...], ...]:
        """Return where what trades places with another side lives, slot by slot; nothing if that is not clear."""
        slots: dict[str, list[Side]] = {}
        for k, (thread, units) in enumerate(threads):
            for (one, two), strands in thread.leaves.items():
                sides = [self._side(*each) for each in zip((one, two), strands, units, strict=True)]
                if sides[0] is None or sides[1] is None or sides[0][1].shape != sides[1][1].shape:
                    return ()
                slots.setdefault(one, [sides[0]]).append(sides[1])
            if any(len(slot) != k + 2 for slot in slots.values()):
                return ()
        return tuple(map(tuple, slots.values()))

    def _side(self, leaf: str, strand: Strand, units: Array) -> Side | None:
        """Return where units live in a parameter, given where they do in a node of it, or of a piece of it."""
        places = replace(strand, units=strand.raw).places(units)
        if places is None or not places.shape[1]:
            places = strand.places(units)
        if places is None or not places.shape[1]:
            return None
        whole, at = self.graph.pieces.get(leaf, (leaf, {}))
        _, dims = place = self._place(leaf, strand.axes)
        shape = self.traced.shapes[whole]
        along = np.unravel_index(places, [shape[dim] for dim in dims if dim not in at])
        within = dict(zip((dim for dim in dims if dim not in at), along, strict=True))
        index = [within.get(dim, np.full_like(places, at.get(dim, 0))) for dim in dims]
        return place, np.ravel_multi_index(index, [shape[dim] for dim in dims])


def _loose(node: Node) -> tuple[Any, ...]:
    """Return the kind of a node without the numbers of places that it moves, or of groups that it reads in."""
    if node.operator == "convolution":
        return (node.operator, *node.kind[1][:-1])
    return (node.operator,) if operator_of(str(node.operator)).moves else node.kind


def _units(group: PermutationGroup, parts: Sequence[Part]) -> list[Array]:
    """Return the numbers of the units of a group, in its order; several where they are blocks of one unit each."""
    found: dict[bytes, Array] = {}
    for axis in group.axes:
        for part in parts:
            if (part.tensor, part.dims) != (axis.tensor, axis.dims):
                continue
            for k in part.run.units():
                said = part.run.columns[k][axis.places.table]
                if (said == said[:, :1]).all() and len(np.unique(said[:, 0])) == len(said) and said.min() >= 0:
                    found.setdefault(said[:, 0].tobytes(), said[:, 0])
    return list(found.values())
