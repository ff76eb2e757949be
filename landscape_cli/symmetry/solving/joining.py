"""From units that trade places one by one to groups of them: tensors joined, groups, signs and parts put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from landscape_cli.errors import listed
from landscape_cli.symmetry.joined import Joined
from landscape_cli.symmetry.solving.free_groups import unused
from landscape_cli.symmetry.solving.trades import Place, Trade
from landscape_cli.symmetry.solving.unfollowed import MAY
from landscape_cli.symmetry.spec import Axis, ModuleGroup, PermutationGroup, Places, SignGroup, Symmetry
from landscape_cli.symmetry.tracing.integers import Array


def with_trades(symmetry: Symmetry, trades: Sequence[Trade]) -> Symmetry:
    """Return a symmetry with groups of units that trade places one by one in place of those of whole layers.

    Where that does not go together with what else is known of their tensors, it is noted.
    """
    notes: list[str] = []
    for trade in trades:
        joined = _with_trade(symmetry, trade) if trade.slots else None
        if joined is None:
            names = [tensor for (tensor, _), _ in trade.slots[0]] if trade.slots else trade.groups
            notes.append(f"{MAY}: of units one by one, of {listed(map(repr, dict.fromkeys(names)))}")
        else:
            symmetry = joined
    return replace(symmetry, notes=(*symmetry.notes, *notes))


def _with_trade(symmetry: Symmetry, trade: Trade) -> Symmetry | None:
    joins = _joins(symmetry, trade)
    if joins is None:
        return None
    put = {name: each for each in joins for name in each.tensors}
    shapes = dict(symmetry.shapes)
    permutations = [_rewritten(group.axes, put, shapes) for group in symmetry.permutations]
    signs = [_rewritten(group.axes, put, shapes) for group in symmetry.signs]
    if any(axes is None for axes in (*permutations, *signs)):
        return None
    slots = [[_moved(side, put) for side in slot] for slot in trade.slots]
    if any(len({place for place, _ in slot}) > 1 for slot in slots):
        return None
    with_axes = replace(
        symmetry,
        permutations=tuple(
            replace(group, axes=axes) for group, axes in zip(symmetry.permutations, permutations, strict=True) if axes
        ),
        signs=tuple(replace(group, axes=axes) for group, axes in zip(symmetry.signs, signs, strict=True) if axes),
        joined=(*symmetry.joined, *joins),
    )
    places = [(slot[0][0], [table for _, table in slot]) for slot in slots]
    if len(trade.groups) > 1:
        made = _merged(with_axes, trade.groups, places)
    else:
        made = _with_sides(with_axes, trade.groups[0], places)
    return None if made is None else replace(made, modules=_rest(symmetry, trade))


def _joins(symmetry: Symmetry, trade: Trade) -> list[Joined] | None:
    """Return the tensors to be joined; None if one is already, or has several names, or lies along several axes."""
    taken = {name for each in symmetry.joined for name in each.tensors} | {each.name for each in symmetry.joined}
    shapes, joins = dict(symmetry.shapes), []
    for slot in trade.slots:
        (tensors, dims) = [place[0] for place, _ in slot], {place[1] for place, _ in slot}
        if len(set(tensors)) == 1 and len(dims) == 1 and tensors[0] not in taken:
            continue
        if len(set(tensors)) < len(tensors) or len(dims) > 1 or taken & set(tensors) or len(min(dims)) != 1:
            return None
        ((dim,),) = dims
        joins.append(Joined(tuple(tensors), dim, tuple(shapes[name][dim] for name in tensors)))
        taken |= set(tensors)
    return joins


def _moved(side: tuple[Place, Array], put: Mapping[str, Joined]) -> tuple[Place, Array]:
    """Return places in the joined tensor."""
    (tensor, dims), table = side
    joined = put.get(tensor)
    if joined is None or joined.dim not in dims:
        return side
    return (joined.name, dims), table + joined.starts[joined.tensors.index(tensor)]


def _rewritten(
    axes: Sequence[Axis], put: Mapping[str, Joined], shapes: Mapping[str, Sequence[int]]
) -> tuple[Axis, ...] | None:
    """Return axes in terms of joined tensors; None if some are not alike in all that are joined."""
    kept: dict[Place, Axis] = {}
    others: dict[tuple[str, tuple[int, ...]], list[Axis]] = {}
    for axis in axes:
        joined = put.get(axis.tensor)
        if joined is None:
            kept[axis.tensor, axis.dims] = axis
            continue
        long = [dim for dim in axis.dims if dim != joined.dim and shapes[axis.tensor][dim] > 1]
        if joined.dim in axis.dims and not long:
            place, table = _moved(((axis.tensor, axis.dims), axis.places.table), put)
            before = kept.get(place)
            tables = [table] if before is None else [before.places.table, table]
            kept[place] = Axis(place[0], axis.dims, axis.role if before is None else before.role, _beside(tables))
        elif joined.dim in axis.dims:
            return None
        else:
            others.setdefault((joined.name, axis.dims), []).append(axis)
    for (name, dims), alike in others.items():
        joined = put[alike[0].tensor]
        if {axis.tensor for axis in alike} != set(joined.tensors) or len({axis.places for axis in alike}) > 1:
            return None
        kept[name, dims] = replace(alike[0], tensor=name)
    return tuple(kept.values())


def _beside(tables: Sequence[Array]) -> Places:
    return Places(np.concatenate(tables, axis=1))


Slots = Sequence[tuple[Place, Sequence[Array]]]
"""Where what trades places lives: tensors and axes of them, with the places of each side there."""


def _merged(symmetry: Symmetry, names: Sequence[str], slots: Slots) -> Symmetry | None:
    """Return a symmetry with one group in place of several."""
    first = next(group for group in symmetry.permutations if group.name == names[0])
    roles = {(axis.tensor, axis.dims): axis.role for axis in first.axes}
    axes = [Axis(place[0], place[1], roles[place], Places(np.concatenate(list(tables)))) for place, tables in slots]
    group = replace(first, size=sum(len(table) for table in slots[0][1]), axes=tuple(axes))
    signs = _merged_signs(symmetry, slots)
    if signs is None:
        return None
    groups = [group if each.name == names[0] else each for each in symmetry.permutations if each.name not in names[1:]]
    return replace(symmetry, permutations=tuple(groups), signs=signs)


def _with_sides(symmetry: Symmetry, name: str, slots: Slots) -> Symmetry | None:
    """Return a symmetry with another group: of the sides of each unit of one."""
    group = next(group for group in symmetry.permutations if group.name == name)
    roles = {(axis.tensor, axis.dims): axis.role for axis in group.axes}
    sides = len(slots[0][1])
    inner_name = unused(f"{name}/sides", {each.name for each in symmetry.permutations})
    inner = PermutationGroup(
        inner_name,
        sides,
        tuple(Axis(place[0], place[1], roles[place], Places(_in_turn(tables))) for place, tables in slots),
        blocks=group.size,
    )
    within = {place: Places(np.concatenate(list(tables), axis=1)) for place, tables in slots}
    outer_axes = [replace(axis, places=within.get((axis.tensor, axis.dims), axis.places)) for axis in group.axes]
    outer = replace(group, axes=tuple(outer_axes), inside=(inner_name,))
    shared = {
        (axis.tensor, axis.dims): axis.places.table for axis in outer.axes if (axis.tensor, axis.dims) not in within
    }
    signs = _merged_signs(symmetry, slots, shared)
    if signs is None:
        return None
    at = symmetry.permutations.index(group)
    groups = (*symmetry.permutations[:at], outer, inner, *symmetry.permutations[at + 1 :])
    return replace(symmetry, permutations=groups, signs=signs)


def _in_turn(tables: Sequence[Array]) -> Array:
    """Return places of the sides of one unit after another, shape (units * sides, places)."""
    return np.stack(list(tables), axis=1).reshape(-1, tables[0].shape[1])


def _merged_signs(
    symmetry: Symmetry, slots: Slots, shared: Mapping[Place, Array] | None = None
) -> tuple[SignGroup, ...] | None:
    """Return sign groups, those of what trades places put together; None if some are of this otherwise.

    Args:
        symmetry: with the sign groups.
        slots: where what trades places lives.
        shared: where units live, beside these, whose sides trade places; None where units do themselves.
    """
    put_together = np.concatenate if shared is None else _in_turn
    alone: dict[tuple[object, ...], dict[int, tuple[SignGroup, Array]]] = {}
    shapes = dict(symmetry.shapes) | dict(symmetry.of_joined.shapes)
    for group in symmetry.signs:
        found = _sides_of(group, slots, shared or {}, shapes)
        if found is None:
            return None
        if found:
            side, order, key = found[0]
            if side in alone.setdefault(key, {}):
                return None
            alone[key][side] = group, order
    count = len(slots[0][1])
    gone: set[str] = set()
    made: dict[str, SignGroup] = {}
    for by_side in alone.values():
        if set(by_side) != set(range(count)):
            return None
        first, _ = by_side[0]
        axes = []
        for axis in first.axes:
            tables = []
            for side in range(count):
                group, order = by_side[side]
                there = next(
                    (each for each in group.axes if (each.tensor, each.dims) == (axis.tensor, axis.dims)), None
                )
                if there is None:
                    return None
                tables.append(there.places.table[order])
            if len({table.shape[1] for table in tables}) > 1:
                return None
            axes.append(replace(axis, places=Places(put_together(tables))))
        size = sum(group.size for group, _ in by_side.values())
        made[first.name] = replace(first, size=size, axes=tuple(axes))
        gone |= {group.name for side, (group, _) in by_side.items() if side}
    return tuple(made.get(group.name, group) for group in symmetry.signs if group.name not in gone)


Found = tuple[int, Array, tuple[object, ...]]
"""Of which side a sign group is, the order that brings its units into that of what trades places, and what it is of."""


def _sides_of(
    group: SignGroup, slots: Slots, shared: Mapping[Place, Array], shapes: Mapping[str, Sequence[int]]
) -> list[Found] | None:
    """Return which side a sign group is of, if of one; nothing if of none, or all alike; None if it is otherwise."""
    by_place = dict(slots)
    orders: set[tuple[int, bytes]] = set()
    places, is_common, elsewhere = [], False, False
    for axis in group.axes:
        long = tuple(dim for dim in axis.dims if shapes[axis.tensor][dim] > 1)
        place, table = (axis.tensor, long or axis.dims), axis.places.table
        sides = by_place.get(place, [shared[place]] if place in shared else ())
        met = [k for k, side in enumerate(sides) if np.isin(side, table).any()]
        if not met:
            elsewhere = True
            continue
        places.append(place)
        if len(met) > 1:
            is_common = True
        elif place in by_place:
            order = _order(table, sides[met[0]])
            if order is None:
                return None
            orders.add((met[0], order.tobytes()))
    if not orders:
        return []
    if len(orders) > 1 or is_common or elsewhere:
        return None
    ((side, order_of_bytes),) = orders
    return [(side, np.frombuffer(order_of_bytes, dtype=np.int64), tuple(sorted(places)))]


def _order(table: Array, side: Array) -> Array | None:
    """Return for each unit of a side which row of a table is at its places; None if these are no others'."""
    if table.shape != side.shape:
        return None
    row_of = {tuple(sorted(row)): k for k, row in enumerate(table.tolist())}
    rows = [row_of.get(tuple(sorted(row)), -1) for row in side.tolist()]
    return None if -1 in rows else np.array(rows, dtype=np.int64)


