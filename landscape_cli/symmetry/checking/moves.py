"""What the symmetries that were found do to a model's entries: permutations of their numbers, powers, signs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from landscape_cli.symmetry.checking.probe import Probe, Vector
from landscape_cli.symmetry.spec import Axis, ScaledAxis, Symmetry
from landscape_cli.symmetry.transform import flip, permute, spread

Entries = NDArray[np.int64]
"""Numbers of entries."""
Move = NDArray[np.int64]
"""For each entry, the entry that its number comes from."""


class Moves:
    """The found symmetry of a model, in terms of the entries of a probe."""

    def __init__(self, probe: Probe, symmetry: Symmetry) -> None:
        """Number the entries."""
        self._probe, self.symmetry = probe, symmetry
        zeros = {name: torch.zeros(shape) for name, shape in symmetry.shapes if name not in probe.shapes}
        self._ids = zeros | probe.tensors(np.arange(probe.size, dtype=np.float64))
        self._ids = {name: self._ids[name] for name, _ in symmetry.shapes}

    def permuted(self, permutations: dict[str, Tensor]) -> Move:
        """Return what permutations of groups do."""
        return self._probe.vector(permute(self._ids, self.symmetry, permutations)).astype(np.int64)

    def generators(self) -> Iterator[Move]:
        """Yield moves that generate all permutations found, and those that keep the first unit of each block."""
        for group in self.symmetry.permutations:
            for block in range(group.blocks):
                start, end = block * group.size, (block + 1) * group.size
                for order in (*_generating(start, end), *_generating(start + 1, end)):
                    permutation = torch.arange(group.units)
                    permutation[end - len(order) : end] = torch.tensor(order)
                    yield self.permuted({group.name: permutation})

    def entries_of(self, axis: Axis, unit: int) -> NDArray[np.int64]:
        """Return the entries of a tensor that belong to a unit along an axis."""
        ids = self._ids[axis.tensor]
        values = torch.zeros(len(axis.places.table), dtype=torch.float64)
        values[unit] = 1.0
        at = (spread(values.exp(), axis, ids) != 1).expand(ids.shape)
        return ids[at].numpy().astype(np.int64)

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


def _generating(start: int, end: int) -> Iterator[list[int]]:
    """Yield two orders of a range that generate all of them: its first two swapped, and a cycle."""
    units = list(range(start, end))
    if len(units) > 1:
        yield [units[1], units[0], *units[2:]]
    if len(units) > 2:
        yield [*units[1:], units[0]]


def orbits(size: int, moves: list[Move]) -> NDArray[np.int64]:
    """Return for each entry the number of its orbit under the group that moves generate."""
    if not moves:
        return np.arange(size)
    source = np.concatenate(moves)
    target = np.tile(np.arange(size), len(moves))
    graph = coo_array((np.ones(len(source)), (target, source)), shape=(size, size))
    which: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return which
