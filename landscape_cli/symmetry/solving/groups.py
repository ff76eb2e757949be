"""From what tracing learned to the groups of a `Symmetry`, and the check that nothing was forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from landscape_cli.errors import InconsistencyError
from landscape_cli.symmetry.solving.free_groups import named_after, scale_groups, sign_groups, unused
from landscape_cli.symmetry.solving.places import Part, PlaceTable
from landscape_cli.symmetry.solving.products import separate
from landscape_cli.symmetry.solving.refinement import CROSSED, Run, color, run_of, runs_of, settle
from landscape_cli.symmetry.solving.siblings import WITH_PARTS, Siblings, find_siblings
from landscape_cli.symmetry.solving.tables import with_tables
from landscape_cli.symmetry.solving.unfollowed import unfollowed
from landscape_cli.symmetry.solving.variables import variable_table
from landscape_cli.symmetry.spec import Axis, FixedAxis, PermutationGroup, Places, Role, ScaleGroup, Sphere, Symmetry
from landscape_cli.symmetry.tracing.integers import NONE, Array, Hash, different
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import covered
from landscape_cli.symmetry.tracing.record import Traced, main_axis

ALONE = "nothing like it to trade places with"
WITH_ROWS = "units that move with whole rows of weights alone"


def assemble(traced: Traced) -> tuple[Symmetry, Siblings]:
    """Return the symmetry that a trace amounts to, and which parts of the model were found to trade places.

    Raises:
        InconsistencyError: if an axis of a parameter is neither in a group nor fixed for a reason.
    """
    labels = traced.labels
    of_parameters = [run for parameter_runs in traced.parameters.values() for run in parameter_runs]
    runs = runs_of(labels, [*of_parameters, *traced.seen])
    settle(labels, runs, runs_of(labels, of_parameters))
    parts, axis_of = list(parts_of(traced)), _axis_maker(traced)
    siblings = find_siblings(traced, parts, axis_of)
    colors = color(labels, runs)
    kinds, permutations = _permutations(traced, PlaceTable(labels, parts), colors, siblings.moving)
    separate(traced.equations, labels)
    variables = variable_table(labels, traced.equations, list(kinds.values()))
    scales, output, output_after = scale_groups(traced.equations, variables, axis_of, traced.shapes, traced.batch_norms)
    with_parts = {(axis.tensor, dim) for group in siblings.groups for axis in group.axes for dim in axis.dims}
    fixed = [
        axis for axis in _fixed(traced, parts) if axis.reason != WITH_PARTS or (axis.tensor, axis.dim) not in with_parts
    ]
    symmetry = Symmetry(
        permutations=tuple(permutations),
        scales=tuple(scales),
        signs=tuple(sign_groups(traced.equations, variables, axis_of, traced.shapes)),
        output=tuple(output),
        output_after=output_after,
        spheres=tuple(_spheres(traced, parts)),
        fixed=(*fixed, *_with_rows(traced, parts, permutations, fixed)),
        shapes=tuple((name, traced.shapes[name]) for first in traced.aliases for name in traced.aliases[first]),
        parameters=tuple(name for name in traced.aliases if name in traced.learned),
        notes=(*traced.notes, *unfollowed(traced, siblings.groups)),
        masks=tuple(traced.masks),
        modules=siblings.groups,
        buffers=_buffers(traced, permutations, scales),
    )
    _check_coverage(traced, symmetry)
    return with_tables(symmetry, traced.tables, traced.aliases), siblings


def _buffers(traced: Traced, permutations: Sequence[PermutationGroup], scales: Sequence[ScaleGroup]) -> tuple[str, ...]:
    """Return the buffers that move with units, and are no statistics, masks or the like, in forward order."""
    permuted = (axis for group in permutations for axis in group.axes if axis.role is not Role.MASK)
    scaled = (axis.axis for group in scales for axis in group.axes)
    known = traced.learned | traced.followers
    return tuple(dict.fromkeys(axis.tensor for axis in (*permuted, *scaled) if axis.tensor not in known))


def parts_of(traced: Traced) -> Iterable[Part]:
    """Yield what lives along each run of axes of every parameter."""
    for name, runs in traced.parameters.items():
        for layers in runs:
            axes = tuple(sorted(frozenset().union(*map(covered, layers))))
            main = main_axis(axes, traced.cuts.get(name, ())) if axes else None
            writes = traced.roles.get((name, main)) is Role.INCOMING if main is not None else False
            yield Part(name, axes, run_of(traced.labels, layers), writes)


def _permutations(
    traced: Traced, places: PlaceTable, colors: Hash, moving: frozenset[int]
) -> tuple[dict[str, list[int]], list[PermutationGroup]]:
    """Return the units of each kind by its name, and the groups in forward order."""
    labels = traced.labels
    kinds = _kinds(places, colors)
    for members in kinds.values():
        if not places.in_one_order(members):
            labels.fix(np.array(members), "read in different orders by grouped weights")
    labels.fix_above()
    name_of = {unit: name for name, members in kinds.items() for unit in members}
    candidates: list[tuple[tuple[int, int], str, list[list[int]]]] = []
    for kind, members in kinds.items():
        blocks = _free_by_block(labels, places, members)
        if len({len(block) for block in blocks}) == 1:
            candidates.append((min(map(places.first, blocks[0])), kind, blocks))
        else:
            candidates += [(places.first(block[0]), f"{kind}/{k + 1}", [block]) for k, block in enumerate(blocks)]
    groups = []
    for _, name, blocks in sorted(candidates, key=lambda candidate: candidate[0]):
        size = len(blocks[0])
        units = [unit for block in blocks for unit in block]
        if size < 2:
            labels.fix(np.array(units), WITH_PARTS if moving.issuperset(units) else ALONE)
            continue
        inside = tuple(dict.fromkeys(_names_inside(places, name_of, units[0])))
        groups.append(PermutationGroup(name, size, _axes(traced, places, units), len(blocks), inside))
    return kinds, groups


def _names_inside(places: PlaceTable, name_of: dict[int, str], block: int) -> list[str]:
    """Return the groups of what a block holds; of a block there with none like it, of what that holds in turn."""
    names = [name_of[unit] for unit in places.inside(block).tolist()]
    return [
        name
        for unit, own in zip(places.inside(block).tolist(), names, strict=True)
        for name in (
            [own] if names.count(own) > 1 or not len(places.inside(unit)) else _names_inside(places, name_of, unit)
        )
    ]


def _kinds(places: PlaceTable, colors: Hash) -> dict[str, list[int]]:
    """Return the units of each color, in forward order, by the name of their kind."""
    alike: dict[int, list[int]] = {}
    for unit, its_color in zip(places.units.tolist(), colors[places.units].tolist(), strict=True):
        alike.setdefault(its_color, []).append(unit)
    kinds: dict[str, list[int]] = {}
    for members in alike.values():
        tensor = places.parts[places.first(members[0])[0]].tensor
        kinds[unused(_base_name(tensor, len(places.inside(members[0])) > 0), kinds)] = members
    return kinds


def _free_by_block(labels: Labels, places: PlaceTable, members: Sequence[int]) -> list[list[int]]:
    """Return the units of a kind that may move, block by block, those of a block in its order."""
    units = np.array(members)
    free = units[labels.why_fixed(units) == 0]
    blocks: dict[int, list[int]] = {}
    for unit, block in zip(free.tolist(), labels.above(free).tolist(), strict=True):
        blocks.setdefault(block, []).append(unit)
    for block, within in blocks.items():
        if block >= 0:
            order = {unit: index for index, unit in enumerate(places.inside(block).tolist())}
            within.sort(key=order.__getitem__)
    return list(blocks.values())


def _base_name(tensor: str, blocks: bool) -> str:
    name = named_after(tensor).removesuffix(".in_proj")
    return f"{name}/blocks" if blocks else name


def _axes(traced: Traced, places: PlaceTable, units: Sequence[int]) -> tuple[Axis, ...]:
    """Return where units of one kind live, those of blocks wherever what is in them lives."""
    tables = places.tables(units)
    axes = []
    moved = {(places.parts[k].tensor, places.parts[k].dims) for k, _ in tables}
    for k, table in tables:
        part = places.parts[k]
        dims, rows = part.dims, None
        if len(dims) > 1:
            main = main_axis(dims, traced.cuts.get(part.tensor, ()))
            sizes = [traced.shapes[part.tensor][dim] for dim in dims]
            rows = _whole_rows(_with_last(table, sizes, dims.index(main)), traced.shapes[part.tensor][main])
        if rows is not None:  # which move once, whatever lives along them
            dims, table = tuple(dim for dim in dims if dim != main), rows
            if (part.tensor, dims) in moved:
                continue
            moved.add((part.tensor, dims))
        axes += _axis_maker(traced)(part.tensor, dims, table)
    return tuple(axes)


def _whole_rows(table: Array, length: int) -> Array | None:
    """Return the rows that units live at, if they live all along these, in their order; None if they do not."""
    if table.shape[1] % length:
        return None
    rows = np.sort(table, axis=1) // length
    first = rows[:, ::length]
    alike = np.array_equal(rows, np.repeat(first, length, axis=1)) and (table % length == table[:1] % length).all()
    return first if alike and (np.diff(first, axis=1) > 0).all() else None


def _with_last(table: Array, sizes: Sequence[int], axis: int) -> Array:
    """Return places along several axes, numbered with one of these as the last."""
    at = np.unravel_index(table, sizes)
    order = [k for k in range(len(sizes)) if k != axis] + [axis]
    return np.ravel_multi_index([at[k] for k in order], [sizes[k] for k in order])


def _axis_maker(traced: Traced):  # type: ignore[no-untyped-def]
    def make(tensor: str, dims: tuple[int, ...], table: Array) -> list[Axis]:
        """Return the axis under each of the tensor's names."""
        main = main_axis(dims, traced.cuts.get(tensor, ())) if dims else -1
        role = traced.roles.get((tensor, main), Role.FOLLOWER)
        return [Axis(name, dims, role, Places(table)) for name in traced.aliases[tensor]]

    return make


