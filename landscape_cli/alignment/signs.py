"""The signs of units: what batch-norm's gains tell of them, and how they are chosen (docs/method.md: Align)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, Role, SignGroup, unit_rows

Gains = dict[str, tuple[Tensor, Tensor]]
"""By sign group: the signs that gains give to its units in the reference and in the network, each in its own order."""
MOST_ROUNDS = 100


def signs_of_gains(reference: Params, params: Params, axis_table: AxisTable) -> Gains:
    """Return the sign groups whose signs gains tell: all there, none of them zero, and in no other sign group.

    Nor may other units trade places within what a gain has of one: the first number there tells its sign.
    """
    groups = axis_table.symmetry.signs
    uses = Counter(axis.tensor for group in groups for axis in group.axes if axis.role is Role.GAIN)
    gains: Gains = {}
    for group in groups:
        gain = next(
            (
                axis
                for axis in group.axes
                if axis.role is Role.GAIN
                and uses[axis.tensor] == 1
                and all(along.dims == axis.dims for _, along in axis_table.permutations[axis.tensor])
            ),
            None,
        )
        if gain is not None:
            signs = [unit_rows(network[gain.tensor], gain)[:, 0].cpu().sign() for network in (reference, params)]
            if all(bool((sign != 0).all()) for sign in signs):
                gains[group.name] = (signs[0].float(), signs[1].float())
    return gains


def choose_signs(
    group: SignGroup,
    axes: Iterable[Axis],
    matching: UnitMatching,
    reference: Params,
    params: Params,
    gains: Gains,
    *,
    cosine: bool,
    correlations: Tensor | None = None,
) -> Tensor:
    """Return the signs of a group's units, in the network's own order, that make it resemble the reference.

    Where units on several sides of one tensor tell each other's signs, this is a maximum of a quadratic function of
    signs that no flip of one unit raises, from two starts.

    Args:
        group: of the units.
        axes: those that tell, if no gain does.
        matching: the permutations and other signs chosen so far.
        reference: the network to resemble.
        params: the network.
        gains: what gains tell.
        cosine: whether each place counts alike, rather than by the size of the weights.
        correlations: of units with their sign, shape (units, units), that tell instead.
    """
    source = matching.sign_sources(group)
    result = torch.ones(group.size)
    if correlations is not None:
        evidence = correlations[torch.arange(group.size), source]
        if bool((evidence == 0).any()):  # as activations that never change tell nothing
            alone, _ = _evidence(group, axes, matching, reference, params, cosine=cosine)
            evidence = torch.where(evidence == 0, alone, evidence)
        result[source] = torch.where(evidence < 0, -1.0, 1.0)
        return result
    if group.name in gains:
        of_reference, of_network = gains[group.name]
        result[source] = of_reference * of_network[source]
        return result
    alone, pairs = _evidence(group, axes, matching, reference, params, cosine=cosine)
    chosen = torch.where(alone < 0, -1.0, 1.0).double()
    if pairs is not None:
        starts = (matching.signs[group.name][source].double(), chosen)
        chosen = max((_descend(alone, pairs, start) for start in starts), key=lambda s: float(s @ (alone + pairs @ s)))
    result[source] = chosen.float()
    return result


def _evidence(
    group: SignGroup, axes: Iterable[Axis], matching: UnitMatching, reference: Params, params: Params, *, cosine: bool
) -> tuple[Tensor, Tensor | None]:
    """Return what speaks for the sign + of each unit, shape (units,), and for equal signs of two, (units, units).

    Units that are on several sides of one tensor have the latter: what it says of one depends on the others' signs.
    """
    alone = torch.zeros(group.size, dtype=torch.float64)
    pairs = None
    done = set()
    for axis in axes:
        sides = [side for side in group.axes if side.tensor == axis.tensor]
        target = reference[axis.tensor]
        matched = matching.apply(axis.tensor, params[axis.tensor], flips=lambda signs, _: signs.name != group.name)
        if all(side.dims == axis.dims for side in sides):
            alone += _along(target, matched, axis, cosine=cosine)
        elif cosine or axis.tensor not in done:
            done.add(axis.tensor)
            joint = _between(target, matched, axis, sides, group.size, cosine=cosine)
            alone += joint[0, 1:] + joint[1:, 0]
            both = joint[1:, 1:] + joint[1:, 1:].T
            pairs = both if pairs is None else pairs + both
    return alone, None if pairs is None else pairs.fill_diagonal_(0) / 2


def _along(reference: Tensor, tensor: Tensor, axis: Axis, *, cosine: bool) -> Tensor:
    """Return the inner products, or the sums of cosines, of what two tensors hold of each unit, shape (units,)."""
    shape = (*axis.places.table.shape, -1)
    rows = [unit_rows(values, axis).view(shape).cpu().double() for values in (reference, tensor)]
    dots = (rows[0] * rows[1]).sum(2)
    if cosine:
        norms = rows[0].norm(dim=2) * rows[1].norm(dim=2)
        dots = torch.where(norms > 0, dots / norms, 0.0)
    return dots.sum(1)


def _between(reference: Tensor, tensor: Tensor, axis: Axis, sides: list[Axis], units: int, *, cosine: bool) -> Tensor:
    """Return the sums of products of two tensors' entries by the units that they belong to, shape (1 + units,) * 2.

    Args:
        reference: a tensor.
        tensor: the same of another network.
        axis: by places along which cosines count alike.
        sides: all axes of the units in the tensor.
        units: how many there are; the first row and column are of entries that are nobody's on that side.
        cosine: whether to count cosines rather than products.
    """
    rows = _units_at(reference, [side for side in sides if side.dims == axis.dims])
    columns = _units_at(reference, [side for side in sides if side.dims != axis.dims])
    rest = [dim for dim in range(reference.ndim) if rows.shape[dim] == columns.shape[dim] == 1]
    reference, tensor = reference.cpu().double(), tensor.cpu().double()
    products = reference * tensor
    if cosine:
        across = [dim for dim in range(reference.ndim) if dim not in axis.dims]
        norms = (reference.square().sum(across, keepdim=True) * tensor.square().sum(across, keepdim=True)).sqrt()
        products = torch.where(norms > 0, products / norms, 0.0) * (rows > 0)
    if rest:
        products = products.sum(rest, keepdim=True)
    pairs = rows * (1 + units) + columns
    total = torch.zeros((1 + units) ** 2, dtype=torch.float64)
    return total.index_add_(0, pairs.expand(products.shape).flatten(), products.flatten()).view(1 + units, -1)


def _units_at(tensor: Tensor, axes: Iterable[Axis]) -> Tensor:
    """Return which unit an entry belongs to along some axes, counted from 1, or 0; ready to be broadcast."""
    numbers = torch.zeros([1] * tensor.ndim, dtype=torch.int64)
    for axis in axes:
        sizes = [size if dim in axis.dims else 1 for dim, size in enumerate(tensor.shape)]
        units = axis.places.unit_at(np.arange(math.prod(sizes)))
        numbers = torch.maximum(numbers, torch.from_numpy(1 + units).view(sizes))
    return numbers


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
