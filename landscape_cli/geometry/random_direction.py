"""Random directions in the space of weights, as large as the network that they lead from (docs/method.md: Planes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from landscape_cli.choices import DirectionNorm
from landscape_cli.geometry.filter_norm import normalized_direction
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

    Biases, norm layers and running statistics do not move.

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
    spheres = {sphere.tensor: sphere for sphere in symmetry.spheres}
    drawn = normal_direction(params, list(spheres), owners, seed=seed, number=number)
    return normalized_direction(drawn, params, spheres, DirectionNorm.FILTER)


def normal_direction(
    params: Params, names: Sequence[str], owners: Mapping[str, str], *, seed: int, number: int
) -> dict[str, Tensor]:
    """Return standard normal numbers for some tensors, drawn in the order of their names, float64.

    Args:
        params: the network.
        names: of the tensors; those of one owner are one.
        owners: of every name of a parameter the one that owns it.
        seed: of all directions.
        number: which of them.
    """
    source = generator(seed, DIRECTIONS, number)
    direction: dict[str, Tensor] = {}
    for name in names:
        owner = owners.get(name, name)
        if owner not in direction:
            tensor = params[name]
            direction[owner] = torch.randn(tensor.shape, generator=source, dtype=torch.float64).to(tensor.device)
        direction[name] = direction[owner]
    return direction


def moved_along(params: Params, direction: Params) -> dict[str, Tensor]:
    """Return the network one length of a direction away, in its own dtypes."""
    return dict(params) | {
        name: (params[name].double() + change).to(params[name].dtype) for name, change in direction.items()
    }
