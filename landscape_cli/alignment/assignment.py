"""The best one-to-one assignment of units, also of units in blocks that may be permuted as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_cli.alignment.solver import linear_sum_assignment
from landscape_cli.errors import GeometryError
from landscape_cli.symmetry import Axis, PermutationGroup, Role, Symmetry

Array = NDArray[np.int64]
Scores = NDArray[np.float32] | NDArray[np.float64]
Costs = NDArray[np.float64]
SMALL = 32
"""Up to this many units, solving takes no longer than centring."""
MIDDLING = 128
"""Up to this many units, solving takes no longer than finding prices."""
TEMPERATURE, STEPS = 0.1, 20
"""Measured on scores of VGG16 and ResNet50 and on noise: the solver then takes a tenth to a half of its time."""
AT_ONCE = 512
"""Rows of the kernel that prices are found by."""
FAINT = -40.0
"""Exponents stop here, so that prices stay in the range of float32."""


def assign(score: Scores) -> tuple[Array, float]:
    """Return the column matched to each row so that the sum of scores is largest, and that sum.

    The Hungarian method in the form of Jonker and Volgenant (1987), as scipy has it (Crouse, 2016), in O(units³).
    Rows' and columns' means are subtracted first: the optimum is the same, and terms that depend on the row or the
    column alone, which batch-norm's parameters bring and which slow the solver down, are gone. So is a price for each
    column by which most rows already prefer the column that they will get.

    Args:
        score: shape (units, units), float32 or float64.

    Returns:
        The columns, shape (units,), int64, and the sum, added up in float64.
    """
    prices = _prices(score) if len(score) > MIDDLING else None
    cost = _centred(score)
    if prices is not None:
        cost += prices
    rows, columns = linear_sum_assignment(cost)
    return columns, float(score[rows, columns].sum(dtype=np.float64))


def _centred(score: Scores, rows: slice = slice(None), column_means: NDArray[np.float64] | None = None) -> Costs:
    """Return minus the scores of some rows, less what depends on the row or the column alone, if they are many."""
    cost = np.negative(score[rows], dtype=np.float64)
    if len(score) > SMALL:
        cost += score.mean(axis=0, dtype=np.float64) if column_means is None else column_means
        cost -= cost.mean(axis=1, keepdims=True)
    return cost


def _prices(score: Scores) -> Costs:
    """Return what each column is worth once rows have spread over the columns: entropic duals (Cuturi, 2013).

    The kernel is made some rows at a time: of many units, costs and kernel would not fit beside each other.
    """
    unit = TEMPERATURE * float(np.linalg.norm(_centred(score))) / len(score)
    if not 0 < unit < np.inf:
        return np.zeros(len(score))
    kernel = np.empty(score.shape, dtype=np.float32)
    column_means = score.mean(axis=0, dtype=np.float64)
    for start in range(0, len(score), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        np.divide(_centred(score, some, column_means), -unit, out=kernel[some], casting="same_kind")
    kernel -= kernel.max(axis=1, keepdims=True)
    np.exp(np.maximum(kernel, FAINT, out=kernel), out=kernel)
    rows = np.ones(len(score), dtype=np.float32)
    for _ in range(STEPS):
        columns = 1 / (kernel.T @ rows)
        rows = 1 / (kernel @ columns)
    prices: Costs = -unit * np.log(columns.astype(np.float64))
    return prices


@dataclass(frozen=True)
class InnerUnits:
    """Units that are in blocks which may trade places.

    Attributes:
        name: of the units' group.
        members: for each block, its units, in runs that are permuted each on its own; the units of two blocks
            correspond by their order, shape (blocks, runs, units a run).
    """

    name: str
    members: Array


class Nesting:
    """Which groups are the units inside the blocks that others permute."""

    def __init__(self, symmetry: Symmetry) -> None:
        """Find, for every group of blocks, the units inside."""
        self.groups = {group.name: group for group in symmetry.permutations}
        self.inside: dict[str, list[InnerUnits]] = {}
        self.outer: dict[str, str] = {}
        for group in symmetry.permutations:
            groups = [self.groups[name] for name in group.inside if name in self.groups]
            self.inside[group.name] = [InnerUnits(inner.name, _members(group, inner)) for inner in groups]
            self.outer |= {inner.name: group.name for inner in groups}

    def outers(self, name: str) -> list[str]:
        """Return the groups of the blocks that a group's units are in, innermost first."""
        outers = []
        while name in self.outer:
            name = self.outer[name]
            outers.append(name)
        return outers

    def leaves(self, name: str) -> list[str]:
        """Return the groups of units, not blocks, that a group is made of: itself, or those inside."""
        inside = self.inside[name]
        return [leaf for inner in inside for leaf in self.leaves(inner.name)] if inside else [name]

    def read_as_wholes(self, name: str) -> tuple[Axis, ...]:
        """Return the axes that read blocks, and nothing of what is inside them: the reader of products of units."""
        within = {axis.tensor for leaf in self.leaves(name) for axis in self.groups[leaf].axes}
        return tuple(
            axis for axis in self.groups[name].axes if axis.role is Role.OUTGOING and axis.tensor not in within
        )

    def members(self, name: str) -> Array:
        """Return which units of a group inside are in which block, shape (blocks, runs, units a run)."""
        (inner,) = (inner for inner in self.inside[self.outer[name]] if inner.name == name)
        return inner.members

    def score(self, name: str, scores: Mapping[str, Tensor]) -> Scores | None:
        """Return how well any two units of a group match: for blocks, by the best match of what is inside.

        Args:
            name: of the group.
            scores: of groups of units, shape (units, units); those without one do not count.

        Raises:
            GeometryError: if a score is not a number.
        """
        if not self.inside[name]:
            return _checked(scores[name]) if name in scores else None
        total: Scores | None = _checked(scores[name]) if name in scores else None  # by what has them as wholes
        for inner in self.inside[name]:
            score = self.score(inner.name, scores)
            if score is not None:
                best = _best_inside(score, inner.members)
                total = best if total is None else total + best
        return total

    def solve(self, name: str, scores: Mapping[str, Tensor], pairs: Mapping[str, Array]) -> dict[str, Array]:
        """Match the units of a group, and those inside; return for each the unit matched to each of the reference's.

        Args:
            name: of the group.
            scores: of groups of units, shape (units, units).
            pairs: what is matched so far: of the blocks that the group's units are in, and of what is inside those
                groups that have no scores.
        """
        group, score = self.groups[name], self.score(name, scores)
        matched = np.array(pairs[name])
        runs: Array = np.arange(group.units).reshape(1, group.blocks, group.size)
        matched_runs = runs
        if name in self.outer:
            runs = self.members(name)
            matched_runs = runs[pairs[self.outer[name]]]
        if score is not None:
            flat = (array.reshape(-1, group.size) for array in (runs, matched_runs))
            for rows, columns in zip(*flat, strict=True):
                square = score if rows.size == columns.size == len(score) else score[np.ix_(rows, columns)]
                matched[rows] = columns[assign(square)[0]]
        result = {name: matched}
        for inner in self.inside[name]:
            result |= self.solve(inner.name, scores, self.carried(inner.name, pairs, matched, pairs[name]) | result)
        return result

    def carried(self, name: str, pairs: Mapping[str, Array], now: Array, before: Array) -> dict[str, Array]:
        """Return the pairs of units in blocks, and of what is inside them, once the blocks are matched otherwise.

        Args:
            name: of the units' group.
            pairs: of all groups, as they were.
            now: what the blocks are matched to.
            before: what they were matched to.
        """
        members = self.members(name)
        within = _within_blocks(pairs[name], members, before)
        matched = np.arange(len(within))
        matched[members] = within[members[now]]
        result = dict(pairs) | {name: matched}
        for deeper in self.inside[name]:
            result |= self.carried(deeper.name, pairs, matched, pairs[name])
        return result

    def pairs(self, permutations: Mapping[str, Array]) -> dict[str, Array]:
        """Return which unit takes each unit's place under permutations of all groups: `permutations` undone."""
        result: dict[str, Array] = {}
        for name in sorted(permutations, key=lambda name: len(self.outers(name))):
            matched = np.asarray(permutations[name]).copy()
            if name in self.outer:
                members = self.members(name)
                matched[members] = permutations[name][members[result[self.outer[name]]]]
            result[name] = matched
        return result

    def permutations(self, pairs: Mapping[str, Array], changed: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Return the permutations that bring units to those that they are matched to.

        Those of all groups, or of `changed` ones alone, and of the units right inside, who count from their blocks.
        """
        result = {}
        within = (inner.name for name in changed or () for inner in self.inside[name])
        for name in pairs if changed is None else dict.fromkeys([*changed, *within]):
            matched = pairs[name]
            if name in self.outer:
                matched = _within_blocks(matched, self.members(name), pairs[self.outer[name]])
            result[name] = torch.from_numpy(matched.copy())
        return result


def _within_blocks(matched: Array, members: Array, outer: Array) -> Array:
    """Return which unit of its own block takes each unit's place before the blocks are permuted."""
    result = np.arange(len(matched))
    result[members[outer]] = matched[members]
    return result


def _members(outer: PermutationGroup, inner: PermutationGroup) -> Array:
    """Find which units are in which block, and which correspond, by the places that both groups list."""
    shared = {(axis.tensor, axis.dims): axis for axis in inner.axes}
    for axis in outer.axes:
        if (axis.tensor, axis.dims) in shared:
            units = shared[axis.tensor, axis.dims].places.unit_at(axis.places.table)
            rows = [list(dict.fromkeys(row[row >= 0].tolist())) for row in units]
            return np.array([_runs_of(row, inner.size) for row in rows], dtype=np.int64)
    return np.arange(inner.units).reshape(outer.units, -1, inner.size)


def _runs_of(units: Sequence[int], size: int) -> list[list[int]]:
    blocks: dict[int, list[int]] = {}
    for unit in units:
        blocks.setdefault(unit // size, []).append(unit)
    return list(blocks.values())


def _checked(score: Tensor) -> Scores:
    array: Scores = score.cpu().numpy()
    if not np.isfinite(array.sum(dtype=np.float64)):
        raise GeometryError("units cannot be matched: the networks hold NaN, infinite or far too large values")
    return array


def _best_inside(score: Scores, members: Array) -> NDArray[np.float64]:
    """Return for every two blocks the value of the best match of the units inside, shape (blocks, blocks)."""
    result = np.zeros((len(members), len(members)))
    for i, rows in enumerate(members):
        for j, columns in enumerate(members):
            for row_run, column_run in zip(rows, columns, strict=True):
                result[i, j] += assign(score[np.ix_(row_run, column_run)])[1]
    return result
