"""Points around a network, along vectors that lead away from it: straight, or on the spheres of a normalised one.

See docs/method.md: Surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from landscape_cli.forward.combination import Coefficient, Combination, Part
from landscape_cli.geometry.geodesic import angle, from_sphere_rows, sphere_rows
from landscape_cli.geometry.linear import combined
from landscape_cli.geometry.turning import orthogonal_part, tangent_rows
from landscape_cli.network import Params
from landscape_cli.symmetry import Sphere

DEPENDENT = 1e-10
"""The square of the sine of an angle between two vectors below which they span no plane."""


class Surface:
    """What networks around one lie on: all of the space of weights, or the product of some spheres and the rest of it.

    Attributes:
        base: the network.
        spheres: by tensor, those on which rows keep their lengths; none where all is straight.
    """

    def __init__(self, base: Params, spheres: Sequence[Sphere] = ()) -> None:
        """Take note of where it is and what is round there."""
        self.base = base
        self.spheres: Mapping[str, Sphere] = {sphere.tensor: sphere for sphere in spheres}

    def log(self, network: Params, name: str) -> Tensor:
        """Return the vector that leads from the base to a network, of one tensor, float64.

        On a sphere that is the logarithm of the great circle between two rows, and what their lengths differ by along
        the base's row.
        """
        start = self.base[name].double()
        end = network[name].to(start.device).double()
        if name not in self.spheres:
            return end - start
        u, v = (sphere_rows(tensor, self.spheres[name]) for tensor in (start, end))
        radius = u.norm(dim=1, keepdim=True)
        unit = u / torch.where(radius > 0, radius, 1.0)
        rows = angle(u, v)[:, None] * tangent_rows(u, v) + (v.norm(dim=1, keepdim=True) - radius) * unit
        return from_sphere_rows(torch.where(radius > 0, rows, v), start.shape, self.spheres[name])

    def tangent(self, vector: Params) -> dict[str, Tensor]:
        """Return a vector, float64, without its parts along the rows of spheres."""
        result = dict(vector)
        for name in self.spheres.keys() & vector.keys():
            rows, along = (sphere_rows(part.double(), self.spheres[name]) for part in (self.base[name], vector[name]))
            result[name] = from_sphere_rows(orthogonal_part(along, rows), vector[name].shape, self.spheres[name])
        return result


class Chart:
    """The networks at coordinates along one or two vectors from a network: its exponential map.

    Attributes:
        surface: what they lie on.
        vectors: by tensor; what is missing does not move.
        names: of the tensors that lengths are of, each parameter once.
        gram: the vectors' inner products, shape (vectors, vectors), float64.
    """

    def __init__(self, surface: Surface, vectors: Sequence[Params], names: Sequence[str]) -> None:
        """Take the vectors over, in the types that networks are combined in."""
        self.surface, self.names = surface, tuple(names)
        base = surface.base
        self.vectors = vectors = [
            {name: tensor.to(torch.promote_types(base[name].dtype, torch.float32)) for name, tensor in vector.items()}
            for vector in vectors
        ]
        self.gram = torch.tensor([[_inner(u, v, names) for v in vectors] for u in vectors], dtype=torch.float64)
        self._arcs = {
            name: _Arc.of(base[name], [v[name] for v in vectors if name in v], sphere)
            for name, sphere in surface.spheres.items()
            if any(name in vector for vector in vectors)
        }

    @property
    def lengths(self) -> list[float]:
        """The Euclidean lengths of the vectors."""
        return [float(square) ** 0.5 for square in self.gram.diagonal()]

    @property
    def cosine(self) -> float:
        """The cosine of the angle between two vectors."""
        first, second = self.lengths
        return float(self.gram[0, 1]) / (first * second)

    @property
    def is_degenerate(self) -> bool:
        """Whether a vector is zero, or two are parallel."""
        squares = self.gram.diagonal()
        return not float(torch.linalg.det(self.gram)) > (DEPENDENT if len(squares) > 1 else 0) * float(squares.prod())

    def network(self, *coordinates: float) -> Combination:
        """Return the network at some coordinates, in units of the vectors, in the dtypes of the base."""
        base, parts = self.surface.base, partial(self._parts, coordinates)
        moved = {name for vector in self.vectors for name in vector}
        tensors = {
            name: self._point(name, coordinates) if name in moved and tensor.is_floating_point() else tensor
            for name, tensor in base.items()
        }
        return Combination(tensors, parts)

    def project(self, network: Params) -> tuple[tuple[float, ...], float]:
        """Return the coordinates of the point of the plane that is nearest to a network, and the distance from it.

        On spheres both are those of the vector that leads there.
        """
        products = torch.zeros(len(self.vectors), dtype=torch.float64)
        for name in self.names:
            step = self.surface.log(network, name)
            for k, vector in enumerate(self.vectors):
                if name in vector:
                    products[k] += float((step * vector[name]).sum())
        coordinates = torch.linalg.solve(self.gram, products).tolist()
        square = 0.0
        for name in self.names:
            rest = self.surface.log(network, name)
            for vector, coordinate in zip(self.vectors, coordinates, strict=True):
                if name in vector:
                    rest -= coordinate * vector[name].double()
            square += float(rest.square().sum())
        return tuple(coordinates), square**0.5

    def _point(self, name: str, coordinates: Sequence[float]) -> Tensor:
        """Return one tensor of the network there."""
        tensor, sphere = self.surface.base[name], self.surface.spheres.get(name)
        if sphere is None or name not in self._arcs:
            return combined(self._parts(coordinates, name), tensor.dtype)
        vectors = [vector[name] for vector in self.vectors if name in vector]
        rows = [sphere_rows(part, sphere) for part in (tensor, *vectors)]
        along = [c for vector, c in zip(self.vectors, coordinates, strict=True) if name in vector]
        parts = list(zip(rows, self._arcs[name].coefficients(along), strict=True))
        return from_sphere_rows(combined(parts, tensor.dtype), tensor.shape, sphere)

    def _parts(self, coordinates: Sequence[float], name: str) -> Sequence[Part]:
        """Return what a tensor there is the sum of; nothing where rows turn that are not along its first axis."""
        tensor, sphere = self.surface.base[name], self.surface.spheres.get(name)
        moving = [(v[name], float(c)) for v, c in zip(self.vectors, coordinates, strict=True) if name in v]
        if name not in self._arcs:
            return [(tensor, 1.0), *moving]
        if sphere is None or sphere.dim != 0:
            return ()
        coefficients: Sequence[Coefficient] = self._arcs[name].coefficients([c for _, c in moving])
        return list(zip((tensor, *(vector for vector, _ in moving)), coefficients, strict=True))


@dataclass(frozen=True, eq=False)
class _Arc:
    """How the rows of one tensor turn; all float64.

    Attributes:
        radius: the rows' lengths, shape (units,).
        radial: the vectors' parts along the rows, shape (vectors, units).
        gram: the inner products of the rest of them, shape (vectors, vectors, units).
    """

    radius: Tensor
    radial: Tensor
    gram: Tensor

    @classmethod
    def of(cls, tensor: Tensor, vectors: Sequence[Tensor], sphere: Sphere) -> _Arc:
        """Measure rows and vectors."""
        rows = sphere_rows(tensor.double(), sphere)
        along = torch.stack([sphere_rows(vector.double(), sphere) for vector in vectors])
        radius = rows.norm(dim=1)
        radial = (along * rows).sum(dim=2) / torch.where(radius > 0, radius, 1.0)
        gram = torch.einsum("kun,lun->klu", along, along) - radial[:, None] * radial
        return cls(radius, radial, gram)

    def coefficients(self, coordinates: Sequence[float]) -> list[Tensor]:
        """Return what each row, and each vector's, is multiplied by; rows of zeros go straight."""
        c = torch.tensor(coordinates, dtype=torch.float64, device=self.radius.device)
        radius = torch.where(self.radius > 0, self.radius, 1.0)
        turned = torch.einsum("k,l,klu->u", c, c, self.gram).clamp(min=0).sqrt() / radius
        grown = c @ self.radial / radius
        share = torch.sinc(turned / torch.pi) * (1 + grown)
        row = (1 + grown) * torch.cos(turned) - grown * share
        straight = self.radius == 0
        row, share = row.masked_fill(straight, 1.0), share.masked_fill(straight, 1.0)
        return [row, *(share * each for each in c)]


def _inner(u: Params, v: Params, names: Sequence[str]) -> float:
    return sum(float((u[name].double() * v[name].double()).sum()) for name in names if name in u and name in v)
