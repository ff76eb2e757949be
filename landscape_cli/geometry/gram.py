"""Inner products and angles of all pairs of many networks at once, by products of matrices.

See docs/method.md: Geodesics and distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from landscape_cli.binary.layers import binarize
from landscape_cli.forward.memory import MIB
from landscape_cli.geometry.geodesic import sphere_rows
from landscape_cli.geometry.linear import check_alike
from landscape_cli.network import Params
from landscape_cli.symmetry import Sphere

BYTES = 64 * MIB
"""How much of all networks is taken at once, in float64, and about how many products are made of it."""
CLOSE = 1e-4
"""Below this share of what it is the difference of, the square of a distance loses digits, and so does an angle whose
cosine is as close to ±1: such pairs are to be measured one by one."""


@dataclass(frozen=True)
class Gram:
    """What the distances of all pairs of networks follow from; matrices, shape (networks, networks), float64.

    Attributes:
        dots: the inner products of the parameter vectors.
        squared: the squares of the geodesic distances.
        angles: the mean over spheres of the squares of the angles.
        askew: whether every angle is far enough from 0 and π that its cosine tells it, bool.
    """

    dots: Tensor
    squared: Tensor
    angles: Tensor
    askew: Tensor

    @property
    def differences(self) -> Tensor:
        """The squares of the Euclidean distances; NaN where they are too small to follow from inner products."""
        squares = self.dots.diagonal()
        total = squares[:, None] + squares
        difference = total - 2 * self.dots
        return torch.where(difference > CLOSE * total, difference, torch.nan)


def gram(networks: Sequence[Params], names: Sequence[str], spheres: Iterable[Sphere]) -> Gram:
    """Return the inner products of all pairs of networks, and what the angles of their units sum up to.

    All is computed in float64, of a bounded part of the networks at a time.

    Args:
        networks: two or more.
        names: of the tensors whose inner products count.
        spheres: whose angles count.

    Raises:
        GeometryError: if the networks do not have the same tensors.
    """
    for network in networks[1:]:
        check_alike(networks[0], network)
    sphere_of = {sphere.tensor: sphere for sphere in spheres}
    count = len(networks)
    device = next((networks[0][name].device for name in (*names, *sphere_of)), torch.device("cpu"))
    dots, squared, thetas = torch.zeros(3, count, count, dtype=torch.float64, device=device)
    askew = torch.ones(count, count, dtype=torch.bool, device=device)
    rows = 0
    counted = set(names)
    for name in dict.fromkeys([*names, *sphere_of]):
        sphere = sphere_of.get(name)
        for products in _products(networks, partial(_rows, name, sphere)):
            if name in counted:
                dots += products.sum(dim=0)
            if sphere is not None:
                radii = products.diagonal(dim1=1, dim2=2).sqrt()
                cosines = products.div_(radii[:, :, None]).div_(radii[:, None, :])
                askew &= ~(cosines.abs() > 1 - CLOSE).any(dim=0)
                theta = cosines.clamp_(-1, 1).acos_().nan_to_num_(nan=0.0)  # of a row of zeros
                thetas += theta.square().sum(dim=0)
                along = theta.mul_(radii[:, :, None] + radii[:, None, :]).square_().sum(dim=0) / 4
                squared += along + (radii[:, :, None] - radii[:, None, :]).square_().sum(dim=0)
                rows += len(products)
    return Gram(dots, squared, thetas / max(1, rows), askew)


def sign_products(networks: Sequence[Params], names: Sequence[str]) -> tuple[Tensor, int]:
    """Return the inner products of all pairs of networks' signs, shape (networks, networks), and how many these are.

    Args:
        networks: of binary weights.
        names: of their latent weights.
    """
    total = torch.zeros(len(networks), len(networks), dtype=torch.float64, device=networks[0][names[0]].device)
    for name in names:
        for products in _products(networks, partial(_signs, name)):
            total += products[0]
    return total, sum(networks[0][name].numel() for name in names)


def _signs(name: str, network: Params) -> Tensor:
    return binarize(network[name]).reshape(1, -1)


def _rows(name: str, sphere: Sphere | None, network: Params) -> Tensor:
    return network[name].reshape(1, -1) if sphere is None else sphere_rows(network[name], sphere)


def _products(networks: Sequence[Params], rows_of: Callable[[Params], Tensor]) -> Iterator[Tensor]:
    """Yield the inner products of all pairs of networks, of some rows at a time, shape (rows, networks, networks)."""
    taken = [rows_of(network) for network in networks]
    count, (rows, width) = len(taken), taken[0].shape
    numbers = BYTES // torch.float64.itemsize
    some = max(1, min(rows, numbers // count**2, numbers // (count * max(1, width))))
    wide = max(1, numbers // (count * some))
    for row in range(0, rows, some):
        products = None
        for column in range(0, max(1, width), wide):
            part = torch.stack([each[row : row + some, column : column + wide] for each in taken], dim=1).double()
            product = part @ part.mT
            products = product if products is None else products.add_(product)
        assert products is not None
        yield products
