"""Directions as long as the network that they lead from, by unit or by layer (docs/method.md: Surroundings)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from landscape_cli.choices import DirectionNorm
from landscape_cli.network import Params
from landscape_cli.symmetry import Sphere


def normalized_direction(
    direction: Params, params: Params, spheres: Mapping[str, Sphere], how: DirectionNorm
) -> dict[str, Tensor]:
    """Return a direction as long as the network: filter normalisation (Li et al., 2018), or that of layers.

    Args:
        direction: what moves, float64.
        params: the network.
        spheres: by tensor of weights the axis along which its units lie; where that is not known, as of the last layer,
            rows are along the first axis, and a tensor with a single axis is one row.
        how: "filter", each row as long as the network's; "layer", each tensor; "none", of length 1 in all.
    """
    if how is DirectionNorm.NONE:
        length = math.sqrt(sum(float(tensor.square().sum()) for tensor in direction.values())) or 1.0
        return {name: tensor / length for name, tensor in direction.items()}
    result: dict[str, Tensor] = {}
    scaled: dict[int, Tensor] = {}
    for name, drawn in direction.items():
        if id(drawn) not in scaled:  # what several layers share stays one
            tensor, dim = params[name].double(), spheres[name].dim if name in spheres else None
            axis = (0 if dim is None and tensor.ndim > 1 else dim) if how is DirectionNorm.FILTER else None
            scaled[id(drawn)] = as_long_as(drawn, tensor, axis)
        result[name] = scaled[id(drawn)]
    return result


def as_long_as(direction: Tensor, tensor: Tensor, axis: int | None) -> Tensor:
    """Return a direction with the norms of a tensor, row by row along an axis, or as a whole; rows of zeros stay."""
    over = tuple(k for k in range(tensor.ndim) if k != axis)
    wanted, has = (torch.linalg.vector_norm(each, dim=over, keepdim=True) for each in (tensor, direction))
    scaled: Tensor = direction * (wanted / torch.where(has > 0, has, 1.0))
    return scaled
