"""In which order, and by which of their tensors, the scales of units are set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landscape_cli.symmetry import Role, ScaledAxis, ScaleGroup, Symmetry

PREFERRED = (Role.INCOMING, Role.GAIN, Role.OUTGOING, Role.FOLLOWER)


@dataclass(frozen=True)
class Turn:
    """What is set next.

    Attributes:
        groups: one group, or several that can only be set together; none for the outputs.
        setters: what sets them: the one group's units to norm one, several groups by `balance`.
    """

    groups: tuple[ScaleGroup, ...] = ()
    setters: tuple[ScaledAxis, ...] = ()

    @property
    def together(self) -> bool:
        """Whether no order of setting units at norm one ends: several groups, or one on both sides of a tensor."""
        return len(self.groups) > 1 or any(
            _meet(other, self.setters[0])
            for group in self.groups
            for other in group.axes
            if other is not self.setters[0]
        )


@dataclass(frozen=True, eq=False)
class _Item:
    """A group with what can set it, the best first, or the outputs."""

    group: ScaleGroup | None
    axes: tuple[ScaledAxis, ...]
    setters: tuple[ScaledAxis, ...]


def turns(symmetry: Symmetry, *, outputs_at: int | None) -> list[Turn]:
    """Return the scale groups in an order in which none changes what set one before it, in forward order if it can be.

    A group that others would disturb waits for them; where they wait for each other, another of its tensors sets it
    that they do not touch. Groups that have none are set together (`balance`).

    Args:
        symmetry: of the network.
        outputs_at: how many groups come before the outputs; None to leave these as they are.
    """
    items = [_item(group) for group in symmetry.scales]
    if outputs_at is not None:
        items.insert(outputs_at, _Item(None, symmetry.output, _last_layers(symmetry)))
    left = _Left(items)
    found: list[Turn] = []
    while left.items:
        chosen, turn = _next(left)
        found.append(turn)
        left.remove(chosen)
    return found


class _Left:
    """The items that are still to be set, in forward order, and where each is."""

    def __init__(self, items: Sequence[_Item]) -> None:
        self.items = dict.fromkeys(items)
        self._at: defaultdict[str, list[tuple[_Item, ScaledAxis]]] = defaultdict(list)
        for item in items:
            for scaled in item.axes:
                self._at[scaled.axis.tensor].append((item, scaled))

    def remove(self, items: Sequence[_Item]) -> None:
        """Take out what has been set."""
        for item in items:
            del self.items[item]

    def disturbing(self, item: _Item, setter: ScaledAxis) -> list[_Item]:
        """Return the items left, but for this one, of which rescaling the units changes what sets this one."""
        there = self._at[setter.axis.tensor]
        return [other for other, scaled in there if other is not item and other in self.items and _meet(scaled, setter)]


def _next(left: _Left) -> tuple[list[_Item], Turn]:
    for first in (True, False):
        for item in left.items:
            for setter in item.setters[:1] if first else item.setters[1:]:
                between = item.group is not None and _is_between(item.group, setter)
                if not between and not left.disturbing(item, setter):
                    return [item], Turn((item.group,), (setter,)) if item.group else Turn()
    around = min((_waits_for(item, left) for item in left.items), key=len)
    groups = [item for item in around if item.group is not None]
    return groups or around, Turn(
        tuple(item.group for item in groups if item.group is not None), tuple(item.setters[0] for item in groups)
    )


def _is_between(group: ScaleGroup, setter: ScaledAxis) -> bool:
    """Tell whether a group is on both sides of what would set it."""
    return any(_meet(other, setter) for other in group.axes)


def _waits_for(item: _Item, left: _Left) -> list[_Item]:
    """Return an item with all that it waits for, directly or not, in forward order."""
    inside = {item: None}
    pending = [item]
    while pending:
        one = pending.pop()
        for setter in one.setters[:1]:
            new = [other for other in left.disturbing(one, setter) if other not in inside]
            inside |= dict.fromkeys(new)
            pending += new
    return [one for one in left.items if one in inside]


def _item(group: ScaleGroup) -> _Item:
    usual = group.set_by
    others = [scaled for scaled in group.axes if scaled.power and scaled is not usual and not scaled.epsilon]
    others.sort(key=lambda scaled: PREFERRED.index(scaled.axis.role))
    return _Item(group, group.axes, (usual, *others))


def _last_layers(symmetry: Symmetry) -> tuple[ScaledAxis, ...]:
    """Return what sets the outputs' scale; any of them may, where another is zero."""
    return tuple(scaled for scaled in symmetry.output if scaled.power == 1)[:1]


def _meet(one: ScaledAxis, other: ScaledAxis) -> bool:
    """Tell whether rescaling along one axis changes norms along another."""
    if one is other or one.axis.tensor != other.axis.tensor:
        return False
    if one.axis.dims != other.axis.dims:
        return True
    return bool(np.isin(one.axis.places.table, other.axis.places.table).any())
