"""Random directions in the space of weights, as large as the network that they lead from (docs/method.md: Planes)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry

DIRECTIONS = 1001
"""The stream that directions are drawn from."""


def random_direction(
    params: Params, symmetry: Symmetry, owners: Mapping[str, str], *, seed: int, number: int = 0
) -> dict[str, Tensor]:
    """Return a random direction with filter normalisation (Li et al., 2018): each unit's row as long as the network's.

    A row is drawn from N(0, 1) and given the norm of the network's; of a weight of which no axis is known to be that of
    units, as of the last layer, rows are along the first axis, and one with a single axis is one row. Biases, norm
    layers and running statistics do not move.

    Args:
        params: the network.
        symmetry: its symmetry, which tells weights and their units.
        owners: of every name of a parameter the one that owns it (`forward.functional.parameter_owners`): what several
            layers share moves as one.
        seed: of all directions.
        number: which of them; the draws do not depend on the network, nor on each other.

    Returns:
        For every tensor that moves the difference, float64, on the network's device.

    Raises:
        GeometryError: if the symmetry is of another model.
    """
    check_symmetry(symmetry, params)
    source = generator(seed, DIRECTIONS, number)
    direction: dict[str, Tensor] = {}
    for sphere in symmetry.spheres:
        tensor, owner = params[sphere.tensor], owners.get(sphere.tensor, sphere.tensor)
        if owner not in direction:
            drawn = torch.randn(tensor.shape, generator=source, dtype=torch.float64).to(tensor.device)
            direction[owner] = _as_long_as(drawn, tensor.double(), sphere.dim)
        direction[sphere.tensor] = direction[owner]
    return direction


def moved_along(params: Params, direction: Params) -> dict[str, Tensor]:
    """Return the network one length of a direction away, in its own dtypes."""
    return dict(params) | {
        name: (params[name].double() + change).to(params[name].dtype) for name, change in direction.items()
    }


def _as_long_as(drawn: Tensor, tensor: Tensor, dim: int | None) -> Tensor:
    """Return `drawn` with the norms of `tensor`, row by row along an axis."""
    axis = 0 if dim is None and tensor.ndim > 1 else dim
    over = tuple(k for k in range(tensor.ndim) if k != axis)
    wanted, has = (torch.linalg.vector_norm(each, dim=over, keepdim=True) for each in (tensor, drawn))
    scaled: Tensor = drawn * (wanted / has)
    return scaled
