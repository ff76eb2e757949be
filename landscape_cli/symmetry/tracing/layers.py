"""What tracing knows of a tensor, and what happens to that when places are moved about.

Knowledge about places is kept in *layers*: whole numbers in the shape of the tensor, of size 1 along every axis that
they do not depend on. So an operator that moves places about moves the numbers about just as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import prod

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.integers import Array, Hash, mix

Layer = Tensor
Power = int | Fraction
"""Whole wherever it can be: fractions take fifty times as long."""
Term = tuple[Layer, Power]
Terms = tuple[Term, ...]
"""The logarithm of a scale (or a sign, in bits): a sum of variables, with their powers; variable 0 is 0."""


@dataclass(frozen=True)
class Parameter:
    """A tensor of the model that a value is a view of, with the model's axis behind each of the value's."""

    name: str
    dims: tuple[int | None, ...]


@dataclass(frozen=True)
class Value:
    """What tracing knows of a tensor.

    Attributes:
        shape: the tensor's shape.
        labels: layers whose tuples say what lives at each place (tracing/labels.py); together they tell apart all
            places along every axis longer than 1.
        scale: of the entries, when units are rescaled.
        sign: of the entries, when units are flipped.
        parameter: the tensor of the model that this is a view of, if it is.
        piece: that of which it is some places, if it is no more.
        zero: whether it is known to be 0 everywhere.
        copies: whether it is the same all along some axes, where labels then need not tell places apart.
        norm: whether it is a norm, which is 0 for zeros alone.
        lone: units that it holds alone of those along an axis, and who reads it uses so: layers of one place.
        unread: whether it is some places of a tensor, taken for their numbers or for no more than their shape.
    """

    shape: tuple[int, ...]
    labels: tuple[Layer, ...]
    scale: Terms = ()
    sign: Terms = ()
    parameter: Parameter | None = None
    piece: Parameter | None = None
    zero: bool = False
    copies: bool = False
    norm: bool = False
    lone: tuple[Layer, ...] = ()
    unread: bool = False

    def layers(self, change: Callable[[Layer], Layer], shape: Sequence[int]) -> Value:
        """Return a value of this shape with every layer changed alike."""
        return Value(
            tuple(shape),
            distinct(change(layer) for layer in self.labels),
            tuple((change(layer), power) for layer, power in self.scale),
            tuple((change(layer), power) for layer, power in self.sign),
            zero=self.zero,
            copies=self.copies,
        )

    @property
    def behind(self) -> Parameter | None:
        """The tensor of the model that this is a view of, or some places of."""
        return self.parameter or self.piece

    def with_behind(self, dims: Sequence[int | None], of: Value) -> Value:
        """Return the same as a view of what another value is a view of, whose axes are these."""
        whole, piece = (each and replace(each, dims=tuple(dims)) for each in (of.parameter, of.piece))
        return replace(self, parameter=whole, piece=piece)

    def only(self, *, scale: bool = True, sign: bool = True) -> Value:
        """Return the same without its scale or its sign, which the caller has accounted for."""
        scales, signs = self.scale if scale else (), self.sign if sign else ()
        return replace(self, scale=scales, sign=signs, parameter=None)


def distinct(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return layers that tell something, each once."""
    kept: list[Layer] = []
    for layer in layers:
        if layer.numel() > 1 and not any(_same(layer, before) for before in kept):
            kept.append(layer)
    return tuple(kept)


def _same(left: Layer, right: Layer) -> bool:
    return left is right or (left.shape == right.shape and torch.equal(left, right))


def compress(full: Tensor) -> Layer:
    """Return a layer with size 1 along every axis that it does not depend on."""
    for axis, (size, stride) in enumerate(zip(full.shape, full.stride(), strict=True)):
        if size > 1 and (stride == 0 or _is_alike(full, axis)):
            full = full.narrow(axis, 0, 1)
    return full


def _is_alike(full: Tensor, axis: int) -> bool:
    """Tell whether numbers are the same all along an axis: units mostly differ from the first to the second."""
    if full.dtype == torch.int64 and full.numel():
        numbers = full.numpy()
        first = (0,) * numbers.ndim
        second = (*first[:axis], 1, *first[axis + 1 :])
        if numbers[first] != numbers[second]:
            return False
    return bool((full == full.narrow(axis, 0, 1)).all())


def covered(layer: Layer) -> frozenset[int]:
    """Return the axes that a layer depends on."""
    return _longer(layer.shape)


@cache
def _longer(shape: Sequence[int]) -> frozenset[int]:
    return frozenset(axis for axis, size in enumerate(shape) if size > 1)


def along(numbers: Tensor, axis: int, rank: int) -> Layer:
    """Return a layer that depends on one axis."""
    return numbers.view([-1 if k == axis else 1 for k in range(rank)])


def aligned(layer: Layer, rank: int) -> Layer:
    """Return a layer with axes of size 1 put in front, as broadcasting does."""
    return layer if layer.ndim == rank else layer.reshape((1,) * (rank - layer.ndim) + tuple(layer.shape))


def moved(value: Value, move: Callable[[Tensor], Tensor], shape: Sequence[int]) -> Value:
    """Return what is known after an operator that only moves places about, which works on numbers as well."""
    return value.layers(lambda layer: compress(move(layer.expand(value.shape))), shape)


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """Return what is known after a row-major reshape."""
    pieces = pieces_of(value.shape, shape)

    def change(layer: Layer) -> Layer:
        before: list[int] = []
        after: list[int] = []
        for old, new, _ in pieces:
            sizes = layer.shape[len(before) : len(before) + len(old)]
            alone = prod(sizes) == 1
            before += [1] * len(old) if alone else old
            after += [1] * len(new) if alone else new
        return compress(layer.expand(before).reshape(after))

    return value.layers(change, shape)


def pieces_of(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int], int]]:
    """Cut two shapes into the smallest runs of axes with equal products; return also where each starts in the first."""
    pieces = []
    i = j = 0
    while i < len(old) or j < len(new):
        before, after = list(old[i : i + 1]), list(new[j : j + 1])
        while prod(before) != prod(after):
            if len(before) < len(old) - i and (prod(before) < prod(after) or j + len(after) == len(new)):
                before.append(old[i + len(before)])
            else:
                after.append(new[j + len(after)])
        pieces.append((before, after, i))
        i, j = i + len(before), j + len(after)
    return pieces


def to_layer(numbers: object) -> Layer:
    """Return an array of whole numbers as a layer."""
    if isinstance(numbers, np.ndarray) and numbers.dtype == np.int64 and numbers.flags.c_contiguous:
        return torch.from_numpy(numbers)
    return torch.as_tensor(numbers, dtype=torch.int64)


def flat(first: Layer, second: Layer) -> tuple[Array, Array]:
    """Return what two layers say of the same places, in their order."""
    first, second = torch.broadcast_tensors(first, second)
    return first.reshape(-1).numpy(), second.reshape(-1).numpy()


def together(layers: Sequence[Layer]) -> Layer:
    """Return a layer that says what several do together."""
    if len(layers) == 1:
        return layers[0]
    key: Hash = np.zeros([1] * layers[0].ndim, dtype=np.uint64)
    for layer in layers:
        key = mix(key + mix(layer.numpy().astype(np.uint64)))
    return to_layer(key.view(np.int64))


def reach(layers: Sequence[Layer]) -> frozenset[int]:
    """Return the axes that any of some layers depends on."""
    return frozenset().union(*map(covered, layers))
