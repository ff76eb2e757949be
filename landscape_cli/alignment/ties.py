"""Units that their incoming weights do not tell apart, told apart by whatever else they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array, assign
from landscape_cli.alignment.labelling import Labelling
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.symmetry import Axis, PermutationGroup, Role, unit_rows

ROUNDING = {torch.float64: 1e-13, torch.float32: 1e-6}
"""Similarities that differ by no more, for each unit of similarity, are equal."""
ROWS = 256
FORBIDDEN = -1e30


def untied(
    name: str,
    score: Tensor,
    similarity: Similarity,
    labelling: Labelling,
    *,
    as_labelled: bool = False,
    given_signs: Mapping[str, Tensor] | None = None,
) -> Array | None:
    """Return the pairs of a group with units matched by all that they have where the score leaves a choice.

    Args:
        name: of a group of units.
        score: how well its units match, shape (units, units).
        similarity: of the networks.
        labelling: the labels chosen, by that score and others.
        as_labelled: whether all else is labelled too, so that what the units have there can be compared in order.
        given_signs: similarities of units with their sign, by sign group, where these tell it.

    Returns:
        For each unit of the reference the network's unit matched to it; None where nothing is better.
    """
    group, pairs = labelling.map.nesting.groups[name], labelling.pairs[name]
    found = pairs.copy()
    classes = list(_tied(score, pairs, _blocks(group, labelling)))
    certain = np.setdiff1d(np.arange(len(pairs)), [unit for together, _ in classes for unit in together])
    for together, allowed in classes:
        if as_labelled:
            likeness = _likeness_as_labelled(group, together, similarity, labelling, given_signs or {})
        else:
            likeness = _likeness(group, together, certain, similarity, labelling)
        columns, total = assign(np.where(allowed, likeness, FORBIDDEN))
        if total > float(np.trace(likeness)) + 1e-12:
            found[together] = pairs[together[columns]]
    return None if np.array_equal(found, pairs) else found


def _blocks(group: PermutationGroup, labelling: Labelling) -> Array:
    """Return the block that each unit of the reference is in and stays in."""
    nesting = labelling.map.nesting
    blocks: Array = np.arange(group.units) // group.size
    if group.name in nesting.outer:
        (inner,) = (one for one in nesting.inside[nesting.outer[group.name]] if one.name == group.name)
        for number, run in enumerate(inner.members.reshape(-1, group.size)):
            blocks[run] = number
    return blocks


def _tied(
    score: Tensor, pairs: Array, blocks: Array
) -> Iterator[tuple[Array, np.ndarray[tuple[int, int], np.dtype[np.bool_]]]]:
    """Yield units that could trade what they are matched to at no loss, and which of them could with which."""
    columns = torch.from_numpy(pairs)
    own = score[torch.arange(len(pairs)), columns]
    least = own - ROUNDING[score.dtype] * own.abs().clamp(min=1.0)
    links: dict[int, set[int]] = {}
    for start in range(0, len(pairs), ROWS):
        rows = score[start : start + ROWS].index_select(1, columns.to(score.device))
        for row, column in torch.nonzero(rows >= least[start : start + ROWS, None]).tolist():
            if row + start != column and blocks[row + start] == blocks[column]:
                links.setdefault(row + start, set()).add(column)
    left = {i for i, others in links.items() if any(i in links.get(j, ()) for j in others)}
    while left:
        inside, new = set(), {min(left)}
        while new:
            inside |= new
            new = {j for i in new for j in links[i] if j in left and i in links[j]} - inside
        left -= inside
        together = np.array(sorted(inside))
        yield together, np.array([[i == j or j in links[i] for j in together] for i in together])


def _likeness(
    group: PermutationGroup, units: Array, certain: Array, similarity: Similarity, labelling: Labelling
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return minus the squared distances of units of the reference from what they are matched to, by all else.

    Of weights that read the units only what does not depend on labels yet to be chosen counts: the sizes, in order, or,
    of signs, which have none, the inner products with those that read units that are certain.
    """
    voted = {(axis.tensor, axis.dims) for axis in group.writers}
    axes = [axis for axis in group.axes if (axis.tensor, axis.dims) not in voted]
    chosen = torch.from_numpy(units)
    theirs = torch.from_numpy(labelling.pairs[group.name][units])
    result = np.zeros((len(units), len(units)))
    for axis in axes:
        rows = [
            unit_rows(network[axis.tensor], axis)[which.to(network[axis.tensor].device)].double().cpu()
            for network, which in ((similarity.reference, chosen), (similarity.params, theirs))
        ]
        if axis.role is Role.OUTGOING and axis.tensor in labelling.map.symmetry.latents:
            result += _likeness_to_certain(group, axis, units, certain, similarity, labelling)
            continue
        if axis.role is Role.OUTGOING:
            rows = [row.abs().sort(dim=1).values for row in rows]
        elif any(other.dims == axis.dims for _, other in labelling.map.signs[axis.tensor]):
            rows = [row.abs() for row in rows]
        size = float(rows[0].square().sum()) or 1.0
        result -= torch.cdist(rows[0], rows[1]).square().numpy() / size
    return result


