"""Which items of a measurement a process measures, and how their values come together.

A measurement is a list of items that do not depend on each other, each with a key: points of paths, nodes of a plane,
draws, pairs. What is measured of one is its value, a few numbers as JSON values. See docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

MOST_PARTS = 10**5
Values = Mapping[str, Any]
"""What was measured of items, by their keys, as JSON values."""


@dataclass(frozen=True)
class Share:
    """A part of a measurement: one of so many, as equal as can be, of items in a row.

    Attributes:
        index: which part, counted from 0.
        count: how many there are.
        known: values from an earlier attempt, which are not measured again.
        keep: called with values as soon as they are there.
        exchange: returns, for what this process has measured, all that every process has; None where each is alone.
    """

    index: int = 0
    count: int = 1
    known: Values = field(default_factory=dict)
    keep: Callable[[Values], None] | None = None
    exchange: Callable[[Values], Values] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything is known here in the end."""
        return self.count == 1 or self.exchange is not None

    def own(self, groups: Iterable[Sequence[T]], *, block: int = 1) -> list[T]:
        """Return what falls to this part.

        Args:
            groups: items that are measured together, a group after another.
            block: so many of a group, counted from its first, stay in one part.
        """
        blocks = [group[k : k + block] for group in groups for k in range(0, len(group), block)]
        first, stop = (len(blocks) * k // self.count for k in (self.index, self.index + 1))
        return [item for each in blocks[first:stop] for item in each]

    def wanted(self, groups: Sequence[Sequence[str]], *, block: int = 1) -> list[str]:
        """Return the keys of this part's items that are still to be measured; a block is measured as a whole."""
        blocks = (group[k : k + block] for group in groups for k in range(0, len(group), block))
        missing = {key for each in blocks if any(key not in self.known for key in each) for key in each}
        return [key for key in self.own(groups, block=block) if key in missing]

    def collect(self, measured: Iterable[Values]) -> dict[str, Any]:
        """Return what is known of all items in the end: what is measured now, some items after others, and before.

        Every value goes through JSON, if only in the mind: it is the same whoever has measured it.
        """
        values = dict(self.known)
        for some in measured:
            values |= some
            if self.keep is not None:
                self.keep(some)
        return dict(values if self.exchange is None else self.exchange(values))


ALONE = Share()
"""All of a measurement, by one process."""