def _fixed(traced: Traced, parts: Sequence[Part]) -> Iterable[FixedAxis]:
    labels = traced.labels
    crossed = labels.find(np.array(sorted(labels.crossed), dtype=np.int64))
    for part in parts:
        columns, cuts = part.run.columns, traced.cuts.get(part.tensor, ())
        numbers = np.stack([labels.why_fixed(column) for column in columns])
        held = np.stack([column < 0 for column in columns]) | (numbers > 0)
        why = np.where(held.all(axis=0), numbers.max(axis=0), NONE)
        mixed = np.isin(np.stack(columns), crossed).any(axis=0) if len(crossed) and part.writes else np.zeros(0)
        for name in traced.aliases[part.tensor] if mixed.any() else ():
            yield FixedAxis(name, main_axis(part.dims, cuts), int(mixed.sum()), CROSSED)
        for number, places in zip(*np.unique(why[why >= 0], return_counts=True), strict=True):
            for name in traced.aliases[part.tensor]:
                yield FixedAxis(name, main_axis(part.dims, cuts), int(places), labels.reasons[int(number)])


def _with_rows(
    traced: Traced, parts: Sequence[Part], permutations: Sequence[PermutationGroup], fixed: Sequence[FixedAxis]
) -> Iterable[FixedAxis]:
    """Yield the axes of stacks and grouped weights whose units keep their order in every row, wherever the row goes."""
    accounted = {(axis.tensor, dim) for group in permutations for axis in group.axes for dim in axis.dims}
    accounted |= {(axis.tensor, axis.dim) for axis in fixed}
    rows: defaultdict[str, set[tuple[int, ...]]] = defaultdict(set)
    for axis in (axis for group in permutations for axis in group.axes if axis.dims):
        rows[axis.tensor].add(axis.dims)
    for part in parts:
        main = main_axis(part.dims, traced.cuts.get(part.tensor, ())) if part.dims else -1
        beside = set(part.dims) - {main}
        for name in traced.aliases[part.tensor] if len(part.dims) > 1 else ():
            if (name, main) not in accounted and any(beside.issuperset(dims) for dims in rows.get(name, ())):
                yield FixedAxis(name, main, len(part.run.columns[0]), _why_beside(traced.labels, part.run))
                accounted.add((name, main))
            held = [axis.reason for axis in fixed if (axis.tensor, axis.dim) == (name, main)]
            for dim in part.dims if held and _is_held(traced.labels, part.run) else ():
                if (name, dim) not in accounted:  # a cut's own, whose pieces hold nothing that moves
                    yield FixedAxis(name, dim, traced.shapes[name][dim], held[0])
                    accounted.add((name, dim))


