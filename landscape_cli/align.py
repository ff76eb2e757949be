"""Choosing the labels of hidden units so that one network resembles another (SPEC 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from landscape_cli.checkpoint import Params
from landscape_cli.errors import GeometryError
from landscape_cli.symmetry import Axis, PermutationGroup, Role, Symmetry, expand_units, permute, unit_rows

METHODS = ("cosine",)
MOST_SWEEPS = 100


@dataclass(frozen=True)
class Alignment:
    """A network relabelled to resemble a reference.

    Attributes:
        params: the relabelled network, its tensors' values untouched.
        permutations: by group: unit i is what unit `permutations[group][i]` was; shape (units,), int64.
        similarity: by group: the mean over units and writers of the cosine with the reference, after.
        similarity_before: the same before.
    """

    params: Params
    permutations: Mapping[str, Tensor]
    similarity: Mapping[str, float]
    similarity_before: Mapping[str, float]


def align(reference: Params, params: Params, symmetry: Symmetry, *, method: str = "cosine") -> Alignment:
    """Relabel the hidden units of `params` to match those of `reference`.

    Args:
        reference: the network whose labels stand.
        params: the network to relabel, of the same model.
        symmetry: the symmetry of both.
        method: "cosine": from the first layer upward, the assignment that maximises the sum of the cosines between
            matched units' incoming weights (Pittorino et al., 2022, algorithm 2). A group with several writers, as
            a residual stream has, is matched on those whose inputs are settled already, then all groups are
            matched on all writers until none changes. Norms and biases do not vote.

    Raises:
        GeometryError: if the method is unknown.
    """
    if method not in METHODS:
        raise GeometryError(f"unknown alignment method {method!r}: choose {', '.join(METHODS)}")
    identity = {group.name: torch.arange(group.size) for group in symmetry.permutations}
    chosen = dict(identity)
    inputs = _inputs(symmetry)
    settled: set[str] = set()
    for group in symmetry.permutations:
        writers = [axis for axis in group.writers if inputs[axis.tensor] <= settled]
        chosen[group.name] = _match(reference, params, symmetry, group, writers or group.writers, chosen)
        settled.add(group.name)
    tied = [
        group
        for group in symmetry.permutations
        if len(group.writers) > 1 or any(group.name in inputs[axis.tensor] for axis in group.writers)
    ]
    for _ in range(MOST_SWEEPS if tied else 0):
        before = dict(chosen)
        for group in symmetry.permutations:
            chosen[group.name] = _match(reference, params, symmetry, group, group.writers, chosen)
        if all(torch.equal(before[name], chosen[name]) for name in chosen):
            break
    return Alignment(
        permute(params, symmetry, chosen),
        chosen,
        similarity=_mean_similarity(reference, params, symmetry, chosen),
        similarity_before=_mean_similarity(reference, params, symmetry, identity),
    )


def _inputs(symmetry: Symmetry) -> dict[str, set[str]]:
    """Return, for each tensor, the groups that live on axes of it other than those it writes."""
    found: dict[str, set[str]] = {name: set() for name, _ in symmetry.shapes}
    for group in symmetry.permutations:
        for axis in group.axes:
            if axis.role is not Role.INCOMING:
                found[axis.tensor].add(group.name)
    return found


def _match(
    reference: Params,
    params: Params,
    symmetry: Symmetry,
    group: PermutationGroup,
    writers: tuple[Axis, ...] | list[Axis],
    chosen: Mapping[str, Tensor],
) -> Tensor:
    """Return the best assignment for one group, the others being as `chosen`."""
    if not writers:
        return chosen[group.name]
    total = _similarity(reference, params, symmetry, group, writers, chosen)
    _, columns = linear_sum_assignment(total.numpy(), maximize=True)
    return torch.from_numpy(columns)


def _similarity(
    reference: Params,
    params: Params,
    symmetry: Symmetry,
    group: PermutationGroup,
    writers: tuple[Axis, ...] | list[Axis],
    chosen: Mapping[str, Tensor],
) -> Tensor:
    """Return cosines between units of the reference (rows) and of the network as it was labelled (columns).

    Shape (units, units), float64, summed over `writers`; a zero vector is orthogonal to all.
    """
    total = torch.zeros(group.size, group.size, dtype=torch.float64)
    for axis in writers:
        settled = _with_columns_settled(params[axis.tensor], axis, symmetry, chosen)
        rows = [unit_rows(tensor.cpu().double(), axis, group.size) for tensor in (reference[axis.tensor], settled)]
        total += _unit(rows[0]) @ _unit(rows[1]).T
    return total


def _with_columns_settled(tensor: Tensor, writer: Axis, symmetry: Symmetry, chosen: Mapping[str, Tensor]) -> Tensor:
    """Return a tensor of weights relabelled along every axis but the writer's own."""
    for group in symmetry.permutations:
        for axis in group.axes:
            if axis.tensor == writer.tensor and axis.dim != writer.dim:
                places = expand_units(chosen[group.name], axis, group.size)
                tensor = tensor.index_select(axis.dim, places.to(tensor.device))
    return tensor


def _unit(rows: Tensor) -> Tensor:
    norms = rows.norm(dim=1, keepdim=True)
    return torch.where(norms > 0, rows / norms, torch.zeros_like(rows))


def _mean_similarity(
    reference: Params, params: Params, symmetry: Symmetry, chosen: Mapping[str, Tensor]
) -> dict[str, float]:
    result = {}
    for group in symmetry.permutations:
        if group.writers:
            total = _similarity(reference, params, symmetry, group, group.writers, chosen)
            matched = total[torch.arange(group.size), chosen[group.name]]
            result[group.name] = float(matched.mean()) / len(group.writers)
    return result
