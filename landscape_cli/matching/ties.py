"""Units that their incoming weights do not tell apart, told apart by whatever else they have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from landscape_cli.matching.assignment import Array, assign
from landscape_cli.matching.labelling import Labelling
from landscape_cli.matching.similarity import Similarity
from landscape_cli.symmetry import PermutationGroup, Role, unit_rows

ROUNDING = {torch.float64: 1e-13, torch.float32: 1e-6}
"""Similarities that differ by no more, for each unit of similarity, are equal."""
ROWS = 256
FORBIDDEN = -1e30


def untied(name: str, score: Tensor, similarity: Similarity, labelling: Labelling) -> Array | None:
    """Return the pairs of a group with units matched by all that they have where the score leaves a choice.

    Args:
        name: of a group of units.
        score: how well its units match, shape (units, units).
        similarity: of the networks.
        labelling: the labels chosen, by that score and others.

    Returns:
        For each unit of the reference the network's unit matched to it; None where nothing is better.
    """
    group, pairs = labelling.map.nesting.groups[name], labelling.pairs[name]
    found = pairs.copy()
    for together, allowed in _tied(score, pairs, _blocks(group, labelling)):
        likeness = _likeness(group, together, similarity, labelling)
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
    group: PermutationGroup, units: Array, similarity: Similarity, labelling: Labelling
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return minus the squared distances of units of the reference from what they are matched to, by all else.

    Of weights that read the units only the sizes count, in order: these do not depend on labels yet to be chosen.
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
        if axis.role is Role.OUTGOING:
            rows = [row.abs().sort(dim=1).values for row in rows]
        elif any(other.dims == axis.dims for _, other in labelling.map.signs[axis.tensor]):
            rows = [row.abs() for row in rows]
        size = float(rows[0].square().sum()) or 1.0
        result -= torch.cdist(rows[0], rows[1]).square().numpy() / size
    return result
