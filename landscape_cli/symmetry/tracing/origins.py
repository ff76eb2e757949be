"""Where units come from: sets of axes of parameters, each set by a number, so that arrays can hold it."""

from __future__ import annotations


class Origins:
    """The sets of axes that units were read from; united units come from several. Number 0 is the empty set."""

    def __init__(self) -> None:
        self._sets: list[frozenset[int]] = [frozenset()]
        self._numbers: dict[frozenset[int], int] = {frozenset(): 0}
        self._axes = 0

    def new_axis(self) -> int:
        """Return the number of the set of one axis that is in no set so far."""
        self._axes += 1
        return self._number(frozenset([self._axes]))

    def union(self, first: int, second: int) -> int:
        """Return the number of the union of two sets."""
        return self._number(self._sets[first] | self._sets[second])

    def meet(self, first: int, second: int) -> bool:
        """Tell whether an axis is in both sets."""
        return not self._sets[first].isdisjoint(self._sets[second])

    def _number(self, axes: frozenset[int]) -> int:
        if axes not in self._numbers:
            self._numbers[axes] = len(self._sets)
            self._sets.append(axes)
        return self._numbers[axes]
