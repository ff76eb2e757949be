"""In which order, and by which of their tensors, the scales of units are set."""

from __future__ import annotations

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


@dataclass(frozen=True)
class _Item:
    """A group with what can set it, the best first, or the outputs."""

    group: ScaleGroup | None
    axes: tuple[ScaledAxis, ...]
    setters: tuple[ScaledAxis, ...]

    def disturbs(self, setter: ScaledAxis) -> bool:
        """Tell whether rescaling these units changes what set others."""
        return any(_meet(scaled, setter) for scaled in self.axes)


def turns(symmetry: Symmetry, *, outputs_at: int | None) -> list[Turn]:
    """Return the scale groups in an order in which none changes what set one before it, in forward order if it can be.

    A group that others would disturb waits for them; where they wait for each other, another of its tensors sets it
    that they do not touch. Groups that have none are set together (`balance`).

    Args:
        symmetry: of the network.
        outputs_at: how many groups come before the outputs; None to leave these as they are.
    """
    left = [_item(group) for group in symmetry.scales]
    if outputs_at is not None:
        left.insert(outputs_at, _Item(None, symmetry.output, _last_layers(symmetry)))
    found: list[Turn] = []
    while left:
        chosen, turn = _next(left)
        found.append(turn)
        left = [item for item in left if not any(item is one for one in chosen)]
    return found


def _next(left: Sequence[_Item]) -> tuple[list[_Item], Turn]:
    for first in (True, False):
        for item in left:
            for setter in item.setters[:1] if first else item.setters[1:]:
                if not any(other.disturbs(setter) for other in left if other is not item) and not (
                    item.group and _is_between(item.group, setter)
                ):
                    return [item], Turn((item.group,), (setter,)) if item.group else Turn()
    around = min((_waits_for(item, left) for item in left), key=len)
    groups = [item for item in around if item.group is not None]
    return groups or around, Turn(
        tuple(item.group for item in groups if item.group is not None), tuple(item.setters[0] for item in groups)
    )


def _is_between(group: ScaleGroup, setter: ScaledAxis) -> bool:
    """Tell whether a group is on both sides of what would set it."""
    return any(_meet(other, setter) for other in group.axes)


def _waits_for(item: _Item, left: Sequence[_Item]) -> list[_Item]:
    """Return an item with all that it waits for, directly or not, in forward order."""
    inside = [item]
    for one in inside:
        for other in left:
            if not any(other is known for known in inside) and any(other.disturbs(s) for s in one.setters[:1]):
                inside.append(other)
    return [one for one in left if any(one is known for known in inside)]


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
