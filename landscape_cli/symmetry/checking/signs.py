"""Which signs of entries may be flipped together, from a model's outputs alone.

Candidates are the slices of one unit of each group of units that trade places, and whole tensors. A set of them
flips nothing exactly if flipping one part of it does the same as flipping the rest: so all subsets are tried by those
of its two halves (meet in the middle; Horowitz and Sahni, 1974).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.checking.agreement import CLOSE
from landscape_cli.symmetry.checking.moves import Entries, Move, Moves, bits_of
from landscape_cli.symmetry.checking.orientation import candidate_flips
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.subsets import ATOMS, subsets_of
from landscape_cli.symmetry.spec import PermutationGroup

NETWORKS = 12
"""The most networks that are drawn, until each entry was seen to matter to two."""


class SignSearch:
    """Looks for flips of signs that the symmetry found does not hold.

    Attributes:
        idle: entries whose signs are not looked at: they are said to do nothing, or never seen to matter.
    """

    def __init__(
        self,
        probe: Probe,
        moves: Moves,
        known: Sequence[Move],
        idle: NDArray[np.bool_],
        unseen: NDArray[np.bool_],
        random: np.random.Generator,
    ) -> None:
        """Take up a model, its symmetry, exchanges that generate all known, what does nothing and what has no gradient.

        Draw networks.
        """
        self._probe, self._moves, self._known, self._random = probe, moves, known, random
        self._vectors: list[NDArray[np.float64]] = []
        seen = np.zeros(probe.size, dtype=np.int64)
        # A number that shows in steps alone is seen where one is taken, which in few networks may not happen.
        least = NETWORKS if unseen.any() else 2
        while len(self._vectors) < least or (len(self._vectors) < NETWORKS and (seen[~idle & ~unseen] < 2).any()):
            self._vectors.append(probe.draw())
            seen += probe.active(self._vectors[-1])
        self.idle = idle | ((seen == 0) & ~unseen)

    def flips(self) -> Iterator[list[int]]:
        """Yield flips that leave outputs unchanged, as bits of entries that do something; not all their sums.

        Those of one group's units come together: what holds of its first unit does of all.
        """
        idle = self.idle
        for group in self._moves.symmetry.permutations:
            axes = [axis for axis in group.axes if self._moves.is_seen(axis)]
            rows = [self._moves.entries_of(axis, 0) for axis in axes]
            for chosen in self._unchanged(rows, idle):
                units = ([self._moves.entries_of(axes[k], unit) for k in chosen] for unit in range(group.units))
                yield [self._bits(atoms, idle) for atoms in units]
        numbers, starts = np.arange(self._probe.size), self._probe.starts
        tensors = [numbers[start:end] for start, end in pairwise(starts) if end > start]
        for chosen in self._unchanged(tensors, idle):
            yield [self._bits([tensors[k] for k in chosen], idle)]
        every = self._oriented(numbers)
        parts = (self._oriented(self._first_units(group)) for group in self._moves.symmetry.permutations)
        for flips in parts if every is None else (every,):
            for flip in flips or ():
                yield list(self._images(flip))

    def _first_units(self, group: PermutationGroup) -> Entries:
        axes = [axis for axis in group.axes if self._moves.is_seen(axis)]
        rows = [self._moves.entries_of(axis, 0) for axis in axes]
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *rows]))

    def _oriented(self, inside: Entries) -> list[Entries] | None:
        """Return the sets among these entries whose flip leaves outputs unchanged, of those that gradients hint at.

        None if they hint at nothing.
        """
        candidates = candidate_flips(self._probe, inside[~self.idle[inside]], self._random)
        if candidates is None:
            return None
        atoms = [self.entries(bits) for bits in candidates]
        bits_kept = set(self.kept(candidates))
        kept = {k for k, bits in enumerate(candidates) if bits in bits_kept}
        sums = [
            np.flatnonzero(np.bincount(np.concatenate([atoms[k] for k in chosen])) % 2)
            for chosen in self._unchanged(atoms, self.idle, but=kept, half=1)
        ]
        return [*(atoms[k] for k in kept), *sums]

    def _images(self, flip: Entries) -> Iterator[int]:
        """Yield a flip and all others that exchanges of units make of it."""
        seen: set[int] = set()
        left = [flip]
        while left:
            mask = np.zeros(self._probe.size, dtype=bool)
            mask[left.pop()] = True
            bits = bits_of(np.flatnonzero(mask & ~self.idle))
            if bits not in seen:
                seen.add(bits)
                yield bits
                left += [np.flatnonzero(mask[move]) for move in self._known]

    def _bits(self, atoms: Sequence[Entries], idle: NDArray[np.bool_]) -> int:
        signs = np.ones(self._probe.size)
        for atom in atoms:
            signs[atom] *= -1
        return bits_of(np.flatnonzero((signs < 0) & ~idle))

    def _unchanged(
        self, atoms: Sequence[Entries], idle: NDArray[np.bool_], but: Collection[int] = (), half: int = 2
    ) -> Iterator[list[int]]:
        """Yield the sets of these atoms but some, by their numbers, whose flip leaves outputs unchanged.

        Of many, sets of up to twice so many.
        """
        tried = (k for k, atom in enumerate(atoms) if not idle[atom].all() and k not in but)
        numbers = list({bits_of(atoms[k]): k for k in tried}.values())
        middle = len(numbers) // 2
        if len(numbers) <= ATOMS:
            left, right = subsets_of(numbers[:middle], middle), subsets_of(numbers[middle:], len(numbers))
        else:
            left = right = subsets_of(numbers, half)
        for a, b in self._equal(atoms, left, right):
            yield sorted(set(a) ^ set(b))

    def entries(self, bits: int) -> Entries:
        """Return a set of entries, given as bits."""
        return np.array([entry for entry in range(self._probe.size) if bits >> entry & 1], dtype=np.int64)

    def kept(self, flips: Sequence[int]) -> list[int]:
        """Return those of several flips, given as bits, that leave the outputs of random networks unchanged."""
        atoms = [self.entries(bits) for bits in flips]
        return [flips[k] for _, (k,) in self._equal(atoms, [()], [(k,) for k in range(len(atoms))])] if atoms else []

    def _equal(
        self, atoms: Sequence[Entries], left: Sequence[tuple[int, ...]], right: Sequence[tuple[int, ...]]
    ) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the pairs of unlike subsets whose flips do the same to the outputs of all networks tried."""
        equal = np.array([[a != b for b in right] for a in left], dtype=bool).reshape(len(left), len(right))
        sides = [np.stack([self._signs(atoms, subset) for subset in side]) for side in (left, right)]
        for vector in self._vectors:
            open_rows, open_columns = np.flatnonzero(equal.any(axis=1)), np.flatnonzero(equal.any(axis=0))
            if not len(open_rows):
                break
            flipped = np.concatenate([sides[0][open_rows], sides[1][open_columns]])
            here, there = np.split(self._probe.outputs(vector * flipped), [len(open_rows)])
            for k, row in zip(open_rows, here, strict=True):
                largest = np.abs(row).max()
                equal[k, open_columns] &= np.abs(there - row).max(axis=1) <= CLOSE * largest
        return [(left[i], right[j]) for i, j in np.argwhere(equal)]

    def _signs(self, atoms: Sequence[Entries], subset: tuple[int, ...]) -> NDArray[np.float64]:
        signs = np.ones(self._probe.size)
        for k in subset:
            signs[atoms[k]] *= -1
        return signs
