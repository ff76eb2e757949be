"""Geodesics and distances between networks (docs/method.md: Geodesics and distances)."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from landscape_cli.geometry.linear import check_alike, interpolate
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

    def at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        """Return the network at τ."""
        assert self.symmetry is not None
        return geodesic(start, end, tau, self.symmetry)


def geodesic(start: Params, end: Params, tau: float, symmetry: Symmetry) -> dict[str, Tensor]:
    """Return the network at τ on the geodesic between two normalised networks (Pittorino et al., 2022).

    See docs/method.md: Geodesics and distances.

    Every hidden unit's incoming weights, and the last layer's weights as a whole, move along a great circle; where
    the norms of the two ends differ, they are interpolated linearly. All else moves linearly. Computed in float64,
    returned in `start`'s dtypes; both ends are exact.

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
    check_symmetry(symmetry, start)
    spheres = {sphere.tensor: sphere for sphere in symmetry.spheres}
    if tau not in (0.0, 1.0):  # where the ends are returned as they are
        start, end = burn_in(start, symmetry), burn_in(end, symmetry)

    def point(name: str, u: Tensor, v: Tensor) -> Tensor:
        if name not in spheres:
            return (1 - tau) * u + tau * v
        sphere = spheres[name]
        rows = _slerp(sphere_rows(u, sphere), sphere_rows(v, sphere), tau)
        return from_sphere_rows(rows, u.shape, sphere)

    return interpolate(start, end, tau, point)


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


def _slerp(u: Tensor, v: Tensor, tau: float) -> Tensor:
    """Move rows along great circles and their norms linearly; float64, shape (rows, inputs)."""
    norm_u, norm_v = u.norm(dim=1, keepdim=True), v.norm(dim=1, keepdim=True)
    theta = angle(u, v)[:, None]
    straight = (1 - tau) * u + tau * v
    from_u, from_v = torch.sin((1 - tau) * theta), torch.sin(tau * theta)
    direction = (from_u * (u / norm_u) + from_v * (v / norm_v)) / torch.sin(theta)
    curved = ((1 - tau) * norm_u + tau * norm_v) * direction
    result = torch.where(theta < SMALL_ANGLE, straight, curved)
    opposite = (math.pi - theta < SMALL_ANGLE)[:, 0]
    if bool(opposite.any()):
        warnings.warn(
            f"{int(opposite.sum())} units are antipodes of their counterparts: every great circle between them is as "
            "short, one is taken",
            stacklevel=4,
        )
        result[opposite] = _any_great_circle(u[opposite], v[opposite], tau)
    return result


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
