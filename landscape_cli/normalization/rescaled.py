"""A network whose units are rescaled step by step, in float64: large tensors are made one at a time, when asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from landscape_cli.binary.layers import binarize
from landscape_cli.network import Params, outline
from landscape_cli.symmetry import Axis, Symmetry
from landscape_cli.symmetry.transform import rescale_axes, rescalings, spread

LARGE = 1 << 16
"""How many numbers a tensor has of which only the factors are kept."""


class RescaledParams(Mapping[str, Tensor]):
    """A network in float64, as `rescale` makes it, bit for bit, of which no more is in memory than what is asked for.

    Attributes:
        signs: the latent weights that are given as their signs.
        device: where tensors are made.
    """

    def __init__(self, params: Params, symmetry: Symmetry, device: torch.device | None = None) -> None:
        """Begin with a network as it is, which must not change meanwhile; masked ones are in memory as a whole."""
        self.signs: Collection[str] = ()
        self.device = device or next((tensor.device for tensor in params.values()), torch.device("cpu"))
        self._params, self._symmetry = params, symmetry
        self._factors: defaultdict[str, list[tuple[Axis, Tensor]]] = defaultdict(list)
        axes = [scaled for group in (*(each.axes for each in symmetry.scales), symmetry.output) for scaled in group]
        shifted = {s.axis.tensor for s in axes if s.epsilon or s.variance} | {s.variance for s in axes}
        kept = {
            name: tensor
            for name, tensor in params.items()
            if symmetry.masks or name in shifted or not tensor.is_floating_point() or tensor.numel() < LARGE
        }
        self._made = {name: self._exact(tensor) for name, tensor in kept.items()}
        self._in_use: WeakValueDictionary[str, Tensor] = WeakValueDictionary()  # no large one is made twice at once

    def _exact(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, torch.float64 if tensor.is_floating_point() else tensor.dtype)

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor with all that it was multiplied by."""
        if name in self._factors and name not in self.signs and (made := self._in_use.get(name)) is not None:
            return made
        tensor = self._made[name] if name in self._made else self._exact(self._params[name])
        for axis, values in self._factors[name]:
            ours = tensor is not self._params[name]
            tensor = torch.mul(tensor, spread(values, axis, tensor), out=tensor if ours else None)
            self._in_use[name] = tensor
        return binarize(tensor) if name in self.signs else tensor

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tensor, without making it."""
        return name in self._params

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all tensors."""
        return iter(self._params)

    def __len__(self) -> int:
        """Return how many tensors there are."""
        return len(self._params)

    def rescale(self, factors: Mapping[str, Tensor], *, output: float = 1.0) -> None:
        """Multiply the activations of hidden units, and all outputs, as `symmetry.rescale` does.

        Raises:
            GeometryError: as there.
        """
        self._in_use.clear()
        for axes, values in rescalings(self._symmetry, factors, output=output):
            rescale_axes(self._made, [scaled for scaled in axes if scaled.axis.tensor in self._made], values)
            for scaled in axes:
                if scaled.axis.tensor not in self._made and scaled.power:
                    powers = values.to(self.device, torch.float64) ** scaled.power
                    self._factors[scaled.axis.tensor].append((scaled.axis, powers))


class StoredParams(Mapping[str, Tensor]):
    """A network in the dtypes of another, and where that is, its tensors made when they are asked for."""

    def __init__(self, exact: Params, like: Params) -> None:
        """Take the numbers of one network, and the dtypes of another."""
        self._exact, self._like = exact, like

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor."""
        return self._exact[name].to(self._like[name].device, self._like[name].dtype)

    def outline(self, name: str) -> Tensor:
        """Return what has a tensor's shape and type, without making it."""
        return outline(self._like, name)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tensor, without making it."""
        return name in self._exact

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all tensors."""
        return iter(self._exact)

    def __len__(self) -> int:
        """Return how many tensors there are."""
        return len(self._exact)
