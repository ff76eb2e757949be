"""Setting scales that share their tensors: none can be set without changing what set another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape_cli.network import Params
from landscape_cli.symmetry import ScaledAxis, ScaleGroup

MOST_STEPS = 500
LONGEST_STEP = 2.0
"""Of a logarithm of a factor."""
EXACT = 1e-12
RIDGE = 1e-12
FLAT = 1e-7


@dataclass(frozen=True)
class _Squares:
    """The squares of a tensor's numbers, summed over what no factor tells apart.

    Attributes:
        squares: the sums.
        counts: how many numbers are in each that are not zero.
        sides: for each axis that factors multiply: at every place the number of the factor, and its power.
    """

    squares: Tensor
    counts: Tensor
    sides: list[tuple[Tensor, float]]

    def exponents(self, logs: Tensor) -> Tensor:
        """Return the logarithm of what multiplies the numbers at each place."""
        total = torch.zeros((), dtype=torch.float64)
        padded = torch.cat([logs, logs.new_zeros(1)])
        for index, power in self.sides:
            total = total + power * padded[index]
        return total.expand(self.squares.shape)


def balance(
    params: Params, groups: Sequence[ScaleGroup], setters: Sequence[ScaledAxis]
) -> tuple[dict[str, Tensor], bool]:
    """Return factors that bring the setters of several groups to one form, whatever their scales were.

    In that form, for the units of every group alike, the mean square along the setters' tensors is the same, as far
    as groups only multiply them; where they divide as well, what grows and what shrinks with a unit's scale balances.
    It is the minimum of a convex function, as in matrix scaling and balancing (Sinkhorn and Knopp, 1967; Osborne,
    1960), so that it depends on nothing but the network up to its scales; found by Newton's method.

    Args:
        params: the network, in float64.
        groups: the groups.
        setters: an axis of each, whose tensors count.

    Returns:
        The factors by group, shape (units,), and whether they are all told by these tensors: if not, what is left is
        as it was.
    """
    starts: dict[str, int] = {}
    count = 0
    for group in groups:
        starts[group.name] = count
        count += group.size
    scaled_tensors = dict.fromkeys(axis.axis.tensor for group in groups for axis in group.axes if axis.power)
    tensors = {name: _squares(name, params, groups, starts, count) for name in scaled_tensors}
    wanted = dict.fromkeys(setter.axis.tensor for setter in setters)
    logs, settled = _minimum([tensors[name] for name in wanted], count)
    if settled is not None:
        moves = [tensors[name].exponents(direction).abs().max() for name in scaled_tensors for direction in settled.T]
        done = not moves or float(torch.stack(moves).max()) < FLAT
    else:
        logs, done = torch.zeros(count, dtype=torch.float64), False
    factors = {group.name: logs[starts[group.name] :][: group.size].exp() for group in groups}
    return factors, done


def _squares(
    name: str, params: Params, groups: Sequence[ScaleGroup], starts: Mapping[str, int], count: int
) -> _Squares:
    tensor = params[name].detach().double().cpu()
    squares = tensor.square()
    sides = list(_sides(name, tuple(tensor.shape), groups, starts, count))
    rest = [dim for dim in range(tensor.ndim) if all(index.shape[dim] == 1 for index, _ in sides)]
    counts = (squares > 0).double()
    if rest:
        squares, counts = squares.sum(dim=rest, keepdim=True), counts.sum(dim=rest, keepdim=True)
    units = max((group.size for group in groups if any(axis.axis.tensor == name for axis in group.axes)), default=1)
    return _Squares(squares, counts * (units / max(float(counts.sum()), 1.0)), sides)


def _sides(
    name: str, shape: tuple[int, ...], groups: Sequence[ScaleGroup], starts: Mapping[str, int], count: int
) -> Iterator[tuple[Tensor, float]]:
    for group in groups:
        for scaled in group.axes:
            if scaled.axis.tensor == name and scaled.power and scaled.variance is None:
                sizes = [size if dim in scaled.axis.dims else 1 for dim, size in enumerate(shape)]
                units = torch.from_numpy(scaled.axis.places.unit_at(np.arange(math.prod(sizes))))
                yield torch.where(units < 0, count, starts[group.name] + units).view(sizes), scaled.power


def _minimum(tensors: Sequence[_Squares], count: int) -> tuple[Tensor, Tensor | None]:
    """Return where the sum of squares, less what makes a mean square of it, is least, and the directions left free.

    The latter, shape (count, directions), are None if there is no such place.
    """
    logs = torch.zeros(count, dtype=torch.float64)
    even = sum((_gradient(tensor, tensor.counts, count) for tensor in tensors), torch.zeros_like(logs))
    for _ in range(MOST_STEPS):
        scaled = [tensor.squares * torch.exp(2 * tensor.exponents(logs)) for tensor in tensors]
        pairs = list(zip(tensors, scaled, strict=True))
        slope = sum((_gradient(tensor, now, count) for tensor, now in pairs), -even)
        curves = sum((_curvature(tensor, now, count) for tensor, now in pairs), torch.zeros(count, count).double())
        width = curves.diagonal().sqrt()
        inverse = torch.where(width > 0, 1 / width, 0.0)
        values, vectors = torch.linalg.eigh(curves * inverse[:, None] * inverse)
        kept = values > RIDGE * count
        weights = torch.where(kept, 1 / values.clamp(min=RIDGE), 0.0)
        step = -inverse * (vectors @ (weights * (vectors.T @ (inverse * slope))))
        longest = float(step.abs().max())
        if longest < EXACT:
            free = torch.cat([inverse[:, None] * vectors[:, ~kept & (values < FLAT)]], dim=1)
            lonely = torch.diag((width == 0).double())[:, width == 0]
            return logs, torch.cat([free / free.abs().amax(0).clamp(min=1e-300), lonely], dim=1)
        logs = logs + step * min(1.0, LONGEST_STEP / longest) * _share(tensors, even, logs, step, slope, longest)
    return logs, None


def _share(
    tensors: Sequence[_Squares], even: Tensor, logs: Tensor, step: Tensor, slope: Tensor, longest: float
) -> float:
    """Return how much of a step lowers the function; all of a short one, whose gain would drown in rounding."""
    if longest < 1e-3:
        return 1.0
    step = step * min(1.0, LONGEST_STEP / longest)

    def value(at: Tensor) -> float:
        total = sum(float((t.squares * torch.exp(2 * t.exponents(at))).sum()) for t in tensors)
        return total - float((even * at).sum())

    here, promised, share = value(logs), float((slope * step).sum()), 1.0
    while share > 1e-6 and value(logs + share * step) > here + 1e-4 * share * promised:
        share /= 2
    return share


def _gradient(tensor: _Squares, numbers: Tensor, count: int) -> Tensor:
    total = torch.zeros(count + 1, dtype=torch.float64)
    for index, power in tensor.sides:
        total.index_add_(0, index.expand(numbers.shape).flatten(), 2.0 * power * numbers.flatten())
    return total[:count]


def _curvature(tensor: _Squares, numbers: Tensor, count: int) -> Tensor:
    total = torch.zeros((count + 1) ** 2, dtype=torch.float64)
    for first, p in tensor.sides:
        for second, q in tensor.sides:
            both = (first * (count + 1) + second).expand(numbers.shape).flatten()
            total.index_add_(0, both, 4.0 * p * q * numbers.flatten())
    return total.view(count + 1, count + 1)[:count, :count]
