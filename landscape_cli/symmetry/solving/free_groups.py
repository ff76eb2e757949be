"""From the equations between scales, and between signs, to the groups of units whose scale or sign is free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from math import lcm

import numpy as np
import torch

from landscape_cli.symmetry.solving.elimination import Power, Row, eliminate
from landscape_cli.symmetry.solving.shared import define
from landscape_cli.symmetry.solving.variables import VariableTable
from landscape_cli.symmetry.spec import Axis, FixedSign, Role, ScaledAxis, ScaleGroup, SignGroup, Symmetry
from landscape_cli.symmetry.tracing.equations import Block, Equations
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.record import BatchNorm

MakeAxes = Callable[[str, tuple[int, ...], Array], list[Axis]]


def scale_groups(
    equations: Equations,
    variables: VariableTable,
    axes: MakeAxes,
    outputs: Sequence[Value],
    batch_norms: Sequence[BatchNorm],
) -> tuple[list[ScaleGroup], list[ScaledAxis], int]:
    """Return the groups of free scales in forward order, and the axes that scale the output.

    The last number tells how many of the groups come before the output's.
    """
    shown = _shown(equations, variables, outputs)
    held = [variable for row, _ in shown for variable in row]
    solve, given = _solve(equations, variables, "scale", held)
    members = _members(variables, solve, given)
    seen, common = _in_outputs(shown, solve)
    common = common and all(power.denominator == 1 for free in seen for power in members[free].values())
    output: list[ScaledAxis] = []
    for free in sorted(seen) if common else ():
        output += _scaled(variables, axes, batch_norms, members[free], given, whole=True, kind=variables.kind(free))
    groups: list[ScaleGroup] = []
    after = 0
    taken: set[str] = set()
    for free in sorted(members.keys() - seen):
        kind = variables.kind(free)
        if _is_idle(variables.tables(kind, _whole(members[free]), given)):
            continue
        scaled = _scaled(variables, axes, batch_norms, members[free], given, kind=kind)
        if scaled:
            name = _unused_name_of(scaled[0].axis, taken)
            groups.append(ScaleGroup(name, variables.units_of(kind), tuple(scaled)))
            after += common and free < min(seen)
    return groups, output, after


def _shown(
    equations: Equations, variables: VariableTable, outputs: Sequence[Value]
) -> list[tuple[list[int], list[int]]]:
    """Return the rows of variables that multiply outputs, and their powers.

    Scales that no such row can stand for are stated to be 1.
    """
    shown = []
    for value in outputs:
        layers = torch.broadcast_tensors(*(layer for layer, _ in value.scale)) if value.scale else ()
        rows = torch.stack(layers, -1).reshape(-1, len(layers)).numpy() if layers else np.zeros((1, 0), dtype=np.int64)
        kept, unrepresented = variables.represent(rows) if layers else ([[]], [])
        equations.nothing("scale", np.array(unrepresented, dtype=np.int64))
        shown += [(row, [power for _, power in value.scale]) for row in kept or [[]]]
    return shown


def fixed_signs(equations: Equations, symmetry: Symmetry) -> tuple[FixedSign, ...]:
    """Return the permutation groups whose units have no sign group, with the first operator that states their sign."""
    free = {(axis.tensor, axis.dims) for group in symmetry.signs for axis in group.axes}
    fixed = []
    for group in symmetry.permutations:
        writer = group.writers[0]
        if (writer.tensor, writer.dims) not in free and not group.inside:
            fixed.append(FixedSign(group.name, _why_signs_are_fixed(equations, writer)))
    return tuple(fixed)


def _why_signs_are_fixed(equations: Equations, writer: Axis) -> str:
    """Return the first operator that states signs of these weights' units, and of no other tensor; empty for none."""
    blocks = [block for block in equations.blocks if block.tensor in {"", writer.tensor}]
    of_tensor = np.concatenate([np.zeros(1, dtype=np.int64), *(block.variables for block in blocks)])
    blocks = [block for block in blocks if (block.tensor, block.dims) == (writer.tensor, writer.dims)]
    of_axis = np.concatenate([np.zeros(0, dtype=np.int64), *(block.variables for block in blocks)])
    reasons = (
        where
        for rows, where in equations.signed
        if bool(np.isin(rows, of_axis).any()) and bool(np.isin(rows, of_tensor).all())
    )
    return next(reasons, "")


def sign_groups(equations: Equations, variables: VariableTable, axes: MakeAxes) -> list[SignGroup]:
    """Return the groups of free signs in forward order."""
    solve, given = _solve(equations, variables, "sign")
    groups: list[SignGroup] = []
    taken: set[str] = set()
    for free, powers in sorted(_members(variables, solve, given, modulo=2).items()):
        kind = variables.kind(free)
        tables = variables.tables(kind, _whole(powers), given)
        flipped = [axis for block, _, table in tables for axis in axes(block.tensor, block.dims, table)]
        if flipped and not _is_idle(tables, modulo=2):
            name = _unused_name_of(flipped[0], taken)
            groups.append(SignGroup(name, variables.units_of(kind), tuple(flipped)))
    return _with_clear_gains(groups)


