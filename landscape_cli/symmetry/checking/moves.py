"""What the symmetries that were found do to a model's entries: permutations of their numbers, powers, signs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from landscape_cli.symmetry.checking.probe import Probe, Vector
from landscape_cli.symmetry.joined import join
from landscape_cli.symmetry.spec import Axis, PermutationGroup, Places, ScaledAxis, Symmetry
from landscape_cli.symmetry.transform import flip, permute, spread

Entries = NDArray[np.int64]
"""Numbers of entries."""
Move = NDArray[np.int64]
"""For each entry, the entry that its number comes from."""

MANY = 24
"""Up to how many units every two of a group are exchanged."""


@dataclass(frozen=True)
class Exchange:
    """Two units of one block of a group trade places.

    Attributes:
        group: theirs.
        block: theirs.
        first: the first of them.
        move: what that does.
    """

    group: PermutationGroup
    block: int
    first: int
    move: Move


class Moves:
    """The found symmetry of a model, in terms of the entries of a probe."""

    def __init__(self, probe: Probe, symmetry: Symmetry) -> None:
        """Number the entries."""
        self._probe, self.symmetry = probe, symmetry
        zeros = {name: torch.zeros(shape) for name, shape in symmetry.shapes if name not in probe.shapes}
        self._ids = zeros | probe.tensors(np.arange(probe.size, dtype=np.float64))
        self._ids = {name: self._ids[name] for name, _ in symmetry.shapes}
        self._ids_of_joined = join(self._ids, symmetry.joined)

    def permuted(self, permutations: dict[str, Tensor]) -> Move:
        """Return what permutations of groups do."""
        return self._probe.vector(permute(self._ids, self.symmetry, permutations)).astype(np.int64)

    def generators(self, group: PermutationGroup) -> Iterator[Move]:
        """Yield moves that generate all permutations of a group: of each unit and the next of its block."""
        for first in range(group.units - 1):
            if (first + 1) % group.size:
                yield self._exchange(group, first, first + 1)

    def exchanges(self, group: PermutationGroup) -> Iterator[Exchange]:
        """Yield exchanges of two units of a group; of many those that generate them, each in the order of its units."""
        for block in range(group.blocks):
            units = range(block * group.size, (block + 1) * group.size)
            for first, second in combinations(units, 2):
                if group.size <= MANY or second == first + 1:
                    yield Exchange(group, block, first, self._exchange(group, first, second))

    def _exchange(self, group: PermutationGroup, first: int, second: int) -> Move:
        permutation = torch.arange(group.units)
        permutation[[first, second]] = permutation[[second, first]]
        return self.permuted({group.name: permutation})

    def rows_of(self, group: PermutationGroup, unit: int) -> list[Entries]:
        """Return the entries of a unit along each axis, at one of its places there; those with most places first."""
        axes = [axis for axis in group.axes if self.is_seen(axis)]
        axes.sort(key=lambda axis: -axis.places.table.shape[1])
        return [self.entries_of(replace(axis, places=Places(axis.places.table[:, :1])), unit) for axis in axes]

    def is_seen(self, axis: Axis) -> bool:
        """Tell whether the tensor of an axis, or each that it is joined of, is one of the probe's."""
        return self._probe.shapes.keys() >= set(self.symmetry.tensors_of(axis.tensor))

    def entries_of(self, axis: Axis, unit: int) -> NDArray[np.int64]:
        """Return the entries of a tensor that belong to a unit along an axis."""
        ids = self._ids_of_joined[axis.tensor]
        values = torch.zeros(len(axis.places.table), dtype=torch.float64)
        values[unit] = 1.0
        at = (spread(values.exp(), axis, ids) != 1).expand(ids.shape)
        return ids[at].numpy().astype(np.int64)

    def entries_in(self, tensors: Iterable[str]) -> Entries:
        """Return the entries of tensors, one after another."""
        names = dict.fromkeys(name for joined in tensors for name in self.symmetry.tensors_of(joined))
        parts = [self._ids[name].reshape(-1) for name in names if name in self._probe.shapes]
        return torch.cat([torch.zeros(0), *parts]).numpy().astype(np.int64)

    def powers(self) -> Vector:
        """Return a row for each unit of the scale groups, and one for all outputs: the powers of the entries.

        The last column is the power of the outputs.
        """
        rows = []
        for scale in self.symmetry.scales:
            for unit in range(scale.size):
                factors = torch.zeros(scale.size, dtype=torch.float64)
                factors[unit] = 1.0
                rows.append(np.append(self._powers(scale.axes, factors), 0.0))
        if self.symmetry.output:
            rows.append(np.append(self._powers(self.symmetry.output, torch.ones(1, dtype=torch.float64)), 1.0))
        return np.array(rows).reshape(-1, self._probe.size + 1)

    def _powers(self, axes: tuple[ScaledAxis, ...], logs: Tensor) -> Vector:
        total = np.zeros(self._probe.size)
        for scaled in axes:
            name = self._probe.first_name(scaled.axis.tensor)
            if name in self._probe.shapes and name == scaled.axis.tensor and scaled.variance is None:
                ids = self._ids[name]
                log = spread((logs * scaled.power).exp(), scaled.axis, ids).log().expand(ids.shape)
                total[ids.reshape(-1).numpy().astype(np.int64)] += log.reshape(-1).numpy()
        return np.round(total, 6)

    def signs(self, idle: NDArray[np.bool_]) -> list[int]:
        """Return for each unit of the sign groups the entries that it flips, as bits, but for those that do nothing."""
        ones = {name: torch.ones_like(tensor) for name, tensor in self._ids.items()}
        rows = []
        for group in self.symmetry.signs:
            for unit in range(group.size):
                signs = torch.ones(group.size)
                signs[unit] = -1
                flipped = self._probe.vector(flip(ones, self.symmetry, {group.name: signs})) < 0
                rows.append(bits_of(np.flatnonzero(flipped & ~idle)))
        return rows


def bits_of(entries: NDArray[np.int64]) -> int:
    """Return a set of entries as the bits of a whole number."""
    return sum(1 << int(entry) for entry in entries)


def orbits(size: int, moves: list[Move]) -> NDArray[np.int64]:
    """Return for each entry the number of its orbit under the group that moves generate."""
    if not moves:
        return np.arange(size)
    source = np.concatenate(moves)
    target = np.tile(np.arange(size), len(moves))
    graph = coo_array((np.ones(len(source)), (target, source)), shape=(size, size))
    which: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return which
