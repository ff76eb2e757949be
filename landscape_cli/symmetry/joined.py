"""Tensors taken as one, side by side along an axis: units that trade places across several live along that one.

Two layers whose results are summed have one group of units between them. Its axis is that of both weights, joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from landscape_cli.network import Params, outline


@dataclass(frozen=True)
class Joined:
    """Tensors that are taken as one.

    Attributes:
        tensors: their names, in order.
        dim: the axis along which they lie side by side.
        sizes: how long each is there.
    """

    tensors: tuple[str, ...]
    dim: int
    sizes: tuple[int, ...]

    @property
    def name(self) -> str:
        """What the one tensor is called: no tensor of a model is."""
        return " + ".join(self.tensors)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each begins along the axis."""
        return tuple(accumulate(self.sizes, initial=0))[:-1]

    def put(self, params: Mapping[str, Tensor]) -> Tensor:
        """Return the one tensor."""
        return torch.cat([params[name] for name in self.tensors], dim=self.dim)

    def part(self, name: str, tensor: Tensor) -> Tensor:
        """Return that part of the one tensor which is the tensor of this name."""
        at = self.tensors.index(name)
        return tensor.narrow(self.dim, self.starts[at], self.sizes[at])

    def outline(self, params: Params) -> Tensor:
        """Return a tensor of the one's shape and type, without making it."""
        shape = list(outline(params, self.tensors[0]).shape)
        shape[self.dim] = sum(self.sizes)
        return torch.zeros((), dtype=outline(params, self.tensors[0]).dtype).expand(shape)


class JoinedParams(Mapping[str, Tensor]):
    """A network in which joined tensors stand in place of those that they are made of, made when they are asked for."""

    def __init__(self, params: Params, joined: Iterable[Joined]) -> None:
        """Take a network, which must not change meanwhile."""
        self._params, self._joined = params, {each.name: each for each in joined}
        inside = {name for each in self._joined.values() for name in each.tensors}
        self._names = [*(name for name in params if name not in inside), *self._joined]

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor, a joined one anew."""
        return self._joined[name].put(self._params) if name in self._joined else self._params[name]

    def outline(self, name: str) -> Tensor:
        """Return what has a tensor's shape and type, without making it."""
        return self._joined[name].outline(self._params) if name in self._joined else outline(self._params, name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all tensors."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return how many tensors there are."""
        return len(self._names)


def join(params: Params, joined: Sequence[Joined]) -> Params:
    """Return a network in which joined tensors stand in place of those that they are made of."""
    return JoinedParams(params, joined) if joined else params


def unjoin(params: Params, joined: Sequence[Joined]) -> dict[str, Tensor]:
    """Return a network with the tensors that joined ones are made of in place of these: `join` undone."""
    result = {name: tensor for name, tensor in params.items() if name not in {each.name for each in joined}}
    for each in joined:
        whole = params[each.name]
        result |= {name: each.part(name, whole) for name in each.tensors}
    return result
