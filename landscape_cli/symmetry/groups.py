"""From what tracing learned to the groups of a `Symmetry`, and the check that nothing was forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.atoms import Atom, Dim, Scale, Unknown, leaves, restrict
from landscape_cli.symmetry.solve import Row, solve
from landscape_cli.symmetry.spec import (
    Axis,
    FixedAxis,
    PermutationGroup,
    Role,
    ScaledAxis,
    ScaleGroup,
    Sphere,
    Symmetry,
)


@dataclass(frozen=True)
class ParameterAxis:
    """One axis of one tensor of the model, its atom, and the unknown that is its scale."""

    tensor: str
    dim: int
    atom: Atom
    unknown: Unknown


@dataclass(frozen=True)
class Traced:
    """What one traced forward pass leaves behind.

    Attributes:
        axes: the axes of the tensors used, in the order of their use.
        roles: what each axis is to the units there.
        aliases: every name of each tensor: a tensor shared between modules has several.
        shapes: the shapes of the model's tensors.
        equations: between the scales.
        outputs: the output's axes, without the batch.
        output_scale: the output's scale.
    """

    axes: tuple[ParameterAxis, ...]
    roles: Mapping[tuple[str, int], Role]
    aliases: Mapping[str, list[str]]
    shapes: Mapping[str, tuple[int, ...]]
    equations: tuple[Scale, ...]
    outputs: tuple[Dim, ...]
    output_scale: Scale


def assemble(traced: Traced) -> Symmetry:
    """Return the symmetry that a trace amounts to.

    Raises:
        TraceError: if an axis of a parameter is neither in a group nor fixed for a reason.
    """
    places: defaultdict[Atom, list[Axis]] = defaultdict(list)
    for parameter_axis in traced.axes:
        for leaf, axes in _axes_of(traced, parameter_axis):
            places[leaf] += axes
    free = {leaf: axes for leaf, axes in places.items() if leaf.fixed is None and _is_unit(leaf, axes)}
    names = _names(places)
    permutations = [PermutationGroup(names[leaf], leaf.size, tuple(axes)) for leaf, axes in free.items()]
    fixed = [
        FixedAxis(axis.tensor, axis.dim, leaf.fixed)
        for leaf, axes in places.items()
        for axis in axes
        if leaf.fixed is not None
    ]
    scales, output, output_after = _scales(traced, names)
    symmetry = Symmetry(
        permutations=tuple(permutations),
        scales=tuple(scales),
        output=tuple(output),
        output_after=output_after,
        spheres=tuple(_spheres(traced)),
        fixed=tuple(fixed),
        shapes=tuple((name, traced.shapes[name]) for first in traced.aliases for name in traced.aliases[first]),
    )
    _check_coverage(traced, symmetry)
    return symmetry


def _is_unit(leaf: Atom, axes: Iterable[Axis]) -> bool:
    """Tell units from the single places that a reshape leaves over."""
    return leaf.size > 1 or any(axis.role is Role.INCOMING for axis in axes)


def _axes_of(traced: Traced, parameter_axis: ParameterAxis) -> Iterable[tuple[Atom, list[Axis]]]:
    """Yield each atom of a parameter's axis, and where its places lie there, under all of the tensor's names."""
    role = traced.roles.get((parameter_axis.tensor, parameter_axis.dim), Role.FOLLOWER)
    parts = parameter_axis.atom.leaves()
    for k, leaf in enumerate(parts):
        tiles, repeat = (prod(part.size for part in some) for some in (parts[:k], parts[k + 1 :]))
        yield (
            leaf,
            [
                Axis(name, parameter_axis.dim, role, repeat=repeat, tiles=tiles)
                for name in traced.aliases[parameter_axis.tensor]
            ],
        )


def _names(places: Mapping[Atom, list[Axis]]) -> dict[Atom, str]:
    """Name each group of units after the module that first writes them."""
    names: dict[Atom, str] = {}
    for leaf, axes in places.items():
        writers = [axis for axis in axes if axis.role is Role.INCOMING]
        base = name = (writers or axes)[0].tensor.removesuffix(".weight")
        while name in names.values():
            name = f"{base}#{len([known for known in names.values() if known.split('#')[0] == base]) + 1}"
        names[leaf] = name
    return names


def _scales(traced: Traced, names: Mapping[Atom, str]) -> tuple[list[ScaleGroup], list[ScaledAxis], int]:
    """Solve the equations; return the groups of free scales in forward order, and the axes that scale the output.

    The last number tells how many of the groups come before the output's.
    """
    owners = {axis.unknown: axis for axis in traced.axes}
    solutions = solve([(axis.unknown, axis.atom) for axis in traced.axes], traced.equations)
    found: list[tuple[int, str, int, tuple[ScaledAxis, ...]]] = []
    output: list[ScaledAxis] = []
    output_order = 0
    output_leaves = leaves(traced.outputs)
    for leaf, solution in solutions.items():
        members: defaultdict[Unknown, dict[Unknown, Fraction]] = defaultdict(dict)
        for unknown, row in solution.items():
            for free, power in row.items():
                members[free][unknown] = power
        seen = _powers_in_output(traced, leaf, solution) if leaf in output_leaves else {}
        for free, powers in members.items():
            whole = lcm(*(power.denominator for power in powers.values()))
            scaled = tuple(
                ScaledAxis(axis, int(power * whole))
                for unknown, power in powers.items()
                for place, axes in _axes_of(traced, owners[unknown])
                if place is leaf
                for axis in axes
            )
            if free not in seen:
                found.append((free.order, names[leaf], leaf.size, scaled))
            elif not output and seen == {free: 1}:
                output, output_order = list(scaled), free.order
    groups: list[ScaleGroup] = []
    for _, name, size, scaled in sorted(found, key=lambda group: group[0]):
        taken = sum(group.name.split("#")[0] == name for group in groups)
        groups.append(ScaleGroup(f"{name}#{taken + 1}" if taken else name, size, scaled))
    return groups, output, sum(order < output_order for order, *_ in found)


def _powers_in_output(traced: Traced, leaf: Atom, solution: Mapping[Unknown, Row]) -> Row:
    """Return the free scales that the output itself shows, and to which power."""
    total: Row = {}
    for (unknown, _), power in restrict(traced.output_scale, [(leaf,)]).items():
        for free, share in solution[unknown].items():
            total[free] = total.get(free, Fraction(0)) + power * share
    return {free: power for free, power in total.items() if power}


def _spheres(traced: Traced) -> Iterable[Sphere]:
    """Yield the tensors of weights: hidden units on a sphere each, the output's on one together."""
    outputs = set(leaves(traced.outputs))
    for axis in traced.axes:
        if traced.roles.get((axis.tensor, axis.dim)) is Role.INCOMING:
            last = any(leaf in outputs for leaf in axis.atom.leaves())
            yield from (Sphere(name, None if last else axis.dim) for name in traced.aliases[axis.tensor])


def _check_coverage(traced: Traced, symmetry: Symmetry) -> None:
    covered = {(axis.tensor, axis.dim) for group in symmetry.permutations for axis in group.axes}
    covered |= {(axis.tensor, axis.dim) for axis in symmetry.fixed}
    for axis in traced.axes:
        size = traced.shapes[axis.tensor][axis.dim]
        if size > 1 and (axis.tensor, axis.dim) not in covered:
            raise TraceError(f"axis {axis.dim} of {axis.tensor!r} is neither in a group nor fixed: please report this")
    for group in symmetry.permutations:
        if not group.writers:
            raise TraceError(
                f"the {group.size} units along axis {group.axes[0].dim} of {group.axes[0].tensor!r} have no incoming "
                "weights of their own: weights computed from parameters have no rule"
            )
