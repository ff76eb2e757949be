"""Geodesics and distances between networks (docs/method.md: Geodesics and distances)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from landscape_cli.arguments import check_number
from landscape_cli.errors import GeometryError
from landscape_cli.forward.combination import Coefficient, Combination, Part
from landscape_cli.geometry.linear import check_alike, combined
from landscape_cli.geometry.path_kind import ParametricPath
from landscape_cli.network import Params
from landscape_cli.symmetry import Sphere, Symmetry, burn_in
from landscape_cli.symmetry.checks import check_symmetry

SMALL_ANGLE = 1e-7
"""Below it a great circle and its chord agree to rounding; as close to π, no great circle is preferred."""


class AngularDistance(NamedTuple):
    """How far apart two normalised networks are, by the angles of their units.

    Attributes:
        geodesic: the square root of the sum over spheres of (radius × angle)²; where the two radii differ, their mean
            is taken and their difference counts as one more direction.
        rms_angle: the root mean square over spheres of the angle, in radians.
    """

    geodesic: float
    rms_angle: float


class GeodesicPath(ParametricPath):
    """Geodesics between normalised networks."""

    needs_symmetry = True
    needs_normalized = True

    def along(self, start: Params, end: Params, taus: Sequence[float]) -> Iterator[Params]:
        """Yield the networks at some τ, as combinations of both ends."""
        assert self.symmetry is not None
        curve = Geodesic(start, end, self.symmetry)
        for tau in taus:
            yield curve.at(tau)

    def at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        """Return the network at τ."""
        assert self.symmetry is not None
        return geodesic(start, end, tau, self.symmetry)


def geodesic(start: Params, end: Params, tau: float, symmetry: Symmetry) -> dict[str, Tensor]:
    """Return the network at τ on the geodesic between two normalised networks (Pittorino et al., 2022).

    See docs/method.md: Geodesics and distances.

    Every hidden unit's incoming weights, and the last layer's weights as a whole, move along a great circle; where
    the norms of the two ends differ, they are interpolated linearly. All else moves linearly. Angles are computed in
    float64, networks in their type, float32 at least; both ends are exact.

    Args:
        start: the network at τ = 0.
        end: the network at τ = 1.
        tau: how far along, usually in [0, 1].
        symmetry: the symmetry of both, whose spheres are walked on.

    Returns:
        The network, its tensors of the shapes, dtypes and device of `start`'s.

    Raises:
        GeometryError: if the networks do not have the same tensors, the symmetry is of another model, or τ is no
            finite number.
        ModelError: if one is no tensors by name.

    Warns:
        UserWarning: if two units are antipodes, so that one great circle of many had to be chosen.
    """
    check_number("tau", tau, GeometryError)
    if tau in {0.0, 1.0}:
        check_symmetry(symmetry, start)
        check_alike(start, end)
        return dict(start if tau == 0.0 else end)
    return Geodesic(start, end, symmetry).at(tau)


class Geodesic:
    """The geodesic between two normalised networks, whose angles are found once for all its points."""

    def __init__(self, start: Params, end: Params, symmetry: Symmetry) -> None:
        """Measure the angles between units, and their norms, in float64.

        Raises:
            GeometryError, ModelError: as `geodesic` does.
        """
        check_symmetry(symmetry, start)
        check_alike(start, end)
        self._start, self._end = burn_in(start, symmetry), burn_in(end, symmetry)
        self._arcs: dict[str, _Arc] = {}
        for sphere in symmetry.spheres:
            u, v = (sphere_rows(network[sphere.tensor].double(), sphere) for network in (self._start, self._end))
            self._arcs[sphere.tensor] = _Arc(sphere, (u.norm(dim=1), v.norm(dim=1)), angle(u, v))

    def at(self, tau: float) -> Combination:
        """Return the network at τ, a combination of both ends.

        Warns:
            UserWarning: as `geodesic` does.
        """
        tensors = {
            name: self._point(name, tau) if tensor.is_floating_point() else tensor
            for name, tensor in self._start.items()
        }
        apart = sum(int(arc.opposite.sum()) for arc in self._arcs.values())
        if apart:
            warnings.warn(
                f"{apart} units are antipodes of their counterparts: every great circle between them is as short, one "
                "is taken",
                stacklevel=3,
            )
        return Combination(tensors, partial(self._parts, tau))

    def _point(self, name: str, tau: float) -> Tensor:
        u, v, arc = self._start[name], self._end[name], self._arcs.get(name)
        if arc is None:
            return combined(self._parts(tau, name), u.dtype)
        ends = sphere_rows(u, arc.sphere), sphere_rows(v, arc.sphere)
        rows = combined(list(zip(ends, arc.coefficients(tau), strict=True)), u.dtype)
        if bool(arc.opposite.any()):
            start, end = (of_end[arc.opposite].double() for of_end in ends)
            rows[arc.opposite] = _any_great_circle(start, end, tau).to(u.dtype)
        return from_sphere_rows(rows, u.shape, arc.sphere)

    def _parts(self, tau: float, name: str) -> Sequence[Part]:
        arc = self._arcs.get(name)
        if arc is None:
            weights: tuple[Coefficient, Coefficient] = (1 - tau, tau)
        elif arc.sphere.dim == 0 and not bool(arc.opposite.any()):
            weights = arc.coefficients(tau)
        else:
            return ()
        return list(zip((self._start[name], self._end[name]), weights, strict=True))


@dataclass(frozen=True, eq=False)
class _Arc:
    """The great circles that the units of one tensor move along.

    Attributes:
        sphere: of the tensor.
        norms: of the units in both networks, each of shape (units,), float64.
        theta: the angles between them, likewise.
    """

    sphere: Sphere
    norms: tuple[Tensor, Tensor]
    theta: Tensor

    @property
    def opposite(self) -> Tensor:
        """Which units are antipodes, so that no great circle is preferred."""
        return math.pi - self.theta < SMALL_ANGLE

    def coefficients(self, tau: float) -> tuple[Tensor, Tensor]:
        """Return what each unit of both networks is multiplied by; norms move linearly."""
        start, end = self.norms
        norm, sine = (1 - tau) * start + tau * end, torch.sin(self.theta)
        straight = self.theta < SMALL_ANGLE
        from_start = torch.where(straight, 1 - tau, norm * torch.sin((1 - tau) * self.theta) / (sine * start))
        from_end = torch.where(straight, tau, norm * torch.sin(tau * self.theta) / (sine * end))
        return from_start, from_end


def angular_distance(a: Params, b: Params, symmetry: Symmetry) -> AngularDistance:
    """Return the geodesic distance of two networks and the angle between them, in float64.

    See docs/method.md: Geodesics and distances.

    They mean something if both are normalised, and most if they are aligned. Of parameters alone, each counted once.

    Raises:
        GeometryError: if the networks do not have the same tensors.
    """
    check_alike(a, b)
    squared, angles = 0.0, []
    learned = set(symmetry.parameters)
    for sphere in symmetry.spheres:
        if sphere.tensor not in learned:  # another name of one that was counted
            continue
        u, v = (sphere_rows(network[sphere.tensor].double(), sphere) for network in (a, b))
        radii = u.norm(dim=1), v.norm(dim=1)
        theta = angle(u, v)
        angles.append(theta)
        along = (radii[0] + radii[1]) / 2 * theta
        squared += float((along.square() + (radii[0] - radii[1]).square()).sum())
    every = torch.cat(angles) if angles else torch.zeros(1, dtype=torch.float64)
    return AngularDistance(math.sqrt(squared), float(every.square().mean().sqrt()))


def angle(u: Tensor, v: Tensor) -> Tensor:
    """Return the angles between rows, in radians, shape (rows,), float64; 0 where a row is zero.

    As 2·atan2(|û - v̂|, |û + v̂|): the arc cosine would lose every angle below 1e-8 even in float64.
    """
    norm_u, norm_v = u.norm(dim=1, keepdim=True), v.norm(dim=1, keepdim=True)
    zero = ((norm_u == 0) | (norm_v == 0))[:, 0]
    u, v = u / norm_u, v / norm_v
    theta = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))
    return torch.where(zero, torch.zeros_like(theta), theta)


def _any_great_circle(u: Tensor, v: Tensor, tau: float) -> Tensor:
    """Move rows to their antipodes through the axis that is most nearly orthogonal; in one dimension, straight."""
    if u.shape[1] == 1:
        return (1 - tau) * u + tau * v
    norm_u, norm_v = u.norm(dim=1, keepdim=True), v.norm(dim=1, keepdim=True)
    unit = u / norm_u
    way = torch.zeros_like(unit).scatter_(1, unit.abs().argmin(dim=1, keepdim=True), 1.0)
    way = way - (way * unit).sum(dim=1, keepdim=True) * unit
    way = way / way.norm(dim=1, keepdim=True)
    direction = math.cos(math.pi * tau) * unit + math.sin(math.pi * tau) * way
    moved: Tensor = ((1 - tau) * norm_u + tau * norm_v) * direction
    return moved


def sphere_rows(tensor: Tensor, sphere: Sphere) -> Tensor:
    """Return one row for each unit that has a sphere of its own; one for the whole of a last layer."""
    if sphere.dim is None:
        return tensor.reshape(1, -1)
    return tensor.movedim(sphere.dim, 0).reshape(tensor.shape[sphere.dim], -1)


def from_sphere_rows(rows: Tensor, shape: torch.Size, sphere: Sphere) -> Tensor:
    """Return the tensor of a shape that has these rows, as `sphere_rows` returns them."""
    if sphere.dim is None:
        return rows.reshape(shape)
    moved = torch.empty(shape).movedim(sphere.dim, 0).shape
    return rows.reshape(moved).movedim(0, sphere.dim)
