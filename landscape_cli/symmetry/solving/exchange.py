"""Two parts of a model that trade places, carried through all that was computed: do outputs come to be what they were?

Tensors of the parts take each other's place, and with them the units along their axes, wherever these live beside.
What was computed of one part then is what was computed of the other. The exchange is a symmetry if that changes
nothing where both are put together: a sum of the same operands, numbers side by side whose units say whose they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

import numpy as np

from landscape_cli.symmetry.solving.hashes import Hashes, Pair, combined, scrambled
from landscape_cli.symmetry.solving.refinement import run_of
from landscape_cli.symmetry.tracing.branches import DECIDES
from landscape_cli.symmetry.tracing.equations import clusters
from landscape_cli.symmetry.tracing.graph import JOINING, Node
from landscape_cli.symmetry.tracing.integers import NONE, SPAN, Array, Hash, different, different_rows, is_function, mix
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import covered
from landscape_cli.symmetry.tracing.record import Traced


class Moved:
    """Which tensor and which unit takes the place of each.

    Attributes:
        tensors: by name.
        units: by number.
        free: those that are moved, and may be.
    """

    def __init__(self, labels: Labels, tensors: Mapping[str, str], units: Array) -> None:
        """Keep what is moved."""
        self.tensors, self.units = {**tensors, **{b: a for a, b in tensors.items()}}, units
        numbers = np.arange(len(units))
        why = labels.why_fixed(numbers)
        # What decides which parts are taken may move with these: what is taken, and in which order, is followed.
        decides = labels.reasons.index(DECIDES) if DECIDES in labels.reasons else 0
        self.free = (units != numbers) & ((why == 0) | (why == decides))


def moved_units(traced: Traced, tensors: Mapping[str, str], pairs: Mapping[int, int]) -> Array | None:
    """Return which unit takes the place of each if tensors take each other's; None if there is no such."""
    labels, graph = traced.labels, traced.graph
    names = {name for pair in tensors.items() for name in pair}
    if graph.used_whole([name for name in names if name in graph.pieces]):
        return None
    found = [np.array([[a, b] for a, b in pairs.items()], dtype=np.int64).reshape(-1, 2)]
    for first, second in tensors.items():
        rows = [graph.runs.get(name, ()) for name in (first, second)]
        aliases = [traced.aliases.get(name, ()) for name in (first, second)]
        if len(rows[0]) != len(rows[1]) or len(aliases[0]) != len(aliases[1]):
            return None
        for runs in zip(*rows, strict=True):
            sides = [[part for layer in run for part in labels.resolve(layer.numpy(), lone=True)] for run in runs]
            if [part.shape for part in sides[0]] != [part.shape for part in sides[1]]:
                return None
            for left, right in zip(*sides, strict=True):
                both = np.stack([left.ravel(), right.ravel()], axis=1)
                places = np.where(both < 0, (-1 - both) % SPAN, NONE)
                if (places[:, 0] != places[:, 1]).any():
                    return None
                found.append(both[(both >= 0).all(axis=1)])
    return _swapped(labels, _with_inner(traced, labels.find(np.concatenate(found))))


def _with_inner(traced: Traced, pairs: Array) -> Array:
    """Return pairs of units, and those inside of them in stacks that are read as a whole, as they stand there."""
    labels, names = traced.labels, [name for name in traced.stacks if name in traced.graph.runs]
    inner: dict[int, list[Array]] = {}
    for layer in (layer for name in names for run in traced.graph.runs[name] for layer in run):
        for axis in covered(layer) if len(covered(layer)) > 1 else ():
            rows = labels.find(layer.movedim(axis, 0).reshape(layer.shape[axis], -1).numpy())
            blocks = labels.above(rows)
            alone = len(different(blocks[:, 0])) == len(blocks) and bool((blocks == blocks[:, :1]).all())
            for block, row in zip(blocks[:, 0].tolist(), rows, strict=True) if alone and int(rows.min()) >= 0 else ():
                inner.setdefault(block, []).append(row)
    outer = np.concatenate([pairs, labels.above(pairs)])
    found, told = [pairs], set(pairs[:, 0].tolist())
    for first, second in different_rows(outer[(outer >= 0).all(axis=1)]).tolist() if inner else ():
        for left, right in zip(inner.get(first, ()), inner.get(second, ()), strict=False):
            new = ~np.isin(left, sorted(told)) if first != second and len(left) == len(right) else np.zeros(0, bool)
            found.append(np.stack([left, right], axis=1)[new] if new.any() else pairs[:0])
    return np.concatenate(found)


def _swapped(labels: Labels, pairs: Array) -> Array | None:
    """Return which unit takes the place of each, given pairs that trade places, with the blocks that they are in."""
    pairs = labels.find(pairs)
    every = [pairs]
    while len(pairs):
        above = labels.above(pairs)
        if ((above >= 0).sum(axis=1) == 1).any():
            return None
        pairs = np.unique(above[(above >= 0).all(axis=1)], axis=0)
        every.append(pairs)
    both = np.concatenate([np.concatenate(every), np.concatenate(every)[:, ::-1]])
    if not is_function(both[:, 0], both[:, 1]):
        return None
    units = np.arange(labels.count)
    units[both[:, 0]] = both[:, 1]
    above = labels.above(units)
    inside = (labels.find(units) == units) & (labels.above(np.arange(labels.count)) >= 0)
    before = labels.above(np.flatnonzero(inside))
    return units if np.array_equal(above[inside], units[before]) else None  # a block goes with all that is in it


