"""The signs of units: what batch-norm's gains tell of them, and how they are chosen (SPEC 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from landscape_cli.alignment.labelling import Labelling, Map
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, Role, SignGroup, spread, unit_rows

Gains = dict[str, tuple[Tensor, Tensor]]
"""By sign group: the signs that gains give to its units in the reference and in the network, each as labelled there."""
MOST_ROUNDS = 100


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
        told = given[torch.arange(group.size), source]
        if bool((told == 0).any()):  # as activations that never change tell nothing
            alone, _ = _evidence(group, axes, labelling, reference, params, cosine=cosine)
            told = torch.where(told == 0, alone, told)
        result[source] = torch.where(told < 0, -1.0, 1.0)
        return result
    if group.name in gains:
        here, there = gains[group.name]
        result[source] = here * there[source]
        return result
    alone, pairs = _evidence(group, axes, labelling, reference, params, cosine=cosine)
    chosen = torch.where(alone < 0, -1.0, 1.0).double()
    if pairs is not None:
        starts = (labelling.signs[group.name][source].double(), chosen)
        chosen = max((_descend(alone, pairs, start) for start in starts), key=lambda s: float(s @ (alone + pairs @ s)))
    result[source] = chosen.float()
    return result


def _evidence(
    group: SignGroup, axes: Iterable[Axis], labelling: Labelling, reference: Params, params: Params, *, cosine: bool
) -> tuple[Tensor, Tensor | None]:
    """Return what speaks for the sign + of each unit, shape (units,), and for equal signs of two, (units, units).

    Units that are on several sides of one tensor have the latter: what it says of one depends on the others' signs.
    """
    alone = torch.zeros(group.size, dtype=torch.float64)
    pairs = None
    done = set()
    for axis in axes:
        sides = [other for other in group.axes if other.tensor == axis.tensor]
        one = reference[axis.tensor]
        seen = labelling.seen(axis.tensor, params[axis.tensor], flips=lambda other, _: other.name != group.name)
        if all(other.dims == axis.dims for other in sides):
            alone += _along(one, seen, axis, cosine=cosine)
        elif cosine or axis.tensor not in done:
            done.add(axis.tensor)
            joint = _between(one, seen, axis, sides, group.size, cosine=cosine)
            alone += joint[0, 1:] + joint[1:, 0]
            both = joint[1:, 1:] + joint[1:, 1:].T
            pairs = both if pairs is None else pairs + both
    return alone, None if pairs is None else pairs.fill_diagonal_(0) / 2


def _along(one: Tensor, other: Tensor, axis: Axis, *, cosine: bool) -> Tensor:
    """Return the inner products, or the sums of cosines, of what two tensors hold of each unit, shape (units,)."""
    shape = (*axis.places.table.shape, -1)
    rows = [unit_rows(tensor, axis).view(shape).cpu().double() for tensor in (one, other)]
    dots = (rows[0] * rows[1]).sum(2)
    if cosine:
        norms = rows[0].norm(dim=2) * rows[1].norm(dim=2)
        dots = torch.where(norms > 0, dots / norms, 0.0)
    return dots.sum(1)


def _between(one: Tensor, other: Tensor, axis: Axis, sides: list[Axis], units: int, *, cosine: bool) -> Tensor:
    """Return the sums of products of two tensors' entries by the units that they belong to, shape (1 + units,) * 2.

    Args:
        one: a tensor.
        other: the same of another network.
        axis: by places along which cosines count alike.
        sides: all axes of the units in the tensor.
        units: how many there are; the first row and column are of entries that are nobody's on that side.
        cosine: whether to count cosines rather than products.
    """
    here = _units_at(one, [side for side in sides if side.dims == axis.dims])
    there = _units_at(one, [side for side in sides if side.dims != axis.dims])
    rest = [dim for dim in range(one.ndim) if here.shape[dim] == there.shape[dim] == 1]
    one, other = one.cpu().double(), other.cpu().double()
    products = one * other
    if cosine:
        across = [dim for dim in range(one.ndim) if dim not in axis.dims]
        norms = (one.square().sum(across, keepdim=True) * other.square().sum(across, keepdim=True)).sqrt()
        products = torch.where(norms > 0, products / norms, 0.0) * (here > 0)
    if rest:
        products = products.sum(rest, keepdim=True)
    owners = here * (1 + units) + there
    total = torch.zeros((1 + units) ** 2, dtype=torch.float64)
    return total.index_add_(0, owners.expand(products.shape).flatten(), products.flatten()).view(1 + units, -1)


def _units_at(tensor: Tensor, axes: Iterable[Axis]) -> Tensor:
    """Return which unit an entry belongs to along some axes, counted from 1, or 0; ready to be broadcast."""
    found = torch.zeros([1] * tensor.ndim, dtype=torch.int64)
    for axis in axes:
        found = torch.maximum(found, spread(torch.arange(2, 2 + len(axis.places.table)), axis, tensor) - 1)
    return found


def _descend(alone: Tensor, pairs: Tensor, start: Tensor) -> Tensor:
    """Return signs of which none is better alone the other way, shape (units,), from a start."""
    signs = start.clone()
    for _ in range(MOST_ROUNDS):
        before = signs.clone()
        for unit in range(len(signs)):
            field = float(alone[unit] + 2 * pairs[unit] @ signs)
            if field * float(signs[unit]) < 0:
                signs[unit] = -signs[unit]
        if torch.equal(signs, before):
            break
    return signs
