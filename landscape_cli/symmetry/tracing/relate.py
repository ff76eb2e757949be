"""What it says about labels that two tensors meet place by place, or that places are summed over."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

from landscape_cli.symmetry.tracing.equations import clusters
from landscape_cli.symmetry.tracing.integers import NONE, SPAN, Array, Hash, different, is_function, mix, split_rows
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, aligned, compress, covered, distinct, to_layer

INPUT = "input"
"""Why what reads the network's inputs may not move."""
FIXED = "a fixed place"
"""Why what meets places may not that are fixed for several reasons."""
NATURAL = ("batch", "a place of ", FIXED)
"""What reasons begin with that are places by nature."""


def resolved(labels: Labels, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return what layers of labels have come to."""
    return distinct(compress(to_layer(part)) for layer in layers for part in labels.resolve(layer.numpy()))


def _is_above(labels: Labels, blocks: Layer, units: Layer) -> bool:
    """Tell whether a layer says no more than which blocks the units of another are in."""
    if blocks is units or not covered(blocks) <= covered(units) or int(blocks.min()) < 0 or int(units.min()) < 0:
        return False
    above = labels.above(units.numpy())
    return bool(np.array_equal(above, np.broadcast_to(labels.find(blocks.numpy()), above.shape)))


def meet(labels: Labels, first: Sequence[Layer], second: Sequence[Layer], rank: int, reason: str) -> tuple[Layer, ...]:
    """State that two tensors meet place by place, one perhaps broadcast; return the labels of what comes of it."""
    if len(first) == len(second) and all(left is right for left, right in zip(first, second, strict=True)):
        return tuple(first)
    left, right = ([aligned(layer, rank) for layer in resolved(labels, side)] for side in (first, second))
    result: list[Layer] = []
    for axes in clusters([covered(layer) for layer in (*left, *right)]):
        here, there = ([layer for layer in side if covered(layer) <= axes] for side in (left, right))
        if here and there:
            _match(labels, here, there, reason)
        if _tell(here, there):
            result += here
        elif _tell(there, here):
            result += there
        else:
            result += here + there
    return resolved(labels, distinct(result))


def _tell(layers: Sequence[Layer], others: Sequence[Layer]) -> bool:
    """Tell whether at every place what some layers say tells what others do."""
    if not _reach(layers) >= _reach(others):
        return False
    return all(is_function(*_flat(_together(layers), layer)) for layer in others)


def _together(layers: Sequence[Layer]) -> Layer:
    """Return a layer that says what several do together."""
    if len(layers) == 1:
        return layers[0]
    key: Hash = np.zeros([1] * layers[0].ndim, dtype=np.uint64)
    for layer in layers:
        key = mix(key + mix(layer.numpy().astype(np.uint64)))
    return to_layer(key.view(np.int64))


def _reach(layers: Sequence[Layer]) -> frozenset[int]:
    return frozenset().union(*map(covered, layers))


def _match(labels: Labels, here: list[Layer], there: list[Layer], reason: str) -> None:
    """State that the places of one run of axes are the same on both sides."""
    for side, opposite in ((here, there), (there, here)):
        if len(side) == 1 and _reach(side) >= _reach(opposite) and _is_plain(side[0]):
            unit = side[0]
            parts = [part for part in opposite if not any(_is_above(labels, part, layer) for layer in opposite)]
            if len(parts) == 1 and covered(parts[0]) == covered(unit) and is_function(*_flat(parts[0], unit)):
                labels.unite(*_flat(unit, parts[0]), reason)
            elif len(parts) == 1 and covered(parts[0]) == covered(unit):  # copies, of one thing for several units
                labels.respect(*_flat(unit, parts[0]), reason)
            elif _reach(parts) == covered(unit) and len(parts) > 1:
                _derive(labels, unit, parts, reason)
            else:
                for part in parts:
                    labels.respect(*_flat(unit, part), reason)
            return
    _match_several(labels, here, there, reason)


def _is_plain(layer: Layer) -> bool:
    """Tell whether a layer holds units, each at one place."""
    numbers = layer.numpy().ravel()
    return bool((numbers >= 0).all()) and len(different(numbers)) == len(numbers)


def _derive(labels: Labels, unit: Layer, parts: list[Layer], reason: str) -> None:
    """State that each unit moves as what is there on the other side does: with units, or, where there are none, not."""
    units, *columns = (part.numpy().ravel() for part in torch.broadcast_tensors(unit, *parts))
    _, pattern = np.unique(np.stack(columns) >= 0, axis=1, return_inverse=True)
    for number in range(int(pattern.max()) + 1):
        here = pattern.ravel() == number
        _derive_alike(labels, units[here], [column[here] for column in columns], reason)


def _derive_alike(labels: Labels, units: Array, columns: list[Array], reason: str) -> None:
    """State that units move as others do that are in the same columns for all of them, at the slots in the rest."""
    free = [column for column in columns if column.max() >= 0]
    slots = [column for column in columns if column.max() < 0]
    if len(free) > 2:
        for column in (units, *columns):
            labels.fix(column, reason)
    elif not free:
        labels.unite(units, _one_slot(labels, slots, len(units)), reason)
    elif len(free) == 1 and len(np.unique(free[0])) == len(units):
        labels.unite(units, free[0], reason)  # slots beside them say no more
    else:
        second = free[1] if len(free) == 2 else np.full(len(units), NONE)
        labels.derive(units, free[0], second, _one_slot(labels, slots, len(units)), reason)


def _one_slot(labels: Labels, slots: Sequence[Array], count: int) -> Array:
    """Return slots that tell apart what several layers of slots together do."""
    if len(slots) < 2:
        return slots[0] if slots else np.full(count, NONE)
    rows = np.stack(slots, axis=1)
    together, which = split_rows(rows)
    return _named_slots(labels, together)[which]


def _named_slots(labels: Labels, rows: Array) -> Array:
    """Return a slot for each row of slots, for the reason that they have in common; the input is one before others."""
    why = labels.why_fixed(rows)
    read = labels.reason(INPUT)
    common = np.where((why == why[:, :1]).all(axis=1), why[:, 0], labels.reason(FIXED))
    slots: Array = -1 - np.arange(len(rows)) - SPAN * np.where((why == read).any(axis=1), read, common)
    return slots


def _match_several(labels: Labels, here: list[Layer], there: list[Layer], reason: str) -> None:
    """Match layers that run alike; what finds no partner is fixed, unless its partner's units belong to it."""
    left, right = _unmatched(labels, here, there, reason)
    through = _share_blocks(labels, [*product(left, there), *product(right, here)], reason)
    for side, opposite, lonely in ((here, there, left), (there, here, right)):
        for layer in lonely:
            rest = [partner for partner in opposite if (id(layer), id(partner)) not in through]
            told = len(rest) < len(opposite) - 1 and _is_told_by_several(layer, opposite)
            if layer.max() >= 0 and (told or not _follows(labels, layer, side, rest, reason)):
                why = _why(labels, opposite, reason)
                for unmatched in (*here, *there):
                    labels.fix(unmatched.numpy(), why)
                return


def _is_told_by_several(layer: Layer, others: Sequence[Layer]) -> bool:
    """Tell whether others together tell a layer, each of whom alone does not, as rows and columns a Latin square."""
    if any(is_function(*_flat(other, layer)) for other in others):
        return False
    return covered(layer) <= _reach(others) and is_function(*_flat(_together(others), layer))


def _unmatched(
    labels: Labels, here: Sequence[Layer], there: Sequence[Layer], reason: str
) -> tuple[list[Layer], list[Layer]]:
    """Unite the layers of both sides that run alike, place by place; return those that are left, of each side."""
    left, right = list(here), list(there)
    for layer in here:
        for partner in right:
            units = covered(layer) == covered(partner) and layer.max() >= 0 and partner.max() >= 0
            if units and _unite_alike(labels, layer, partner, reason):
                left = [rest for rest in left if rest is not layer]
                right = [rest for rest in right if rest is not partner]
                break
    return left, right


def _unite_alike(labels: Labels, first: Layer, second: Layer, reason: str) -> bool:
    """Unite the units of two layers if each tells the other's; tell whether that is so."""
    flat = _flat(first, second)
    alike = is_function(*flat) and is_function(*flat[::-1])
    if alike:
        labels.unite(*flat, reason)
    return alike


def _why(labels: Labels, layers: Sequence[Layer], reason: str) -> str:
    """Return why units may not move that meet these layers: theirs, if they are slots for one reason, or all places."""
    numbers = {int(number) for layer in layers for number in np.unique(labels.why_fixed(layer.numpy()))}
    if any(int(layer.max()) >= 0 for layer in layers) or not numbers:
        return reason
    reasons = {labels.reasons[number] for number in numbers}
    if INPUT in reasons or len(reasons) == 1:
        return INPUT if INPUT in reasons else reasons.pop()
    return FIXED if all(why.startswith(NATURAL) for why in reasons) else reason


def _share_blocks(labels: Labels, pairs: list[tuple[Layer, Layer]], reason: str) -> set[tuple[int, int]]:
    """Put units that run along some axes together, and along others apart, into common blocks; return such pairs."""
    sharing: set[tuple[int, int]] = set()
    for first, second in pairs:
        if max(first.min(), second.min()) < 0 or not covered(first) & covered(second):
            continue
        flat = _flat(first, second)
        if is_function(*flat) or is_function(*flat[::-1]):
            continue
        if labels.share(*flat, reason):
            sharing |= {(id(first), id(second)), (id(second), id(first))}
    return sharing


def _follows(labels: Labels, layer: Layer, beside: list[Layer], opposite: list[Layer], reason: str) -> bool:
    """Relate a layer without a partner to what the other side says of the same axes; tell whether that was possible.

    Args:
        labels: who is who.
        layer: the layer.
        beside: all layers of its side.
        opposite: those of the other side.
        reason: why units may not move that cannot be related.
    """
    if covered(layer) <= _reach(opposite):
        for partner in opposite:
            if covered(partner) >= covered(layer) and partner.max() >= 0 and is_function(*_flat(partner, layer)):
                labels.respect(*_flat(partner, layer), reason)
                return True
    for partner in opposite:  # which does not tell every place: what lives there belongs to what it says
        if covered(partner) & covered(layer):
            if partner.max() < 0 and _is_determined(partner, beside):
                continue
            if not (covered(partner) <= covered(layer) and is_function(*_flat(layer, partner))):
                return False
            labels.respect(*_flat(layer, partner), reason)
    return True


def _is_determined(slots: Layer, layers: list[Layer]) -> bool:
    """Tell whether other layers of slots, which what moves leaves where they are, tell what these say of each place."""
    telling = [layer for layer in layers if layer.max() < 0]
    if not telling:
        return False
    numbers = slots.numpy().astype(np.uint64)
    beside = tuple(covered(slots) - _reach(layers))
    if beside:  # what they say along axes that are not in question counts as one
        sizes = [size if axis in beside else 1 for axis, size in enumerate(slots.shape)]
        order = np.arange(np.prod(sizes), dtype=np.uint64).reshape(sizes)
        numbers = mix(mix(numbers) + mix(order)).sum(axis=beside, keepdims=True, dtype=np.uint64)
    return is_function(*_flat(_together(telling), to_layer(numbers.view(np.int64))))


def _flat(first: Layer, second: Layer) -> tuple[Array, Array]:
    first, second = torch.broadcast_tensors(first, second)
    return first.reshape(-1).numpy(), second.reshape(-1).numpy()


def summed(labels: Labels, layers: Sequence[Layer], axes: Sequence[int], reason: str) -> tuple[Layer, ...]:
    """State that places along these axes are summed over; return the labels of the sums, the axes kept with size 1.

    Where places summed over depend on what is kept, as the units of one attention head do on the head, they may be
    permuted among those that are summed together.
    """
    kept: list[Layer] = []
    for layer in resolved(labels, layers):
        over = covered(layer) & set(axes)
        if not over:
            kept.append(layer)
        elif over != covered(layer):
            kept.append(_blocks(labels, layer, sorted(over), reason))
    return distinct(kept)


def _blocks(labels: Labels, layer: Layer, over: Sequence[int], reason: str) -> Layer:
    rest = tuple(1 if axis in over else size for axis, size in enumerate(layer.shape))
    order = [axis for axis in range(layer.ndim) if axis not in over] + list(over)
    rows = np.sort(layer.permute(order).reshape(int(np.prod(rest)), -1).numpy(), axis=1)
    together, places = split_rows(rows)
    which = to_layer(places)
    if int(layer.max()) < 0:
        return compress(to_layer(_named_slots(labels, together))[which].view(rest))
    blocks = labels.units(len(together), together=True)
    labels.respect(together.ravel(), np.repeat(blocks, together.shape[1]), reason)
    return compress(to_layer(labels.find(blocks))[which].view(rest))


def tell_apart(labels: Labels, layers: Sequence[Layer], shape: Sequence[int], reason: str | None) -> tuple[Layer, ...]:
    """Return the layers with slots added where they do not tell apart all places along an axis; units if no reason."""
    telling = list(resolved(labels, layers))
    long = [frozenset([axis]) for axis, size in enumerate(shape) if size > 1]
    for axes in clusters([*long, *map(covered, telling)]):
        sizes = [size if axis in axes else 1 for axis, size in enumerate(shape)]
        ranks = _ranks_among_equals([layer for layer in telling if covered(layer) <= axes], sizes)
        if ranks.any():
            count = int(ranks.max()) + 1
            slots = labels.units(count) if reason is None else labels.slots(count, reason)
            telling.append(compress(to_layer(slots[ranks]).view(sizes)))
    return distinct(telling)


def _ranks_among_equals(layers: Sequence[Layer], sizes: Sequence[int]) -> Array:
    """Return for each place how many before it the layers say the same of, shape (places,)."""
    count = int(np.prod(sizes))
    if not layers:
        return np.arange(count)
    columns = np.stack([layer.expand(list(sizes)).reshape(-1).numpy() for layer in layers], axis=1)
    order = np.lexsort(columns.T)
    ordered = columns[order]
    new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    ranks = np.empty(count, dtype=np.int64)
    ranks[order] = np.arange(count) - np.maximum.accumulate(np.where(new, np.arange(count), 0))
    return ranks
