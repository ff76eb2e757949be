"""What it says about labels that two tensors meet place by place, or that places are summed over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from landscape_cli.symmetry.tracing.belonging import (
    FIXED,
    INPUT,
    belong,
    derive_places,
    is_derived,
    named_slots,
    refine,
)
from landscape_cli.symmetry.tracing.equations import clusters
from landscape_cli.symmetry.tracing.integers import Hash, different, mix, split_rows
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import (
    Layer,
    aligned,
    compress,
    covered,
    distinct,
    flat,
    reach,
    to_layer,
)
from landscape_cli.symmetry.tracing.narrowed import (
    Counted,
    apart,
    counted,
    meetings,
    narrowed,
    said_together,
    tell,
    tells,
)

NATURAL = ("batch", "a place of ", FIXED)
"""What reasons begin with that are places by nature."""


def resolved(labels: Labels, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return what layers of labels have come to."""
    return distinct(compress(to_layer(part)) for layer in layers for part in labels.resolve(layer.numpy()))


def is_above(labels: Labels, blocks: Layer, units: Layer) -> bool:
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
    for here, there in _by_axes(left, right):
        if here and there:
            _match(labels, here, there, reason)
        if tell(here, there):
            result += here
        elif tell(there, here):
            result += there
        else:
            result += here + there
    return resolved(labels, distinct(result))


def _by_axes(left: Sequence[Layer], right: Sequence[Layer]) -> Iterator[tuple[list[Layer], list[Layer]]]:
    """Yield the layers of both sides over each run of axes."""
    for axes in clusters([covered(layer) for layer in (*left, *right)]):
        here, there = ([layer for layer in side if covered(layer) <= axes] for side in (left, right))
        yield here, there


def _match(labels: Labels, here: list[Layer], there: list[Layer], reason: str) -> None:
    """State that the places of one run of axes are the same on both sides."""
    for side, opposite in ((here, there), (there, here)):
        if len(side) == 1 and reach(side) >= reach(opposite) and _is_plain(side[0]):
            unit = side[0]
            parts = [part for part in opposite if not any(is_above(labels, part, layer) for layer in opposite)]
            if len(parts) == 1 and covered(parts[0]) == covered(unit) and tells(parts, unit):
                labels.unite(*flat(unit, parts[0]), reason)
            elif len(parts) == 1 and covered(parts[0]) == covered(unit):  # copies, of one thing for several units
                labels.respect(*flat(unit, parts[0]), reason)
            elif reach(parts) == covered(unit) and len(parts) > 1:
                if refine(labels, unit, parts, reason):
                    _match_again(labels, here, there, reason)
                else:
                    derive_places(labels, unit, parts, reason)
            else:
                belong(labels, unit, parts, reason)
            return
    _match_several(labels, here, there, reason)


def _is_plain(layer: Layer) -> bool:
    """Tell whether a layer holds units, each at one place."""
    numbers = layer.numpy().ravel()
    return bool((numbers >= 0).all()) and len(different(numbers)) == len(numbers)


def _match_several(labels: Labels, here: list[Layer], there: list[Layer], reason: str) -> None:
    """Match layers that run alike; what finds no partner is fixed, unless its partner's units belong to it."""
    left, right = _unmatched(labels, here, there, reason)
    refined = [
        refine(labels, layer, side, reason) for lonely, side in ((left, there), (right, here)) for layer in lonely
    ]
    if any(refined):
        _match_again(labels, here, there, reason)
        return
    through = _share_blocks(labels, [*product(left, there), *product(right, here)], reason)
    told: list[tuple[Layer, list[Layer]]] = []
    for side, opposite, lonely in ((here, there, left), (there, here, right)):
        for layer in (layer for layer in lonely if layer.max() >= 0):
            rest = [partner for partner in opposite if (id(layer), id(partner)) not in through]
            if len(rest) < len(opposite) - 1 and _is_told_by_several(layer, opposite):
                told.append((layer, opposite))
            elif not _follows(labels, layer, side, rest, reason):
                _fix_all(labels, [*here, *there], _why(labels, layer, opposite, reason))
                return
    for layer, opposite in told:
        if not is_derived(labels, layer):
            _fix_all(labels, [*here, *there], _why(labels, layer, opposite, reason))
            return
    if told:  # who moves with others by now, which these relate to
        _match_again(labels, here, there, reason)


def _match_again(labels: Labels, here: Sequence[Layer], there: Sequence[Layer], reason: str) -> None:
    """Match what layers have come to, of which some units now move with others."""
    for left, right in _by_axes(resolved(labels, here), resolved(labels, there)):
        if left and right:
            _match(labels, left, right, reason)


