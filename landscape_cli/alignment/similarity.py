"""How alike the units of two networks are: sums of products of what their tensors hold, kept up to date cheaply."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.labelling import Labelling, Map
from landscape_cli.alignment.signs import Gains
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, PermutationGroup, Places, Role, SignGroup, sources, spread, unit_rows

CHUNK, DEEP = 1 << 19, 512
"""Numbers of a tensor that are multiplied at once, or so many a unit if that is more: little beside the networks, and
enough for a fast product."""
THIN = 32
"""Up to this many incoming weights, units can be so close together that only float64 tells them apart."""


class Kind(str, Enum):
    """What is summed."""

    COSINE = "cosine"
    WEIGHT = "weight"


@dataclass(eq=False)
class Term:
    """What one tensor says of the units of one group, given the labels and signs of all else in it.

    Attributes:
        group: of the units.
        axis: where they live.
        part: terms of units that are flipped together are summed before the sign is dropped; None: a sign counts.
        moves: who else lives on other axes of the tensor.
        flips: whose signs show on other axes of the tensor.
        along: the one other axis that these are on, or None if they are on several.
        joint: the signs that several of the units have in common, and which of them each unit has.
        scales: factors for each place of each unit, of the reference and of the network.
        last: the labelling that the similarity was last brought up to date with.
    """

    group: PermutationGroup
    axis: Axis
    part: str | None
    moves: list[tuple[PermutationGroup, Axis]]
    flips: list[tuple[SignGroup, Axis]]
    along: int | None
    joint: tuple[tuple[SignGroup, Tensor], ...] = ()
    scales: tuple[Tensor, Tensor] | None = field(default=None)
    last: Labelling | None = field(default=None)

    @property
    def depends(self) -> set[str]:
        """The permutation groups whose labels the term depends on."""
        return {group.name for group, _ in self.moves}

    @property
    def part_and_joint(self) -> tuple[str | None, str]:
        """What tells the terms that are summed as they are."""
        return self.part, " ".join(f"{group.name} {owners.tolist()}" for group, owners in self.joint)


class Similarity:
    """Similarities of the units of a reference (rows) and of a network as it was labelled (columns).

    Of each group one matrix is kept, and one more for each kind of sign that is free or in common. When
    labels elsewhere change, only the products with what moved are made anew, the big ones a chunk at a time in the
    networks' own precision.
    """

    def __init__(self, reference: Params, params: Params, where: Map, gains: Gains, kind: Kind) -> None:
        """Prepare the terms of every group; nothing is multiplied yet."""
        self.reference, self.params, self.map, self.gains, self.kind = reference, params, where, gains, kind
        self.terms: dict[str, list[Term]] = {}
        self._parts: defaultdict[str, dict[tuple[str | None, str], Tensor]] = defaultdict(dict)
        self._joint: dict[str, tuple[tuple[SignGroup, Tensor], ...]] = {}
        for group in where.symmetry.permutations:
            if not where.nesting.inside[group.name]:
                axes = group.axes
                if kind is Kind.COSINE and not self._is_bare(group):
                    readers = [axis for axis in group.axes if axis.role is Role.OUTGOING]
                    axes = (*group.writers, *(axis for axis in readers if axis not in group.writers))
                self.terms[group.name] = [term for axis in axes for term in self._terms(group, axis)]

    def writers(self, name: str) -> list[Term]:
        """Return the terms of a group that count in the end."""
        group = self.map.nesting.groups[name]
        if self.kind is Kind.WEIGHT or self._is_bare(group):
            return self.terms[name]
        places = {(axis.tensor, axis.dims) for axis in group.writers}
        return [term for term in self.terms[name] if (term.axis.tensor, term.axis.dims) in places]

    def score(
        self, name: str, terms: Iterable[Term], labelling: Labelling, free: Collection[str] = frozenset()
    ) -> Tensor:
        """Return the similarity of a group's units summed over `terms`, which may only grow, shape (units, units).

        Args:
            name: of the group.
            terms: what to sum.
            labelling: the labels and signs chosen so far.
            free: the sign groups that several units have in common whose signs do not count yet.
        """
        for term in terms:
            self._update(term, labelling)
        sums: dict[tuple[str | None, str], Tensor] = {}
        for (part, joint), matrix in self._parts[name].items():
            loose = ""
            for group, owners in self._joint[joint]:
                signs = labelling.signs[group.name][owners]
                if group.name in free:
                    loose = joint
                elif bool((signs < 0).any()):
                    matrix = matrix * signs.to(matrix.device, matrix.dtype)
            sums[part, loose] = sums[part, loose] + matrix if (part, loose) in sums else matrix
        total = None
        for key, matrix in sums.items():
            matrix = matrix if key == (None, "") else matrix.abs()
            total = matrix if total is None else total + matrix
        assert total is not None
        return total

    def forget(self, name: str) -> None:
        """Start again with no terms."""
        self._parts[name].clear()
        for term in self.terms[name]:
            term.last = None

    def _is_bare(self, group: PermutationGroup) -> bool:
        """Tell whether units have no more than one incoming weight, so that cosines hardly tell them apart.

        Then all that they have counts.
        """
        return all(
            math.prod(self.map.shapes[axis.tensor]) <= math.prod(self.map.shapes[axis.tensor][d] for d in axis.dims)
            for axis in group.writers
        )

    def _precision(self, group: PermutationGroup) -> torch.dtype:
        """Return the type that the similarities of a group's units are summed in."""
        for axis in group.writers:
            tensor = self.reference[axis.tensor]
            if tensor.device.type != "mps" and tensor.numel() <= THIN * math.prod(tensor.shape[d] for d in axis.dims):
                return torch.float64
        return precision(self.reference[group.writers[0].tensor])

    def total(self, labelling: Labelling) -> float:
        """Return the sum of all similarities of matched units, each place of a writer or, by weights, tensor once."""
        if self.kind is Kind.WEIGHT:
            names = sorted(self.map.permutations.keys() | self.map.signs.keys())
            return sum(
                float(_products(self.reference[name].flatten(), labelling.seen(name, self.params[name]).flatten(), ()))
                for name in names
            )
        axes = {(a.tensor, a.dims): a for group in self.map.symmetry.permutations for a in group.writers}
        total = 0.0
        for axis in axes.values():
            seen = labelling.seen(axis.tensor, self.params[axis.tensor])
            total += float(_cosines(self.reference[axis.tensor], seen, axis).sum(dtype=torch.float64))
        return total

    def _terms(self, group: PermutationGroup, axis: Axis) -> Iterable[Term]:
        """Yield a term for those places of the units that are flipped together."""
        outers = self.map.nesting.outers(group.name)
        moves = [
            (other, place)
            for other, place in self.map.permutations[axis.tensor]
            if place.dims != axis.dims and not (other.name in outers and set(place.dims) & set(axis.dims))
        ]
        flips = [(other, place) for other, place in self.map.signs[axis.tensor] if place.dims != axis.dims]
        dims = {place.dims for _, place in (*moves, *flips)}
        rest = [dim for dim in range(len(self.map.shapes[axis.tensor])) if dim not in axis.dims]
        along = None
        if not dims and rest:
            along = max(rest, key=lambda dim: self.map.shapes[axis.tensor][dim])
        elif len(dims) == 1 and len(one := next(iter(dims))) == 1 and one[0] in rest:
            along = one[0]
        columns: defaultdict[tuple[str | None, str], list[int]] = defaultdict(list)
        found: dict[tuple[str | None, str], Term] = {}
        table = axis.places.table
        for column in range(table.shape[1]):
            part, joint = self._signs_of(axis, table[:, column])
            term = Term(group, axis, part, moves, flips, along, joint)
            columns[term.part_and_joint].append(column)
            found[term.part_and_joint] = term
        for key, term in found.items():
            self._joint[key[1]] = term.joint
            yield replace(term, axis=Axis(axis.tensor, axis.dims, axis.role, Places(table[:, columns[key]])))

    def _signs_of(
        self, axis: Axis, places: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> tuple[str | None, tuple[tuple[SignGroup, Tensor], ...]]:
        """Return which signs the units at these places have: of their own, which do not count, and in common."""
        part, joint = None, []
        for group, other in self.map.signs[axis.tensor]:
            if other.dims == axis.dims and group.name not in self.gains:
                table = other.places.table
                unit_at = np.full(1 + max(int(table.max()), int(places.max())), -1)
                unit_at[table.ravel()] = np.repeat(np.arange(len(table)), table.shape[1])
                owners = unit_at[places]
                if (owners >= 0).all():
                    if len(np.unique(owners)) < len(owners):
                        joint.append((group, torch.from_numpy(owners)))
                    elif part is None:
                        part = f"{group.name} {owners.tobytes()!r}"
        return part, tuple(joint)

    def _scales(self, axis: Axis) -> tuple[Tensor, Tensor] | None:
        """Return factors that make sums of products sums of cosines, and signs count as the gains tell."""
        scales = [self._norms(tensor, axis) for tensor in (self.reference[axis.tensor], self.params[axis.tensor])]
        table = torch.tensor(axis.places.table)
        told = False
        for group, other in self.map.signs[axis.tensor]:
            if other.dims == axis.dims and group.name in self.gains:
                told = True
                for k, signs in enumerate(self.gains[group.name]):
                    by_place = spread(signs, other, self.params[axis.tensor]).flatten()
                    scales[k] = scales[k] * by_place.to(scales[k].device, scales[k].dtype)[table.to(scales[k].device)]
        return (scales[0], scales[1]) if told or self.kind is Kind.COSINE else None

    def _norms(self, tensor: Tensor, axis: Axis) -> Tensor:
        table = torch.tensor(axis.places.table, device=tensor.device)
        dtype = precision(tensor)
        if self.kind is Kind.WEIGHT:
            return torch.ones(table.shape, dtype=dtype, device=tensor.device)
        norms = _products(tensor, tensor, axis.dims).sqrt()[table]
        if axis.role is not Role.INCOMING and tensor.numel() == math.prod(tensor.shape[dim] for dim in axis.dims):
            # One number a unit has no direction: the sum of products is largest where the numbers agree.
            norms = (norms.norm() / math.sqrt(len(norms))).expand(table.shape)
        elif axis.role is Role.OUTGOING:
            norms = norms.norm(dim=1, keepdim=True).expand(table.shape)
        return torch.where(norms > 0, 1 / norms, 0.0)

    def _update(self, term: Term, labelling: Labelling) -> None:
        reference, tensor = self.reference[term.axis.tensor], self.params[term.axis.tensor]
        parts = self._parts[term.group.name]
        key = term.part_and_joint
        if key not in parts:
            units = term.group.units
            parts[key] = torch.zeros(units, units, dtype=self._precision(term.group), device=tensor.device)
        matrix = parts[key]
        if term.last is None:
            term.scales = self._scales(term.axis)
        if term.along is None:
            self._update_whole(term, labelling, matrix, reference, tensor)
        else:
            now, signs = self._along(term, labelling)
            changed = torch.arange(len(now))
            was, were = None, None
            if term.last is not None:
                was, were = self._along(term, term.last)
                (changed,) = torch.nonzero((now != was) | (signs[now] != were[was]), as_tuple=True)
            step = max(1, max(CHUNK, DEEP * term.group.units) * len(now) // max(1, tensor.numel()))
            for places in changed.split(step):
                left = _select(reference, term.along, places)
                right = _signed(tensor, term.along, now[places], signs)
                if was is not None and were is not None:
                    right = right - _signed(tensor, term.along, was[places], were)
                self._multiply(term, matrix, left, right)
        term.last = labelling.copy()

    def _update_whole(
        self, term: Term, labelling: Labelling, matrix: Tensor, reference: Tensor, tensor: Tensor
    ) -> None:
        seen = self._seen(term, labelling, tensor)
        if term.last is not None:
            before = self._seen(term, term.last, tensor)
            if torch.equal(seen, before):
                return
            seen = seen - before
        self._multiply(term, matrix, reference, seen)

    def _seen(self, term: Term, labelling: Labelling, tensor: Tensor) -> Tensor:
        return labelling.seen(
            term.axis.tensor,
            tensor,
            moves=lambda group, axis: (group, axis) in term.moves,
            flips=lambda group, axis: (group, axis) in term.flips,
        )

    def _along(self, term: Term, labelling: Labelling) -> tuple[Tensor, Tensor]:
        """Return where the places of the one other axis come from, and the signs of what is there."""
        assert term.along is not None
        tensor = self.params[term.axis.tensor]
        source = sources(tensor, (term.along,), term.moves, labelling.permutations)
        signs = torch.ones(len(source))
        for group, axis in term.flips:
            if group.name in labelling.flipped:
                signs = signs * spread(labelling.signs[group.name], axis, tensor).flatten()
        return source, signs

    def _multiply(self, term: Term, matrix: Tensor, left: Tensor, right: Tensor) -> None:
        rows = [unit_rows(tensor, term.axis).to(matrix.dtype) for tensor in (left, right)]
        if term.scales is not None:
            rows = [
                (row.view(*scale.shape, -1) * scale[:, :, None]).flatten(1)
                for row, scale in zip(rows, term.scales, strict=True)
            ]
        matrix.addmm_(rows[0], rows[1].T)


def precision(tensor: Tensor) -> torch.dtype:
    """Return the type that products of a tensor are summed in."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def mean_cosine(reference: Params, params: Params, axes: Mapping[str, Iterable[Axis]]) -> dict[str, float]:
    """Return by group the mean over units, and over the places where `axes` has them, of the cosine between networks.

    Units that have one number each at some place, but for an incoming weight, are taken together as one vector there.
    """
    result = {}
    for name, where in axes.items():
        values = [_cosines(reference[axis.tensor], params[axis.tensor], axis) for axis in where]
        if values:
            result[name] = float(torch.cat(values).double().mean())
    return result


def _cosines(reference: Tensor, tensor: Tensor, axis: Axis) -> Tensor:
    """Return the cosine at every place of the axis; a zero vector's is 0."""
    table = torch.tensor(axis.places.table, device=tensor.device)
    pairs = ((reference, tensor), (reference, reference), (tensor, tensor))
    sums = [_products(one, other, axis.dims)[table] for one, other in pairs]
    if axis.role is not Role.INCOMING and tensor.numel() == math.prod(tensor.shape[dim] for dim in axis.dims):
        sums = [total.sum()[None] for total in sums]
    dots, ones, others = (total.flatten() for total in sums)
    norms = ones.sqrt() * others.sqrt()
    return torch.where(norms > 0, dots / norms, 0.0)


def _products(one: Tensor, other: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the inner product of what two tensors hold at every place along `dims`, shape (places,)."""
    dtype = precision(one)
    places = math.prod(one.shape[dim] for dim in dims)
    rows = [tensor.movedim(tuple(dims), tuple(range(len(dims)))) for tensor in (one, other)]
    left, right = (row.reshape(places, 1, -1).to(dtype) for row in rows)
    return torch.bmm(left, right.transpose(1, 2)).flatten()


def _select(tensor: Tensor, dim: int, places: Tensor) -> Tensor:
    if len(places) == 0 or int(places[-1]) - int(places[0]) + 1 == len(places):  # they are in order
        return tensor.narrow(dim, int(places[0]) if len(places) else 0, len(places))
    return tensor.index_select(dim, places.to(tensor.device))


def _signed(tensor: Tensor, dim: int, places: Tensor, signs: Tensor) -> Tensor:
    taken = tensor.index_select(dim, places.to(tensor.device))
    chosen = signs[places]
    if bool((chosen == 1).all()):
        return taken
    shape = [len(places) if axis == dim else 1 for axis in range(tensor.ndim)]
    return taken * chosen.view(shape).to(taken.device, taken.dtype)
