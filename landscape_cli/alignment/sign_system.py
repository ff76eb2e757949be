"""Signs of several groups that tell each other's: a linear system over GF(2) (docs/method.md: Align).

An entry of a tensor takes the product of the signs of all units that it belongs to. Whether the product of what two
networks hold there is negative says that an odd number of these units is flipped: an equation modulo 2, of which the
size of the product is the weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_cli.alignment.assignment import Array
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, Role, SignGroup

LAST = 1e-6
"""By how much less gains count, which tell what nothing else does."""
EQUATIONS, FEW = 16, 4096
"""Where equations are not few, as many of each unit are solved, the heaviest: networks equal up to signs need one."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What speaks for an even number of flips, less what speaks for an odd one, of some units together.

    Attributes:
        units: the numbers of the units, -1 for none, shape (equations, sides).
        weights: shape (equations,).
    """

    units: Array
    weights: Floats

    def held(self, signs: Floats) -> Floats:
        """Return the weights with signs: what of them speaks for these, shape (equations,)."""
        product: Floats = self.weights * np.append(signs, 1.0)[self.units].prod(axis=1)
        return product


def solve_signs(
    groups: Sequence[SignGroup],
    axes: Iterable[Axis],
    matching: UnitMatching,
    reference: Params,
    params: Params,
    *,
    cosine: bool,
) -> dict[str, Tensor]:
    """Return the signs of groups, in the network's own order, that make it resemble the reference, chosen jointly.

    Equations are taken by their weight, each that does not follow from those before. Then units are flipped one at a
    time, as long as that raises the sum of what speaks for the signs; so they are from the signs as they are, and the
    better end is returned.

    Args:
        groups: whose signs are to be chosen.
        axes: of the tensors that tell them.
        matching: the permutations and all other signs.
        reference: the network to resemble.
        params: the network.
        cosine: whether each place along an axis counts alike, rather than each tensor once, by its size.
    """
    starts = np.cumsum([0, *(group.size for group in groups)])
    evidence = _evidence(groups, starts, axes, matching, reference, params, cosine=cosine)
    sources = [matching.sign_sources(group) for group in groups]
    pairs = list(zip(groups, sources, strict=True))
    now = np.concatenate([matching.signs[group.name][source].double().numpy() for group, source in pairs])
    ends = [_descend(evidence, start) for start in (now, _solved(evidence, now))]
    best = max(ends, key=lambda signs: float(evidence.held(signs).sum()))
    result = {}
    for group, source, start in zip(groups, sources, starts.tolist(), strict=False):
        result[group.name] = torch.ones(group.size)
        result[group.name][source] = torch.from_numpy(best[start : start + group.size]).float()
    return result


def _evidence(
    groups: Sequence[SignGroup],
    starts: Array,
    axes: Iterable[Axis],
    matching: UnitMatching,
    reference: Params,
    params: Params,
    *,
    cosine: bool,
) -> Evidence:
    names = {group.name for group in groups}
    found: list[tuple[Array, Floats]] = []
    for axis in {(axis.tensor, axis.dims if cosine else ()): axis for axis in axes}.values():
        name = axis.tensor
        sides = [(int(starts[k]), side) for k, group in enumerate(groups) for side in group.axes if side.tensor == name]
        matched = matching.apply(name, params[name], flips=lambda group, _: group.name not in names)
        of_both = [tensor.double().cpu() for tensor in (reference[name], matched)]
        products = of_both[0] * of_both[1]
        across = [dim for dim in range(products.ndim) if dim not in axis.dims]
        if cosine and across:
            norms = [tensor.square().sum(across, keepdim=True).sqrt() for tensor in of_both]
            products = torch.nan_to_num(products / (norms[0] * norms[1]), nan=0.0, posinf=0.0, neginf=0.0)
        elif cosine:
            products = products * products.numel() / (float(of_both[0].norm() * of_both[1].norm()) or 1.0)
        found.append(_of_tensor(products * LAST if axis.role is Role.GAIN else products, sides))
    width = max((units.shape[1] for units, _ in found), default=1)
    padded = [np.pad(units, ((0, 0), (0, width - units.shape[1])), constant_values=-1) for units, _ in found]
    units = np.concatenate([np.zeros((0, width), dtype=np.int64), *padded])
    return Evidence(*_summed(units, np.concatenate([np.zeros(0), *(weights for _, weights in found)])))


def _of_tensor(products: Tensor, sides: Sequence[tuple[int, Axis]]) -> tuple[Array, Floats]:
    """Return the units, numbered from the start of each side's group, that entries belong to, and what these say."""
    columns = []
    for start, axis in sides:
        sizes = [size if dim in axis.dims else 1 for dim, size in enumerate(products.shape)]
        units = axis.places.unit_at(np.arange(math.prod(sizes)))
        columns.append(np.where(units < 0, -1, start + units).reshape(sizes))
    rest = tuple(dim for dim in range(products.ndim) if all(column.shape[dim] == 1 for column in columns))
    summed = products.sum(rest, keepdim=True).numpy() if rest else products.numpy()
    units = np.stack([np.broadcast_to(column, summed.shape).ravel() for column in columns], axis=1)
    return _summed(units, summed.ravel())