def _rest(symmetry: Symmetry, trade: Trade) -> tuple[ModuleGroup, ...]:
    """Return the parts that trade places as wholes, without what trades places one by one, where that is left alone."""
    slot_of: dict[str, int] = {}
    for k, slot in enumerate(trade.slots):
        slot_of |= {tensor: k for (tensor, _), _ in slot}
    places = {place for slot in trade.slots for place, _ in slot}
    groups = []
    for group in symmetry.modules:
        by_slot = [[slot_of.get(name) for name in member] for member in group.members]
        if not any(group.members) and all(axis.tensor in slot_of for axis in group.axes):
            continue
        if not any(slot is not None for slot in by_slot[0]) or any(row != by_slot[0] for row in by_slot):
            groups.append(group)
            continue
        whole = _is_all(group, trade)
        members = tuple(
            tuple(name for name, slot in zip(member, by_slot[0], strict=True) if slot is None)
            for member in group.members
        )
        axes = tuple(axis for axis in group.axes if (axis.tensor, axis.dims) not in places)
        if not whole:
            groups.append(group)
        elif members[0]:
            groups.append(replace(group, members=members, axes=axes))
        elif axes:
            groups.append(group)
    return tuple(groups)


def _is_all(group: ModuleGroup, trade: Trade) -> bool:
    """Tell whether parts trade what trades places one by one as that does: each has one side of it."""
    sides: Iterable[tuple[str, ...]] = (
        tuple(slot[k][0][0] for slot in trade.slots) for k in range(len(trade.slots[0]))
    )
    of_side = [set(tensors) for tensors in sides]
    return all(any(set(member) & tensors for tensors in of_side) for member in group.members)
