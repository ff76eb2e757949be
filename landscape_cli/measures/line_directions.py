"""The directions of lines and planes through a network (docs/method.md: Surroundings).

`choices.LineDirection` registers those that have names; a network that lies there is one more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_cli.choices import HessianMetric
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.gradient import loss_gradient
from landscape_cli.geometry.geodesic import sphere_rows
from landscape_cli.geometry.random_direction import normal_direction
from landscape_cli.geometry.surface import Surface
from landscape_cli.measures.hessian import Hessian
from landscape_cli.measures.spectrum import NotFiniteError, leading_eigenvectors
from landscape_cli.network import Params
from landscape_cli.rng import derive_seed, generator

TOLERANCE = 1e-3
"""Of the residuals of Hessian eigenvectors, relative to their eigenvalues."""
START = 1002
"""The stream that the first Lanczos vector is drawn from."""
FLAT = 1e-12
"""The share of a trajectory's variance below which there is none along an axis."""


@dataclass(frozen=True, eq=False)
class Center:
    """The network that directions lead from, and what they may need to know.

    Attributes:
        surface: it, and what networks round it lie on.
        moving: the names of the parameters that random directions and slopes move, each once.
        learned: the names of all parameters of real numbers, each once.
        evaluator: of the model.
        train: the split that the loss is of.
        seed: of what is random.
        trajectory: the networks whose principal directions are meant, on the same device.
    """

    surface: Surface
    moving: Sequence[str]
    learned: Sequence[str]
    evaluator: Evaluator
    train: str
    seed: int
    trajectory: Sequence[Params] = ()


@dataclass(frozen=True, eq=False)
class Way:
    """A direction.

    Attributes:
        vector: by tensor, float64; what is missing does not move.
        facts: what results say of it: eigenvalue and residual, explained variance, …
    """

    vector: Params = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Direction(ABC):
    """Where a line or plane leads to from a network.

    Attributes:
        of_slopes: whether it takes the gradients of a network of real weights.
    """

    of_slopes: ClassVar[bool] = True

    @abstractmethod
    def ways(self, center: Center, count: int) -> list[Way]:
        """Return so many directions; their lengths, unless networks lie there, are of no matter."""

    def passes(self, count: int) -> int:
        """Return about how many passes over the training set it takes to find so many."""
        return 0


class RandomDirection(Direction):
    """Standard normal numbers in every weight; the k-th direction is the same for every network of a model."""

    def ways(self, center: Center, count: int) -> list[Way]:
        """Return as many draws."""
        base, names, seed = center.surface.base, center.moving, center.seed
        draws = [normal_direction(base, names, {}, seed=seed, number=k) for k in range(count)]
        return [Way(center.surface.tangent(draw)) for draw in draws]


class GradientDirection(Direction):
    """The gradient of the training loss, which grows that way."""

    def ways(self, center: Center, count: int) -> list[Way]:
        """Return it."""
        slope = center.surface.tangent(_gradient(center))
        length = math.sqrt(sum(float(tensor.square().sum()) for tensor in slope.values()))
        if not 0 < length < math.inf:
            raise GeometryError(f"the gradient of the loss is {length:g}, and has no direction")
        return [Way(slope, {"gradient_norm": length})]

    def passes(self, count: int) -> int:
        """Return that it takes one, there and back."""
        return 2


class HessianDirection(Direction):
    """The eigenvectors of the largest eigenvalues of the training loss's Hessian; on spheres, of the Riemannian one."""

    def ways(self, center: Center, count: int) -> list[Way]:
        """Return them, the largest first, signed so that their numbers add up to no less than zero."""
        plain = Hessian(
            center.evaluator, center.surface.base, center.moving, center.train, metric=HessianMetric.EUCLIDEAN
        )
        if plain.size < count:
            raise GeometryError(f"the network has {plain.size} weights, and so no {count} directions")
        hessian = TangentHessian(plain, center) if center.surface.spheres else plain
        start = plain.signs(generator(center.seed, START))
        try:
            values, vectors = leading_eigenvectors(
                hessian, count, start, tolerance=TOLERANCE, seed=derive_seed(center.seed, START)
            )
        except NotFiniteError:
            raise GeometryError("the Hessian of the loss is not finite, or has too few directions") from None
        if not any(values.values):
            raise GeometryError("the Hessian of the loss is zero, and has no leading directions")
        ways = []
        for value, residual, vector in zip(values.values, values.residuals, vectors.T, strict=True):
            sign = -1.0 if float(vector.sum()) < 0 else 1.0
            tensors = plain.tensors(np.ascontiguousarray(sign * vector, dtype=float))
            moved = {name: tensor.to(center.evaluator.device) for name, tensor in tensors.items()}
            ways.append(Way(center.surface.tangent(moved), {"eigenvalue": value, "residual": residual}))
        return ways

    def passes(self, count: int) -> int:
        """Return about how many: products with vectors take four passes each."""
        return 4 * (30 + 10 * count)


