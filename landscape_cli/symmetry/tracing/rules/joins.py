"""Operators that put tensors, or numbers, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.layers import (
    Layer,
    Term,
    Terms,
    Value,
    along,
    compress,
    covered,
    distinct,
    reach,
    to_layer,
)
from landscape_cli.symmetry.tracing.narrowed import tells
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.relate import resolved
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.places import narrow
from landscape_cli.symmetry.tracing.told import tell_apart


@rule("stack", words="numbers put side by side")
def stack(call: Call) -> Value:
    """Tensors put side by side along a new axis."""
    axis = call.argument(1, "dim", 0) % len(call.shape)
    if len({id(tensor) for tensor in call.args[0]}) == 1 < len(call.args[0]):
        value = call.tensors.raw(call.args[0][0])
        return replace(value.layers(lambda layer: layer.unsqueeze(axis), call.shape), copies=True)
    values = _copies(call, call.args[0]) or _with_constants(call, call.args[0])
    lifted = [
        value.layers(lambda layer: layer.unsqueeze(axis), (*value.shape[:axis], 1, *value.shape[axis:]))
        for value in values
    ]
    return (None if call.told else _stacked(call, lifted, axis)) or joined(call, lifted, axis)


def _stacked(call: Call, values: Sequence[Value], axis: int) -> Value | None:
    """Return what is known of tensors side by side with units of their own each, which need not be one for that."""
    rows = [sorted(resolved(call.labels, value.labels), key=lambda layer: sorted(covered(layer))) for value in values]
    first = rows[0]
    if any([covered(layer) for layer in row] != [covered(layer) for layer in first] for row in rows):
        return None
    if len({covered(layer) for layer in first}) < len(first):
        return None
    scale, sign = (
        _joined_terms([getattr(value, kind) for value in values], values, axis) for kind in ("scale", "sign")
    )
    labels = distinct(_joined_layers(column, values, axis) for column in zip(*rows, strict=True))
    if all(value.copies for value in values):
        return Value(call.shape, _with_pieces(call, labels, values, axis), scale, sign, copies=True)
    return Value(call.shape, call.apart(labels, call.shape), scale, sign)


def _copies(call: Call, tensors: Sequence[Tensor]) -> list[Value]:
    """Return what is known of tensors that all hold copies, which stay such side by side; else nothing."""
    values = [call.tensors.raw(tensor) for tensor in tensors]
    return values if all(value.copies and not value.zero for value in values) else []


def _with_constants(call: Call, tensors: Sequence[Tensor]) -> list[Value]:
    """Return what is known of tensors; of one number all over, that it stands at what lives in others, if any do."""
    raw = [call.tensors.raw(tensor) for tensor in tensors]
    told = next((value for value in raw if not value.copies and value.labels), None)

    def at_others(value: Value, tensor: Tensor) -> Value:
        if told is None or not value.copies or value.labels:
            return call.tensors.value(tensor)
        free = [layer for layer in told.labels if value.zero and int(layer.max()) >= 0]
        terms = tuple((to_layer(call.equations.variables("", (), each.numpy())).view(each.shape), 1) for each in free)
        return replace(value, labels=told.labels, scale=terms, sign=terms, copies=False)

    return [at_others(value, tensor) for value, tensor in zip(raw, tensors, strict=True)]


def _with_pieces(call: Call, labels: tuple[Layer, ...], values: Sequence[Value], axis: int) -> tuple[Layer, ...]:
    """Return labels of copies side by side, with a slot for each value unless units tell whose places are whose."""
    sizes = [value.shape[axis] for value in values]
    slots = call.slots(len(values), axis, len(call.shape), f"a place of {call.where}")
    pieces = slots.repeat_interleave(torch.tensor(sizes), axis)
    told = labels and covered(pieces) <= reach(labels) and tells(labels, pieces)
    return labels if told else (*labels, pieces)


@rule("cat", words="numbers put side by side")
def concatenate(call: Call) -> Value:
    """Tensors put one after another along an axis."""
    rank = len(call.shape)
    tensors = [tensor for tensor in call.args[0] if tensor.ndim == rank and 0 not in tensor.shape]
    axis = call.argument(1, "dim", 0) % rank
    if len({id(tensor) for tensor in tensors}) == 1 < len(tensors):
        repeated = [1 if k != axis else len(tensors) for k in range(rank)]
        return call.move(call.tensors.raw(tensors[0]), lambda numbers: numbers.repeat(repeated), call.shape, apart=True)
    return joined(call, _copies(call, tensors) or _with_zeros(call, tensors, axis), axis)


def _with_zeros(call: Call, tensors: Sequence[Tensor], axis: int) -> list[Value]:
    """Return what is known of tensors; zeros beside fixed places are anyone there, and else what the others are."""
    zeros = [call.tensors.filling(tensor) == 0 or _is_nothing(call.tensors.raw(tensor)) for tensor in tensors]
    values = [call.tensors.value(tensor) for tensor, zero in zip(tensors, zeros, strict=True) if not zero]
    moving = any(axis in covered(layer) and int(layer.max()) >= 0 for value in values for layer in value.labels)
    if moving or not values:
        return [call.tensors.value(tensor) for tensor in tensors]
    rest = iter(values)
    return [
        _zeros_beside(call, values[0], tuple(tensor.shape), axis) if zero else next(rest)
        for tensor, zero in zip(tensors, zeros, strict=True)
    ]


def _is_nothing(value: Value) -> bool:
    return value.zero and value.copies


def _zeros_beside(call: Call, other: Value, shape: tuple[int, ...], axis: int) -> Value:
    """Return zeros with units of their own along an axis, of any scale and sign each, and else what another is."""
    units = call.labels.units(shape[axis])
    call.labels.blank.update(units.tolist())
    free = call.equations.variables("", (), units)
    scale, sign = (
        (*((layer.narrow(axis, 0, 1), power) for layer, power in terms), (along(to_layer(free), axis, len(shape)), 1))
        for terms in (other.scale, other.sign)
    )
    return Value(shape, distinct([along(to_layer(units), axis, len(shape))]), scale, sign)


def joined(call: Call, values: Sequence[Value], axis: int) -> Value:
    """Return what is known of tensors joined along an axis: what lives there is told by each, the rest is common."""
    common: tuple[Layer, ...] = ()
    columns: list[list[Layer]] = []
    found = [resolved(call.labels, value.labels) for value in values]
    joint = {covered(layer) for layers in found for layer in layers if axis in covered(layer)}
    for layers in found:  # what lives along the axis and others with one lies along these with another
        here = [covered(layer) | {axis} in joint for layer in layers]
        along_axis = [layer for layer, is_here in zip(layers, here, strict=True) if is_here]
        beside = Value(call.shape, tuple(layer for layer, is_here in zip(layers, here, strict=True) if not is_here))
        common = call.meet(Value(call.shape, common), beside) if common else beside.labels
        columns.append(along_axis or [call.slots(1, axis, len(call.shape), f"a place of {call.where}")])
    common = tuple(layer for layer in common if axis not in covered(layer))
    nothing = call.slots(1, axis, len(call.shape), f"a place of {call.where}")
    told = [
        _joined_layers([column[k] if k < len(column) else nothing for column in columns], values, axis)
        for k in range(max(map(len, columns)))
    ]
    scale = _joined_terms([value.scale for value in values], values, axis)
    sign = _joined_terms([value.sign for value in values], values, axis)
    labels = distinct((*common, *told))
    if all(value.copies for value in values):
        return Value(call.shape, _with_pieces(call, labels, values, axis), scale, sign, copies=True)
    apart = tell_apart(call.labels, labels, call.shape, None) if call.told else call.apart(labels, call.shape)
    return Value(call.shape, apart, scale, sign)


def _joined_layers(layers: Sequence[Layer], values: Sequence[Value], axis: int) -> Layer:
    sizes = list(np.broadcast_shapes(*([1 if k == axis else s for k, s in enumerate(la.shape)] for la in layers)))
    pieces = [
        layer.expand([value.shape[axis] if k == axis else size for k, size in enumerate(sizes)])
        for layer, value in zip(layers, values, strict=True)
    ]
    return compress(torch.cat(pieces, dim=axis))


def _joined_terms(terms: Sequence[Terms], values: Sequence[Value], axis: int) -> Terms:
    nothing = torch.zeros([1] * len(values[0].shape), dtype=torch.int64)
    common = _common_terms(terms, axis)
    rest = [
        [(layer, power) for layer, power in of_value if not any(layer is shared for shared, _ in common)]
        for of_value in terms
    ]
    result: list[Term] = list(common)
    for power in sorted({power for of_value in rest for _, power in of_value}):
        rows = [[layer for layer, p in of_value if p == power] for of_value in rest]
        for k in range(max(map(len, rows))):
            layers = [row[k] if k < len(row) else nothing for row in rows]
            result.append((_joined_layers(layers, values, axis), power))
    return tuple(result)


def _common_terms(terms: Sequence[Terms], axis: int) -> list[Term]:
    """Return the terms that all values have and that do not depend on an axis."""
    return [
        (layer, power)
        for layer, power in terms[0]
        if axis not in covered(layer)
        and all(any(layer is another and power == p for another, p in of_value) for of_value in terms[1:])
    ]


@rule("constant_pad_nd", words="numbers put side by side")
def pad(call: Call) -> Value:
    """Places of one number put around: zeros have any label and any scale."""
    operand = call.raw(0)
    widths, number = list(call.args[1]), call.argument(2, "value", 0)
    rank = len(operand.shape)
    if number == 0 and (_is_nothing(operand) or 0 in operand.shape):
        return Value(call.shape, (), zero=True, copies=True)
    operand = call.operand(0)
    amounts = {rank - 1 - k // 2: widths[k : k + 2] for k in range(0, len(widths), 2)}
    for axis, (before, after) in amounts.items():
        if min(before, after) < 0:  # cropped
            kept = operand.shape[axis] + min(before, 0) + min(after, 0)
            shape = tuple(kept if k == axis else size for k, size in enumerate(operand.shape))
            start = max(0, -before)
            operand = call.move(operand, narrow(axis, start, kept), shape, apart=True)
        before, after = max(before, 0), max(after, 0)
        if before or after:
            if number != 0:
                operand = _plain_beside(call, operand, axis)
            padding = _padding(call, operand, axis, before + after, number)  # on both sides alike
            size = operand.shape[axis]
            shape = tuple(length + before + after if k == axis else length for k, length in enumerate(operand.shape))
            places = torch.arange(size + before + after).split([before, after, size])
            order = torch.cat([places[0], places[2], places[1]])
            operand = _taken(joined(replace(call, shapes=[shape]), [padding, operand], axis), axis, order)
    return operand


def _taken(value: Value, axis: int, places: Tensor) -> Value:
    """Return a value with the places along an axis in another order."""
    return value.layers(lambda layer: layer.index_select(axis, places) if layer.shape[axis] > 1 else layer, value.shape)


def _plain_beside(call: Call, operand: Value, axis: int) -> Value:
    """State that the scale and sign of what runs along an axis are 1, but for what each place there has of its own."""
    here: dict[str, Terms] = {}
    for kind in ("scale", "sign"):
        terms = getattr(operand, kind)
        call.equations.equate(
            kind, tuple(term for term in terms if axis not in covered(term[0])), rank=len(operand.shape)
        )
        here[kind] = tuple(term for term in terms if axis in covered(term[0]))
    return Value(operand.shape, operand.labels, here["scale"], here["sign"])


def _padding(call: Call, operand: Value, axis: int, count: int, number: float) -> Value:
    """Return places of one number put beside `operand`: zeros have its scale, or one of their own along the axis."""
    labels = call.labels
    moving = [covered(layer) for layer in operand.labels if axis in covered(layer) and int(layer.max()) >= 0]
    if number == 0 and not moving:
        sizes = tuple(count if k == axis else size for k, size in enumerate(operand.shape))
        return _zeros_beside(call, operand, sizes, axis)
    along = frozenset([axis]).union(*moving)
    shape = [(count if k == axis else size) if k in along else 1 for k, size in enumerate(operand.shape)]
    numbers = labels.units(prod(shape)) if moving else labels.slots(count, f"a place of {call.where}")
    units = to_layer(numbers).view(shape)
    terms: dict[str, Terms] = {"scale": (), "sign": ()}
    for kind in terms if number == 0 else ():
        terms_there = getattr(operand, kind)
        beside = tuple(term for term in terms_there if axis not in covered(term[0]))
        free = to_layer(call.equations.variables("", (), units.numpy())).view(units.shape)
        terms[kind] = (*beside, (free, 1)) if len(beside) < len(terms_there) else beside
    sizes = tuple(count if k == axis else size for k, size in enumerate(operand.shape))
    return Value(sizes, distinct([units]), terms["scale"], terms["sign"])
