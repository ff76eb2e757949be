"""How alike the units of two networks are: sums of products of what their tensors hold, kept up to date cheaply."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from copy import copy
from dataclasses import replace

import torch
from torch import Tensor

from landscape_cli.alignment.cosines import Cosines, precision, products
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.signs import Gains
from landscape_cli.alignment.terms import CommonSigns, Key, Kind, Term, group_terms, is_bare
from landscape_cli.forward.memory import MIB
from landscape_cli.io.file_tensors import release
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, PermutationGroup, Role, sources, spread, unit_rows

CHUNK, DEEP = 1 << 19, 512
"""Numbers of a tensor that are multiplied at once, or so many a unit if that is more: little beside the networks, and
enough for a fast product."""
WIDE = 128
"""A group of n units is wide in networks of less than n² times so many bytes: matching it takes more than a few percent
of what they take."""
MOST = 32 * MIB
"""Bytes of the sums that are kept of all groups, or half of what a network takes, if that is more."""
THIN = 32
"""Up to this many incoming weights, units can be so close together that only float64 tells them apart."""


class Similarity:
    """Similarities of the units of a reference (rows) and of a network in its own order (columns).

    Of each group one matrix is kept, and one more for each kind of sign that is free or in common. When permutations
    elsewhere change, only the products with what moved are made anew, the big ones a chunk at a time in the networks'
    own precision.
    """

    def __init__(self, reference: Params, params: Params, axis_table: AxisTable, gains: Gains, kind: Kind) -> None:
        """Prepare the terms of every group; nothing is multiplied yet."""
        self.reference, self.params, self.axis_table = reference, params, axis_table
        self.gains, self.kind, self.cosines = gains, kind, Cosines(reference, params)
        self.terms: dict[str, list[Term]] = {}
        self._sums: defaultdict[str, dict[Key, Tensor]] = defaultdict(dict)
        self._held = 0  # bytes of all sums
        self._common_signs: dict[str, CommonSigns] = {}
        numbers = sum(math.prod(shape) for shape in axis_table.shapes.values())
        self._most = max(MOST, torch.float32.itemsize * numbers // 2)
        for group in axis_table.symmetry.permutations:
            if not axis_table.nesting.inside[group.name]:
                terms = group_terms(group, axis_table, gains, kind)
                telling = [term for term in terms if not _is_one_size(term, reference)]
                self.terms[group.name] = telling or terms
            elif kind is Kind.WEIGHT and (readers := axis_table.nesting.read_as_wholes(group.name)):
                self.terms[group.name] = group_terms(replace(group, axes=readers), axis_table, gains, kind)
            if group.name in self.terms:
                self._common_signs |= {term.key[1]: term.common_signs for term in self.terms[group.name]}

    def writers(self, name: str) -> list[Term]:
        """Return the terms of a group that count in the end."""
        group = self.axis_table.nesting.groups[name]
        if self.kind is Kind.WEIGHT or is_bare(group, self.axis_table.shapes):
            return self.terms[name]
        places = {(axis.tensor, axis.dims) for axis in group.writers}
        found = [term for term in self.terms[name] if (term.axis.tensor, term.axis.dims) in places]
        return found or self.terms[name]

    def score(
        self, name: str, terms: Iterable[Term], matching: UnitMatching, free: Collection[str] = frozenset()
    ) -> Tensor:
        """Return the similarity of a group's units summed over `terms`, which may only grow, shape (units, units).

        Args:
            name: of the group.
            terms: what to sum.
            matching: the permutations and signs chosen so far.
            free: the sign groups that several units have in common whose signs do not count yet.
        """
        for term in terms:
            self._update(term, matching)
        self._make_room(name)
        sums: dict[Key, Tensor] = {}
        for (own_signs, common), matrix in self._sums[name].items():
            uncounted = ""
            for group, numbers, counted in self._common_signs[common]:
                signs = matching.signs[group.name][numbers]
                if group.name in free:
                    uncounted = common
                elif not counted and bool((signs < 0).any()):
                    matrix = matrix * signs.to(matrix.device, matrix.dtype)
            key = own_signs, uncounted
            sums[key] = sums[key] + matrix if key in sums else matrix
        total = None
        for key, matrix in sums.items():
            matrix = matrix if key == (None, "") else matrix.abs()
            total = matrix if total is None else total + matrix
        assert total is not None
        for network in (self.reference, self.params):  # beside the matrices of wide groups they may not fit
            release(network, less_than=WIDE * len(total) ** 2)
        return total

    def _make_room(self, name: str | None) -> None:
        """Let sums of other groups than this go, the oldest first, if all of them take much of what a network does."""
        going, left = [], self._held
        for other, sums in self._sums.items():
            if left <= self._most:
                break
            if other != name:
                going.append(other)
                left -= sum(matrix.nbytes for matrix in sums.values())
        self._held = left
        for other in going:
            del self._sums[other]
            for term in self.terms[other]:
                term.last = term.sources = None

    def _precision(self, group: PermutationGroup) -> torch.dtype:
        """Return the type that the similarities of a group's units are summed in."""
        for axis in group.writers:
            tensor = self.reference[axis.tensor]
            if tensor.device.type != "mps" and tensor.numel() <= THIN * math.prod(tensor.shape[d] for d in axis.dims):
                return torch.float64
        return precision(self.reference[group.writers[0].tensor])

    def total(self, matching: UnitMatching, groups: Collection[str] | None = None) -> float:
        """Return the sum of all similarities of matched units, each place of a writer or, by weights, parameter once.

        By cosines those of some groups alone, where these are named.
        """
        widest = max((group.units for group in self.axis_table.symmetry.permutations), default=0)
        for network in (self.reference, self.params):
            release(network, less_than=WIDE * widest**2)
        self._make_room(None)
        if self.kind is Kind.WEIGHT:
            moved = self.axis_table.permutations.keys() | self.axis_table.signs.keys()
            names = sorted(moved & set(self.axis_table.symmetry.parameters))
            return sum(
                float(products(self.reference[name].flatten(), matching.apply(name, self.params[name]).flatten(), ()))
                for name in names
            )
        counted = self.axis_table.symmetry.permutations
        writers = [axis for group in counted if groups is None or group.name in groups for axis in group.writers]
        return self.cosines.total(matching, writers)

    def seeing(self, reference: Params, names: Iterable[str]) -> Similarity:
        """Return the similarities of some groups' units with another reference, by factors that are this one's."""
        other = copy(self)
        other.reference, other.terms, other._sums = reference, dict(self.terms), defaultdict(dict)
        other.cosines, other._held = Cosines(reference, self.params), 0
        for name in names:
            for term in self.terms[name]:
                term.scales = self._scales_of(term) if term.is_new else term.scales
            other.terms[name] = [replace(term, last=None, sources=None) for term in self.terms[name]]
        return other

    def _scales_of(self, term: Term) -> tuple[Tensor, Tensor] | None:
        return self._scales(term.whole if term.is_shared else term.axis)

    def _scales(self, axis: Axis) -> tuple[Tensor, Tensor] | None:
        """Return factors that make sums of products sums of cosines, and signs count as the gains tell."""
        scales = [self._norms(tensor, axis) for tensor in (self.reference[axis.tensor], self.params[axis.tensor])]
        table = torch.tensor(axis.places.table)
        with_gains = False
        for group, along in self.axis_table.signs[axis.tensor]:
            if along.dims == axis.dims and group.name in self.gains:
                with_gains = True
                for k, signs in enumerate(self.gains[group.name]):
                    by_place = spread(signs, along, self.params[axis.tensor]).flatten()
                    scales[k] = scales[k] * by_place.to(scales[k].device, scales[k].dtype)[table.to(scales[k].device)]
        return (scales[0], scales[1]) if with_gains or self.kind is Kind.COSINE else None

    def _norms(self, tensor: Tensor, axis: Axis) -> Tensor:
        table = torch.tensor(axis.places.table, device=tensor.device)
        dtype = precision(tensor)
        if self.kind is Kind.WEIGHT:
            return torch.ones(table.shape, dtype=dtype, device=tensor.device)
        norms = products(tensor, tensor, axis.dims).sqrt()[table]
        if axis.role is not Role.INCOMING and tensor.numel() == math.prod(tensor.shape[dim] for dim in axis.dims):
            # One number a unit has no direction: the sum of products is largest where the numbers agree.
            norms = (norms.norm() / math.sqrt(len(norms))).expand(table.shape)
        elif axis.role is Role.OUTGOING:
            norms = norms.norm(dim=1, keepdim=True).expand(table.shape)
        return torch.where(norms > 0, 1 / norms, 0.0)

    def _update(self, term: Term, matching: UnitMatching) -> None:
        """Bring the sum that a term is part of up to date with a matching."""
        sums, key = self._sums[term.group.name], term.key
        held = self.reference[term.axis.tensor], self.params[term.axis.tensor]  # read once, if they were let go
        if key not in sums:
            units, device = term.group.units, held[1].device
            sums[key] = torch.zeros(units, units, dtype=self._precision(term.group), device=device)
            self._held += sums[key].nbytes
        if term.is_new and term.scales is None:
            term.scales = self._scales_of(term)
        if term.along is None:
            self._update_whole(term, matching, sums[key])
            term.last = matching.part(term.moved_by)
        else:
            self._update_along(term, term.along, matching, sums[key])

    def _update_along(self, term: Term, along: int, matching: UnitMatching, matrix: Tensor) -> None:
        """Add the products with those places of the one other axis where anything changed."""
        reference, tensor = self.reference[term.axis.tensor], self.params[term.axis.tensor]
        source, signs = self._sources_along(term, along, matching)
        changed = torch.arange(len(source))
        last, term.sources = term.sources, (source, signs)
        if last is not None:
            last_source, last_signs = last
            (changed,) = torch.nonzero(
                (source != last_source) | (signs[source] != last_signs[last_source]), as_tuple=True
            )
        if not len(changed):
            return
        step = max(1, max(CHUNK, DEEP * term.group.units) * len(source) // max(1, tensor.numel()))
        for places in changed.split(step):
            left = _select(reference, along, places)
            right = _signed(tensor, along, source[places], signs)
            if last is not None:
                right = right - _signed(tensor, along, last[0][places], last[1])
            self._multiply(term, matrix, left, right)

    def _update_whole(self, term: Term, matching: UnitMatching, matrix: Tensor) -> None:
        """Add the products of the whole tensor, less what they were."""
        matched = self._apply_to_rest(term, matching)
        if term.last is not None:
            before = self._apply_to_rest(term, term.last)
            if torch.equal(matched, before):
                return
            matched = matched - before
        reference = self.reference[term.axis.tensor]
        if term.is_shared and term.scales is not None:
            reference = reference * _at_places(term.scales[0], term.whole, reference)
        self._multiply(term, matrix, reference, matched)

    def _apply_to_rest(self, term: Term, matching: UnitMatching) -> Tensor:
        """Return a term's tensor of the network permuted and flipped by all but the units themselves.

        Where others move the places that units live at, factors move along with what they multiply.
        """
        tensor = self.params[term.axis.tensor]
        if term.is_shared and term.scales is not None:
            tensor = tensor * _at_places(term.scales[1], term.whole, tensor)
        return matching.apply(
            term.axis.tensor,
            tensor,
            permutes=lambda group, axis: (group, axis) in term.permuted_by,
            flips=lambda group, axis: (group, axis) in term.flipped_by,
        )

    def _sources_along(self, term: Term, along: int, matching: UnitMatching) -> tuple[Tensor, Tensor]:
        """Return where the places of the one other axis come from, and the signs of what is there."""
        tensor = self.params[term.axis.tensor]
        source = sources(tensor, (along,), term.permuted_by, matching.permutations)
        signs = torch.ones(len(source))
        for group, axis in term.flipped_by:
            if group.name in matching.flipped:
                signs = signs * spread(matching.signs[group.name], axis, tensor).flatten()
        return source, signs

    def _multiply(self, term: Term, matrix: Tensor, left: Tensor, right: Tensor) -> None:
        rows = [unit_rows(tensor, term.axis).to(matrix.dtype) for tensor in (left, right)]
        if term.scales is not None and not term.is_shared:
            rows = [
                (row.view(*scale.shape, -1) * scale[:, :, None]).flatten(1)
                for row, scale in zip(rows, term.scales, strict=True)
            ]
        matrix.addmm_(rows[0], rows[1].T)


def _at_places(factors: Tensor, axis: Axis, tensor: Tensor) -> Tensor:
    """Return factors of shape (units, places) ready to multiply a tensor by; 0 where no unit of the axis lives."""
    sizes = [size if dim in axis.dims else 1 for dim, size in enumerate(tensor.shape)]
    flat = torch.zeros(math.prod(sizes), dtype=tensor.dtype, device=tensor.device)
    flat[torch.tensor(axis.places.table, device=tensor.device)] = factors.to(tensor.dtype)
    return flat.view(sizes)


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


def _is_one_size(term: Term, reference: Params) -> bool:
    """Tell whether units have a number each in a tensor, all of one size, and signs of their own: none like another's.

    So have units of norm one with one weight each; what rounding leaves would tell them apart.
    """
    if term.free_signs is None or term.axis.places.table.shape[1] > 1:
        return False
    rows = unit_rows(reference[term.axis.tensor], term.axis)
    if rows.shape[1:].numel() > 1:
        return False
    sizes = rows.abs()
    return bool(sizes.max() - sizes.min() <= 64 * torch.finfo(sizes.dtype).eps * sizes.max())
