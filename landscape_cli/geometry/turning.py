"""Turning a network on its spheres: every unit by the same angle (docs/method.md: Angular width)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from landscape_cli.geometry.geodesic import SMALL_ANGLE, from_sphere_rows, sphere_rows
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry


def tangents(params: Params, along: Params, symmetry: Symmetry) -> dict[str, Tensor]:
    """Return in which direction each unit turns when it is to go along given vectors, and stay on its sphere.

    See docs/method.md: Angular width.

    Args:
        params: the network.
        along: a vector for each tensor of weights, by name and of its shape; what is missing stays.
        symmetry: of the network, whose spheres are meant.

    Returns:
        By tensor of weights, in float64: the vectors' parts that are orthogonal to the units' own weights, as long as
        these; zero where there is none, as in units with one incoming weight.
    """
    result = {}
    for sphere in symmetry.spheres:
        if sphere.tensor in along:
            tensor = params[sphere.tensor]
            rows, vectors = (
                sphere_rows(part.to(tensor.device).double(), sphere) for part in (tensor, along[sphere.tensor])
            )
            result[sphere.tensor] = from_sphere_rows(tangent_rows(rows, vectors), tensor.shape, sphere)
    return result


def turn(params: Params, directions: Mapping[str, Tensor], angle: float, symmetry: Symmetry) -> dict[str, Tensor]:
    """Return the network with every unit that has a direction turned by an angle; norms stay.

    See docs/method.md: Angular width.

    Args:
        params: the network.
        directions: as `tangents` returns them.
        angle: in radians.
        symmetry: of the network.

    Returns:
        The network in its dtypes; tensors without directions are shared with the old one.
    """
    result = dict(params)
    for sphere in symmetry.spheres:
        if sphere.tensor in directions:
            tensor = params[sphere.tensor]
            rows, ways = (sphere_rows(part, sphere) for part in (tensor.double(), directions[sphere.tensor]))
            turned = math.cos(angle) * rows + math.sin(angle) * ways
            turned = torch.where(ways.any(dim=1, keepdim=True), turned, rows)
            result[sphere.tensor] = from_sphere_rows(turned, tensor.shape, sphere).to(tensor.dtype)
    return result


def tangent_rows(rows: Tensor, vectors: Tensor) -> Tensor:
    """Return the parts of vectors orthogonal to rows, as long as these; zero where the two are parallel."""
    norms, lengths = rows.norm(dim=1, keepdim=True), vectors.norm(dim=1, keepdim=True)
    ways = orthogonal_part(vectors / torch.where(lengths > 0, lengths, 1.0), rows)
    size = ways.norm(dim=1, keepdim=True)
    return torch.where(size > SMALL_ANGLE, norms * ways / torch.where(size > 0, size, 1.0), 0.0)


def orthogonal_part(vectors: Tensor, rows: Tensor) -> Tensor:
    """Return vectors without their parts along rows, shape (rows, numbers), both in float64."""
    norms = rows.norm(dim=1, keepdim=True)
    units = rows / torch.where(norms > 0, norms, 1.0)
    for _ in range(2):  # once more, as the first leaves a rounding of what it takes away
        vectors = vectors - (vectors * units).sum(dim=1, keepdim=True) * units
    return vectors
