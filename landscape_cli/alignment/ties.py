"""Units that their incoming weights do not tell apart, told apart by whatever else they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_cli.alignment.assignment import Array, assign
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.symmetry import Axis, PermutationGroup, Role, unit_rows

ROUNDING = {torch.float64: 1e-13, torch.float32: 1e-6}
"""Similarities that differ by no more, for each unit of similarity, are equal."""
ROWS = 256
FORBIDDEN = -1e30
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]


def untied(
    name: str,
    score: Tensor,
    similarity: Similarity,
    matching: UnitMatching,
    *,
    as_matched: bool = False,
    sign_correlations: Mapping[str, Tensor] | None = None,
) -> Array | None:
    """Return the pairs of a group with units matched by all that they have where the score leaves a choice.

    Args:
        name: of a group of units.
        score: how well its units match, shape (units, units).
        similarity: of the networks.
        matching: the matches chosen, by that score and others.
        as_matched: whether all else is matched too, so that what the units have there can be compared in order.
        sign_correlations: of units with their sign, by sign group, where these tell it.

    Returns:
        For each unit of the reference the network's unit matched to it; None where nothing is better.
    """
    group, pairs = matching.axis_table.nesting.groups[name], matching.pairs[name]
    best = pairs.copy()
    classes = list(_tied(score, pairs, _blocks(group, matching)))
    certain = np.setdiff1d(np.arange(len(pairs)), [unit for tied, _ in classes for unit in tied])
    for tied, allowed in classes:
        if as_matched:
            likeness = _likeness_as_matched(group, tied, similarity, matching, sign_correlations or {})
        else:
            likeness = _likeness(group, tied, certain, similarity, matching)
        columns, total = assign(np.where(allowed, likeness, FORBIDDEN))
        if total > float(np.trace(likeness)) + 1e-12:
            best[tied] = pairs[tied[columns]]
    return None if np.array_equal(best, pairs) else best


def _blocks(group: PermutationGroup, matching: UnitMatching) -> Array:
    """Return the block that each unit of the reference is in and stays in."""
    nesting = matching.axis_table.nesting
    blocks: Array = np.arange(group.units) // group.size
    if group.name in nesting.outer:
        for number, run in enumerate(nesting.members(group.name).reshape(-1, group.size)):
            blocks[run] = number
    return blocks


def _tied(score: Tensor, pairs: Array, blocks: Array) -> Iterator[tuple[Array, Mask]]:
    """Yield units that could trade what they are matched to at no loss, and which of them could with which."""
    links = _links(score, pairs, blocks)
    left = {i for i, linked in links.items() if any(i in links.get(j, ()) for j in linked)}
    while left:
        component = _component(links, left)
        left -= component
        tied = np.array(sorted(component))
        yield tied, np.array([[i == j or j in links[i] for j in tied] for i in tied])


def _links(score: Tensor, pairs: Array, blocks: Array) -> dict[int, set[int]]:
    """Return for units of the reference those of the same block whose match would do as well as their own."""
    columns = torch.from_numpy(pairs)
    matched = score[torch.arange(len(pairs)), columns]
    least = matched - ROUNDING[score.dtype] * matched.abs().clamp(min=1.0)
    links: dict[int, set[int]] = {}
    for start in range(0, len(pairs), ROWS):
        rows = score[start : start + ROWS].index_select(1, columns.to(score.device))
        for row, column in torch.nonzero(rows >= least[start : start + ROWS, None]).tolist():
            if row + start != column and blocks[row + start] == blocks[column]:
                links.setdefault(row + start, set()).add(column)
    return links


def _component(links: Mapping[int, set[int]], left: set[int]) -> set[int]:
    """Return the first of the units left with all that links both ways, one after another, lead to."""
    component, new = set(), {min(left)}
    while new:
        component |= new
        new = {j for i in new for j in links[i] if j in left and i in links[j]} - component
    return component


def _likeness(
    group: PermutationGroup, units: Array, certain: Array, similarity: Similarity, matching: UnitMatching
) -> Matrix:
    """Return minus the squared distances of units of the reference from what they are matched to, by all else.

    Of weights that read the units only what does not depend on matches yet to be chosen counts: the sizes, in order,
    or, of signs, which have none, the inner products with those that read units that are certain.
    """
    voted = {(axis.tensor, axis.dims) for axis in group.writers}
    matched = torch.from_numpy(matching.pairs[group.name][units])
    result = np.zeros((len(units), len(units)))
    for axis in group.axes:
        if (axis.tensor, axis.dims) in voted:
            continue
        if axis.role is Role.OUTGOING and axis.tensor in matching.axis_table.symmetry.latents:
            result += _likeness_to_certain(group, axis, units, certain, similarity, matching)
            continue
        rows = [
            unit_rows(network[axis.tensor], axis)[numbers.to(network[axis.tensor].device)].double().cpu()
            for network, numbers in ((similarity.reference, torch.from_numpy(units)), (similarity.params, matched))
        ]
        if axis.role is Role.OUTGOING:
            rows = [row.abs().sort(dim=1).values for row in rows]
        elif any(flipped.dims == axis.dims for _, flipped in matching.axis_table.signs[axis.tensor]):
            rows = [row.abs() for row in rows]
        size = float(rows[0].square().sum()) or 1.0
        result -= torch.cdist(rows[0], rows[1]).square().numpy() / size
    return result


def _likeness_to_certain(
    group: PermutationGroup, axis: Axis, units: Array, certain: Array, similarity: Similarity, matching: UnitMatching
) -> Matrix:
    """Return minus the squared distances between inner products of what reads units with what reads certain ones.

    A unit whose sign is free has the one that its incoming weights tell.
    """
    chosen = [
        torch.cat([row[torch.from_numpy(numbers)] for numbers in (units, certain)])
        for row in _rows_as_matched(axis, similarity, matching)
    ]
    of_reference, of_network = (row[: len(units)] @ row[len(units) :].T for row in chosen)
    signs = torch.ones(len(units), len(units), dtype=torch.float64)
    if _free_sign(group, matching) is not None:
        writers = [_rows_as_matched(writer, similarity, matching) for writer in group.writers]
        evidence = torch.as_tensor(sum(reference @ network.T for reference, network in writers))
        sign_of = torch.where(evidence < 0, -1.0, 1.0).double()
        of_network = of_network * sign_of.diagonal()[torch.from_numpy(certain)]
        signs = sign_of[torch.from_numpy(units)][:, torch.from_numpy(units)]
    squares = of_reference.square().sum(1)[:, None] + of_network.square().sum(1)[None]
    size = float(of_reference.square().sum()) or 1.0
    return ((2 * signs * (of_reference @ of_network.T) - squares) / size).numpy()


def _rows_as_matched(axis: Axis, similarity: Similarity, matching: UnitMatching) -> tuple[Tensor, Tensor]:
    """Return what a tensor of the reference and of the network as matched hold of each unit, (units, ...), float64."""
    tensors = similarity.reference[axis.tensor], matching.apply(axis.tensor, similarity.params[axis.tensor])
    of_reference, of_network = (unit_rows(tensor, axis).double().cpu() for tensor in tensors)
    return of_reference, of_network


def _likeness_as_matched(
    group: PermutationGroup,
    units: Array,
    similarity: Similarity,
    matching: UnitMatching,
    sign_correlations: Mapping[str, Tensor],
) -> Matrix:
    """Return the inner products of units of the reference with what they are matched to, over all that they have.

    A unit whose sign is free has the one that its correlation with its sign tells, or else its incoming weights.
    """
    products = {True: torch.zeros(len(units), len(units), dtype=torch.float64)}
    products[False] = torch.zeros_like(products[True])
    chosen = torch.from_numpy(units)
    for axis in group.axes:
        of_reference, of_network = _rows_as_matched(axis, similarity, matching)
        products[axis in group.writers] += of_reference[chosen] @ of_network[chosen].T
    total = products[True] + products[False]
    free_sign = _free_sign(group, matching)
    if free_sign is not None and free_sign[0] not in similarity.gains:
        name, numbers = free_sign
        evidence = products[True]
        if name in sign_correlations:
            matched = numbers[matching.pairs[group.name][units]]
            correlations = sign_correlations[name][numbers[units]][:, matched] * matching.signs[name][matched]
            evidence = torch.where(correlations == 0, evidence, correlations)
        total = torch.where(evidence < 0, -total, total)
    return total.numpy()


def _free_sign(group: PermutationGroup, matching: UnitMatching) -> tuple[str, Array] | None:
    """Return the sign group of a group's units, where each has a sign of its own, and each unit's number in it."""
    writer = group.writers[0]
    for sign_group, axis in matching.axis_table.signs[writer.tensor]:
        if axis.dims == writer.dims:
            numbers: Array = axis.places.unit_at(writer.places.table[:, 0])
            if (numbers >= 0).all() and len(np.unique(numbers)) == len(numbers):
                return sign_group.name, numbers
    return None
