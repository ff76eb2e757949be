"""Straight lines between networks (docs/method.md: Geodesics and distances)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from landscape_cli.arguments import check_number, check_tensors
from landscape_cli.errors import GeometryError
from landscape_cli.forward.combination import Combination, Part, combine
from landscape_cli.geometry.path_kind import ParametricPath
from landscape_cli.network import Params


class LinearPath(ParametricPath):
    """Straight lines in the space of all tensors."""

    def along(self, start: Params, end: Params, taus: Sequence[float]) -> Iterator[Params]:
        """Yield the networks at some τ, as combinations of both ends."""
        for tau in taus:
            yield Combination(linear(start, end, tau), partial(_parts, start, end, tau))

    def at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        """Return the network at τ."""
        return linear(start, end, tau)


def linear(start: Params, end: Params, tau: float) -> dict[str, Tensor]:
    """Return the network at τ on the straight line, (1 - τ) start + τ end (docs/method.md: Paths and barriers).

    Computed in the tensors' type, float32 at least; both ends are exact, and so is what they agree in; tensors that
    hold no floating-point numbers are the start's.

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
    check_number("tau", tau, GeometryError)
    check_alike(start, end)
    if tau in {0.0, 1.0}:
        return dict(start if tau == 0.0 else end)
    return {
        name: combined(_parts(start, end, tau, name), u.dtype) if u.is_floating_point() else u
        for name, u in start.items()
    }


def combined(parts: Sequence[Part], dtype: torch.dtype) -> Tensor:
    """Return what tensors of a network, in any floating-point types, add up to, computed in float32 at least.

    Args:
        parts: the tensors and their coefficients, by unit along their first axis.
        dtype: the type of the result, which is computed in where it is float32 or float64.
    """
    working = torch.promote_types(dtype, torch.float32)
    return combine([(tensor.to(working), weight) for tensor, weight in parts]).to(dtype)


def _parts(start: Params, end: Params, tau: float, name: str) -> tuple[Part, Part]:
    return (start[name], 1 - tau), (end[name], tau)


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
