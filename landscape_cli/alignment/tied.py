"""Groups that wait for each other: none can be matched before another is, as heads and what they have in common.

Held still at the wrong match of one, coordinate descent finds a wrong one of the other, and stays. So one group is
matched in several ways first: by what no match of the others can change, and, a unit at a time, by guesses of one pair
of units, which show how those of the others match. Each way is followed to where it ends, and the best is kept.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array, Scores, assign
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.terms import Term
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, PermutationGroup, unit_rows

if TYPE_CHECKING:
    from landscape_cli.alignment.descent import Descent

GUESSES = 8
"""Units of the network that one of the reference's is guessed to be, the likeliest first."""
MOST = 4096
"""Guesses times units: fewer guesses of many."""
MOST_ROUNDS = 20


def match_tied(descent: Descent) -> bool:
    """Match groups none of which has anything settled to be matched by, together; tell whether there are several.

    Args:
        descent: where such a group is next; its matching changes, and the groups are settled.
    """
    names = _tied(descent)
    if not names:
        return False
    best: UnitMatching | None = None
    least = -np.inf
    for branch in _branches(descent, names):
        value = _value(branch, names)
        if value > least:
            best, least, signs = branch.matching, value, branch.signs
    assert best is not None
    descent.matching.restore(best)
    descent.signs.chosen |= signs.chosen
    descent.settled_are(names)
    return True


def _tied(descent: Descent) -> list[str]:
    """Return the fewest groups to be matched that tell each other all about themselves; none if there are not two."""
    candidates = []
    roots = list(descent.roots())
    for name in roots:
        for leaf in descent.nesting.leaves(name):
            for term in descent.similarity.terms.get(leaf, ()):
                waits_for = {descent.root_of(other) for other in term.depends - descent.settled}
                names = list(dict.fromkeys([name, *sorted(waits_for)]))
                if waits_for <= set(roots):
                    candidates.append((len(names), names))
    several = [names for count, names in candidates if count > 1]
    return min(several, key=len) if several else []