def _with_clear_gains(groups: Sequence[SignGroup]) -> list[SignGroup]:
    """Return sign groups in which gains are such only if each tells the sign of one unit, and of no group beside.

    Several gains of one unit, as where a whole stream has one sign, are weights like any that write it.
    """
    gains = [axis for group in groups for axis in group.axes if axis.role is Role.GAIN]
    several = {axis.tensor for axis in gains if axis.places.table.shape[1] > 1}

    def with_clear_role(axis: Axis) -> Axis:
        if axis.role is not Role.GAIN or axis.tensor not in several:
            return axis
        return replace(axis, role=Role.INCOMING if axis.places.table.shape[1] > 1 else Role.FOLLOWER)

    return [replace(group, axes=tuple(map(with_clear_role, group.axes))) for group in groups]


def _solve(
    equations: Equations, variables: VariableTable, kind: str, held: Sequence[int] = ()
) -> tuple[Callable[[int], Row], dict[int, Row]]:
    """Solve the equations; return what gives each variable, those of several units at once apart.

    These are given by variables of one unit each; those of `held`, and those that no others give, are 1.
    """
    shared = variables.several.copy()
    shared[list(held)] = False
    rows, given = define(equations.rows(kind), shared, modulo=2 if kind == "sign" else 0, agree=variables.agree)
    rest = np.setdiff1d(np.flatnonzero(variables.several), np.array(list(given), dtype=np.int64))
    nothing = [(rest[:, None], (1,))] if len(rest) else []
    return eliminate([*rows, *nothing], kind, represent=variables.represent, depth=variables.depth), given


def _members(
    variables: VariableTable, solve: Callable[[int], Row], given: Mapping[int, Row], modulo: int = 0
) -> dict[int, dict[int, Power]]:
    """Return by free variable the kept variables that depend on it, and by which power; all that several units own."""
    members: defaultdict[int, dict[int, Power]] = defaultdict(dict)
    for variable in np.flatnonzero(variables.kept)[1:].tolist():
        for free, power in solve(variable).items() if variable not in given else ():
            members[free][variable] = power
    for variable, row in given.items():
        total: defaultdict[int, Power] = defaultdict(int)
        for part, power in row.items():
            for free, share in solve(int(variables.representative[part])).items():
                total[free] += power * share
        for free, power in total.items():
            if power % modulo if modulo else power:
                members[free][variable] = power
    return dict(members)


def _whole(powers: Mapping[int, Power]) -> dict[int, int]:
    """Return powers multiplied by their least common denominator."""
    common = lcm(*(power.denominator for power in powers.values()))
    return {variable: int(power * common) for variable, power in powers.items()}


def _in_outputs(
    shown: Sequence[tuple[Sequence[int], Sequence[int]]], solve: Callable[[int], Row]
) -> tuple[set[int], bool]:
    """Return the free scales that the outputs show, and whether one factor of all outputs is free."""
    seen: set[int] = set()
    common = True
    for row, shares in shown:
        total: defaultdict[int, Power] = defaultdict(int)
        for variable, power in zip(row, shares, strict=False):
            for free, share in (solve(variable) if variable else {}).items():
                total[free] += power * share
        powers = {free: power for free, power in total.items() if power}
        seen |= powers.keys()
        common = common and len(powers) == 1 and set(powers.values()) == {1}
    return seen, common and bool(seen)


def _scaled(
    variables: VariableTable,
    axes: MakeAxes,
    batch_norms: Sequence[BatchNorm],
    powers: Mapping[int, Power],
    given: Mapping[int, Row],
    *,
    kind: int,
    whole: bool = False,
) -> list[ScaledAxis]:
    means = {norm.mean: norm for norm in batch_norms}
    unscaled = {norm.variance: norm for norm in batch_norms if norm.gain is None}
    scaled = []
    for block, power, table in variables.tables(kind, _whole(powers), given):
        table = table.reshape(1, -1) if whole else table
        epsilon = unscaled[block.tensor].epsilon if block.tensor in unscaled else 0.0
        scaled += [ScaledAxis(axis, power, epsilon) for axis in axes(block.tensor, block.dims, table)]
        norm = means.get(block.tensor)
        if norm is not None and norm.gain is not None:
            scaled += [ScaledAxis(axis, 0, norm.epsilon, norm.variance, power) for axis in axes(norm.gain, (0,), table)]
    return scaled


def unused(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken: the same, or with a number."""
    number, base = 1, name
    while name in taken:
        number += 1
        name = f"{base}#{number}"
    return name


def named_after(tensor: str) -> str:
    """Return a name for the units that a tensor writes: its module's, where it is the weight, pruned or not."""
    return tensor.removesuffix("_orig").removesuffix(".weight").removesuffix("_weight") or tensor


def _unused_name_of(axis: Axis, taken: set[str]) -> str:
    """Return a name for the group whose first axis this is, and take it."""
    name = unused(named_after(axis.tensor), taken)
    taken.add(name)
    return name


def _is_idle(tables: Sequence[tuple[Block, int, Array]], modulo: int = 0) -> bool:
    """Tell whether factors cancel in every tensor, as those of two axes of one place each do."""
    total: defaultdict[str, int] = defaultdict(int)
    for block, power, table in tables:
        if table.size != len(block.variables) or len(table) > 1:
            return False
        total[block.tensor] += power
    return not any(power % modulo if modulo else power for power in total.values())
