"""What similarities of units are sums of: a term for each tensor axis that a group of units lives on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.signs import Gains
from landscape_cli.symmetry import Axis, PermutationGroup, Places, Role, SignGroup, Symmetry

CommonSigns = tuple[tuple[SignGroup, Tensor, bool], ...]
"""Sign groups whose signs several units have in common, each with the number in it of every unit's, (units,), int64,
and whether the tensor is flipped by them before units are compared, as where others move what has these signs."""
Key = tuple[str | None, str]
"""Of the terms that may be summed as they are."""


class Kind(str, Enum):
    """What is summed."""

    COSINE = "cosine"
    WEIGHT = "weight"


@dataclass(eq=False)
class Term:
    """What one tensor says of the units of one group, given the permutations and signs of all else in it.

    Attributes:
        group: of the units.
        axis: where they live.
        whole: the same with the places that other terms are of.
        free_signs: the signs of their own that units have there, as text: terms with the same are summed before the
            signs are dropped; None where signs count.
        permuted_by: who else moves what the units have in the tensor: on other axes, or beside them on the same.
        flipped_by: whose signs show there, and are no more than the units' own.
        along: the one other axis that these are on, or None if they are on several.
        common_signs: the signs that several of the units have in common, and which of them each unit has.
        scales: factors for each place of each unit, of the reference and of the network, shape (units, places).
        last: what the matching that the similarity was last brought up to date with says of these.
        sources: the same where they are on one other axis: where its places come from, and the signs of what is there.
    """

    group: PermutationGroup
    axis: Axis
    whole: Axis
    free_signs: str | None
    permuted_by: list[tuple[PermutationGroup, Axis]]
    flipped_by: list[tuple[SignGroup, Axis]]
    along: int | None
    common_signs: CommonSigns = ()
    scales: tuple[Tensor, Tensor] | None = field(default=None)
    last: UnitMatching | None = field(default=None)
    sources: tuple[Tensor, Tensor] | None = field(default=None)

    @property
    def is_new(self) -> bool:
        """Whether its products are yet to be summed."""
        return self.last is None and self.sources is None

    @property
    def is_shared(self) -> bool:
        """Whether others, too, move the places that the units live at, as heads do what they have in common."""
        return any(axis.dims == self.axis.dims for _, axis in self.permuted_by)

    @property
    def depends(self) -> set[str]:
        """The permutation groups whose permutations the term depends on."""
        return {group.name for group, _ in self.permuted_by}

    @property
    def sign_groups(self) -> list[str]:
        """The sign groups whose signs the term depends on."""
        return [*(group.name for group, _ in self.flipped_by), *(group.name for group, *_ in self.common_signs)]

    @property
    def moved_by(self) -> set[str]:
        """The groups of units and of signs that say what the similarity is summed of."""
        return self.depends | {group.name for group, _ in self.flipped_by}

    @property
    def waits_for(self) -> set[str]:
        """The sign groups whose signs must be chosen before units can be compared."""
        return {group.name for group, _ in self.flipped_by} - {group.name for group, *_ in self.common_signs}

    @property
    def key(self) -> Key:
        """What tells the terms that are summed as they are."""
        return self.free_signs, " ".join(
            f"{group.name} {numbers.tolist()} {moved}" for group, numbers, moved in self.common_signs
        )


def group_terms(group: PermutationGroup, axis_table: AxisTable, gains: Gains, kind: Kind) -> list[Term]:
    """Return the terms of a group of units: of its writers and readers for cosines, else of all that votes."""
    axes = voting(group.axes, axis_table.symmetry)
    if kind is Kind.COSINE and not is_bare(group, axis_table.shapes):
        readers = [axis for axis in group.axes if axis.role is Role.OUTGOING]
        axes = (*group.writers, *(axis for axis in readers if axis not in group.writers))
    return [term for axis in axes for term in _axis_terms(group, axis, axis_table, gains)]


def voting(axes: Iterable[Axis], symmetry: Symmetry) -> tuple[Axis, ...]:
    """Return the axes of tensors that say how alike networks are: what is learned, weights, gains and biases alike.

    Buffers follow: running statistics are of the data that passed by, and masks multiply what votes already. Cosines
    leave out gains and biases, too, but of units that have hardly anything else (`is_bare`).
    """
    learned = set(symmetry.parameters)
    return tuple(axis for axis in axes if axis.tensor in learned)


def is_bare(group: PermutationGroup, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether units have no more than one incoming weight, so that cosines hardly tell them apart.

    Then all that they have counts.
    """
    return all(
        math.prod(shapes[axis.tensor]) <= math.prod(shapes[axis.tensor][dim] for dim in axis.dims)
        for axis in group.writers
    )