def _summed(units: Array, weights: Floats) -> tuple[Array, Floats]:
    """Return equations of the same units as one; twice the same unit is none."""
    units = np.sort(units, axis=1)
    for k in range(units.shape[1] - 1):
        twice = (units[:, k] == units[:, k + 1]) & (units[:, k] >= 0)
        units[twice, k : k + 2] = -1
    units, which = np.unique(np.sort(units, axis=1), axis=0, return_inverse=True)
    total = np.bincount(which.ravel(), weights=weights, minlength=len(units))
    kept = (units >= 0).any(axis=1) & (total != 0)
    return units[kept], total[kept]


def _solved(evidence: Evidence, now: Floats) -> Floats:
    """Return the signs that the equations of the largest weight tell, and those that there are where none tells."""
    rows: dict[int, int] = {}
    for number in _heaviest(evidence).tolist():
        # one bit a unit, and the lowest for an odd number of flips; a bit more, so that a row of none is no row
        row = int(evidence.weights[number] < 0)
        for unit in evidence.units[number].tolist():
            row ^= 1 << (unit + 1) if unit >= 0 else 0
        while row > 1 and row.bit_length() in rows:
            row ^= rows[row.bit_length()]
        if row > 1:
            rows[row.bit_length()] = row
        if len(rows) == len(now):
            break
    flipped = 0
    for unit in range(len(now)):  # each row tells its highest unit by lower ones
        row = rows.get(unit + 2, 0)
        odd = (row & flipped).bit_count() + (row & 1) if row else int(now[unit] < 0)
        flipped |= (odd & 1) << (unit + 1)
    signs: Floats = np.array([-1.0 if flipped >> (unit + 1) & 1 else 1.0 for unit in range(len(now))])
    return signs


def _heaviest(evidence: Evidence) -> Array:
    """Return the numbers of equations that are among the heaviest of some unit, in order of weight."""
    order: Array = np.argsort(-np.abs(evidence.weights), kind="stable")
    if len(order) <= FEW:
        return order
    units = evidence.units[order]
    kept = np.zeros(len(order), dtype=bool)
    for column in units.T:
        (real,) = np.nonzero(column >= 0)
        by_unit = real[np.argsort(column[real], kind="stable")]
        ranks = np.arange(len(by_unit)) - np.searchsorted(column[by_unit], column[by_unit])
        kept[by_unit[ranks < EQUATIONS]] = True
    heaviest: Array = order[kept]
    return heaviest


def _descend(evidence: Evidence, start: Floats) -> Floats:
    """Return signs of which none is better alone the other way, from a start."""
    signs: Floats = start.copy()
    real = evidence.units >= 0
    for _ in range(4 * len(signs) + 4):  # each flip raises a sum, so that they end
        held = np.repeat(evidence.held(signs)[:, None], evidence.units.shape[1], axis=1)
        fields = np.bincount(evidence.units[real], weights=held[real], minlength=len(signs))
        worst = int(fields.argmin())
        if fields[worst] >= -1e-12 * float(np.abs(evidence.weights).sum()):
            break
        signs[worst] = -signs[worst]
    return signs
