"""Which parts of a model may trade places, each with all of its tensors: experts, branches, heads that are modules.

Such parts are found where what is computed of them is put together in whatever order: as operands of a sum or of a
maximum, or side by side along an axis of units. Two operands computed alike, of other tensors, say which tensor
corresponds to which. An exchange is then carried through all that was computed (`exchange.py`): it is a symmetry if
outputs come to be what they were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from landscape_cli.symmetry.solving.exchange import Exchange, Moved, moved_units
from landscape_cli.symmetry.solving.free_groups import MakeAxes, unused
from landscape_cli.symmetry.solving.hashes import Hashes, is_sum
from landscape_cli.symmetry.solving.lived import in_common, table_of
from landscape_cli.symmetry.solving.places import Part
from landscape_cli.symmetry.spec import Axis, ModuleGroup
from landscape_cli.symmetry.tracing.graph import JOINING, LEAF, PICKED, Node
from landscape_cli.symmetry.tracing.integers import Array, different
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import covered
from landscape_cli.symmetry.tracing.record import Traced

WITH_PARTS = "units that move with whole parts of the model alone"
"""Why the outputs of a gate may not move but with what they weigh."""


@dataclass
class Likeness:
    """What corresponds to what in two parts.

    Attributes:
        tensors: the first part's tensors, and the second's.
        units: the first part's units along axes that both have in common, and the second's: outputs of a gate.
    """

    tensors: dict[str, str] = field(default_factory=dict)
    units: dict[int, int] = field(default_factory=dict)


class Comparison:
    """Compares what was computed of what, up to which tensors of a kind it was computed of."""

    def __init__(self, traced: Traced) -> None:
        """Look at all nodes of a run."""
        self.graph, self.labels = traced.graph, traced.labels
        self.exact = Hashes(self.graph.nodes, lambda node: (node.name, *self._found(node.units)))
        kind_of = {name: (shape, name in traced.learned) for name, shape in traced.shapes.items()}
        self.alike = Hashes(self.graph.nodes, lambda node: (kind_of.get(node.name), len(node.units)))

    def _found(self, units: Sequence[int]) -> list[int]:
        return [int(unit) for unit in self.labels.find(np.array(units, dtype=np.int64))] if units else []

    def sets(self) -> Iterator[tuple[int, list[int]]]:
        """Yield the operands, computed alike of different tensors, of each node that puts such together."""
        nodes = self.graph.nodes
        inner = {(operand, node.kind) for node in nodes if is_sum(node) for operand in node.operands}
        for number, node in enumerate(nodes):
            if is_sum(node) and (number, node.kind) not in inner:
                operands = self.terms(number)
            elif node.operator in JOINING:
                operands = list(node.operands)
            else:
                continue
            by_kind: defaultdict[int, dict[int, int]] = defaultdict(dict)
            for operand in operands:
                by_kind[self.alike[operand]].setdefault(self.exact[operand], operand)
            yield from ((number, list(like.values())) for like in by_kind.values() if len(like) > 1)

    def terms(self, number: int) -> list[int]:
        """Return all operands of a sum of sums, in order, each once."""
        nodes, pending = self.graph.nodes, [number]
        found: list[int] = []
        seen: set[int] = set()
        while pending:
            here = pending.pop()
            if here in seen:
                continue
            seen.add(here)
            if nodes[here].kind == nodes[number].kind:
                pending += reversed(nodes[here].operands)
            else:
                found.append(here)
        return found

    def likeness(self, first: int, second: int) -> Likeness | None:
        """Return what corresponds to what in two nodes that are computed alike; None if that is not clear."""
        like, pending = Likeness(), [(first, second)]
        seen: set[tuple[int, int]] = set()
        while pending:
            pair = pending.pop()
            if pair in seen or self.exact[pair[0]] == self.exact[pair[1]]:
                continue
            seen.add(pair)
            left, right = (self.graph.nodes[number] for number in pair)
            if self.alike[pair[0]] != self.alike[pair[1]]:
                return None
            if left.operator == LEAF:
                if like.tensors.setdefault(left.name, right.name) != right.name:
                    return None
            elif is_sum(left):
                pending += self._paired(*pair)
            else:
                pending += zip(left.operands, right.operands, strict=True)
            if left.operator == PICKED and self._is_one(left.operands, right.operands):
                for unit, other in zip(self._found(left.units), self._found(right.units), strict=True):
                    if like.units.setdefault(unit, other) != other:
                        return None
                    pending += self._joined(left.operands[0], unit, other)
        return like if like.tensors and not like.tensors.keys() & set(like.tensors.values()) else None

    def _is_one(self, left: Sequence[int], right: Sequence[int]) -> bool:
        return all(self.exact[a] == self.exact[b] for a, b in zip(left, right, strict=True))

    def _paired(self, left: int, right: int) -> list[tuple[int, int]]:
        """Return the operands of two sums that correspond to each other, but for those that both have."""
        sides = [self.terms(number) for number in (left, right)]
        common = {self.exact[term] for term in sides[0]} & {self.exact[term] for term in sides[1]}
        rest = [[term for term in side if self.exact[term] not in common] for side in sides]
        first, second = (sorted(side, key=lambda term: self.alike[term]) for side in rest)
        return list(zip(first, second, strict=True)) if len(first) == len(second) else []

    def _joined(self, number: int, unit: int, other: int) -> list[tuple[int, int]]:
        """Return what lies at two units where numbers were put side by side, of which all else was computed."""
        pairs: list[tuple[int, int]] = []
        pending, seen = [number], set[int]()
        while pending:
            here = pending.pop()
            if here in seen:
                continue
            seen.add(here)
            node = self.graph.nodes[here]
            pending += node.operands
            units = joint_units(self.labels, node)
            if units is not None and unit in units and other in units:
                at = [units.index(each) for each in (unit, other)]
                pairs.append((node.operands[at[0]], node.operands[at[1]]))
        return pairs


def joint_units(labels: Labels, node: Node) -> list[int] | None:
    """Return the units that what a node puts side by side is told by, if it is by one each."""
    for layer in node.labels if node.operator in JOINING and max(node.sizes, default=0) == 1 else ():
        if covered(layer) == {node.axis} and int(layer.min()) >= 0:
            return [int(unit) for unit in labels.find(layer.reshape(-1).numpy())]
    return None


@dataclass(frozen=True)
class Siblings:
    """What was found.

    Attributes:
        groups: the parts that may trade places.
        joints: the nodes that put numbers side by side that are computed alike.
        told: those of them where these were told by units of their own, and were found to trade places.
        moving: the units that move with parts.
    """

    groups: tuple[ModuleGroup, ...] = ()
    joints: frozenset[int] = frozenset()
    told: frozenset[int] = frozenset()
    moving: frozenset[int] = frozenset()


def find_siblings(traced: Traced, parts: Sequence[Part], axes: MakeAxes) -> Siblings:
    """Find the parts of a model that may trade places, and fix the units that move with them alone.

    Args:
        traced: what one run left behind, its labels settled.
        parts: what lives along the axes of parameters.
        axes: makes those of a group.
    """
    comparison = Comparison(traced)
    candidates = list(comparison.sets())
    if not candidates:
        return Siblings()
    exchange = Exchange(traced, comparison.exact)
    groups: dict[frozenset[str], ModuleGroup] = {}
    joints: set[int] = set()
    held: set[int] = set()
    moving: set[int] = set()
    for number, operands in candidates:
        node = traced.graph.nodes[number]
        for found in _trading(traced, comparison, exchange, number, operands):
            group = _group(traced, parts, axes, found, {each.name for each in groups.values()}) if found else None
            if group is None:
                joints |= {number} if node.operator in JOINING and max(node.sizes) == 1 else set()
                continue
            inside = frozenset(name for like, _ in found for pair in like.tensors.items() for name in pair)
            groups.setdefault(inside, group)
            held |= {unit for like, _ in found for pair in like.units.items() for unit in pair}
            moving.update(unit for _, moved in found for unit in np.flatnonzero(moved.free).tolist())
    told_by = {number: set(joint_units(traced.labels, traced.graph.nodes[number]) or ()) for number, _ in candidates}
    told = frozenset(number for number, units in told_by.items() if not units.isdisjoint(held))
    held = held.union(*(told_by[number] for number in told))
    if held:
        traced.labels.fix(np.array(sorted(held)), WITH_PARTS)
    outer_first = sorted(groups.values(), key=_extent, reverse=True)
    return Siblings(tuple(outer_first), frozenset(joints), told, frozenset(moving))


def _extent(group: ModuleGroup) -> int:
    """Return how many tensors a part has, and places in others."""
    return len(group.members[0]) + sum(int(axis.places.table.shape[1]) for axis in group.axes)


Found = list[tuple[Likeness, Moved]]
"""Of several parts, what corresponds in the first and each of the others, and what is moved as these two are."""


def _trading(
    traced: Traced, comparison: Comparison, exchange: Exchange, number: int, operands: Sequence[int]
) -> list[Found]:
    """Return the parts that trade places among what a node puts together, computed alike; nothing if there are none.

    Where some do with some and others with others, as the experts of groups, groups may as wholes.
    """
    node = traced.graph.nodes[number]
    own = joint_units(traced.labels, node)

    def likeness(first: int, second: int) -> Likeness | None:
        like = comparison.likeness(first, second)
        if like is not None and own is not None:
            at = [node.operands.index(operand) for operand in (first, second)]
            like.units.setdefault(own[at[0]], own[at[1]])
        return like

    sets: list[tuple[list[int], Found]] = []
    rest = list(operands)
    while rest and (not sets or len(sets[-1][0]) > 1):
        first, *others = rest
        together, found = [first], Found()
        for other in others:
            like = likeness(first, other)
            moved = None if like is None else _exchanged(traced, exchange, like)
            if like is not None and moved is not None and (not found or _is_of(like, found[0][0])):
                together.append(other)
                found.append((like, moved))
        sets.append((together, found))
        rest = [other for other in others if other not in together]
    whole = Found()
    for together, _ in sets[1:] if len({len(together) for together, _ in sets}) == 1 else ():
        pairs = [likeness(a, b) for a, b in zip(sets[0][0], together, strict=True)]
        like = _united([pair for pair in pairs if pair is not None]) if len(together) > 1 and all(pairs) else None
        moved = None if like is None else _exchanged(traced, exchange, like)
        if like is not None and moved is not None:
            whole.append((like, moved))
    return [found for _, found in sets if found or len(sets) == 1] + ([whole] if whole else [])


def _is_of(like: Likeness, first: Likeness) -> bool:
    return like.tensors.keys() == first.tensors.keys()


def _united(parts: Sequence[Likeness]) -> Likeness:
    """Return what corresponds to what in several parts together."""
    tensors = {name: other for like in parts for name, other in like.tensors.items()}
    return Likeness(tensors, {unit: other for like in parts for unit, other in like.units.items()})


def _exchanged(traced: Traced, exchange: Exchange, like: Likeness) -> Moved | None:
    """Return what is moved as two parts trade places, if that is a symmetry."""
    units = moved_units(traced, like.tensors, like.units)
    if units is None:
        return None
    moved = Moved(traced.labels, like.tensors, units)
    gated = np.array([unit for pair in like.units.items() for unit in pair], dtype=np.int64)
    return moved if moved.free[gated].all() and exchange.keeps(moved) else None


def _group(
    traced: Traced,
    parts: Sequence[Part],
    axes: MakeAxes,
    found: Sequence[tuple[Likeness, Moved]],
    taken: Collection[str],
) -> ModuleGroup | None:
    """Return the group of a part and those that may trade places with it; None if it is not clear where they live."""
    place = {name: k for k, name in enumerate(traced.shapes)}
    first = sorted(found[0][0].tensors, key=lambda name: place.get(name, len(place)))
    members = [first, *([like.tensors[name] for name in first] for like, _ in found)]
    inside = {name for member in members for name in member}
    if len(inside) < len(first) * len(members):
        return None
    member_of, stands_for = np.full(traced.labels.count, -1), np.arange(traced.labels.count)
    for k, (like, moved) in enumerate(found):
        numbers = np.flatnonzero(moved.free & (member_of <= 0))
        mine = _own(traced, like, moved, numbers)
        member_of[mine] = 0
        member_of[moved.units[mine]] = k + 1
        stands_for[moved.units[mine]] = mine
    pieces = traced.graph.pieces
    cut = {pieces[name][0] for name in inside if name in pieces}
    lived: list[Axis] = []
    along: dict[tuple[str, tuple[int, ...]], list[list[int]]] = {}
    for slot in range(len(first)):
        if first[slot] in pieces:
            name, within = pieces[first[slot]]
            if any(member[slot] not in pieces or pieces[member[slot]][0] != name for member in members):
                return None
            dims = tuple(sorted(within))
            sizes = [traced.shapes[name][dim] for dim in dims]
            at = [[pieces[member[slot]][1][dim] for dim in dims] for member in members]
            along.setdefault((name, dims), []).append([int(np.ravel_multi_index(each, sizes)) for each in at])
    for (name, dims), columns in along.items():
        lived += axes(name, dims, np.array(columns).T)
    tables: dict[str, dict[tuple[int, ...], Array]] = {}
    for part in parts:
        if part.tensor in inside or part.tensor in cut:
            continue
        table = table_of(part, member_of, stands_for, found[0][1], len(members))
        if table is None:
            return None
        if table.size:
            tables.setdefault(part.tensor, {})[tuple(part.dims)] = table
    for name, of_runs in tables.items():
        common = in_common(of_runs, traced.shapes[name])
        if common is None:
            return None
        for dims, table in common.items():
            lived += axes(name, dims, table)
    aliases = traced.aliases
    named = [tuple(alias for name in member for alias in aliases.get(name, ())) for member in members]
    return ModuleGroup(
        unused(_common_name([[pieces.get(name, (name,))[0] for name in member] for member in members]), taken),
        tuple(named),
        tuple(lived),
    )


def _own(traced: Traced, like: Likeness, moved: Moved, numbers: Array) -> Array:
    """Return the units of the first of two parts among numbers."""
    layers = [layer for name in like.tensors for run in traced.graph.runs.get(name, ()) for layer in run]
    mine = [part.ravel() for layer in layers for part in traced.labels.resolve(layer.numpy(), lone=True)]
    units = different(np.concatenate([np.array(list(like.units), dtype=np.int64), *mine]))
    above = [units]
    while (above[-1] >= 0).any():
        above.append(traced.labels.above(above[-1][above[-1] >= 0]))
    found: Array = np.intersect1d(np.concatenate(above), numbers)
    inside = numbers[np.isin(traced.labels.above(numbers), found)]
    return np.union1d(found, inside)


def _common_name(members: Sequence[Sequence[str]]) -> str:
    """Return what the names of parts have in common."""
    names = [name.split(".") for member in members for name in member]
    common = []
    for words in zip(*names, strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    first = members[0][0].removesuffix(".weight")
    return f"{'.'.join(common) or first.rpartition('.')[0] or first}/parts"
