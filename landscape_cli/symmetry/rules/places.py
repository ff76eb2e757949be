"""Operators that move places about: what is known of them moves along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from landscape_cli.symmetry.relate import resolved
from landscape_cli.symmetry.rules.call import Call, NoRule, rule
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
    result = replace(result, copies=True)
    if operand.parameter is None:
        return result
    return replace(result, parameter=replace(operand.parameter, dims=(*[None] * new, *operand.parameter.dims)))


@rule("repeat", "tile")
def repeat(call: Call) -> Value:
    """A tensor repeated: copies are told apart by a fixed position."""
    return call.move(call.operand(0), lambda numbers: call.function(numbers, *call.args[1:]), call.shape, apart=True)


@rule("slice", "select", "narrow", "roll", "flip", "unfold", "diagonal", "rot90", "index_select")
def take_places(call: Call) -> Value:
    """Places taken, left out or moved about, whatever is there."""
    operand = call.operand(0)
    if operand.shape == call.shape and call.function.__name__.startswith("slice"):
        return operand
    rest = [call.numbers(arg) for arg in call.args[1:]]
    return call.move(operand, lambda numbers: call.function(numbers, *rest, **call.kwargs), call.shape, apart=True)


@rule("as_strided")
def restride(call: Call) -> Value:
    """Places taken by their distance in memory, which is known only of a tensor that lies in order and alone."""
    tensor = call.args[0]
    alone = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    if not (alone and tensor.is_contiguous()):
        raise NoRule
    return call.move(
        call.operand(0), lambda numbers: numbers.contiguous().as_strided(*call.args[1:]), call.shape, apart=True
    )


@rule("index", "_unsafe_index")
def index(call: Call) -> Value:
    """Places taken by a list of their numbers."""
    places = call.numbers(call.args[1])
    return call.move(call.operand(0), lambda numbers: call.function(numbers, places), call.shape, apart=True)


@rule("embedding")
def embedding(call: Call) -> Value:
    """Rows taken by their numbers."""
    places = call.numbers(call.args[1])
    return call.move(call.operand(0), lambda numbers: numbers[places], call.shape, apart=True)


@rule("split", "split_with_sizes", "chunk", "unbind", "tensor_split", "unsafe_split", "unsafe_chunk")
def split(call: Call) -> list[Value]:
    """An axis cut into pieces."""
    operand = call.operand(0)

    def piece(k: int) -> Callable[[Tensor], Tensor]:
        return lambda numbers: call.function(numbers, *call.args[1:], **call.kwargs)[k]

    return [call.move(operand, piece(k), shape, apart=True) for k, shape in enumerate(call.shapes)]


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
    values = [value for value in values if len(value.shape) == rank and 0 not in value.shape]
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
    none = to_layer(labels.slots(1, f"a place of {call.where}")).view([1] * len(call.shape))
    here = [
        _joined_layers([own[k] if k < len(own) else none for own in columns], values, axis)
        for k in range(max(map(len, columns)))
    ]
    scale = _joined_terms([value.scale for value in values], values, axis)
    sign = _joined_terms([value.sign for value in values], values, axis)
    return Value(call.shape, call.apart(distinct((*common, *here)), call.shape), scale, sign)


def _joined_layers(layers: Sequence[Layer], values: Sequence[Value], axis: int) -> Layer:
    sizes = list(torch.broadcast_shapes(*([1 if k == axis else s for k, s in enumerate(la.shape)] for la in layers)))
    pieces = [
        layer.expand([value.shape[axis] if k == axis else size for k, size in enumerate(sizes)])
        for layer, value in zip(layers, values, strict=True)
    ]
    return compress(torch.cat(pieces, dim=axis))


def _joined_terms(terms: Sequence[Terms], values: Sequence[Value], axis: int) -> Terms:
    nothing = torch.zeros([1] * len(values[0].shape), dtype=torch.int64)
    common = [
        (layer, power)
        for layer, power in terms[0]
        if axis not in covered(layer)
        and all(any(layer is other and power == p for other, p in own) for own in terms[1:])
    ]
    terms = [[(la, p) for la, p in own if not any(la is other for other, _ in common)] for own in terms]  # type: ignore[misc]
    result: list[Term] = list(common)
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
            operand = call.move(operand, _narrow(axis, start, kept), shape, apart=True)
        before, after = max(before, 0), max(after, 0)
        if before or after:
            parts = [_padding(call, operand, axis, count, number) for count in (before, after) if count]
            order = [*parts[: bool(before)], operand, *parts[bool(before) :]]
            shape = tuple(size + before + after if k == axis else size for k, size in enumerate(operand.shape))
            operand = joined(replace_shape(call, shape), order, axis)
    return operand


def _narrow(axis: int, start: int, size: int) -> Callable[[Tensor], Tensor]:
    return lambda numbers: numbers.narrow(axis, start, size)


def _padding(call: Call, operand: Value, axis: int, count: int, number: float) -> Value:
    """Return places of one number put beside `operand`: zeros have its scale, or one of their own along the axis."""
    rank = len(operand.shape)
    labels = call.model.labels
    moving = any(axis in covered(layer) and int(layer.max()) >= 0 for layer in operand.labels)
    numbers = labels.units(count) if moving else labels.slots(count, f"a place of {call.where}")
    units = to_layer(numbers).view([-1 if k == axis else 1 for k in range(rank)])
    terms: dict[str, Terms] = {"scale": (), "sign": ()}
    for kind in terms if number == 0 else ():
        own = getattr(operand, kind)
        beside = tuple(term for term in own if axis not in covered(term[0]))
        free = to_layer(call.model.equations.variables("", (), units.numpy())).view(units.shape)
        terms[kind] = (*beside, (free, 1)) if len(beside) < len(own) else beside
    sizes = tuple(count if k == axis else size for k, size in enumerate(operand.shape))
    return Value(sizes, (units,) if count > 1 else (), terms["scale"], terms["sign"])


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
    halves = [call.move(operand, _narrow(axis, k * size, size), call.shape, apart=True) for k in (0, 1)]
    value, gate = halves[0], call.plain(halves[1])
    return Value(call.shape, call.meet(value, gate), value.scale, value.sign)


@rule("copy")
def copy(call: Call) -> Value:
    """A tensor overwritten by another."""
    source = call.operand(1)
    return Value(call.shape, call.meet(call.operand(0), source), source.scale, source.sign)
