"""Which way a forward pass goes where it looks at values: one is followed, and others are held against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.spec import (
    Axis,
    ModuleGroup,
    PermutationGroup,
    ScaledAxis,
    ScaleGroup,
    SignGroup,
    Symmetry,
)

DECIDES = "what decides which way the forward pass goes"
UNUSED = "never used"
MOST = 12
"""How many conditions are looked at from the other side; of further ones the first way alone is known."""
MOST_ASKED = 4096
"""After how many a forward pass is taken for one that never ends."""

Key = tuple[int, int, frozenset[Any]]


@dataclass
class Branches:
    """The answers to a forward pass that asks whether something is so.

    Attributes:
        given: the first answers; after them all is there that is looked for.
        taken: those that were asked for.
    """

    given: tuple[bool, ...] = ()
    taken: list[bool] = field(default_factory=list)

    def next(self, usual: bool = True) -> bool:
        """Return the next answer, the usual one if none is given.

        Raises:
            TraceError: if it goes on asking.
        """
        count = len(self.taken)
        if count == MOST_ASKED:
            raise TraceError(
                f"the forward pass looks at values more than {MOST_ASKED} times, as a loop does that they end: let it "
                "go round a number of times that is set where the model is made"
            )
        self.taken.append(self.given[count] if count < len(self.given) else usual)
        return self.taken[-1]

    def others(self) -> list[Branches]:
        """Return the ways that part from this one at one answer."""
        return [Branches((*self.taken[:k], not answer)) for k, answer in enumerate(self.taken[:MOST])]


def holds_in(symmetry: Symmetry, other: Symmetry) -> bool:
    """Tell whether what was found of one way is true of another: there, what is used of each group is a group."""
    unused = {axis.tensor for axis in other.fixed if axis.reason == UNUSED}
    growth = {key for key in _scaled(symmetry.output) if key[0] not in unused}
    parts = all(_is_kept(group, other, unused) for group in symmetry.modules)
    return (
        (not symmetry.output or growth == _scaled(other.output))
        and parts
        and all(
            _keys(these, unused) - {None} <= _keys(those, set())
            for these, those in (
                (symmetry.permutations, other.permutations),
                (symmetry.scales, other.scales),
                (symmetry.signs, other.signs),
            )
        )
    )


def _is_kept(group: ModuleGroup, other: Symmetry, unused: set[str]) -> bool:
    """Tell whether those parts that are used one way may trade places there as well."""
    used = [member for member in group.members if not unused.issuperset(member)]
    return len(used) < 2 or any(set(used) <= set(those.members) for those in other.modules)


def _keys(groups: Iterable[PermutationGroup | ScaleGroup | SignGroup], unused: set[str]) -> set[Key | None]:
    """Return what groups are beside their names, without tensors that are not used; None for one of such alone."""
    keys: set[Key | None] = set()
    for group in groups:
        axes = _scaled(group.axes) if isinstance(group, ScaleGroup) else {_place(axis) for axis in group.axes}
        used = frozenset(key for key in axes if key[0] not in unused)
        keys.add((group.size, getattr(group, "blocks", 1), used) if used else None)
    return keys


def _place(axis: Axis) -> tuple[Any, ...]:
    return axis.tensor, axis.dims, axis.places


def _scaled(axes: Iterable[ScaledAxis]) -> set[tuple[Any, ...]]:
    return {(*_place(s.axis), s.power, s.epsilon, s.variance, s.shrinks) for s in axes}
