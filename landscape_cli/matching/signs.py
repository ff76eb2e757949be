"""The signs of units: what batch-norm's gains tell of them, and how they are chosen (SPEC 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from landscape_cli.checkpoint import Params
from landscape_cli.matching.labelling import Labelling, Map
from landscape_cli.symmetry import Axis, Role, SignGroup, unit_rows

Gains = dict[str, tuple[Tensor, Tensor]]
"""By sign group: the signs that gains give to its units in the reference and in the network, each as labelled there."""


def signs_of_gains(reference: Params, params: Params, where: Map) -> Gains:
    """Return the sign groups whose signs gains tell: all there, none of them zero, and in no other sign group."""
    uses = Counter(axis.tensor for group in where.symmetry.signs for axis in group.axes if axis.role is Role.GAIN)
    found: Gains = {}
    for group in where.symmetry.signs:
        gain = next((axis for axis in group.axes if axis.role is Role.GAIN and uses[axis.tensor] == 1), None)
        if gain is not None:
            signs = [unit_rows(network[gain.tensor], gain)[:, 0].cpu().sign() for network in (reference, params)]
            if all(bool((sign != 0).all()) for sign in signs):
                found[group.name] = (signs[0].float(), signs[1].float())
    return found


def tellers(group: SignGroup) -> tuple[Axis, ...]:
    """Return the axes that tell a unit's sign where no gain does: its incoming weights, or whatever it has."""
    for roles in ({Role.INCOMING}, {Role.GAIN, Role.FOLLOWER}):
        found = tuple(axis for axis in group.axes if axis.role in roles)
        if found:
            return found
    return group.axes


def choose_signs(
    group: SignGroup,
    axes: Iterable[Axis],
    labelling: Labelling,
    reference: Params,
    params: Params,
    gains: Gains,
    *,
    cosine: bool,
    given: Tensor | None = None,
) -> Tensor:
    """Return the signs of a group's units, as the network is labelled, that make it resemble the reference.

    Args:
        group: of the units.
        axes: those that tell, if no gain does.
        labelling: the labels and other signs chosen so far.
        reference: the network to resemble.
        params: the network.
        gains: what gains tell.
        cosine: whether each place counts alike, rather than by the size of the weights.
        given: similarities of units with their sign, shape (units, units), that tell instead.
    """
    source = labelling.sign_sources(group)
    result = torch.ones(group.size)
    if given is not None:
        result[source] = torch.where(given[torch.arange(group.size), source] < 0, -1.0, 1.0)
        return result
    if group.name in gains:
        here, there = gains[group.name]
        result[source] = here * there[source]
        return result
    total = torch.zeros(group.size, dtype=torch.float64)
    for axis in axes:
        seen = labelling.seen(axis.tensor, params[axis.tensor], flips=lambda other, _: other.name != group.name)
        shape = (*axis.places.table.shape, -1)
        rows = [unit_rows(tensor, axis).view(shape).double().cpu() for tensor in (reference[axis.tensor], seen)]
        dots = (rows[0] * rows[1]).sum(2)
        if cosine:
            norms = rows[0].norm(dim=2) * rows[1].norm(dim=2)
            dots = torch.where(norms > 0, dots / norms, 0.0)
        total += dots.sum(1)
    result[source] = torch.where(total < 0, -1.0, 1.0)
    return result
