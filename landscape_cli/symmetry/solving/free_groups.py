"""From the equations between scales, and between signs, to the groups of units whose scale or sign is free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm

import numpy as np

from landscape_cli.symmetry.solving.elimination import Row, eliminate, reduced
from landscape_cli.symmetry.solving.independence import independent, simplified
from landscape_cli.symmetry.solving.pairs import Tables, free_of_pairs
from landscape_cli.symmetry.solving.shared import define
from landscape_cli.symmetry.solving.variables import VariableTable
from landscape_cli.symmetry.spec import Axis, FixedSign, Role, ScaledAxis, ScaleGroup, SignGroup, Symmetry
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.integers import NONE, Array
from landscape_cli.symmetry.tracing.layers import Power
from landscape_cli.symmetry.tracing.record import BatchNorm

MOST_WHOLE = 144
"""Up to which denominator powers are made whole: factors to larger ones would leave no number within reach."""
MakeAxes = Callable[[str, tuple[int, ...], Array], list[Axis]]


def scale_groups(
    equations: Equations,
    variables: VariableTable,
    axes: MakeAxes,
    shapes: Mapping[str, Sequence[int]],
    batch_norms: Sequence[BatchNorm],
) -> tuple[list[ScaleGroup], list[ScaledAxis], int]:
    """Return the groups of free scales in forward order, and the axes that scale the output.

    The last number tells how many of the groups come before the output's.
    """
    solve, given = _solve(equations, variables, "scale")
    members = _members(variables, solve, given)
    outputs = simplified(variables, members.pop(equations.output, {}), shapes)
    tables = variables.tables(NONE, outputs, given) if outputs else []
    output = _scaled(tables, axes, batch_norms)
    first = min((variable for variable in outputs if variables.in_tensor[variable]), default=0)
    groups: list[ScaleGroup] = []
    after = 0
    taken: set[str] = set()
    for kind, powers, place in independent(variables, members, shapes):
        scaled = _scaled(variables.tables(kind, _whole(powers), given), axes, batch_norms)
        name = _unused_name_of(scaled[0].axis, taken)
        groups.append(ScaleGroup(name, variables.units_of(kind), tuple(scaled)))
        after += place < first
    for tables in free_of_pairs(variables, equations.rows("scale")):
        scaled = _scaled(tables, axes, batch_norms)
        groups.append(ScaleGroup(_unused_name_of(scaled[0].axis, taken), len(tables[0][2]), tuple(scaled)))
    return groups, output, after


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


def sign_groups(
    equations: Equations, variables: VariableTable, axes: MakeAxes, shapes: Mapping[str, Sequence[int]]
) -> list[SignGroup]:
    """Return the groups of free signs in forward order."""
    solve, given = _solve(equations, variables, "sign")
    groups: list[SignGroup] = []
    taken: set[str] = set()

    def add(size: int, tables: Tables) -> None:
        flipped = [axis for block, _, table in tables for axis in axes(block.tensor, block.dims, table)]
        groups.append(SignGroup(_unused_name_of(flipped[0], taken), size, tuple(flipped)))

    for kind, powers, _ in independent(variables, _members(variables, solve, given, modulo=2), shapes, modulo=2):
        add(variables.units_of(kind), variables.tables(kind, powers, given))
    for tables in free_of_pairs(variables, equations.rows("sign"), modulo=2):
        add(len(tables[0][2]), tables)
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


def _solve(equations: Equations, variables: VariableTable, kind: str) -> tuple[Callable[[int], Row], dict[int, Row]]:
    """Solve the equations; return what gives each variable, those of several units at once apart.

    These are given by variables of one unit each; those that no others give are 1. The outputs' own is free if it can
    be.
    """
    modulo = 2 if kind == "sign" else 0
    rows, given = define(equations.rows(kind), variables.several, modulo=modulo, agree=variables.agree)
    rest = np.setdiff1d(np.flatnonzero(variables.several), np.array(list(given), dtype=np.int64))
    nothing = [(rest[:, None], (1,))] if len(rest) else []

    def depth(variable: int) -> int:
        return -1 if variable == equations.output else variables.depth(variable)

    return eliminate([*rows, *nothing], kind, represent=variables.represent, depth=depth), given


def _members(
    variables: VariableTable, solve: Callable[[int], Row], given: Mapping[int, Row], modulo: int = 0
) -> dict[int, Row]:
    """Return by free variable the kept variables that depend on it, and by which power; all that several units own."""
    members: defaultdict[int, Row] = defaultdict(dict)
    own = variables.kept.copy()
    own[list(given)] = False
    for variable in np.flatnonzero(own)[1:].tolist():
        for free, power in solve(variable).items():
            members[free][variable] = power
    totals: dict[tuple[tuple[int, Power], ...], list[tuple[dict[int, Power], Power]]] = {}
    representative = variables.representative.tolist()
    for variable, row in given.items():
        alike = tuple((representative[part], power) for part, power in row.items())
        if alike not in totals:
            total: defaultdict[int, Power] = defaultdict(int)
            for part, power in alike:
                for free, share in solve(part).items():
                    total[free] += power * share
            totals[alike] = [(members[free], power) for free, power in reduced(total, modulo).items()]
        for of_free, power in totals[alike]:
            of_free[variable] = power
    return dict(members)


def _whole(powers: Row) -> Row:
    """Return powers multiplied by their least common denominator; the smallest as one where that is large."""
    common: Power = lcm(*(power.denominator for power in powers.values()))
    if common > MOST_WHOLE:
        common = 1 / min(abs(Fraction(power)) for power in powers.values())
    return {variable: power * common for variable, power in powers.items()}


def _scaled(tables: Tables, axes: MakeAxes, batch_norms: Sequence[BatchNorm]) -> list[ScaledAxis]:
    means = {norm.mean: norm for norm in batch_norms}
    unscaled = {norm.variance: norm for norm in batch_norms if norm.gain is None}
    scaled = []
    for block, share, table in tables:
        power = int(share) if share == int(share) else float(share)
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