def _is_held(labels: Labels, run: Run) -> bool:
    """Tell whether no place of a run may move."""
    return all(bool(((column < 0) | (labels.why_fixed(column) > 0)).all()) for column in run.columns)


def _why_beside(labels: Labels, run: Run) -> str:
    """Return why what lies beside units in a run may not move: that of its places, if it is one for all of these."""
    why = [labels.why_fixed(column) for column in run.columns]
    held = {int(number) for numbers in why if (numbers > 0).all() for number in different(numbers)}
    return labels.reasons[held.pop()] if len(held) == 1 else WITH_ROWS


def _spheres(traced: Traced, parts: Sequence[Part]) -> Iterable[Sphere]:
    """Yield the tensors of weights: hidden units on a sphere each, the output's on one together.

    So is a weight of which nothing tells what its axes are to the units.
    """
    last, outputs = _last_tensors(traced), _outputs(traced, parts)
    for name in traced.parameters:
        rows = [dim for dim in range(len(traced.shapes[name])) if traced.roles.get((name, dim)) is Role.INCOMING][:1]
        if rows:
            whole = name in last or (name, rows[0]) in outputs
            yield from (Sphere(alias, None if whole else rows[0]) for alias in traced.aliases[name])
        elif name in traced.weights:
            yield from (Sphere(alias, None) for alias in traced.aliases[name])


