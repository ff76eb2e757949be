"""Applying a symmetry to a network's tensors: pure functions from `Params` to `Params`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from landscape_cli.symmetry.spec import Axis, Symmetry


def permute(params: Mapping[str, Tensor], symmetry: Symmetry, permutations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Relabel hidden units: unit i of a group becomes what unit `permutations[group][i]` was.

    Args:
        params: the network.
        symmetry: its symmetry.
        permutations: by group name, shape (units,), int64; groups left out keep their labels.

    Returns:
        A new network; tensors that nothing touches are shared with the old one.
    """
    result = dict(params)
    for group in symmetry.permutations:
        if group.name in permutations:
            for axis in group.axes:
                places = expand_units(permutations[group.name], axis, group.size)
                result[axis.tensor] = result[axis.tensor].index_select(axis.dim, places.to(result[axis.tensor].device))
    return result


def rescale(
    params: Mapping[str, Tensor], symmetry: Symmetry, factors: Mapping[str, Tensor], *, output: float = 1.0
) -> dict[str, Tensor]:
    """Multiply the activations of hidden units, and all outputs, without changing what is computed from them.

    Args:
        params: the network.
        symmetry: its symmetry.
        factors: by name of the scale group, shape (units,), all positive; groups left out keep their scale.
        output: the one factor of all outputs.

    Returns:
        A new network; tensors that nothing touches are shared with the old one.
    """
    result = dict(params)
    for group in symmetry.scales:
        if group.name in factors:
            for scaled in group.axes:
                tensor = result[scaled.axis.tensor]
                factor = factors[group.name].to(tensor.device, tensor.dtype) ** scaled.power
                result[scaled.axis.tensor] = tensor * along(factor, scaled.axis, tensor)
    if output != 1.0:
        for scaled in symmetry.output:
            result[scaled.axis.tensor] = result[scaled.axis.tensor] * output**scaled.power
    return result


def random_permutations(symmetry: Symmetry, *, generator: torch.Generator) -> dict[str, Tensor]:
    """Return a uniformly random relabelling of every group."""
    return {group.name: torch.randperm(group.size, generator=generator) for group in symmetry.permutations}


def expand_units(permutation: Tensor, axis: Axis, size: int) -> Tensor:
    """Return, for the places of an axis on which `size` units live, the place that each takes its content from.

    Shape (tiles * size * repeat,), int64.
    """
    tiles = torch.arange(axis.tiles)[:, None, None] * (size * axis.repeat)
    units = permutation.cpu()[None, :, None] * axis.repeat
    return (tiles + units + torch.arange(axis.repeat)).flatten() + axis.offset


def along(values: Tensor, axis: Axis, tensor: Tensor) -> Tensor:
    """Return one value a unit, shape (units,), spread over the axis and ready to multiply `tensor` by."""
    spread = values.repeat_interleave(axis.repeat).repeat(axis.tiles)
    return spread.view([-1 if dim == axis.dim else 1 for dim in range(tensor.ndim)])


def unit_rows(tensor: Tensor, axis: Axis, size: int) -> Tensor:
    """Return what `tensor` holds of each unit along `axis`, shape (units, everything else)."""
    moved = tensor.movedim(axis.dim, 0)
    return moved.reshape(axis.tiles, size, axis.repeat, -1).transpose(0, 1).reshape(size, -1)