def _axis_terms(group: PermutationGroup, axis: Axis, axis_table: AxisTable, gains: Gains) -> Iterator[Term]:
    """Yield a term for those places of the units that are flipped together."""
    outers = axis_table.nesting.outers(group.name)
    permuted_by = [
        (member, moved)
        for member, moved in axis_table.permutations[axis.tensor]
        if not (member.name in outers and set(moved.dims) & set(axis.dims))
        and (moved.dims != axis.dims or (moved is not axis and moved.shares_entries_with(axis)))
    ]
    shared = any(moved.dims == axis.dims for _, moved in permuted_by)
    flipped_by = [
        (member, moved)
        for member, moved in axis_table.signs[axis.tensor]
        if moved.dims != axis.dims or (shared and member.name not in gains and _is_common(moved, axis))
    ]
    dims = {moved.dims for _, moved in (*permuted_by, *flipped_by)}
    along = _axis_along(axis_table.shapes[axis.tensor], axis.dims, dims)
    columns: defaultdict[Key, list[int]] = defaultdict(list)
    terms: dict[Key, Term] = {}
    table = axis.places.table
    for column in range(table.shape[1]):
        free_signs, common_signs = _signs_at(axis, table[:, column], axis_table, gains, moved=shared)
        term = Term(group, axis, axis, free_signs, permuted_by, flipped_by, along, common_signs)
        columns[term.key].append(column)
        terms[term.key] = term
    for key, term in terms.items():
        yield replace(term, axis=Axis(axis.tensor, axis.dims, axis.role, Places(table[:, columns[key]])))


def _axis_along(shape: tuple[int, ...], dims: tuple[int, ...], used: set[tuple[int, ...]]) -> int | None:
    """Return the one axis besides `dims` that all that is used is on, the longest if nothing is; None if several."""
    rest = [dim for dim in range(len(shape)) if dim not in dims]
    if not used:
        return max(rest, key=lambda dim: shape[dim]) if rest else None
    along = next(iter(used))
    return along[0] if len(used) == len(along) == 1 and along[0] in rest else None


def _is_common(signs: Axis, axis: Axis) -> bool:
    """Tell whether several units have signs in common at some of their places."""
    numbers = signs.places.unit_at(axis.places.table)
    return any((column >= 0).all() and len(np.unique(column)) < len(column) for column in numbers.T)


def _signs_at(
    axis: Axis, places: Array, axis_table: AxisTable, gains: Gains, *, moved: bool
) -> tuple[str | None, CommonSigns]:
    """Return which signs the units at these places have: of their own, which do not count, and in common."""
    free_signs, common_signs = None, []
    for group, along in axis_table.signs[axis.tensor]:
        if along.dims != axis.dims or group.name in gains:
            continue
        numbers = along.places.unit_at(places)
        if (numbers < 0).any():
            continue
        if len(np.unique(numbers)) < len(numbers):
            common_signs.append((group, torch.from_numpy(numbers), moved))
        elif free_signs is None:
            free_signs = f"{group.name} {numbers.tobytes()!r}"
    return free_signs, tuple(common_signs)