class TangentHessian:
    """The Hessian of the loss on the spheres of a network, as products with vectors.

    Its quadratic form is the second derivative along great circles: P H P - diag(⟨g_i, w_i⟩/‖w_i‖²) of the tangent
    parts, g the gradient, w_i a unit's row, P the projection (Absil, Mahony and Sepulchre, 2008).
    """

    def __init__(self, hessian: Hessian, center: Center) -> None:
        """Compute the gradient once."""
        self._hessian, self._surface = hessian, center.surface
        self.size, self.dtype = hessian.size, hessian.dtype
        slope = _gradient(center)
        self._bends: dict[str, Tensor] = {}
        for name in self._surface.spheres.keys() & slope.keys():
            tensor, sphere = self._surface.base[name].double(), self._surface.spheres[name]
            rows, along = (sphere_rows(each, sphere) for each in (tensor, slope[name]))
            squares = rows.square().sum(dim=1)
            bends = (rows * along).sum(dim=1) / torch.where(squares > 0, squares, 1.0)
            shape = [1] * tensor.ndim
            if sphere.dim is not None:
                shape[sphere.dim] = -1
            self._bends[name] = bends.view(shape)

    def product(self, vector: NDArray[Any]) -> NDArray[np.float64]:
        """Return the product with a vector, shape (size,)."""
        flat, tensors = self._tangent(vector)
        image, _ = self._tangent(self._hessian.product(flat.astype(self.dtype)))
        bent = [tensor * self._bends[name].cpu() if name in self._bends else 0 * tensor for name, tensor in tensors]
        product: NDArray[np.float64] = image - torch.cat([tensor.reshape(-1) for tensor in bent]).numpy()
        return product

    def _tangent(self, vector: NDArray[Any]) -> tuple[NDArray[np.float64], list[tuple[str, Tensor]]]:
        """Return a vector's tangent part, also by tensor, on the CPU."""
        exact = self._hessian.tensors(np.ascontiguousarray(vector, dtype=float))
        device = next(iter(self._surface.base.values())).device
        tangent = self._surface.tangent({name: tensor.to(device) for name, tensor in exact.items()})
        tensors = [(name, tangent[name].cpu()) for name in exact]
        return torch.cat([tensor.reshape(-1) for _, tensor in tensors]).numpy(), tensors


class PrincipalDirection(Direction):
    """The principal directions of a trajectory of networks, or of any set of them.

    Of the parameters; what else networks hold moves as these combinations of theirs do.
    """

    of_slopes = False

    def ways(self, center: Center, count: int) -> list[Way]:
        """Return unit vectors, along which the first network lies at no positive coordinate.

        Raises:
            GeometryError: if there are too few networks, or they lie on a line.
        """
        networks, surface = center.trajectory, center.surface
        if len(networks) <= count:
            raise GeometryError(
                f"principal directions for {count} ax{'es' if count > 1 else 'is'} take at least {count + 1} networks, "
                f"and {len(networks)} {'is' if len(networks) == 1 else 'are'} named"
            )
        steps = torch.zeros(len(networks), len(networks), dtype=torch.float64)
        for name in center.learned:
            rows = torch.stack([surface.log(network, name).reshape(-1) for network in networks])
            rows -= rows.mean(dim=0)
            steps += (rows @ rows.T).cpu()
        variances, components = (part.flip(-1) for part in torch.linalg.eigh(steps))
        total = float(variances.sum())
        if not float(variances[count - 1]) > FLAT * total:
            raise GeometryError(
                f"the networks are all equal{'' if count == 1 else ', or lie on one line'}: they have no {count} "
                "principal directions"
            )
        ways = []
        for variance, component in zip(variances[:count], components.T[:count], strict=True):
            weights = component / variance.sqrt()
            weights = -weights if float(component[0] - component[-1]) > 0 else weights
            vector = {
                name: _mixed([surface.log(network, name) for network in networks], weights)
                for name, tensor in surface.base.items()
                if tensor.is_floating_point()
            }
            ways.append(Way(vector, {"explained_variance": float(variance) / total}))
        return ways


class TowardsNetwork(Direction):
    """Towards another network, which lies at coordinate 1."""

    of_slopes = False

    def __init__(self, network: Params) -> None:
        """Keep the network."""
        self._network = network

    def ways(self, center: Center, count: int) -> list[Way]:
        """Return the way there, of all tensors."""
        base = center.surface.base
        return [
            Way({name: center.surface.log(self._network, name) for name, t in base.items() if t.is_floating_point()})
        ]


def _gradient(center: Center) -> dict[str, Tensor]:
    return loss_gradient(center.evaluator, center.surface.base, center.moving, center.train)


def _mixed(tensors: Sequence[Tensor], weights: Tensor) -> Tensor:
    total = torch.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights.tolist(), strict=True):
        total += weight * tensor
    return total
