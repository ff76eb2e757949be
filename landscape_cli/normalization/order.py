"""In which order, and by which of their tensors, the scales of units are set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from landscape_cli.symmetry import Role, ScaledAxis, ScaleGroup, Symmetry

PREFERRED = (Role.INCOMING, Role.GAIN, Role.OUTGOING, Role.FOLLOWER)


@dataclass(frozen=True)
class Turn:
    """What is set next.

    Attributes:
        groups: one group, or several that can only be set together; none for the outputs.
        setters: what sets them: the one group's units to norm one, of parts that may trade places all together; several
            groups by `balance`.
    """

    groups: tuple[ScaleGroup, ...] = ()
    setters: tuple[ScaledAxis, ...] = ()

    @property
    def together(self) -> bool:
        """Whether no order of setting units at norm one ends: several groups, or one on both sides of a tensor."""
        return len(self.groups) > 1 or any(
            scaled.axis.shares_entries_with(setter.axis)
            for group in self.groups
            for scaled in group.axes
            for setter in self.setters
            if scaled is not setter
        )


@dataclass(frozen=True, eq=False)
class _Item:
    """A group with what can set it, the best first, or the outputs."""

    group: ScaleGroup | None
    axes: tuple[ScaledAxis, ...]
    setters: tuple[tuple[ScaledAxis, ...], ...]


def turns(symmetry: Symmetry, *, outputs_at: int | None) -> list[Turn]:
    """Return the scale groups in an order in which none changes what set one before it, in forward order if it can be.

    A group that others would disturb waits for them; where they wait for each other, another of its tensors sets it
    that they do not touch. Groups that have none are set together (`balance`).

    Args:
        symmetry: of the network.
        outputs_at: how many groups come before the outputs; None to leave these as they are.
    """
    items = [_item(group, symmetry) for group in symmetry.scales]
    if outputs_at is not None:
        items.insert(outputs_at, _Item(None, symmetry.output, _last_layers(symmetry)))
    left = _ItemsLeft(items)
    order: list[Turn] = []
    while left.items:
        chosen, turn = _next(left)
        order.append(turn)
        left.remove(chosen)
    return order


class _ItemsLeft:
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

    def disturbing(self, item: _Item, setters: Sequence[ScaledAxis]) -> list[_Item]:
        """Return the items left, but for this one, of which rescaling the units changes what sets this one."""
        return [
            neighbor
            for setter in setters
            for neighbor, scaled in self._at[setter.axis.tensor]
            if neighbor is not item and neighbor in self.items and scaled.axis.shares_entries_with(setter.axis)
        ]


def _next(left: _ItemsLeft) -> tuple[list[_Item], Turn]:
    """Return what is set next: a group, by the best that no other disturbs, else those that wait for the fewest."""
    for item, setters in _candidates(left):
        if (item.group is None or not _is_between(item.group, setters)) and not left.disturbing(item, setters):
            return [item], Turn((item.group,), setters) if item.group else Turn()
    around = min((_waits_for(item, left) for item in left.items), key=len)
    groups = [item for item in around if item.group is not None]
    return groups or around, Turn(
        tuple(item.group for item in groups if item.group is not None),
        tuple(setter for item in groups for setter in item.setters[0]),
    )


def _candidates(left: _ItemsLeft) -> Iterator[tuple[_Item, tuple[ScaledAxis, ...]]]:
    """Yield every item with the best of what can set it, then every one with the rest."""
    for item in left.items:
        yield from ((item, setters) for setters in item.setters[:1])
    for item in left.items:
        yield from ((item, setters) for setters in item.setters[1:])


def _is_between(group: ScaleGroup, setters: Sequence[ScaledAxis]) -> bool:
    """Tell whether a group is on both sides of what would set it."""
    return Turn((group,), tuple(setters)).together


def _waits_for(item: _Item, left: _ItemsLeft) -> list[_Item]:
    """Return an item with all that it waits for, directly or not, in forward order."""
    inside = {item: None}
    pending = [item]
    while pending:
        waiting = pending.pop()
        for setters in waiting.setters[:1]:
            new = [neighbor for neighbor in left.disturbing(waiting, setters) if neighbor not in inside]
            inside |= dict.fromkeys(new)
            pending += new
    return [member for member in left.items if member in inside]


def _item(group: ScaleGroup, symmetry: Symmetry) -> _Item:
    usual = group.set_by
    alternatives = [scaled for scaled in group.axes if scaled.power and scaled is not usual and not scaled.epsilon]
    alternatives.sort(key=lambda scaled: PREFERRED.index(scaled.axis.role))
    return _Item(group, group.axes, tuple(alike(scaled, group.axes, symmetry) for scaled in (usual, *alternatives)))


def alike(setter: ScaledAxis, axes: Sequence[ScaledAxis], symmetry: Symmetry) -> tuple[ScaledAxis, ...]:
    """Return what sets units, with what corresponds to it in other parts, or units, that may trade places with it."""
    found = {setter.axis.tensor}
    for group in symmetry.modules:
        rows = [row for row in zip(*group.members, strict=True) if not found.isdisjoint(row)]
        found = found.union(*rows)
    found = found.union(*(each.tensors for each in symmetry.joined if not found.isdisjoint(each.tensors)))
    same = (setter.axis.dims, setter.axis.role, setter.power, setter.epsilon)
    those = (axis for axis in axes if (axis.axis.dims, axis.axis.role, axis.power, axis.epsilon) == same)
    return tuple(axis for axis in those if axis.axis.tensor in found) if len(found) > 1 else (setter,)


def _last_layers(symmetry: Symmetry) -> tuple[tuple[ScaledAxis, ...], ...]:
    """Return what sets the outputs' scale; any of them may, where another is zero."""
    setters = output_setters(symmetry)
    return tuple(alike(setter, setters, symmetry) for setter in setters[:1])


def output_setters(symmetry: Symmetry) -> tuple[ScaledAxis, ...]:
    """Return the weights and gains that grow with the outputs, those that grow alike if there are some.

    Where none is weights or gains to the outputs, as of experts whose weights are stacked, those of the most axes are.
    """
    writers = [scaled for scaled in symmetry.output if scaled.power > 0 and not scaled.epsilon]
    growing = [scaled for scaled in writers if scaled.axis.role in {Role.INCOMING, Role.GAIN}]
    if not growing:
        axes = {name: len(shape) for name, shape in symmetry.shapes}
        most = max((axes[scaled.axis.tensor] for scaled in writers), default=0)
        growing = [scaled for scaled in writers if axes[scaled.axis.tensor] == most]
    return tuple(scaled for scaled in growing if scaled.power == 1) or tuple(growing)
