"""Operators that move places about: what is known of them moves along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from landscape_cli.symmetry.relate import resolved
from landscape_cli.symmetry.rules.call import Call, rule
from landscape_cli.symmetry.values import Layer, Term, Terms, Value, aligned, compress, covered, distinct, to_layer


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "unflatten", "flatten")
def reshape(call: Call) -> Value:
    """A row-major reshape."""
    operand = call.operand(0)
    if operand.shape == call.shape:
        return operand
    parameter, result = operand.parameter, call.reshape(operand, call.shape)
    long = [axis for axis, size in enumerate(operand.shape) if size > 1]
    if parameter is None or [operand.shape[axis] for axis in long] != [size for size in call.shape if size > 1]:
        return result
    behind = iter([parameter.dims[axis] for axis in long])
    return replace(
        result, parameter=replace(parameter, dims=tuple(next(behind) if s > 1 else None for s in call.shape))
    )


def rearranged(call: Call, operand: Value, order: Sequence[int | None]) -> Value:
    """Return a value with these axes of `operand`, None for a new one of one place."""
    present = [axis for axis in order if axis is not None]
    left_out = [axis for axis in range(len(operand.shape)) if axis not in present]

    def change(layer: Layer) -> Layer:
        layer = layer.permute(*present, *left_out)
        for _ in left_out:
            layer = layer.squeeze(-1)
        for axis, old in enumerate(order):
            if old is None:
                layer = layer.unsqueeze(axis)
        return layer

    result = operand.layers(change, call.shape)
    if operand.parameter is None:
        return result
    behind = tuple(None if axis is None else operand.parameter.dims[axis] for axis in order)
    return replace(result, parameter=replace(operand.parameter, dims=behind))


@rule("t", "transpose", "permute", "movedim", "swapaxes", "numpy_T", "adjoint")
def rearrange(call: Call) -> Value:
    """A rearrangement of the axes."""
    operand = call.operand(0)
    rank = len(operand.shape)
    order = list(range(rank))
    if len(call.args) == 1:
        order = order[::-1]
    elif isinstance(call.args[1], int):
        one, other = call.args[1] % rank, call.args[2] % rank
        order[one], order[other] = order[other], order[one]
    else:
        order = [axis % rank for axis in call.args[1]]
    return rearranged(call, operand, order)


@rule("unsqueeze")
def unsqueeze(call: Call) -> Value:
    """A new axis of one place."""
    operand = call.operand(0)
    axis = call.args[1] % (len(operand.shape) + 1)
    order: list[int | None] = list(range(len(operand.shape)))
    return rearranged(call, operand, [*order[:axis], None, *order[axis:]])


@rule("squeeze")
def squeeze(call: Call) -> Value:
    """Axes of one place dropped."""
    operand = call.operand(0)
    rank = len(operand.shape)
    axes = call.argument(1, "dim")
    chosen = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    dropped = {axis % rank for axis in chosen if operand.shape[axis] == 1}
    return rearranged(call, operand, [axis for axis in range(rank) if axis not in dropped])


@rule("expand")
def expand(call: Call) -> Value:
    """Axes of one place repeated: copies are told apart by a fixed position."""
    operand = call.operand(0)
    if operand.shape == call.shape:
        return operand
    new = len(call.shape) - len(operand.shape)
    result = operand.layers(lambda layer: aligned(layer, len(call.shape)), call.shape)
    result = replace(result, labels=call.apart(result.labels, call.shape))
    if operand.parameter is None:
        return result
    return replace(result, parameter=replace(operand.parameter, dims=(*[None] * new, *operand.parameter.dims)))


@rule("repeat", "tile")
def repeat(call: Call) -> Value:
    """A tensor repeated: copies are told apart by a fixed position."""
    return call.move(call.operand(0), lambda numbers: call.function(numbers, *call.args[1:]), call.shape, apart=True)


@rule("slice", "select", "narrow", "roll", "flip", "unfold", "diagonal", "rot90", "index_select", "as_strided")
def take_places(call: Call) -> Value:
    """Places taken, left out or moved about, whatever is there."""
    operand = call.operand(0)
    if operand.shape == call.shape and call.function.__name__.startswith("slice"):
        return operand
    if any(isinstance(arg, Tensor) and arg.is_meta for arg in call.args[1:]):
        return unknown_places(call)
    return call.move(
        operand, lambda numbers: call.function(numbers, *call.args[1:], **call.kwargs), call.shape, apart=True
    )


@rule("index", "_unsafe_index")
def index(call: Call) -> Value:
    """Places taken by a list of their numbers."""
    if any(isinstance(where, Tensor) and where.is_meta for where in call.args[1]):
        return unknown_places(call)
    operand = call.operand(0)
    return call.move(operand, lambda numbers: call.function(numbers, call.args[1]), call.shape, apart=True)


@rule("embedding")
def embedding(call: Call) -> Value:
    """Rows taken by their numbers."""
    if call.args[1].is_meta:
        return unknown_places(call)
    operand = call.operand(0)
    return call.move(operand, lambda numbers: numbers[call.args[1]], call.shape, apart=True)


def unknown_places(call: Call) -> Value:
    """Return what is known after taking places that are only known in a run with values: all is fixed."""
    for arg in call.args:
        for tensor in arg if isinstance(arg, list | tuple) else [arg]:
            if isinstance(tensor, Tensor):
                call.fix(call.model.value(tensor))
    return Value(call.shape, call.apart((), call.shape))


@rule("split", "split_with_sizes", "chunk", "unbind", "tensor_split", "unsafe_split", "unsafe_chunk")
def split(call: Call) -> list[Value]:
    """An axis cut into pieces."""
    operand = call.operand(0)
    return [
        call.move(
            operand,
            lambda numbers, k=k: call.function(numbers, *call.args[1:], **call.kwargs)[k],
            shape,
            apart=True,
        )
        for k, shape in enumerate(call.shapes)
    ]


@rule("stack")
def stack(call: Call) -> Value:
    """Tensors put side by side along a new axis."""
    values = [call.model.value(tensor) for tensor in call.args[0]]
    axis = call.argument(1, "dim", 0) % len(call.shape)
    lifted = [
        value.layers(lambda layer: layer.unsqueeze(axis), (*value.shape[:axis], 1, *value.shape[axis:]))
        for value in values
    ]
    return joined(call, lifted, axis)


@rule("cat")
def concatenate(call: Call) -> Value:
    """Tensors put one after another along an axis."""
    values = [call.model.value(tensor) for tensor in call.args[0]]
    rank = len(call.shape)
    values = [value for value in values if len(value.shape) == rank and prod(value.shape)]
    return joined(call, values, call.argument(1, "dim", 0) % rank)


def joined(call: Call, values: Sequence[Value], axis: int) -> Value:
    """Return what is known of tensors joined along an axis: what lives there is told by each, the rest is common."""
    labels = call.model.labels
    beside: tuple[Layer, ...] = ()
    columns: list[list[Layer]] = []
    for value in values:
        layers = resolved(labels, value.labels)
        own = [layer for layer in layers if axis in covered(layer)]
        others = Value(call.shape, tuple(layer for layer in layers if axis not in covered(layer)))
        beside = call.meet(Value(call.shape, beside), others) if beside else others.labels
        columns.append(own or [to_layer(labels.slots(1, f"a place of {call.where}")).view([1] * len(call.shape))])
    common = tuple(layer for layer in beside if axis not in covered(layer))
    none = to_layer([-1]).view([1] * len(call.shape))
    here = [
        _joined_layers([own[k] if k < len(own) else none for own in columns], values, axis)
        for k in range(max(map(len, columns)))
    ]
    terms = [_joined_terms([getattr(value, kind) for value in values], values, axis) for kind in ("scale", "sign")]
    return Value(call.shape, call.apart(distinct((*common, *here)), call.shape), *terms)


def _joined_layers(layers: Sequence[Layer], values: Sequence[Value], axis: int) -> Layer:
    sizes = list(torch.broadcast_shapes(*([1 if k == axis else s for k, s in enumerate(la.shape)] for la in layers)))
    pieces = [
        layer.expand([value.shape[axis] if k == axis else size for k, size in enumerate(sizes)])
        for layer, value in zip(layers, values, strict=True)
    ]
    return compress(torch.cat(pieces, dim=axis))


def _joined_terms(terms: Sequence[Terms], values: Sequence[Value], axis: int) -> Terms:
    nothing = torch.zeros([1] * len(values[0].shape), dtype=torch.int64)
    result: list[Term] = []
    for power in sorted({power for own in terms for _, power in own}):
        rows = [[layer for layer, p in own if p == power] for own in terms]
        for k in range(max(map(len, rows))):
            layers = [row[k] if k < len(row) else nothing for row in rows]
            result.append((_joined_layers(layers, values, axis), power))
    return tuple(result)


@rule("constant_pad_nd")
def pad(call: Call) -> Value:
    """Places of one number put around: zeros have any label and any scale."""
    operand = call.operand(0)
    widths, number = list(call.args[1]), call.argument(2, "value", 0)
    rank = len(operand.shape)
    amounts = {rank - 1 - k // 2: widths[k : k + 2] for k in range(0, len(widths), 2)}
    if number != 0:
        operand = call.plain(operand)
    for axis, (before, after) in amounts.items():
        if min(before, after) < 0:  # cropped
            kept = operand.shape[axis] + min(before, 0) + min(after, 0)
            shape = tuple(kept if k == axis else size for k, size in enumerate(operand.shape))
            start = max(0, -before)
            operand = call.move(operand, lambda n, a=axis, s=start, k=kept: n.narrow(a, s, k), shape, apart=True)
        before, after = max(before, 0), max(after, 0)
        if before or after:
            parts = [_zeros(call, operand.shape, axis, count) for count in (before, after) if count]
            order = [*parts[: bool(before)], operand, *parts[bool(before) :]]
            shape = tuple(size + before + after if k == axis else size for k, size in enumerate(operand.shape))
            operand = joined(replace_shape(call, shape), order, axis)
    return operand


def _zeros(call: Call, shape: Sequence[int], axis: int, count: int) -> Value:
    """Return places of zeros: units and scales that nothing else ties down."""
    rank = len(shape)
    units = to_layer(call.model.labels.units(count)).view([-1 if k == axis else 1 for k in range(rank)])
    free = to_layer(call.model.equations.variables("", (), units.numpy())).view(units.shape)
    sizes = tuple(count if k == axis else size for k, size in enumerate(shape))
    return Value(sizes, (units,) if count > 1 else (), ((free, 1),), ((free, 1),))


def replace_shape(call: Call, shape: tuple[int, ...]) -> Call:
    """Return the same call with another output."""
    return replace(call, shapes=[shape])


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "im2col")
def shuffle(call: Call) -> Value:
    """Places moved between channels and image."""
    operand = call.operand(0)
    name = call.function.__name__
    if name.startswith("im2col"):
        return call.move(
            operand, lambda numbers: call.function(numbers.double(), *call.args[1:]).long(), call.shape, apart=True
        )
    return call.move(operand, lambda numbers: call.function(numbers, *call.args[1:]), call.shape, apart=True)


@rule("tril", "triu")
def triangle(call: Call) -> Value:
    """Zeros put on one side of a diagonal."""
    operand = call.operand(0)
    for layer in operand.labels:
        if covered(layer) & {len(operand.shape) - 1, len(operand.shape) - 2}:
            call.model.labels.fix(layer.numpy(), call.where)
    return replace(operand, parameter=None)


@rule("glu")
def gated(call: Call) -> Value:
    """The first half of an axis times the sigmoid of the second."""
    operand = call.operand(0)
    axis = call.argument(1, "dim", -1) % len(operand.shape)
    size = call.shape[axis]
    halves = [
        call.move(operand, lambda numbers, k=k: numbers.narrow(axis, k * size, size), call.shape, apart=True)
        for k in (0, 1)
    ]
    value, gate = halves[0], call.plain(halves[1])
    return Value(call.shape, call.meet(value, gate), value.scale, value.sign)


@rule("copy")
def copy(call: Call) -> Value:
    """A tensor overwritten by another."""
    source = call.operand(1)
    return Value(call.shape, call.meet(call.operand(0), source), source.scale, source.sign)
