"""Networks that are combinations of others, as points on a line, in a plane or in a simplex are, and know of which.

Whoever evaluates many of them can compute what is linear in their tensors once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, lerp

from landscape_cli.network import Params

Coefficient = float | Tensor
"""What a tensor is multiplied by: a number, or one for each unit (index of the first axis), shape (units,)."""
Part = tuple[Tensor, Coefficient]
"""A tensor of a network that others are made of, and its coefficient."""


class Combination(dict[str, Tensor]):
    """A network, tensors by name, that knows what it is a combination of.

    Attributes:
        parts: returns, by name, the parts whose sum a tensor is, up to rounding; nothing where that is not known. The
            tensors are the same objects for all networks made of the same others.
    """

    def __init__(self, tensors: Params, parts: Callable[[str], Sequence[Part]]) -> None:
        """Take over the tensors."""
        super().__init__(tensors)
        self.parts = parts


def alone(network: Params) -> Combination:
    """Return a network as a combination of itself, so that it shares with those made of it."""
    return Combination(network, lambda name: ((network[name], 1.0),))


def with_tensors(network: Params, tensors: Mapping[str, Tensor]) -> Params:
    """Return other forms of a network's tensors (on a device, in a layout), as the combination that it is, if it is."""
    return Combination(tensors, network.parts) if isinstance(network, Combination) else tensors


def combine(parts: Sequence[Part], *, units: int = 0) -> Tensor:
    """Return the sum of some tensors times their coefficients, in their type and in memory of its own.

    Where two numbers add up to 1, tensors that agree give their very numbers, and an end its own.

    Args:
        parts: one or more; coefficients by unit are cast to the tensor's type.
        units: the axis that coefficients by unit run along.
    """
    (first, weight), *others = parts
    if len(others) == 1 and isinstance(weight, float) and isinstance(others[0][1], float):
        second, share = others[0]
        if weight == 1 - share:
            return lerp(first, second, share)
    total = first * (_along(weight, first, units) if isinstance(weight, Tensor) else weight)
    for tensor, coefficient in others:
        if isinstance(coefficient, Tensor):
            total.addcmul_(tensor, _along(coefficient, tensor, units))
        else:
            total.add_(tensor, alpha=coefficient)
    return total


def _along(coefficient: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """Return coefficients by unit in the shape that multiplies a tensor along an axis."""
    shape = [1] * tensor.ndim
    shape[axis] = len(coefficient)
    return coefficient.to(tensor.dtype).view(shape)
