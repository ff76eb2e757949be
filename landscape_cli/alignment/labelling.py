"""The permutations and signs of a network's units chosen so far, and its tensors permuted and flipped by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array, Nesting
from landscape_cli.symmetry import Axis, PermutationGroup, SignGroup, Symmetry, sources, spread
from landscape_cli.symmetry.transform import taken

Dims = tuple[int, ...]


class AxisTable:
    """The axes of a symmetry's groups by tensor.

    Attributes:
        symmetry: the symmetry.
        nesting: which groups are the units inside the blocks of others.
        shapes: of the tensors, by name.
        permutations: by tensor: the permutation groups with units there, each with the axis that they live on.
        signs: by tensor: the sign groups with units there, each with its axis.
    """

    def __init__(self, symmetry: Symmetry) -> None:
        """Sort the axes of all groups by their tensors, joined ones (`join`) taken as one."""
        symmetry = symmetry.of_joined
        self.symmetry = symmetry
        self.nesting = Nesting(symmetry)
        self.shapes = dict(symmetry.shapes)
        self.permutations: defaultdict[str, list[tuple[PermutationGroup, Axis]]] = defaultdict(list)
        self.signs: defaultdict[str, list[tuple[SignGroup, Axis]]] = defaultdict(list)
        for group in symmetry.permutations:
            for axis in group.axes:
                self.permutations[axis.tensor].append((group, axis))
        for sign_group in symmetry.signs:
            for axis in sign_group.axes:
                self.signs[axis.tensor].append((sign_group, axis))


class UnitMatching:
    """Which unit of a network is matched to each unit of the reference, and which of its units are flipped.

    Attributes:
        axis_table: the axes of all groups by tensor.
        pairs: by permutation group: for each unit of the reference the network's unit matched to it, (units,), int64.
        permutations: the same as permutations, one of units within their blocks and one of the blocks.
        signs: by sign group: ±1 for each of the network's units, in the network's own order; applied first.
        flipped: the names of the sign groups with a unit that is flipped.
    """

    def __init__(self, axis_table: AxisTable) -> None:
        """Start with the network as it is."""
        self.axis_table = axis_table
        self.pairs: dict[str, Array] = {
            group.name: np.arange(group.units) for group in axis_table.symmetry.permutations
        }
        self.permutations = axis_table.nesting.permutations(self.pairs)
        self.signs = {group.name: torch.ones(group.size) for group in axis_table.symmetry.signs}
        self.flipped: set[str] = set()

    def copy(self) -> UnitMatching:
        """Return a matching that starts where this one is."""
        copied = UnitMatching.__new__(UnitMatching)
        copied.axis_table = self.axis_table
        copied.restore(self)
        return copied

    def restore(self, matching: UnitMatching) -> None:
        """Go back to another matching of the same networks."""
        self.pairs, self.permutations = dict(matching.pairs), dict(matching.permutations)
        self.signs, self.flipped = dict(matching.signs), set(matching.flipped)

    def has_pairs_of(self, matching: UnitMatching) -> bool:
        """Tell whether another matching of the same networks matches units alike, whatever it says of signs."""
        return all(np.array_equal(pairs, matching.pairs[name]) for name, pairs in self.pairs.items())

    def part(self, names: Iterable[str]) -> UnitMatching:
        """Return what a matching says now of some groups of units and signs, and of no other ones."""
        part = UnitMatching.__new__(UnitMatching)
        part.axis_table, part.pairs, names = self.axis_table, {}, list(names)
        part.permutations = {name: self.permutations[name] for name in names if name in self.permutations}
        part.signs = {name: self.signs[name] for name in names if name in self.signs}
        part.flipped = self.flipped & part.signs.keys()
        return part

    def pair(self, pairs: Mapping[str, Array]) -> bool:
        """Match units as `pairs`, by group, says; tell whether that changed anything."""
        changed = [name for name, matched in pairs.items() if not np.array_equal(self.pairs[name], matched)]
        if changed:
            self.pairs |= pairs
            self.permutations |= self.axis_table.nesting.permutations(self.pairs, changed)
        return bool(changed)

    def flip(self, name: str, signs: Tensor) -> bool:
        """Flip the network's units where `signs` is negative; tell whether that changed anything."""
        changed = not torch.equal(self.signs[name], signs)
        if changed:
            self.signs[name] = signs
            self.flipped = self.flipped | {name} if bool((signs < 0).any()) else self.flipped - {name}
        return changed

    def state_of(self, name: str) -> bytes:
        """Return what tells whether two matchings make the same of a tensor of this name."""
        moves = [self.permutations[group.name].numpy() for group, _ in self.axis_table.permutations[name]]
        flips = [self.signs[group.name].cpu().numpy() for group, _ in self.axis_table.signs[name]]
        return b"".join(each.tobytes() for each in (*moves, *flips))

    def apply(
        self,
        name: str,
        tensor: Tensor,
        *,
        permutes: Callable[[PermutationGroup, Axis], bool] = lambda group, axis: True,
        flips: Callable[[SignGroup, Axis], bool] = lambda group, axis: True,
    ) -> Tensor:
        """Return a tensor of the network flipped and permuted.

        Args:
            name: of the tensor.
            tensor: its content.
            permutes: which groups permute it, and along which axis.
            flips: which groups flip it, and along which axis.
        """
        for group, axis in self.axis_table.signs[name]:
            if group.name in self.flipped and flips(group, axis):
                tensor = tensor * spread(self.signs[group.name].to(tensor.device, tensor.dtype), axis, tensor)
        by_dims: defaultdict[Dims, list[tuple[PermutationGroup, Axis]]] = defaultdict(list)
        for member in self.axis_table.permutations[name]:
            if permutes(*member):
                by_dims[member[1].dims].append(member)
        given = tensor
        for dims, members in sorted(by_dims.items(), key=lambda item: -len(item[0])):
            source = sources(tensor, dims, members, self.permutations)
            if not torch.equal(source, torch.arange(len(source))):
                tensor = taken(tensor, dims, source, ours=tensor is not given)
        return tensor

    def final_signs(self) -> dict[str, Tensor]:
        """Return the signs in the order of the reference's units: what is to be flipped once they are permuted."""
        return {
            group.name: self.signs[group.name][self.sign_sources(group)].long()
            for group in self.axis_table.symmetry.signs
        }

    def sign_sources(self, group: SignGroup) -> Tensor:
        """Return for each unit of a sign group the unit that takes its place, shape (units,), int64."""
        axis = group.axes[0]
        shape = self.axis_table.shapes[axis.tensor]
        places = torch.arange(int(np.prod([shape[dim] for dim in axis.dims])))
        places = places.view([shape[dim] if dim in axis.dims else 1 for dim in range(len(shape))])
        permuted = self.apply(
            axis.tensor,
            places,
            permutes=lambda _, along: set(along.dims) <= set(axis.dims),
            flips=lambda *_: False,
        )
        first = torch.from_numpy(axis.places.table[:, 0].copy())
        return torch.from_numpy(axis.places.unit_at(permuted.flatten()[first].numpy()))
