"""Which units are interchangeable: those that occur in the same way wherever they occur.

This is color refinement (the one-dimensional Weisfeiler-Leman test; Weisfeiler and Leman, 1968) of the graph in which
units are joined to the places that they live at: a unit's color is a hash of every axis that it was ever seen on, and
of what may not move beside it there; units of one color may be permuted. One round is enough, up and down the nesting
of blocks: units that may move live together as rows and columns only (`settle`), where each meets all others alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from landscape_cli.symmetry.tracing.equations import clusters
from landscape_cli.symmetry.tracing.integers import NONE, SPAN, Array, Hash, different, mix, ranked
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, covered, to_layer

OTHERWISE = "units that live together otherwise than as rows and columns"
CROSSED = "groups of units that are mixed, several of each with each other, and do not trade places"
ITSELF = "a unit that meets itself"


@dataclass(frozen=True)
class Run:
    """What lives along a run of axes of one tensor: at each place, what the columns say together."""

    columns: tuple[Array, ...]

    def units(self) -> list[int]:
        """Return which columns hold units."""
        return [k for k, column in enumerate(self.columns) if column.max(initial=-1) >= 0]


def runs_of(labels: Labels, seen: Iterable[Sequence[Layer]]) -> list[Run]:
    """Return the runs of axes of all tensors seen, each once."""
    seen_layers: set[frozenset[int]] = set()
    keep: list[object] = []
    runs: dict[tuple[bytes, ...], Run] = {}
    for layers in seen:
        axes_of_runs = clusters([covered(layer) for layer in layers])
        for members in [[layer for layer in layers if covered(layer) <= axes] for axes in axes_of_runs] or [
            list(layers)
        ]:
            key = frozenset(map(id, members))
            if key in seen_layers or not any(int(layer.max()) >= 0 for layer in members):
                continue
            seen_layers.add(key)
            keep.append(members)  # so that no other layer gets the same identity
            run = run_of(labels, _narrowed(members))
            if run.units():
                runs.setdefault(tuple(column.tobytes() for column in run.columns), run)
    return list(runs.values())


def _narrowed(layers: Sequence[Layer]) -> list[Layer]:
    """Return layers over those axes alone that units lie along: what slots say along others counts as one."""
    if len(layers) == 1:
        return list(layers)
    along = frozenset().union(*(covered(layer) for layer in layers if int(layer.max()) >= 0))
    narrowed = []
    for layer in layers:
        beside = tuple(covered(layer) - along)
        if not beside:
            narrowed.append(layer)
        elif covered(layer) & along:
            hashes = mix(layer.numpy().astype(np.uint64)).sum(axis=beside, keepdims=True, dtype=np.uint64)
            narrowed.append(to_layer(-1 - SPAN - (hashes >> np.uint64(2)).astype(np.int64)))
    return narrowed


def run_of(labels: Labels, layers: Sequence[Layer]) -> Run:
    """Return what layers over one run of axes come to, flattened over those axes."""
    parts = [part for layer in layers for part in labels.resolve(layer.numpy(), lone=True)]
    if len(parts) == 1:
        return Run((parts[0].ravel(),))
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    columns = [np.ascontiguousarray(np.broadcast_to(part, shape)).ravel() for part in parts]
    columns = list({column.tobytes(): column for column in columns}.values())
    units = [column for column in columns if column.max(initial=-1) >= 0]
    blocks = [_lifted(labels, column) for column in units] if len(units) > 1 else []
    beside = [block for block, column in zip(blocks, units, strict=False) if not np.array_equal(block, column)]
    told = [_without_blocks(column, beside) for column in columns]
    return Run(tuple(_gathered(labels, _merged([column for column in told if column is not None]))))


def _gathered(labels: Labels, columns: Sequence[Array]) -> list[Array]:
    """Return columns, what two say at a place exchanged where a unit would else be now in the one, now in the other."""
    columns = list(columns)
    held = [different(column[column >= 0]) for column in columns]
    for k, j in permutations(range(len(columns)), 2):
        common = np.intersect1d(held[k], held[j], assume_unique=True)
        free = common[labels.why_fixed(common) == 0]
        if not len(free):
            continue
        here = np.isin(columns[k], free)
        exchanged = np.where(here, columns[j], columns[k]), np.where(here, columns[k], columns[j])
        if not np.isin(free, exchanged[0]).any():
            columns[k], columns[j] = exchanged
            held[k], held[j] = (different(column[column >= 0]) for column in exchanged)
    return columns


def _common(first: Array, second: Array) -> Array:
    """Return the units that are in both of two columns."""
    return np.intersect1d(different(first[first >= 0]), different(second[second >= 0]), assume_unique=True)


def _merged(columns: Sequence[Array]) -> list[Array]:
    """Return columns, those put together that hold units in common, of which each says nothing where the other does."""
    merged: list[Array] = []
    for column in columns:
        for k, before in enumerate(merged):
            apart = (before == column) | (before == NONE) | (column == NONE)
            if apart.all() and len(_common(before, column)):
                merged[k] = np.where(before == NONE, column, before)
                break
        else:
            merged.append(column)
    return merged


def _without_blocks(column: Array, blocks: Sequence[Array]) -> Array | None:
    """Return a column without units that others there are in, which these tell; None if it says no more."""
    for above in blocks:
        if np.array_equal(column, above):
            return None
        if column.max(initial=NONE) >= 0 and np.array_equal(column[column >= 0], above[column >= 0]):
            return np.where(column >= 0, NONE, column)
    return column


MOST_NESTED = 8
"""How many blocks, one within another, are looked through."""


def settle(labels: Labels, runs: Sequence[Run], of_parameters: Sequence[Run] = ()) -> None:
    """Fix what must not move because of what else may not; repeat until nothing changes.

    Args:
        labels: who is who.
        runs: of all tensors.
        of_parameters: those whose places are to be moved.
    """
    joint = [run for run in runs if len(run.units()) > 1]
    for run in of_parameters:
        _fix_twice(labels, run)
    products: dict[int, bool] = {}
    while True:
        before = labels.fixed_count()
        for number, run in enumerate(joint):
            free = [k for k in run.units() if not (labels.why_fixed(run.columns[k]) > 0).all()]
            if len(free) > 1 and number not in products:
                products[number] = _is_product(labels, run)
            if len(free) > 1 and not products[number]:
                for k in free:
                    labels.fix(run.columns[k], OTHERWISE)
        labels.fix_above()
        if labels.fixed_count() == before:
            return


def _fix_twice(labels: Labels, run: Run) -> None:
    """Fix units that occur in two columns of a run, unless they are its rows and its columns: these move one by one."""
    seen = np.zeros(labels.count, dtype=bool)
    if len(run.columns) == 2 and _is_grid(np.stack(run.columns)):
        return
    for k in run.units():
        column = different(run.columns[k])
        column = column[column >= 0]
        labels.fix(column[seen[column]], ITSELF)
        seen[column] = True


def _is_product(labels: Labels, run: Run) -> bool:
    """Tell whether, of places with units in the same columns, every combination of them occurs equally often.

    Units in common blocks need be combined with those of their block alone. Several places are alike as rows of grouped
    weights are, which another run tells apart.
    """
    columns, times = np.unique(np.stack(run.columns), axis=1, return_counts=True)
    if (times != times[0]).any():
        return False
    _, pattern = np.unique(columns >= 0, axis=1, return_inverse=True)
    parts = (columns[:, pattern.ravel() == number] for number in range(pattern.max() + 1))
    return all(_is_nested_grid(labels, part) or _is_grid_by_slots(labels, part) for part in parts)


def _is_grid_by_slots(labels: Labels, columns: Array) -> bool:
    """Tell whether columns are a grid wherever those that hold nothing but slots say the same."""
    slots = columns.max(axis=1) < 0
    if not slots.any():
        return False
    _, which = np.unique(columns[slots], axis=1, return_inverse=True)
    parts = (columns[~slots][:, which.ravel() == number] for number in range(which.max() + 1))
    return which.max() > 0 and all(_is_nested_grid(labels, part) for part in parts)


def _is_nested_grid(labels: Labels, columns: Array) -> bool:
    """Tell whether columns are a grid, or blocks that several share are one with the others, and each within them."""
    if _is_grid(columns):
        return True
    chains: list[list[Array]] = []
    for column in columns:
        chains.append([])
        while labels.above(column).max() >= 0 and len(chains[-1]) < MOST_NESTED:
            column = _lifted(labels, column)
            chains[-1].append(column)
    for blocks in {above.tobytes(): above for chain in chains for above in reversed(chain)}.values():
        within = [any(np.array_equal(blocks, above) for above in chain) for chain in chains]
        kinds = different(blocks)
        if sum(within) > 1 and len(kinds) > 1 and (blocks >= 0).all():
            outside = np.unique(np.vstack([blocks, columns[~np.array(within)]]), axis=1)
            parts = [columns[:, blocks == block] for block in kinds.tolist()]
            return _is_nested_grid(labels, outside) and all(_is_nested_grid(labels, part) for part in parts)
    return False


def _lifted(labels: Labels, column: Array) -> Array:
    """Return the blocks of units; what is in none is one itself, and what lives beside units of it stays."""
    above = labels.above(column)
    return np.where((above >= 0) & ~np.isin(column, above), above, column)


def _is_grid(columns: Array) -> bool:
    """Tell whether every combination of what the columns, shape (columns, places), hold is at one place each."""
    code, count = np.zeros(columns.shape[1], dtype=np.int64), 1
    for column in columns:
        kinds, which = ranked(column)
        code, count = code * len(kinds) + which, count * len(kinds)
        if count > len(code):
            return len(columns[columns[:, 0] >= 0]) < 2  # of one unit each: it may live wherever it likes
    return count == len(code) and bool((np.bincount(code, minlength=count) == 1).all())


def color(labels: Labels, runs: Sequence[Run]) -> Hash:
    """Return a color for every unit that stands for itself."""
    colors = np.zeros(labels.count, dtype=np.uint64)
    for number, run in enumerate(runs):
        held = [
            len(run.columns) > 1 and bool(((column < 0) | (labels.why_fixed(column) > 0)).all())
            for column in run.columns
        ]
        for k in run.units():
            column = run.columns[k]
            code = np.full(len(column), number + 1, dtype=np.uint64)
            for j, beside in enumerate(run.columns):
                if j != k and held[j]:
                    code = mix(code + mix(beside.astype(np.uint64)))
            real = column >= 0
            touched, which = ranked(column[real])
            total = np.zeros(len(touched), dtype=np.uint64)
            np.add.at(total, which, mix(code[real] + np.uint64(k)))
            colors[touched] = mix(colors[touched] * np.uint64(31) + total)
    first = labels.find(np.array(sorted(labels.first), dtype=np.int64))
    colors[first] = mix(colors[first] + np.uint64(1))
    return _through_blocks(labels, colors)


def _through_blocks(labels: Labels, colors: Hash) -> Hash:
    """Let blocks take on the colors of what is in them, and then units those of the blocks they are in."""
    units = np.flatnonzero(labels.find(np.arange(labels.count)) == np.arange(labels.count))
    above = labels.above(units)
    inner, outer = units[above >= 0], above[above >= 0]
    depth = labels.depths()
    for level in sorted(set(depth[inner].tolist()), reverse=True):
        at = depth[inner] == level
        total = np.zeros(labels.count, dtype=np.uint64)
        np.add.at(total, outer[at], mix(colors[inner[at]]))
        touched = different(outer[at])
        colors[touched] = mix(colors[touched] * np.uint64(31) + total[touched])
    for level in sorted(set(depth[inner].tolist())):
        at = depth[inner] == level
        colors[inner[at]] = mix(colors[inner[at]] + mix(colors[outer[at]]))
    return colors