def _branches(descent: Descent, names: Sequence[str]) -> Iterator[Descent]:
    """Yield descents from every beginning, at their ends; the first of them begins as the networks are."""
    groups = sorted((descent.nesting.groups[name] for name in names), key=lambda group: group.units)
    yield _ended(descent, names, descent.matching.copy())
    for group in groups:
        if group.blocks == 1:
            distances = _distances(group, descent)
            yield _followed(descent, names, group, assign(-distances)[0])
            if group is groups[0]:
                unit, order = int(_sizes(group, descent).argmax()), np.arange(group.units)
                for guess in np.argsort(distances[unit], kind="stable")[: min(GUESSES, MOST // group.units + 1)]:
                    order[[unit, guess]] = guess, unit
                    yield _followed(descent, names, group, order.copy(), unit)
                    order[[unit, guess]] = unit, guess


def _followed(
    descent: Descent, names: Sequence[str], group: PermutationGroup, matched: Array, unit: int | None = None
) -> Descent:
    """Return a descent to the end of where a match of one group leads, or of its one unit that is named."""
    matching, leaves = descent.matching.copy(), descent.nesting.leaves
    pairs = {group.name: matched}
    for inner in descent.nesting.inside[group.name]:
        pairs |= descent.nesting.carried(inner.name, matching.pairs, matched, matching.pairs[group.name])
    matching.pair(pairs)
    similarity, rest = descent.similarity, [name for name in names if name != group.name]
    if unit is not None:
        seen = dict(similarity.reference) | _of_unit(group, unit, similarity.reference)
        similarity = similarity.seeing(seen, [leaf for name in rest for leaf in leaves(name)])
    descent.branch(similarity, matching, rest, {group.name, *leaves(group.name)}).match_pending()
    return _ended(descent, names, matching)


def _ended(descent: Descent, names: Sequence[str], matching: UnitMatching) -> Descent:
    """Return a descent that matches groups in turn, from some matching, until nothing changes."""
    inside = _inside(descent, names)
    branch = descent.branch(descent.similarity, matching, (), inside)
    terms = {name: _terms_inside(descent, name, inside) for name in names}
    for _ in range(MOST_ROUNDS):
        before = matching.copy()
        for name in names:
            branch.match(name, terms[name])
            branch.signs.choose_inside(inside)
        if all(np.array_equal(pairs, matching.pairs[name]) for name, pairs in before.pairs.items()):
            break
    return branch


def _inside(descent: Descent, names: Sequence[str]) -> set[str]:
    """Return what is settled once some groups are."""
    return descent.settled | {leaf for name in names for leaf in (name, *descent.nesting.leaves(name))}


def _terms_inside(descent: Descent, name: str, inside: Collection[str]) -> dict[str, list[Term]]:
    """Return what a group is matched by that depends on nothing but groups inside."""
    result = {}
    for leaf in descent.nesting.leaves(name):
        terms = [
            [term for term in terms if term.depends <= set(inside)]
            for terms in (descent.similarity.writers(leaf), descent.similarity.terms[leaf])
        ]
        result[leaf] = terms[0] or terms[1]
    return result


def _value(descent: Descent, names: Sequence[str]) -> float:
    """Return the sum of cosines of the units of some groups wherever nothing else is yet to be matched."""
    groups = [descent.nesting.groups[leaf] for name in names for leaf in descent.nesting.leaves(name)]
    inside = _inside(descent, names)
    axes = [
        axis
        for group in groups
        for axis in group.axes
        if {member.name for member, _ in descent.axis_table.permutations[axis.tensor]} <= inside
    ]
    return descent.similarity.cosines.total(descent.matching, axes)


def _of_unit(group: PermutationGroup, unit: int, reference: Params) -> dict[str, Tensor]:
    """Return those tensors of the reference in which a group lives, with zeros where its one unit does not."""
    result: dict[str, Tensor] = {}
    for axis in group.axes:
        tensor = reference[axis.tensor]
        sizes = [size if dim in axis.dims else 1 for dim, size in enumerate(tensor.shape)]
        flat = torch.ones(int(np.prod(sizes)), dtype=tensor.dtype, device=tensor.device)
        flat[torch.from_numpy(np.delete(axis.places.table, unit, axis=0).ravel())] = 0
        result[axis.tensor] = result.get(axis.tensor, tensor) * flat.view(sizes)
    return result


def _sizes(group: PermutationGroup, descent: Descent) -> Scores:
    """Return how much the reference has of each unit, tensors alike, shape (units,)."""
    total = np.zeros(group.units)
    for axis in group.axes:
        squares = unit_rows(descent.similarity.reference[axis.tensor], axis).double().square().sum(1).cpu()
        total += squares.numpy() / (float(squares.sum()) or 1.0)
    return total


def _distances(group: PermutationGroup, descent: Descent) -> Scores:
    """Return how far units of the reference and of the network are apart in what no match of others changes."""
    total = torch.zeros(group.units, group.units, dtype=torch.float64)
    for axis in group.axes:
        target = descent.similarity.reference[axis.tensor]
        moved = descent.matching.apply(axis.tensor, descent.similarity.params[axis.tensor])
        rows, columns = (_profile(tensor, axis, descent, group) for tensor in (target, moved))
        squares = rows.square().sum(1)[:, None] + columns.square().sum(1)
        total += (squares - 2 * rows @ columns.T) / (float(squares.sum()) or 1.0)
    return total.numpy()


def _profile(tensor: Tensor, axis: Axis, descent: Descent, group: PermutationGroup) -> Tensor:
    """Return what a tensor has of each unit, in order of size wherever others are yet to be matched, (units, ...)."""
    table, known, leaves = descent.axis_table, descent.settled | {group.name}, descent.nesting.leaves(group.name)
    loose = [
        moved.dims
        for member, moved in table.permutations[axis.tensor]
        if member.name not in known and not (member.name in leaves and moved.dims == axis.dims)
    ]
    if any(sign.name not in descent.signs.chosen for sign, _ in table.signs[axis.tensor]):
        tensor = tensor.abs()
    rest = [dim for dim in range(tensor.ndim) if dim not in axis.dims]
    free = [dim for dim in rest if any(dim in dims for dims in loose)]
    kept = [dim for dim in rest if dim not in free]
    flat = tensor.double().cpu().permute(*axis.dims, *kept, *free).flatten(0, len(axis.dims) - 1)
    flat = flat.reshape(len(flat), math.prod(tensor.shape[dim] for dim in kept), -1)
    rows = flat[torch.tensor(axis.places.table)].transpose(1, 2)  # units, what is kept, places, what is free
    if group.inside or any(not set(axis.dims).isdisjoint(dims) for dims in loose):
        return rows.flatten(2).sort(dim=2).values.flatten(1)
    return (rows.sort(dim=3).values if free else rows).flatten(1)
