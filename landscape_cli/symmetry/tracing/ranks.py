"""Numbers of places in the order of what stands there, as top-k returns them: which rank each has, and of how many.

Where some of what is ordered is the same at several places, the first of these counts. So ranks name units only as far
as all that come before are told apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.layers import Layer, compress

ORDERING = frozenset({"topk", "sort", "argsort", "argmax", "argmin", "max", "min", "amax", "amin", "kthvalue"})
"""Operators that return numbers in their order, where they were, or both."""


@dataclass(frozen=True)
class Order:
    """Places along an axis in their order, or what stands there.

    Attributes:
        shape: of the tensor that holds them.
        ranks: a layer of which each is, the first 0.
        beside: a layer of where it is along all other axes.
        of: the tensor that was ordered, and how often it was written into until then.
        axis: along which of its axes.
        size: how many places it has there.
        sure: how many of the first are told apart from all others.
        largest: whether the largest come first.
    """

    shape: tuple[int, ...]
    ranks: Layer
    beside: Layer
    of: tuple[Tensor, int]
    axis: int
    size: int
    sure: int
    largest: bool

    @property
    def is_told(self) -> bool:
        """Whether all of these are told apart from those that are left out."""
        return self.sure >= self.size or int(self.ranks.max()) < self.sure

    def moved(self, move: Callable[[Tensor], Any]) -> Iterator[Order]:
        """Yield what is so of each tensor that an operator makes that moves places about."""
        both = [move(layer.expand(self.shape).contiguous()) for layer in (self.ranks, self.beside)]
        for ranks, beside in zip(*([each] if isinstance(each, Tensor) else each for each in both), strict=True):
            yield replace(self, shape=tuple(ranks.shape), ranks=compress(ranks), beside=compress(beside))

    def are_apart(self, axes: Sequence[int]) -> bool:
        """Tell whether along these axes no place is named twice."""
        long = [axis for axis in axes if self.shape[axis] > 1]
        if any(self.beside.shape[axis] > 1 for axis in long):
            return False
        count = math.prod(self.shape[axis] for axis in long)
        sizes = [self.shape[axis] if axis in long else size for axis, size in enumerate(self.ranks.shape)]
        lines = self.ranks.expand(sizes).movedim(long, list(range(-len(long), 0))).reshape(-1, count).sort(1).values
        return bool((lines.diff(dim=1) > 0).all())


def ordered(
    shape: Sequence[int], of: tuple[Tensor, int], axis: int, sure: int, *, largest: bool, along: int | None
) -> Order:
    """Return the order of the places along an axis of a new tensor; without an axis, of the first of them alone."""
    rank = len(shape)
    beside = [1 if k == along else size for k, size in enumerate(shape)]
    ranks = [size if k == along else 1 for k, size in enumerate(shape)]
    return Order(
        tuple(shape),
        torch.arange(math.prod(ranks)).view(ranks) if rank else torch.zeros((), dtype=torch.int64),
        compress(torch.arange(math.prod(beside)).view(beside)),
        of,
        axis,
        of[0].shape[axis],
        sure,
        largest,
    )


def argument(args: Sequence[Any], kwargs: Mapping[str, Any], index: int, name: str, default: Any = None) -> Any:
    """Return an argument of an operator, or its default where ATen left it out."""
    return args[index] if len(args) > index else kwargs.get(name, default)


def ordered_axis(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: int) -> int | None:
    """Return along which axis an operator orders numbers, or takes the first of them; None if along none alone."""
    rank = args[0].ndim if isinstance(args[0], Tensor) else 0
    if not rank or (name in {"max", "min"} and outputs < 2):
        return None
    if name in {"amax", "amin"}:
        return reduced_axis(args, kwargs)
    index = 2 if name in {"topk", "kthvalue"} else 1
    axis = kwargs.get("dim") if "stable" in kwargs or "dim" in kwargs else argument(args, kwargs, index, "dim")
    if axis is None and name in {"argmax", "argmin"} and rank > 1:
        return None
    return int(-1 if axis is None else axis) % rank


def largest_first(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an operator that orders numbers has the largest first."""
    if name in {"sort", "argsort"}:
        return bool(kwargs.get("descending", any(arg is True for arg in args[1:])))
    return name in {"max", "argmax", "amax"} or (name == "topk" and bool(argument(args, kwargs, 3, "largest", True)))


def reduced_axis(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """Return the one axis that is reduced; None if it is not one."""
    axes = argument(args, kwargs, 1, "dim")
    axes = [axes] if isinstance(axes, int) and not isinstance(axes, bool) else axes
    return int(axes[0]) % args[0].ndim if isinstance(axes, list | tuple) and len(axes) == 1 and args[0].ndim else None