def _fix_all(labels: Labels, layers: Sequence[Layer], why: str) -> None:
    for layer in layers:
        labels.fix(layer.numpy(), why)


def _is_told_by_several(layer: Layer, others: Sequence[Layer]) -> bool:
    """Tell whether others together tell a layer, each of whom alone does not, as rows and columns a Latin square."""
    if any(tells([other], layer) for other in others):
        return False
    return covered(layer) <= reach(others) and tells(others, layer)


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
    alike = tells([first], second) and tells([second], first)
    if alike:
        labels.unite(*flat(first, second), reason)
    return alike


def _why(labels: Labels, layer: Layer, opposite: Sequence[Layer], reason: str) -> str:
    """Return why units of a layer may not move that meet others: these' reason, if they are slots that tell all units.

    Units that are not told apart by the slots that each meets might have moved: what ties them was not followed.
    """
    numbers = {int(number) for other in opposite for number in different(labels.why_fixed(other.numpy()))}
    if any(int(other.max()) >= 0 for other in opposite) or not numbers or not _are_told(layer, opposite):
        return reason
    reasons = {labels.reasons[number] for number in numbers}
    if INPUT in reasons or len(reasons) == 1:
        return INPUT if INPUT in reasons else reasons.pop()
    return FIXED if all(why.startswith(NATURAL) for why in reasons) else reason


def _are_told(layer: Layer, slots: Sequence[Layer]) -> bool:
    """Tell whether no two units of a layer meet the same slots, those of all their places together."""
    if covered(layer) <= reach(slots) and apart(slots):
        return True
    layer, *slots = narrowed([layer, *slots])
    units, met = flat(layer, said_together(slots))
    pairs, _ = split_rows(np.stack([units, met], axis=1))
    total: Hash = np.zeros(len(pairs), dtype=np.uint64)
    which = np.unique(pairs[:, 0], return_inverse=True)[1].ravel()
    np.add.at(total, which, mix(pairs[:, 1].astype(np.uint64)))
    sums = total[: int(which.max()) + 1]
    return len(different(sums)) == len(sums)


def _share_blocks(labels: Labels, pairs: list[tuple[Layer, Layer]], reason: str) -> set[tuple[int, int]]:
    """Put units that run along some axes together, and along others apart, into common blocks; return such pairs."""
    sharing: set[tuple[int, int]] = set()
    known: dict[int, Counted] = {}
    for first, second in pairs:
        if max(first.min(), second.min()) < 0 or not covered(first) & covered(second):
            continue
        for layer in (first, second):
            if id(layer) not in known:
                known[id(layer)] = counted(layer)
        met, times = meetings(known[id(first)], known[id(second)])
        if any(len(different(side)) == len(side) for side in met.T):  # the one tells the other
            continue
        if labels.share(met, times, reason):
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
    if covered(layer) <= reach(opposite):
        for partner in opposite:
            if covered(partner) >= covered(layer) and partner.max() >= 0 and tells([partner], layer):
                labels.respect(*flat(partner, layer), reason)
                return True
    told = [partner for partner in opposite if covered(partner) & covered(layer)]
    told = [partner for partner in told if partner.max() >= 0 or not _is_determined(partner, beside)]
    if not all(covered(partner) <= covered(layer) and tells([layer], partner) for partner in told):
        return False
    belong(labels, layer, told, reason)  # what does not tell every place: what lives there belongs to what it says
    return True


def _is_determined(slots: Layer, layers: list[Layer]) -> bool:
    """Tell whether other layers of slots, which what moves leaves where they are, tell what these say of each place."""
    telling = [layer for layer in layers if layer.max() < 0]
    if not telling:
        return False
    numbers = slots.numpy().astype(np.uint64)
    beside = tuple(covered(slots) - reach(layers))
    if beside:  # what they say along axes that are not in question counts as one
        sizes = [size if axis in beside else 1 for axis, size in enumerate(slots.shape)]
        order = np.arange(np.prod(sizes), dtype=np.uint64).reshape(sizes)
        numbers = mix(mix(numbers) + mix(order)).sum(axis=beside, keepdims=True, dtype=np.uint64)
    return tells(telling, to_layer(numbers.view(np.int64)))


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
        return compress(to_layer(named_slots(labels, together))[which].view(rest))
    blocks = labels.units(len(together), together=True)
    labels.respect(together.ravel(), np.repeat(blocks, together.shape[1]), reason)
    return compress(to_layer(labels.find(blocks))[which].view(rest))
