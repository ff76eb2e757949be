"""From what tracing learned to the groups of a `Symmetry`, and the check that nothing was forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.colours import Run, colour, run_of, runs_of, settle
from landscape_cli.symmetry.labels import NONE, Array, Hash, Labels
from landscape_cli.symmetry.scales import Equations
from landscape_cli.symmetry.solution import BatchNorm, Owners, scale_groups, sign_groups
from landscape_cli.symmetry.spec import Axis, FixedAxis, PermutationGroup, Places, Role, Sphere, Symmetry
from landscape_cli.symmetry.values import Layer, Value, covered

ALONE = "nothing like it to trade places with"


@dataclass(frozen=True)
class Traced:
    """What one traced forward pass leaves behind.

    Attributes:
        labels: what is known of who is who.
        equations: between scales, and between signs.
        parameters: the labels of each run of axes of the tensors used, in the order of their use.
        roles: what each axis of them is to the units there.
        aliases: every name of each tensor: a tensor shared between modules has several.
        shapes: the shapes of the model's tensors.
        seen: the labels of all tensors there were.
        outputs: what is known of the outputs.
        batch_norms: those that normalise with running statistics.
        notes: what the user should be told.
    """

    labels: Labels
    equations: Equations
    parameters: Mapping[str, Sequence[Sequence[Layer]]]
    roles: Mapping[tuple[str, int], Role]
    aliases: Mapping[str, list[str]]
    shapes: Mapping[str, tuple[int, ...]]
    seen: Sequence[Sequence[Layer]]
    outputs: Sequence[Value]
    batch_norms: Sequence[BatchNorm]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """What lives along some axes of one parameter.

    Attributes:
        tensor: its name.
        dims: the axes.
        run: what lives at each place of their product.
    """

    tensor: str
    dims: tuple[int, ...]
    run: Run


def assemble(traced: Traced) -> Symmetry:
    """Return the symmetry that a trace amounts to.

    Raises:
        TraceError: if an axis of a parameter is neither in a group nor fixed for a reason.
    """
    labels = traced.labels
    own = [run for parameter_runs in traced.parameters.values() for run in parameter_runs]
    runs = runs_of(labels, [*own, *traced.seen])
    settle(labels, runs)
    colours = colour(labels, runs)
    parts = list(_parts(traced))
    spaces = _Spaces(labels, parts)
    kinds, permutations = _permutations(traced, parts, spaces, colours)
    owners = Owners(labels, traced.equations, list(kinds.values()), list(kinds))
    axis_of = _axis_maker(traced)
    scales, output, output_after = scale_groups(traced.equations, owners, axis_of, traced.outputs, traced.batch_norms)
    symmetry = Symmetry(
        permutations=tuple(permutations),
        scales=tuple(scales),
        signs=tuple(sign_groups(traced.equations, owners, axis_of)),
        output=tuple(output),
        output_after=output_after,
        spheres=tuple(_spheres(traced, parts)),
        fixed=tuple(_fixed(traced, parts)),
        shapes=tuple((name, traced.shapes[name]) for first in traced.aliases for name in traced.aliases[first]),
        notes=traced.notes,
    )
    _check_coverage(traced, symmetry)
    return symmetry


def _parts(traced: Traced) -> Iterable[Part]:
    for name, runs in traced.parameters.items():
        for layers in runs:
            axes = tuple(sorted(frozenset().union(*map(covered, layers))))
            yield Part(name, axes, run_of(traced.labels, layers))


class _Spaces:
    """Where each unit lives: by part, its places in an order that corresponds from unit to unit."""

    def __init__(self, labels: Labels, parts: Sequence[Part]) -> None:
        self._labels = labels
        self.found: defaultdict[int, dict[int, Array]] = defaultdict(dict)
        for k, part in enumerate(parts):
            for column in part.run.units():
                rest = [other for j, other in enumerate(part.run.columns) if j != column]
                units = part.run.columns[column]
                order = np.lexsort((*rest, units)) if rest else np.argsort(units, kind="stable")
                starts = np.flatnonzero(np.diff(units[order], prepend=np.int64(-(1 << 62))))
                ends = [*starts[1:].tolist(), len(order)]
                for unit, start, end in zip(units[order][starts].tolist(), starts.tolist(), ends, strict=True):
                    if unit >= 0:
                        self.found[unit][k] = order[start:end]


def _permutations(
    traced: Traced, parts: Sequence[Part], spaces: _Spaces, colours: Hash
) -> tuple[dict[str, list[int]], list[PermutationGroup]]:
    """Return the units of each kind by its name, and the groups in forward order."""
    labels = traced.labels
    where = spaces.found
    children: defaultdict[int, dict[int, None]] = defaultdict(dict)
    units = np.array(sorted(where), dtype=np.int64)
    pending = units
    while len(pending):
        above = labels.above(pending)
        for unit, block in zip(pending.tolist(), above.tolist(), strict=True):
            if block >= 0:
                children[block][unit] = None
        pending = np.unique(above[above >= 0])
    for block, inner in children.items():
        children[block] = dict.fromkeys(_in_order(labels, parts, where, block, list(inner)))
    labels.fix_above()
    first: dict[int, tuple[int, int]] = {}

    def first_place(unit: int) -> tuple[int, int]:
        """Return the part, of those that write the unit if there are, and the place in it where it first occurs."""
        if unit not in first:
            own = [(not _is_writer(traced, parts[k]), k, int(places[0])) for k, places in where.get(unit, {}).items()]
            inner = [(False, *first_place(child)) for child in children.get(unit, ())]
            first[unit] = min(own + inner)[1:]
        return first[unit]

    everyone = sorted({*where, *children}, key=first_place)
    alike: dict[int, list[int]] = {}
    for unit in everyone:
        alike.setdefault(colours[unit].item(), []).append(unit)
    kinds: dict[str, list[int]] = {}
    made: list[tuple[tuple[int, int], str, list[int], list[list[int]]]] = []
    for members in alike.values():
        base = name = _base_name(parts[first_place(members[0])[0]].tensor, bool(children.get(members[0])))
        number = 1
        while name in kinds:
            number += 1
            name = f"{base}#{number}"
        kinds[name] = members
        free = [unit for unit, why in zip(members, labels.why_fixed(np.array(members)), strict=True) if why == 0]
        blocks: dict[int, list[int]] = {}
        for unit, block in zip(free, labels.above(np.array(free, dtype=np.int64)).tolist(), strict=True):
            blocks.setdefault(block, []).append(unit)
        for block, members_of in blocks.items():
            order = {unit: place for place, unit in enumerate(children.get(block, ()))}
            members_of.sort(key=lambda unit, order=order: order.get(unit, 0))  # type: ignore[misc]
        sizes = {len(block) for block in blocks.values()}
        if len(sizes) == 1:
            made.append((first_place(free[0]), name, free, list(blocks.values())))
        elif sizes:
            for count, block in enumerate(blocks.values()):
                made.append((first_place(block[0]), f"{name}/{count + 1}", block, [block]))
    names = {unit: name for name, members in kinds.items() for unit in members}
    groups = []
    for _, name, _, blocks_of in sorted(made, key=lambda group: group[0]):
        size = len(blocks_of[0])
        ordered = [unit for block in blocks_of for unit in block]
        if size < 2:
            labels.fix(np.array(ordered), ALONE)
            continue
        axes = _axes(traced, parts, where, children, ordered)
        inside = tuple(dict.fromkeys(names[child] for unit in ordered[:1] for child in children.get(unit, ())))
        groups.append(PermutationGroup(name, size, axes, len(blocks_of), inside))
    return kinds, groups


def _in_order(
    labels: Labels, parts: Sequence[Part], where: Mapping[int, Mapping[int, Array]], block: int, units: list[int]
) -> list[int]:
    """Return a block's units in the order that corresponds from block to block.

    Grouped weights move as whole rows and thereby set an order of the units that they read; if two set different ones,
    the block may not move.
    """
    joint = sorted({k for unit in units for k in where.get(unit, {}) if len(parts[k].dims) > 1})
    orders = set()
    for k in joint:
        places = {unit: int(where[unit][k].min()) if k in where[unit] else -1 for unit in units}
        orders.add(tuple(sorted(units, key=places.__getitem__)))
    if len(orders) > 1:
        labels.fix(np.array([block]), "read in different orders by grouped weights")
    return list(min(orders)) if orders else units


def _base_name(tensor: str, blocks: bool) -> str:
    name = tensor.removesuffix(".weight").removesuffix("_weight").removesuffix(".in_proj") or tensor
    return f"{name}/blocks" if blocks else name


def _is_writer(traced: Traced, part: Part) -> bool:
    return traced.roles.get((part.tensor, part.dims[-1])) is Role.INCOMING


def _axes(
    traced: Traced,
    parts: Sequence[Part],
    where: Mapping[int, Mapping[int, Array]],
    children: Mapping[int, Mapping[int, None]],
    units: Sequence[int],
) -> tuple[Axis, ...]:
    """Return where units of one kind live, those of blocks wherever what is in them lives."""
    rows: list[defaultdict[int, list[Array]]] = []
    for unit in units:
        mine: defaultdict[int, list[Array]] = defaultdict(list)
        pending = [unit]
        while pending:
            one = pending.pop(0)
            for k, places in where.get(one, {}).items():
                mine[k].append(places)
            pending += children.get(one, ())
        rows.append(mine)
    found = []
    for k in sorted(rows[0]):
        part = parts[k]
        if len(part.dims) > 1 and any(parts[j].tensor == part.tensor and j != k for j in rows[0]):
            continue  # what lives there moves along with whole rows, which another axis lists
        table = np.stack([np.concatenate(mine[k]) for mine in rows])
        found += _axis_maker(traced)(part.tensor, part.dims, table)
    return tuple(found)


def _axis_maker(traced: Traced):  # type: ignore[no-untyped-def]
    def make(tensor: str, dims: tuple[int, ...], table: Array) -> list[Axis]:
        """Return the axis under each of the tensor's names."""
        role = traced.roles.get((tensor, dims[-1]), Role.FOLLOWER)
        return [Axis(name, dims, role, Places(table)) for name in traced.aliases[tensor]]

    return make


