"""Which signs of entries may be flipped together, from a model's outputs alone.

Candidates are the slices of one unit of each group of units that trade places, and whole tensors. A set of them
flips nothing exactly if flipping one part of it does the same as flipping the rest: so all subsets are tried by those
of its two halves (meet in the middle; Horowitz and Sahni, 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.checking.exchanges import CLOSE
from landscape_cli.symmetry.checking.moves import Moves, bits_of
from landscape_cli.symmetry.checking.probe import Probe

ATOMS = 12
"""Up to how many candidates all subsets are tried; of more, those of up to four."""

Entries = NDArray[np.int64]


class SignSearch:
    """Looks for flips of signs that the symmetry found does not hold."""

    def __init__(self, probe: Probe, moves: Moves) -> None:
        """Take up a model and its symmetry."""
        self._probe, self._moves = probe, moves
        self._vectors = [probe.draw(), probe.draw()]

    def candidates(self) -> list[tuple[int, list[Entries]]]:
        """Return lists of entries that may flip together, each with the number of units it stands for."""
        lists = [
            (group.units, [self._moves.entries_of(axis, 0) for axis in group.axes if axis.tensor in self._probe.shapes])
            for group in self._moves.symmetry.permutations
        ]
        numbers = np.arange(self._probe.size)
        starts = self._probe.starts
        lists.append((1, [numbers[a:b] for a, b in zip(starts, starts[1:], strict=False) if b > a]))
        return lists

    def flips(self, atoms: Sequence[Entries], idle: NDArray[np.bool_]) -> list[int]:
        """Return the sets of these atoms, as bits of entries, whose flip leaves outputs unchanged; not all their sums."""
        unique = {bits_of(atom): atom for atom in atoms if not idle[atom].all()}
        atoms = list(unique.values())
        half = len(atoms) // 2
        if len(atoms) <= ATOMS:
            left, right = _subsets(range(half), half), _subsets(range(half, len(atoms)), len(atoms))
        else:
            left = right = _subsets(range(len(atoms)), 2)
        found = []
        for a, b in self._equal(atoms, left, right):
            together = frozenset(a) ^ frozenset(b)
            if together:
                flipped = [atoms[k] for k in together]
                signs = np.ones(self._probe.size)
                for atom in flipped:
                    signs[atom] *= -1
                found.append(bits_of(np.flatnonzero((signs < 0) & ~idle)))
        return found

    def entries(self, bits: int) -> Entries:
        """Return a set of entries, given as bits."""
        return np.array([entry for entry in range(self._probe.size) if bits >> entry & 1], dtype=np.int64)

    def keeps(self, bits: int) -> bool:
        """Tell whether flipping a set of entries leaves the outputs of random networks unchanged."""
        (pair,) = self._equal([self.entries(bits)], [()], [(0,)]) or [None]
        return pair is not None

    def _equal(
        self, atoms: Sequence[Entries], left: Sequence[tuple[int, ...]], right: Sequence[tuple[int, ...]]
    ) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the pairs of subsets whose flips do the same to the outputs of all networks tried."""
        equal = np.ones((len(left), len(right)), dtype=bool)
        for vector in self._vectors:
            here, there = (np.stack([self._flipped(vector, atoms, subset) for subset in side]) for side in (left, right))
            largest = np.nanmax(np.abs(here), initial=1e-300)
            for k, row in enumerate(here):
                at = np.flatnonzero(equal[k])
                equal[k, at] = np.abs(there[at] - row).max(axis=1) <= CLOSE * largest
        return [(left[i], right[j]) for i, j in np.argwhere(equal)]

    def _flipped(self, vector: NDArray[np.float64], atoms: Sequence[Entries], subset: tuple[int, ...]):  # type: ignore[no-untyped-def]
        signs = np.ones(len(vector))
        for k in subset:
            signs[atoms[k]] *= -1
        return self._probe.outputs(vector * signs)


def _subsets(of: range, most: int) -> list[tuple[int, ...]]:
    return [subset for size in range(min(most, len(of)) + 1) for subset in combinations(of, size)]


class Basis:
    """A linear space over GF(2): sets of entries, as bits of whole numbers, and all their sums."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, bits: int) -> bool:
        """Add a set; tell whether it was none of the sums."""
        while bits:
            top = bits.bit_length()
            if top not in self._rows:
                self._rows[top] = bits
                return True
            bits ^= self._rows[top]
        return False
