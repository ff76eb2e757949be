"""From the equations between scales, and between signs, to the groups of units whose scale or sign is free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm

import numpy as np
import torch

from landscape_cli.symmetry.solving.elimination import Row, eliminate
from landscape_cli.symmetry.solving.variables import Owners
from landscape_cli.symmetry.spec import Axis, FixedSign, Role, ScaledAxis, ScaleGroup, SignGroup, Symmetry
from landscape_cli.symmetry.tracing.equations import Block, Equations
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.record import BatchNorm

MakeAxes = Callable[[str, tuple[int, ...], Array], list[Axis]]


def scale_groups(
    equations: Equations, owners: Owners, axes: MakeAxes, outputs: Sequence[Value], batch_norms: Sequence[BatchNorm]
) -> tuple[list[ScaleGroup], list[ScaledAxis], int]:
    """Return the groups of free scales in forward order, and the axes that scale the output.

    The last number tells how many of the groups come before the output's.
    """
    shown = []
    for value in outputs:
        layers = torch.broadcast_tensors(*(layer for layer, _ in value.scale)) if value.scale else ()
        rows = torch.stack(layers, -1).reshape(-1, len(layers)).numpy() if layers else np.zeros((1, 0), dtype=np.int64)
        kept, torn = owners.represent(rows) if layers else ([[]], [])
        equations.nothing("scale", np.array(torn, dtype=np.int64))
        shown += [(row, [power for _, power in value.scale]) for row in kept or [[]]]
    solve = _solve(equations, owners, "scale")
    members = _members(owners, solve)
    seen, common = _in_outputs(shown, solve)
    common = common and all(power.denominator == 1 for free in seen for power in members[free].values())
    output: list[ScaledAxis] = []
    if common:
        for free in sorted(seen):
            output += _scaled(owners, axes, batch_norms, members[free], whole=True, kind=owners.kind(free))
    groups: list[ScaleGroup] = []
    after = 0
    taken: set[str] = set()
    for free in sorted(members):
        if free in seen:
            continue
        kind = owners.kind(free)
        if _is_idle(owners.tables(kind, _whole(members[free]))):
            continue
        scaled = _scaled(owners, axes, batch_norms, members[free], kind=kind)
        if scaled:
            name = unused(_name_of(scaled[0].axis), taken)
            taken.add(name)
            groups.append(ScaleGroup(name, len(owners.kinds[kind]) if kind >= 0 else 1, tuple(scaled)))
            after += bool(common) and free < min(seen)
    return groups, output, after


def fixed_signs(equations: Equations, symmetry: Symmetry) -> tuple[FixedSign, ...]:
    """Return the permutation groups whose units have no sign group, with the first operator that states their sign."""
    free = {(axis.tensor, axis.dims) for group in symmetry.signs for axis in group.axes}
    found = []
    for group in symmetry.permutations:
        axis = group.writers[0]
        if (axis.tensor, axis.dims) not in free and not group.inside:
            blocks = [block for block in equations.blocks if block.tensor in {"", axis.tensor}]
            with_it = np.concatenate([np.zeros(1, dtype=np.int64), *(block.variables for block in blocks)])
            blocks = [block for block in blocks if (block.tensor, block.dims) == (axis.tensor, axis.dims)]
            own = np.concatenate([np.zeros(0, dtype=np.int64), *(block.variables for block in blocks)])
            reasons = (
                where
                for rows, where in equations.signed
                if bool(np.isin(rows, own).any()) and bool(np.isin(rows, with_it).all())
            )
            found.append(FixedSign(group.name, next(reasons, "")))
    return tuple(found)


def sign_groups(equations: Equations, owners: Owners, axes: MakeAxes) -> list[SignGroup]:
    """Return the groups of free signs in forward order."""
    solve = _solve(equations, owners, "sign")
    groups: list[SignGroup] = []
    taken: set[str] = set()
    for free, powers in sorted(_members(owners, solve).items()):
        kind = owners.kind(free)
        tables = owners.tables(kind, _whole(powers))
        found = [axis for block, _, table in tables for axis in axes(block.tensor, block.dims, table)]
        if found and not _is_idle(tables, modulo=2):
            size = len(owners.kinds[kind]) if kind >= 0 else 1
            name = unused(_name_of(found[0]), taken)
            taken.add(name)
            groups.append(SignGroup(name, size, tuple(found)))
    return _told_by_gains(groups)


def _told_by_gains(groups: Sequence[SignGroup]) -> list[SignGroup]:
    """Return sign groups in which gains are such only if each tells the sign of one unit, and of no group beside.

    Several gains of one unit, as where a whole stream has one sign, are weights like any that write it.
    """
    gains = [axis for group in groups for axis in group.axes if axis.role is Role.GAIN]
    several = {axis.tensor for axis in gains if axis.places.table.shape[1] > 1}

    def told(axis: Axis) -> Axis:
        if axis.role is not Role.GAIN or axis.tensor not in several:
            return axis
        return replace(axis, role=Role.INCOMING if axis.places.table.shape[1] > 1 else Role.FOLLOWER)

    return [replace(group, axes=tuple(map(told, group.axes))) for group in groups]


def _solve(equations: Equations, owners: Owners, kind: str) -> Callable[[int], Row]:
    """Solve the equations, variables of several units at once being 1."""
    (several,) = np.nonzero(owners.several)
    if len(several):
        equations.nothing(kind, several)
    return eliminate(equations, kind, represent=owners.represent, depth=owners.depth)


def _members(owners: Owners, solve: Callable[[int], Row]) -> dict[int, dict[int, Fraction]]:
    found: defaultdict[int, dict[int, Fraction]] = defaultdict(dict)
    for variable in np.flatnonzero(owners.kept)[1:].tolist():
        for free, power in solve(variable).items():
            found[free][variable] = power
    return dict(found)


def _whole(powers: Mapping[int, Fraction]) -> dict[int, int]:
    common = lcm(*(power.denominator for power in powers.values()))
    return {variable: int(power * common) for variable, power in powers.items()}


def _in_outputs(
    shown: Sequence[tuple[Sequence[int], Sequence[int]]], solve: Callable[[int], Row]
) -> tuple[set[int], bool]:
    """Return the free scales that the outputs show, and whether one factor of all outputs is free."""
    seen: set[int] = set()
    common = True
    for row, shares in shown:
        total: defaultdict[int, Fraction] = defaultdict(Fraction)
        for variable, power in zip(row, shares, strict=False):
            for free, share in (solve(variable) if variable else {}).items():
                total[free] += power * share
        powers = {free: power for free, power in total.items() if power}
        seen |= powers.keys()
        common = common and len(powers) == 1 and set(powers.values()) == {Fraction(1)}
    return seen, common and bool(seen)


def _scaled(
    owners: Owners,
    axes: MakeAxes,
    batch_norms: Sequence[BatchNorm],
    powers: Mapping[int, Fraction],
    *,
    kind: int,
    whole: bool = False,
) -> list[ScaledAxis]:
    means = {norm.mean: norm for norm in batch_norms}
    unscaled = {norm.variance: norm for norm in batch_norms if norm.gain is None}
    found = []
    for block, power, table in owners.tables(kind, _whole(powers)):
        table = table.reshape(1, -1) if whole else table
        epsilon = unscaled[block.tensor].epsilon if block.tensor in unscaled else 0.0
        found += [ScaledAxis(axis, power, epsilon) for axis in axes(block.tensor, block.dims, table)]
        norm = means.get(block.tensor)
        if norm is not None and norm.gain is not None:
            found += [ScaledAxis(axis, 0, norm.epsilon, norm.variance, power) for axis in axes(norm.gain, (0,), table)]
    return found


def unused(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken: the same, or with a number."""
    number, base = 1, name
    while name in taken:
        number += 1
        name = f"{base}#{number}"
    return name


def _name_of(axis: Axis) -> str:
    return axis.tensor.removesuffix(".weight").removesuffix("_weight")


def _is_idle(tables: Sequence[tuple[Block, int, Array]], modulo: int = 0) -> bool:
    """Tell whether factors cancel in every tensor, as those of two axes of one place each do."""
    total: defaultdict[str, int] = defaultdict(int)
    for block, power, table in tables:
        if table.size != len(block.variables) or len(table) > 1:
            return False
        total[block.tensor] += power
    return not any(power % modulo if modulo else power for power in total.values())