def _fixed(traced: Traced, parts: Sequence[Part]) -> Iterable[FixedAxis]:
    labels = traced.labels
    for part in parts:
        columns = part.run.columns
        numbers = np.stack([labels.why_fixed(column) for column in columns])
        held = np.stack([column < 0 for column in columns]) | (numbers > 0)
        why = np.where(held.all(axis=0), numbers.max(axis=0), NONE)
        for number, places in zip(*np.unique(why[why >= 0], return_counts=True), strict=True):
            for name in traced.aliases[part.tensor]:
                yield FixedAxis(name, part.dims[-1], int(places), labels.reasons[int(number)])


def _spheres(traced: Traced, parts: Sequence[Part]) -> Iterable[Sphere]:
    """Yield the tensors of weights: hidden units on a sphere each, the output's on one together."""
    outputs = {traced.labels.reason("output")}
    shown = {int(number) for value in traced.outputs for layer, _ in value.scale for number in layer.unique()}
    last = {block.tensor for block in traced.equations.blocks if shown & set(block.variables.tolist())}
    for name in traced.parameters:
        for dim in range(len(traced.shapes[name])):
            if traced.roles.get((name, dim)) is Role.INCOMING:
                here = [part for part in parts if part.tensor == name and part.dims == (dim,)]
                why = {int(w) for part in here for column in part.run.columns for w in traced.labels.why_fixed(column)}
                whole = (bool(why) and why <= outputs) or name in last
                yield from (Sphere(alias, None if whole else dim) for alias in traced.aliases[name])
                break


def _check_coverage(traced: Traced, symmetry: Symmetry) -> None:
    covered_axes = {(axis.tensor, dim) for group in symmetry.permutations for axis in group.axes for dim in axis.dims}
    covered_axes |= {(axis.tensor, axis.dim) for axis in symmetry.fixed}
    for name in traced.parameters:
        for dim, size in enumerate(traced.shapes[name]):
            if size > 1 and (name, dim) not in covered_axes:
                raise TraceError(f"axis {dim} of {name!r} is neither in a group nor fixed: please report this")