def _last_tensors(traced: Traced) -> set[str]:
    """Return the tensors whose scales multiply outputs."""
    shown = [different(layer.numpy()) for value in traced.outputs for layer, _ in value.scale]
    numbers = np.concatenate([np.zeros(0, dtype=np.int64), *shown])
    return {block.tensor for block in traced.equations.blocks if np.isin(block.variables, numbers).any()}


def _outputs(traced: Traced, parts: Sequence[Part]) -> set[tuple[str, int]]:
    """Return the axes along which all units may not move because they are outputs, in each piece of a stack."""
    why: dict[tuple[str, int], set[int]] = {}
    for part in parts:
        cuts = traced.cuts.get(part.tensor, ())
        if len(part.dims) == 1 or cuts:
            reasons = why.setdefault((part.tensor, main_axis(part.dims, cuts)), set())
            for column in part.run.columns:
                reasons.update(traced.labels.why_fixed(column).tolist())
    output = traced.labels.reason("output")
    free = {name: {0} for name in traced.cuts}  # the pieces themselves may move
    return {(name, dim) for (name, dim), reasons in why.items() if reasons - free.get(name, set()) == {output}}


def _check_coverage(traced: Traced, symmetry: Symmetry) -> None:
    covered_axes = {(axis.tensor, dim) for group in symmetry.permutations for axis in group.axes for dim in axis.dims}
    covered_axes |= {(axis.tensor, axis.dim) for axis in symmetry.fixed}
    covered_axes |= {(axis.tensor, dim) for group in symmetry.modules for axis in group.axes for dim in axis.dims}
    for name in traced.parameters:
        for dim, size in enumerate(traced.shapes[name]):
            if size > 1 and (name, dim) not in covered_axes:
                raise InconsistencyError(f"axis {dim} of {name!r} is neither in a group nor fixed: please report this")
