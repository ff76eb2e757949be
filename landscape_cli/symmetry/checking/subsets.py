"""Sets of things that undo themselves, as flips do: all of few, small ones of many, and their sums over GF(2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

ATOMS = 12
"""Up to how many candidates all subsets are tried; of more, small ones."""


def subsets_of(things: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Return the sets of up to so many things."""
    return [subset for size in range(min(most, len(things)) + 1) for subset in combinations(things, size)]


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
