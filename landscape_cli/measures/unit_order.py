"""An order of hidden units that does not depend on how a network numbers them: what random numbers are tied to.

See docs/method.md: Curvature.
"""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry, join
from landscape_cli.symmetry.transform import PermutedParams, unit_rows


def order_of_units(symmetry: Symmetry, values: Params) -> dict[str, Tensor]:
    """Return the permutations, as `permute` takes them, that sort units, and parts, by what is given of them.

    Applied to two networks that differ by permutations, with values that move along, they give the same network; units
    whose sums are equal keep their order.

    Args:
        symmetry: the groups.
        values: a number for each weight, that moves with it when units are permuted, in tensors of the network's
            shapes; those of a unit are summed, along all axes that it lives on. Tensors left out count nothing.

    Returns:
        By group, shape (units,), int64, on the CPU.
    """
    order: dict[str, Tensor] = {}
    for parts in symmetry.modules:
        moved = PermutedParams(values, symmetry, order)
        totals = [sum(float(moved[name].double().sum()) for name in part if name in values) for part in parts.members]
        sums = torch.tensor(totals, dtype=torch.float64)
        for axis in parts.axes:
            if axis.tensor in values:
                sums += unit_rows(moved[axis.tensor].cpu().double(), axis).sum(dim=1)
        order[parts.name] = sums.argsort(stable=True)
    values = join(PermutedParams(values, symmetry, order) if order else values, symmetry.joined)
    for group in symmetry.permutations:
        sums = torch.zeros(group.units, dtype=torch.float64)
        for axis in group.axes:
            if axis.tensor in values:
                sums += unit_rows(values[axis.tensor].cpu().double(), axis).sum(dim=1)
        blocks = sums.view(group.blocks, group.size).argsort(dim=1, stable=True)
        order[group.name] = (blocks + group.size * torch.arange(group.blocks)[:, None]).flatten()
    return order
