"""Soft permutations: doubly stochastic matrices in place of permutations, differentiable by them and by the network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from landscape_cli.network import Params
from landscape_cli.symmetry.joined import join, unjoin
from landscape_cli.symmetry.spec import Axis, Symmetry
from landscape_cli.symmetry.transform import moves_of


def permute_softly(params: Params, symmetry: Symmetry, matrices: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mix the hidden units of a network: unit i of a group becomes the sum over j of `matrix[i, j]` times unit j.

    Where every matrix is that of a permutation, this is `permute`; else the network computes something else. As there,
    units are mixed within their blocks first, then the blocks (Peña et al., 2023).

    Args:
        params: the network; tensors that hold no floating-point numbers stay as they are.
        symmetry: its symmetry.
        matrices: by group name, shape (blocks, size, size), of the network's type and device; groups left out stay.

    Returns:
        A new network, differentiable by the matrices and by `params`; tensors that nothing touches are shared.
    """
    result = dict(join(params, symmetry.joined))
    for name, _, members in moves_of(symmetry, matrices):
        for group, axis in members:
            if result[name].is_floating_point():
                result[name] = _mixed(result[name], axis, matrices[group.name])
    return unjoin(result, symmetry.joined)


def _mixed(tensor: Tensor, axis: Axis, matrix: Tensor) -> Tensor:
    """Return a tensor with its units along one axis mixed, those of each block among themselves."""
    front = tuple(range(len(axis.dims)))
    moved = tensor.movedim(axis.dims, front)
    flat = moved.flatten(0, len(front) - 1)
    places = torch.from_numpy(axis.places.table.copy()).flatten().to(tensor.device)
    units = flat.index_select(0, places).reshape(*matrix.shape[:2], -1)
    mixed = (matrix @ units).reshape(len(places), *flat.shape[1:])
    return flat.index_copy(0, places, mixed).view(moved.shape).movedim(front, axis.dims)