class Exchange:
    """Carries exchanges through the nodes of a run."""

    def __init__(self, traced: Traced, exact: Hashes) -> None:
        """Look up where units live; `exact` are the hashes of all nodes as they are."""
        self._graph, self._labels, self._exact = traced.graph, traced.labels, exact
        self._users: defaultdict[int, list[int]] = defaultdict(list)
        self._leaves = {node.name: number for number, node in enumerate(self._graph.nodes) if node.name}
        self._living: defaultdict[int, list[int]] = defaultdict(list)
        self._runs: dict[int, list[tuple[Array, ...]]] = {}
        self._of_layer: dict[int, set[int]] = {}
        for number, node in enumerate(self._graph.nodes):
            for operand in set(node.operands):
                self._users[operand].append(number)
            for unit in self._units(node):
                self._living[unit].append(number)

    def _units(self, node: Node) -> set[int]:
        found = set(self._labels.find(np.array(node.units, dtype=np.int64)).tolist())
        for layer in node.labels:
            if id(layer) not in self._of_layer:
                parts = self._labels.resolve(layer.numpy(), lone=True)
                self._of_layer[id(layer)] = set(different(np.concatenate([np.unique(part) for part in parts])).tolist())
            found |= self._of_layer[id(layer)]
        return {unit for unit in found if unit >= 0}

    def keeps(self, moved: Moved) -> bool:
        """Tell whether outputs, and what decides which way the forward pass goes, come to be what they were."""
        changed: dict[int, tuple[Pair, Pair]] = {}
        units = np.flatnonzero(moved.units != np.arange(len(moved.units)))
        pending = [self._leaves[name] for name in moved.tensors if name in self._leaves]
        pending = list({*pending, *(number for unit in units.tolist() for number in self._living[unit])})
        heapify(pending)
        queued = set(pending)
        while pending:
            number = heappop(pending)
            before, after = (self._hash(number, moved, changed, side) for side in (0, 1))
            if before != after:
                changed[number] = before, after
                for user in self._users[number]:
                    if user not in queued:
                        queued.add(user)
                        heappush(pending, user)
        if any(number in changed for number in self._graph.outputs):
            return False
        decided = [changed[number] for number in self._graph.conditions if number in changed]
        return sorted(before[0] for before, _ in decided) == sorted(after[0] for _, after in decided)

    def _hash(self, number: int, moved: Moved, changed: Mapping[int, tuple[Pair, Pair]], side: int) -> Pair:
        """Return the hash of a node before (side 0), or after an exchange."""
        node = self._graph.nodes[number]
        operands = [
            changed[operand][side] if operand in changed else self._exact.pairs[operand] for operand in node.operands
        ]
        kinds: list[object] = [self._graph.nodes[operand].kind for operand in node.operands]
        codes = moved.units if side else np.arange(len(moved.units))
        units = tuple(codes[self._labels.find(np.array(node.units, dtype=np.int64))].tolist()) if node.units else ()
        name = moved.tensors.get(node.name, node.name) if side else node.name
        if node.operator in JOINING:
            places = self._places(node, moved, codes)
            whose = [scrambled((value, place)) for (value, _), place in zip(operands, places, strict=True)]
            operands, kinds = [(sum(whose), 0)], [None]
        return combined(node, operands, kinds, (name, units, self._told(number, moved, codes)))

    def _runs_of(self, number: int) -> list[tuple[Array, ...]]:
        """Return what lives along each run of axes of a node, column by column."""
        if number not in self._runs:
            layers = self._graph.nodes[number].labels
            parts = clusters([covered(layer) for layer in layers])
            members = [[layer for layer in layers if covered(layer) <= axes] for axes in parts]
            self._runs[number] = [run_of(self._labels, run).columns for run in members]
        return self._runs[number]

    def _told(self, number: int, moved: Moved, codes: Array) -> int:
        """Return a number for which moved units live where beside which others, in whatever order."""
        total = 0
        for columns in self._runs_of(number):
            here = np.any([(column >= 0) & moved.free[np.maximum(column, 0)] for column in columns], axis=0)
            if here.any():
                total += int(rows_of([column[here] for column in columns], moved, codes).sum(dtype=np.uint64))
        return total

    def _places(self, node: Node, moved: Moved, codes: Array) -> list[int]:
        """Return for each of what was put side by side whose units are there; where it is, if these do not tell."""
        ends = np.cumsum(node.sizes)
        places = list(range(len(node.sizes)))
        for layer in node.labels:
            if node.axis not in covered(layer):
                continue
            for part in self._labels.resolve(layer.numpy(), lone=True):
                if part.ndim != layer.ndim or part.shape[node.axis] != ends[-1]:
                    continue
                for k, piece in enumerate(np.split(part, ends[:-1], axis=node.axis)):
                    if (piece >= 0).all() and moved.free[piece].all():
                        places[k] = int(mix(codes[piece].astype(np.uint64)).sum(dtype=np.uint64))
        return places


def rows_of(columns: Sequence[Array], moved: Moved, codes: Array) -> Hash:
    """Return a hash of what lives at each place: units that are moved or not, and slots."""
    total: Hash = np.zeros(len(columns[0]), dtype=np.uint64)
    stay = (moved.units != np.arange(len(moved.units))) & ~moved.free
    for column in columns:
        unit = np.maximum(column, 0)
        code = np.where(stay[unit], NONE, codes[unit])
        slot = (-1 - column) % SPAN
        total += mix(np.where(column >= 0, code, slot + SPAN * 4).astype(np.uint64))
    return mix(total)