def _likeness_to_certain(
    group: PermutationGroup, axis: Axis, units: Array, certain: Array, similarity: Similarity, labelling: Labelling
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return minus the squared distances between inner products of what reads units with what reads certain ones.

    A unit whose sign is free has the one that its incoming weights tell.
    """
    chosen = [
        torch.cat([row[torch.from_numpy(which)] for which in (units, certain)])
        for row in _rows_as_labelled(axis, similarity, labelling)
    ]
    here, there = (row[: len(units)] @ row[len(units) :].T for row in chosen)
    signs = torch.ones(len(units), len(units), dtype=torch.float64)
    if _free_sign(group, labelling) is not None:
        told = sum(one @ other.T for one, other in (_rows_as_labelled(w, similarity, labelling) for w in group.writers))
        told = torch.where(torch.as_tensor(told) < 0, -1.0, 1.0).double()
        there = there * told.diagonal()[torch.from_numpy(certain)]
        signs = told[torch.from_numpy(units)][:, torch.from_numpy(units)]
    squares = here.square().sum(1)[:, None] + there.square().sum(1)[None]
    size = float(here.square().sum()) or 1.0
    return ((2 * signs * (here @ there.T) - squares) / size).numpy()


def _rows_as_labelled(axis: Axis, similarity: Similarity, labelling: Labelling) -> tuple[Tensor, Tensor]:
    """Return what a tensor of the reference and of the network as labelled hold of each unit, (units, ...), float64."""
    seen = labelling.seen(axis.tensor, similarity.params[axis.tensor])
    here, there = (unit_rows(tensor, axis).double().cpu() for tensor in (similarity.reference[axis.tensor], seen))
    return here, there


def _likeness_as_labelled(
    group: PermutationGroup,
    units: Array,
    similarity: Similarity,
    labelling: Labelling,
    given_signs: Mapping[str, Tensor],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the inner products of units of the reference with what they are matched to, over all that they have.

    A unit whose sign is free has the one that its similarity with its sign tells, or else its incoming weights.
    """
    products = {True: torch.zeros(len(units), len(units), dtype=torch.float64)}
    products[False] = torch.zeros_like(products[True])
    chosen = torch.from_numpy(units)
    for axis in group.axes:
        here, there = _rows_as_labelled(axis, similarity, labelling)
        products[axis in group.writers] += here[chosen] @ there[chosen].T
    total = products[True] + products[False]
    found = _free_sign(group, labelling)
    if found is not None and found[0] not in similarity.gains:
        name, owners = found
        told = products[True]
        if name in given_signs:
            theirs = owners[labelling.pairs[group.name][units]]
            given = given_signs[name][owners[units]][:, theirs] * labelling.signs[name][theirs]
            told = torch.where(given == 0, told, given)
        total = torch.where(told < 0, -total, total)
    return total.numpy()


def _free_sign(group: PermutationGroup, labelling: Labelling) -> tuple[str, Array] | None:
    """Return the sign group of a group's units, where each has a sign of its own, and each unit's number in it."""
    axis = group.writers[0]
    for signs, other in labelling.map.signs[axis.tensor]:
        if other.dims == axis.dims:
            unit_at = np.full(1 + max(int(other.places.table.max()), int(axis.places.table.max())), -1)
            unit_at[other.places.table.ravel()] = np.repeat(np.arange(signs.size), other.places.table.shape[1])
            owners: Array = unit_at[axis.places.table[:, 0]]
            if (owners >= 0).all() and len(np.unique(owners)) == len(owners):
                return signs.name, owners
    return None
