"""A symmetry in terms of a model's own tensors alone: groups that live along joined ones are taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from landscape_cli.symmetry.joined import Joined
from landscape_cli.symmetry.spec import Axis, PermutationGroup, Places, SignGroup, Symmetry


def apart(symmetry: Symmetry) -> Symmetry:
    """Return what of a symmetry can be said without joined tensors: units keep to their own (docs/method.md: Words).

    So units of several layers that are one group are one group a layer. Groups keep their names, and others have that
    with the number of the layer.
    """
    if not symmetry.joined:
        return symmetry
    joined = {each.name: each for each in symmetry.joined}
    permutations: list[PermutationGroup] = []
    for group in symmetry.permutations:
        for k, units in enumerate(_layers(group.axes, group.units, joined)):
            name = group.name if not k else f"{group.name}/{k + 1}"
            if len(units) == group.units:
                permutations.append(replace(group, axes=axes_apart(group.axes, units, joined)))
            elif group.blocks == 1 and len(units) > 1:
                axes = axes_apart(group.axes, units, joined)
                permutations.append(PermutationGroup(name, len(units), axes, inside=group.inside))
    names = {group.name for group in permutations}
    signs = [
        SignGroup(group.name if not k else f"{group.name}/{k + 1}", len(units), axes_apart(group.axes, units, joined))
        for group in symmetry.signs
        for k, units in enumerate(_layers(group.axes, group.size, joined))
    ]
    inside = [replace(group, inside=tuple(name for name in group.inside if name in names)) for group in permutations]
    return replace(symmetry, permutations=tuple(inside), signs=tuple(signs), joined=())


def axes_apart(axes: Sequence[Axis], units: Sequence[int], joined: dict[str, Joined]) -> tuple[Axis, ...]:
    """Return the axes of some units of a group, each in a tensor of its own."""
    found: list[Axis] = []
    for axis in axes:
        table, whole = axis.places.table[list(units)], joined.get(axis.tensor)
        if whole is None:
            found.append(replace(axis, places=Places(table)))
        elif whole.dim not in axis.dims:
            found += [replace(axis, tensor=name, places=Places(table)) for name in whole.tensors]
        else:
            for name, start, size in zip(whole.tensors, whole.starts, whole.sizes, strict=True):
                there = (start <= table) & (table < start + size)
                if there.any():
                    own = table[there].reshape(int(there.any(axis=1).sum()), -1)
                    found.append(replace(axis, tensor=name, places=Places(own - start)))
    return tuple(found)


def _layers(axes: Sequence[Axis], count: int, joined: dict[str, Joined]) -> list[list[int]]:
    """Return the units of a group by which of several tensors they are in; all together if each is in several."""
    for axis in axes:
        whole = joined.get(axis.tensor)
        if whole is not None and whole.dim in axis.dims:
            part = np.searchsorted(np.array(whole.starts), axis.places.table, side="right") - 1
            if (part == part[:, :1]).all():
                kinds = np.unique(part[:, 0])
                return [np.flatnonzero(part[:, 0] == kind).tolist() for kind in kinds.tolist()]
    return [list(range(count))]
