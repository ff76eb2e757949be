"""A network's labels and signs as chosen so far, and its tensors seen through them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array, Nesting
from landscape_cli.symmetry import Axis, PermutationGroup, SignGroup, Symmetry, sources, spread, take

Dims = tuple[int, ...]


class Map:
    """Which groups live where: the symmetry by tensor."""

    def __init__(self, symmetry: Symmetry) -> None:
        """Sort the axes of all groups by their tensors."""
        self.symmetry = symmetry
        self.nesting = Nesting(symmetry)
        self.shapes = dict(symmetry.shapes)
        self.permutations: defaultdict[str, list[tuple[PermutationGroup, Axis]]] = defaultdict(list)
        self.signs: defaultdict[str, list[tuple[SignGroup, Axis]]] = defaultdict(list)
        for group in symmetry.permutations:
            for axis in group.axes:
                self.permutations[axis.tensor].append((group, axis))
        for flips in symmetry.signs:
            for axis in flips.axes:
                self.signs[axis.tensor].append((flips, axis))


class Labelling:
    """Which unit of a network is matched to each unit of the reference, and which of its units are flipped.

    Attributes:
        map: which groups live where.
        pairs: by permutation group: for each unit of the reference the network's unit matched to it.
        permutations: the same as relabellings, one of units within their blocks and one of the blocks.
        signs: by sign group: ±1 for each of the network's units, as the network is labelled; applied first.
    """

    def __init__(self, where: Map) -> None:
        """Start with the network as it is."""
        self.map = where
        self.pairs: dict[str, Array] = {g.name: np.arange(g.units) for g in where.symmetry.permutations}
        self.permutations = where.nesting.permutations(self.pairs)
        self.signs = {g.name: torch.ones(g.size) for g in where.symmetry.signs}
        self.flipped: set[str] = set()

    def copy(self) -> Labelling:
        """Return a labelling that starts where this one is."""
        other = Labelling.__new__(Labelling)
        other.map = self.map
        other.restore(self)
        return other

    def restore(self, other: Labelling) -> None:
        """Go back to another labelling of the network."""
        self.pairs, self.permutations = dict(other.pairs), dict(other.permutations)
        self.signs, self.flipped = dict(other.signs), set(other.flipped)

    def pair(self, pairs: Mapping[str, Array]) -> bool:
        """Match units as `pairs`, by group, says; tell whether that changed anything."""
        changed = any(not np.array_equal(self.pairs[name], found) for name, found in pairs.items())
        if changed:
            self.pairs |= pairs
            self.permutations |= self.map.nesting.permutations(self.pairs)
        return changed

    def flip(self, name: str, signs: Tensor) -> bool:
        """Flip the network's units where `signs` is negative; tell whether that changed anything."""
        changed = not torch.equal(self.signs[name], signs)
        if changed:
            self.signs[name] = signs
            self.flipped = self.flipped | {name} if bool((signs < 0).any()) else self.flipped - {name}
        return changed

    def seen(
        self,
        name: str,
        tensor: Tensor,
        *,
        moves: Callable[[PermutationGroup, Axis], bool] = lambda group, axis: True,
        flips: Callable[[SignGroup, Axis], bool] = lambda group, axis: True,
    ) -> Tensor:
        """Return a tensor of the network flipped and relabelled, by the groups wanted."""
        for group, axis in self.map.signs[name]:
            if group.name in self.flipped and flips(group, axis):
                tensor = tensor * spread(self.signs[group.name].to(tensor.device, tensor.dtype), axis, tensor)
        by_dims: defaultdict[Dims, list[tuple[PermutationGroup, Axis]]] = defaultdict(list)
        for member in self.map.permutations[name]:
            if moves(*member):
                by_dims[member[1].dims].append(member)
        for dims, members in sorted(by_dims.items(), key=lambda item: -len(item[0])):
            source = sources(tensor, dims, members, self.permutations)
            if not torch.equal(source, torch.arange(len(source))):
                tensor = take(tensor, dims, source)
        return tensor

    def final_signs(self) -> dict[str, Tensor]:
        """Return the flips by the labels of the reference: what is to be flipped after relabelling."""
        return {group.name: self._carried(group) for group in self.map.symmetry.signs}

    def _carried(self, group: SignGroup) -> Tensor:
        return self.signs[group.name][self.sign_sources(group)].long()

    def sign_sources(self, group: SignGroup) -> Tensor:
        """Return for each unit of a sign group the unit that takes its place."""
        axis = group.axes[0]
        shape = self.map.shapes[axis.tensor]
        places = torch.arange(int(np.prod([shape[dim] for dim in axis.dims])))
        places = places.view([shape[dim] if dim in axis.dims else 1 for dim in range(len(shape))])
        moved = self.seen(
            axis.tensor, places, moves=lambda _, other: set(other.dims) <= set(axis.dims), flips=lambda *_: False
        )
        table = torch.tensor(axis.places.table)
        unit_at = torch.full((places.numel(),), -1)
        unit_at[table.flatten()] = torch.arange(len(table)).repeat_interleave(table.shape[1])
        return unit_at[moved.flatten()[table[:, 0]]]
