"""The cosines of a reference's units with those of a network that are matched to them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.network import Params, outline
from landscape_cli.symmetry import Axis, Joined, Places, Role, join

STATES = 4
"""Of how many matchings what was computed of a tensor is kept."""
Sums = tuple[Tensor, Tensor, Tensor]
"""For every place along some axes of a tensor: the product of reference and network, and the square of each."""


class Cosines:
    """The cosines between a reference and a network, of matchings: each computed once, by what was moved of a tensor.

    A matching is asked for its sum where it is found, where it is compared, and where it is reported.
    """

    def __init__(self, reference: Params, params: Params) -> None:
        """Take the networks, which must not change; nothing is computed yet."""
        self._reference, self._params = reference, params
        self._squares: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        self._known: defaultdict[tuple[str, tuple[int, ...]], dict[bytes, tuple[Tensor, Tensor]]] = defaultdict(dict)

    def total(self, matching: UnitMatching, axes: Iterable[Axis]) -> float:
        """Return the sum of the cosines of matched units, of each place once."""
        on: defaultdict[tuple[str, tuple[int, ...]], list[Axis]] = defaultdict(list)
        for axis in axes:
            on[axis.tensor, axis.dims].append(axis)
        total = 0.0
        for along in on.values():
            axis = along[0]
            if len(along) > 1:
                places = np.unique(np.concatenate([each.places.table.ravel() for each in along]))
                axis = replace(axis, places=Places(places[:, None]))
            total += float(self._of(matching, axis).sum(dtype=torch.float64))
        return total

    def means(self, matching: UnitMatching, axes: Mapping[str, Iterable[Axis]]) -> dict[str, float]:
        """Return what `mean_cosine` does of the network as matched."""
        return _means({name: [self._of(matching, axis) for axis in of_group] for name, of_group in axes.items()})

    def _of(self, matching: UnitMatching, axis: Axis) -> Tensor:
        name, place = axis.tensor, (axis.tensor, axis.dims)
        known, state = self._known[place], matching.state_of(name)
        if state not in known:
            reference, moved = self._reference[name], matching.apply(name, self._params[name])
            if place not in self._squares:
                self._squares[place] = products(reference, reference, axis.dims)
            if len(known) == STATES:
                del known[next(iter(known))]
            known[state] = products(reference, moved, axis.dims), products(moved, moved, axis.dims)
        dots, squares = known[state]
        return _cosines((dots, self._squares[place], squares), outline(self._params, name).shape, axis)


def mean_cosine(
    reference: Params, params: Params, axes: Mapping[str, Iterable[Axis]], joined: Sequence[Joined] = ()
) -> dict[str, float]:
    """Return by group the mean over units, and over the places where `axes` has them, of the cosine between networks.

    Units that have one number each at some place, but for an incoming weight, are taken together as one vector there.
    Tensors that are `joined` are taken as one.
    """
    reference, params = join(reference, joined), join(params, joined)

    def between(axis: Axis) -> Tensor:
        left, right, dims = reference[axis.tensor], params[axis.tensor], axis.dims
        sums = products(left, right, dims), products(left, left, dims), products(right, right, dims)
        return _cosines(sums, right.shape, axis)

    return _means({name: [between(axis) for axis in of_group] for name, of_group in axes.items()})


def _means(values: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    return {name: float(torch.cat(list(each)).double().mean()) for name, each in values.items() if each}


def _cosines(sums: Sums, shape: torch.Size, axis: Axis) -> Tensor:
    """Return the cosine at every place of the axis; a zero vector's is 0."""
    table = torch.tensor(axis.places.table, device=sums[0].device)
    at_places = [each[table] for each in sums]
    if axis.role is not Role.INCOMING and shape.numel() == math.prod(shape[dim] for dim in axis.dims):
        at_places = [each.sum()[None] for each in at_places]
    dots, reference_squares, squares = (each.flatten() for each in at_places)
    norms = reference_squares.sqrt() * squares.sqrt()
    return torch.where(norms > 0, dots / norms, 0.0)


def products(left: Tensor, right: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the inner product of what two tensors hold at every place along `dims`, shape (places,)."""
    dtype = precision(left)
    places = math.prod(left.shape[dim] for dim in dims)
    rows = [tensor.movedim(tuple(dims), tuple(range(len(dims)))) for tensor in (left, right)]
    left, right = (row.reshape(places, 1, -1).to(dtype) for row in rows)
    return torch.bmm(left, right.transpose(1, 2)).flatten()


def precision(tensor: Tensor) -> torch.dtype:
    """Return the type that products of a tensor are summed in."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
