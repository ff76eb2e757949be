"""Straight lines between networks (docs/method.md: Geodesics and distances)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from landscape_cli.arguments import check_number, check_tensors
from landscape_cli.errors import GeometryError
from landscape_cli.geometry.path_kind import ParametricPath
from landscape_cli.network import Params


class LinearPath(ParametricPath):
    """Straight lines in the space of all tensors."""

    def at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        """Return the network at τ."""
        return linear(start, end, tau)


def linear(start: Params, end: Params, tau: float) -> dict[str, Tensor]:
    """Return the network at τ on the straight line, (1 - τ) start + τ end (docs/method.md: Paths and barriers).

    Computed in float64; both ends are exact, and tensors that hold no floating-point numbers are the start's.

    Args:
        start: the network at τ = 0.
        end: the network at τ = 1.
        tau: how far along, usually in [0, 1].

    Returns:
        The network, its tensors of the shapes, dtypes and device of `start`'s.

    Raises:
        GeometryError: if the networks do not have the same tensors, or τ is no finite number.
        ModelError: if one is no tensors by name.
    """
    return interpolate(start, end, tau, lambda name, u, v: (1 - tau) * u + tau * v)


def interpolate(
    start: Params, end: Params, tau: float, point: Callable[[str, Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return the network at τ, tensor by tensor; both ends are exact, and what is no float is the start's.

    Args:
        start: the network at τ = 0.
        end: the network at τ = 1.
        tau: how far along.
        point: returns a tensor at τ, given its name and both ends in float64.

    Raises:
        GeometryError: if the networks do not have the same tensors.
    """
    check_number("tau", tau, GeometryError)
    check_alike(start, end)
    if tau in {0.0, 1.0}:
        return dict(start if tau == 0.0 else end)
    result = {}
    for name, u in start.items():
        v = end[name]
        result[name] = point(name, u.double(), v.double()).to(u.dtype) if u.is_floating_point() else u
    return result


def check_alike(a: Params, b: Params) -> None:
    """Check that two networks have the same tensors.

    Raises:
        GeometryError: if they do not.
        ModelError: if one is no tensors by name.
    """
    check_tensors(a)
    check_tensors(b)
    if a.keys() != b.keys() or any(a[name].shape != b[name].shape for name in a):
        raise GeometryError("the two networks do not have the same tensors: they are of different models")
