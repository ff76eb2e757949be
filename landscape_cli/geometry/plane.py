"""The plane through three networks (docs/method.md: Planes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from landscape_cli.errors import GeometryError
from landscape_cli.forward.combination import Combination, Part
from landscape_cli.geometry.linear import check_alike, combined
from landscape_cli.geometry.surface import Chart, Surface
from landscape_cli.network import Params

COLLINEAR = 1e-6
"""The sine of the smallest angle at a that is told from collinear."""
ROUNDINGS = 4.0
"""How many times the rounding of its tensors a network must lie off the line through the others."""


@dataclass(frozen=True)
class Plane:
    """The plane through networks a, b, c, with an orthonormal basis.

    Attributes:
        networks: a, b and c.
        u: the unit vector from a to b, float64, by tensor.
        v: the unit vector orthogonal to it, in the plane, towards c.
        corners: the coordinates (x, y) of a, b and c, in units of Euclidean distance.
    """

    networks: tuple[Params, Params, Params]
    u: Params
    v: Params
    corners: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

    def network(self, x: float, y: float) -> Combination:
        """Return the network at (x, y), in the dtypes of a: a combination of a, b and c, which are exact."""
        third = y / self.corners[2][1]
        second = (x - third * self.corners[2][0]) / self.corners[1][0]
        weights = (1 - second - third, second, third)

        def parts(name: str) -> list[Part]:
            return [(network[name], weight) for network, weight in zip(self.networks, weights, strict=True)]

        a = self.networks[0]
        return Combination(
            {name: combined(parts(name), t.dtype) if t.is_floating_point() else t for name, t in a.items()}, parts
        )

    def place(self, network: Params) -> tuple[float, float, float]:
        """Return the coordinates of the point that is nearest to a network, and the distance from it.

        Over all floating-point tensors, as those of the corners.
        """
        chart = Chart(Surface(self.networks[0]), (self.u, self.v), tuple(self.u))
        (x, y), distance = chart.project(network)
        return x, y, distance

    def grid(
        self, points: int, margin: float, further: Sequence[Sequence[float]] = ()
    ) -> tuple[list[float], list[float]]:
        """Return x and y coordinates of a grid that holds the corners, and further places.

        It has `margin` times their extent on every side.
        """
        axes = []
        for k in range(2):
            low, high = (bound(place[k] for place in (*self.corners, *further)) for bound in (min, max))
            edge = margin * (high - low)
            axes.append([low - edge + (high - low + 2 * edge) * i / (points - 1) for i in range(points)])
        return axes[0], axes[1]


def span_plane(a: Params, b: Params, c: Params) -> Plane:
    """Return the plane through three networks (Garipov et al., 2018): Gram-Schmidt on b - a and c - a, in float64.

    Raises:
        GeometryError: if the three lie on one line.
    """
    check_alike(a, b)
    check_alike(a, c)
    names = [name for name, tensor in a.items() if tensor.is_floating_point()]
    u = {name: b[name].double() - a[name].double() for name in names}
    w = {name: c[name].double() - a[name].double() for name in names}
    length_u, length_w = _norm(u), _norm(w)
    if length_u == 0 or length_w == 0:
        raise GeometryError("two of the three networks are equal: they span no plane")
    u = {name: tensor / length_u for name, tensor in u.items()}
    shadow = sum(float((w[name] * u[name]).sum()) for name in names)
    v = {name: w[name] - shadow * u[name] for name in names}
    height = _norm(v)
    rounding = max(torch.finfo(a[name].dtype).eps for name in names) * max(_norm(a), _norm(c))
    if height <= max(COLLINEAR * length_w, ROUNDINGS * rounding):
        raise GeometryError("the three networks lie on one line: they span no plane")
    v = {name: tensor / height for name, tensor in v.items()}
    return Plane((a, b, c), u, v, ((0.0, 0.0), (length_u, 0.0), (shadow, height)))


def _norm(vector: Params) -> float:
    return math.sqrt(sum(float(torch.linalg.vector_norm(tensor.double())) ** 2 for tensor in vector.values()))
