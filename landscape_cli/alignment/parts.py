"""Which part of a network, an expert with all of its tensors, takes the place of which part of another.

Parts are compared by the sizes of their numbers, in order: no permutation or sign of units inside or outside changes
them. From there on they are compared as they are with all units matched (docs/method.md: Align).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_cli.alignment.solver import linear_sum_assignment
from landscape_cli.network import Params
from landscape_cli.symmetry import ModuleGroup, Symmetry, unit_rows
from landscape_cli.symmetry.transform import PermutedParams

MOST_TRIED = 8
"""Up to how many parts each is tried in every other's place."""
ALIKE = 1 - 1e-9
"""From which share of the largest inner product on there is nothing to be gained."""
Orders = dict[str, Tensor]


def match_parts(
    reference: Params, params: Params, symmetry: Symmetry, match: Callable[[Params], Params], *, no_less: bool = True
) -> Orders:
    """Return which part of a network is to take each place, by group, as `permute` takes them, shape (parts,), int64.

    Args:
        reference: the network whose parts stay where they are.
        params: the other.
        symmetry: of both.
        match: matches the units of a network to the reference's.
        no_less: whether parts may stay as they are, where that is better.
    """

    def tried(orders: Orders) -> tuple[float, Orders, Params]:
        matched = match(PermutedParams(params, symmetry, orders))
        return _inner(reference, matched, symmetry.parameters), orders, matched

    best = tried(_by_values(reference, params, symmetry))
    if best[0] >= ALIKE * _inner(reference, reference, symmetry.parameters):
        return best[1]
    as_they_are = {group.name: torch.arange(group.size) for group in symmetry.modules}
    if no_less:
        best = max(tried(as_they_are), best, key=lambda trial: trial[0])
    small = [group for group in symmetry.modules if group.size <= MOST_TRIED]
    tables = {group.name: np.full((group.size, group.size), -np.inf) for group in small}
    for shift in range(max((group.size for group in small), default=0)):
        orders = best[1] | {group.name: best[1][group.name].roll(-shift) for group in small}
        _, _, matched = tried(orders) if shift else best
        for group in small:
            of_parts = _inner_by_part(reference, matched, group)
            tables[group.name][np.arange(group.size), orders[group.name].numpy()] = of_parts
    again = tried(best[1] | {name: _assigned(table) for name, table in tables.items()})
    return again[1] if again[0] > best[0] else best[1]


def part_cosines(reference: Params, params: Params, symmetry: Symmetry) -> dict[str, float]:
    """Return by group the mean cosine between parts at the same place, all numbers of each taken as one vector."""
    cosines = {}
    for group in symmetry.modules:
        inner, left, right = (
            torch.tensor(_inner_by_part(*both, group))
            for both in ((reference, params), (reference, reference), (params, params))
        )
        cosines[group.name] = float((inner / (left * right).sqrt().clamp(min=1e-300)).mean())
    return cosines


def _assigned(table: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(linear_sum_assignment(table, maximize=True)[1])


def _by_values(reference: Params, params: Params, symmetry: Symmetry) -> Orders:
    """Return the parts most alike by the sizes of their numbers in order, group after group, outer ones first."""
    orders: Orders = {}
    for group in symmetry.modules:
        moved = PermutedParams(params, symmetry, orders)
        table = np.zeros((group.size, group.size))
        for ours, theirs in zip(*(_numbers(each, group, symmetry) for each in (reference, moved)), strict=True):
            table += np.array([[float(mine @ other) for other in theirs] for mine in ours])
        orders[group.name] = _assigned(table)
    return orders


def _numbers(params: Params, group: ModuleGroup, symmetry: Symmetry) -> Iterator[list[Tensor]]:
    """Yield for each of the corresponding tensors of parts, and where parts live beside, the sizes of numbers in order.

    Tensors that trade places within a part count as one.
    """
    pools: dict[object, list[int]] = {}
    for slot, name in enumerate(group.members[0]):
        inner = (
            (other.name, member.index(name))
            for other in symmetry.modules
            for member in other.members
            if name in member and other is not group and len(member) < len(group.members[0])
        )
        pools.setdefault(next(inner, slot), []).append(slot)
    for slots in pools.values():
        tensors = [[params[member[slot]].detach().double().flatten() for slot in slots] for member in group.members]
        yield [torch.cat(pool).abs().sort().values for pool in tensors]
    for axis in group.axes:
        yield list(unit_rows(params[axis.tensor].detach().double(), axis).abs().sort(dim=1).values)


def _inner(reference: Params, params: Params, names: Sequence[str]) -> float:
    return sum(float((reference[name].double() * params[name].double()).sum()) for name in names)


def _inner_by_part(reference: Params, params: Mapping[str, Tensor], group: ModuleGroup) -> list[float]:
    """Return the inner products of two networks, part by part, with what lives beside."""
    totals = torch.zeros(group.size, dtype=torch.float64)
    for axis in group.axes:
        ours, theirs = (unit_rows(each[axis.tensor].double().cpu(), axis) for each in (reference, params))
        totals += (ours * theirs).sum(dim=1)
    return [float(totals[k]) + _inner(reference, params, member) for k, member in enumerate(group.members)]
