"""Masked networks by their effective weights: what pruning has set to zero burnt into the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind
from landscape_cli.errors import GeometryError
from landscape_cli.network import Params
from landscape_cli.symmetry.spec import Mask, Symmetry


def burn_in(params: Params, symmetry: Symmetry) -> Params:
    """Return the network with its effective weights in place of what masks multiply, and masks of ones.

    What it computes is unchanged, bit for bit (docs/method.md: Masks).

    Args:
        params: the network.
        symmetry: its symmetry, which says what masks there are.

    Returns:
        A new network in the same dtypes; the same one where there are no masks.

    Raises:
        GeometryError: if the symmetry is none.
    """
    check_kind("symmetry", symmetry, Symmetry, "give what trace_symmetry returns", GeometryError)
    if not symmetry.masks:
        return params
    burnt = dict(params)
    for mask in symmetry.masks:
        burnt[mask.weight] = burnt[mask.weight] * _laid_along(params[mask.mask], mask)
        burnt[mask.mask] = torch.ones_like(params[mask.mask])
    return burnt


def _laid_along(values: Tensor, mask: Mask) -> Tensor:
    """Return a mask's values in the axes of its parameter, those where it is the same all along of size 1."""
    present = [dim for dim in mask.dims if dim is not None]
    left = [dim for dim in range(values.ndim) if dim not in present]  # of size 1
    index = tuple(slice(None) if dim is not None else None for dim in mask.dims)
    return values.permute(*present, *left).reshape([values.shape[dim] for dim in present])[index]
