"""Operators that move places about: what is known of them moves along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from landscape_cli.symmetry.tracing.integers import is_function
from landscape_cli.symmetry.tracing.layers import Layer, Value, aligned, covered
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call, NoRule

MOVED = "places moved about"


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "unflatten", "flatten", moves=True)
def reshape(call: Call) -> Value:
    """A row-major reshape."""
    operand = call.raw(0)
    if operand.shape == call.shape:
        return operand
    parameter, result = operand.parameter, call.reshape(operand, call.shape)
    long = [axis for axis, size in enumerate(operand.shape) if size > 1]
    left = len([size for size in call.shape if size > 1])
    if parameter is not None and left < len(long):
        if call.shape[:1] != operand.shape[:1]:  # rows of kernels that are laid out flat are no stack
            call.parameters.note_stack(parameter.name)
        elif left > 2:  # but matrices are, of which each has several axes laid out as one
            call.parameters.note_stack(parameter.name, most=len(long))
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


@rule("t", "transpose", "swapaxes", restrides=True, moves=True)
@rule("permute", "movedim", "numpy_T", "adjoint", moves=True)
def rearrange(call: Call) -> Value:
    """A rearrangement of the axes."""
    operand = call.raw(0)
    rank = len(operand.shape)
    order = list(range(rank))
    if len(call.args) == 1:
        order = order[::-1]
    elif isinstance(call.args[1], int):
        first, second = call.args[1] % rank, call.args[2] % rank
        order[first], order[second] = order[second], order[first]
    else:
        order = [axis % rank for axis in call.args[1]]
    return rearranged(call, operand, order)


@rule("unsqueeze", restrides=True, moves=True)
def unsqueeze(call: Call) -> Value:
    """A new axis of one place."""
    operand = call.raw(0)
    axis = call.args[1] % (len(operand.shape) + 1)
    order: list[int | None] = list(range(len(operand.shape)))
    return rearranged(call, operand, [*order[:axis], None, *order[axis:]])


@rule("squeeze", restrides=True, moves=True)
def squeeze(call: Call) -> Value:
    """Axes of one place dropped."""
    operand = call.raw(0)
    rank = len(operand.shape)
    axes = call.argument(1, "dim")
    chosen = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    dropped = {axis % rank for axis in chosen if operand.shape[axis] == 1}
    return rearranged(call, operand, [axis for axis in range(rank) if axis not in dropped])


@rule("expand", words=MOVED, moves=True)
def expand(call: Call) -> Value:
    """Axes of one place repeated."""
    operand = call.raw(0)
    if operand.shape == call.shape:
        return operand
    new = len(call.shape) - len(operand.shape)
    result = operand.layers(lambda layer: aligned(layer, len(call.shape)), call.shape)
    result = replace(result, copies=True)
    if operand.parameter is None:
        return result
    return replace(result, parameter=replace(operand.parameter, dims=(*[None] * new, *operand.parameter.dims)))


@rule("repeat", words=MOVED, moves=True)
@rule("tile", moves=True)
def repeat(call: Call) -> Value:
    """A tensor repeated."""
    return call.move(call.copied(0), lambda numbers: call.function(numbers, *call.args[1:]), call.shape, apart=True)


@rule("slice", "select", "roll", "flip", words=MOVED, moves=True)
@rule("narrow", "rot90", moves=True)
def take_places(call: Call) -> Value:
    """Places taken, left out or moved about, whatever is there."""
    operand = call.copied(0)
    if operand.shape == call.shape and call.operator.name == "slice":
        return operand
    if call.operator.name == "select":
        note_stack(call, operand, call.args[1])
    rest = [call.numbers(arg) for arg in call.args[1:]]
    return call.move(operand, lambda numbers: call.function(numbers, *rest, **call.kwargs), call.shape, apart=True)


def note_stack(call: Call, value: Value, axis: int, pieces: Sequence[int] = ()) -> None:
    """Note that the places along an axis, or pieces of it, are used apart, if it is a parameter's first long one."""
    if value.parameter is not None:
        name, dim = value.parameter.name, value.parameter.dims[axis % len(value.shape)]
        if dim == call.parameters.stacked_along(name):
            call.parameters.note_stack(name, pieces)


@rule("diagonal")
def diagonal(call: Call) -> Value:
    """A diagonal: units of both axes that meet there are one."""
    operand = call.operand(0)
    result = call.move(
        operand, lambda numbers: call.function(numbers, *call.args[1:], **call.kwargs), call.shape, apart=True
    )
    last = [layer for layer in result.labels if covered(layer) == {len(call.shape) - 1} and int(layer.max()) >= 0]
    for layer in last[1:]:
        rows, columns = last[0].reshape(-1).numpy(), layer.reshape(-1).numpy()
        if is_function(rows, columns) and is_function(columns, rows):
            call.labels.unite(rows, columns, call.where)
    return replace(result, labels=call.apart(result.labels, call.shape))


@rule("as_strided", restrides=True)
def restride(call: Call) -> Value:
    """Places taken by their distance in memory, which is known only of a tensor that lies in order and alone."""
    tensor = call.args[0]
    if call.in_place and call.shape == tuple(tensor.shape):
        return call.operand(0)  # the same places in another layout
    alone = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    if not (alone and tensor.is_contiguous()):
        raise NoRule
    return call.move(
        call.operand(0), lambda numbers: numbers.contiguous().as_strided(*call.args[1:]), call.shape, apart=True
    )


@rule("split", "split_with_sizes", "chunk", "unbind", "tensor_split", "unsafe_split", "unsafe_chunk", moves=True)
def split(call: Call) -> list[Value]:
    """An axis cut into pieces."""
    operand = call.copied(0)
    if call.operator.name == "unbind":
        note_stack(call, operand, call.argument(1, "dim", 0))
    elif len(call.shapes) > 1:
        [axis] = [k for k, size in enumerate(operand.shape) if size != call.shape[k]]
        note_stack(call, operand, axis, [shape[axis] for shape in call.shapes])

    def piece(k: int) -> Callable[[Tensor], Tensor]:
        return lambda numbers: call.function(numbers, *call.args[1:], **call.kwargs)[k]

    return [call.move(operand, piece(k), shape, apart=True) for k, shape in enumerate(call.shapes)]


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle")
def shuffle(call: Call) -> Value:
    """Places moved between channels and image."""
    operand = call.operand(0)
    return call.move(operand, lambda numbers: call.function(numbers, *call.args[1:]), call.shape, apart=True)


@rule("tril", "triu")
def triangle(call: Call) -> Value:
    """Zeros put on one side of a diagonal."""
    operand = call.operand(0)
    for layer in operand.labels:
        if covered(layer) & {len(operand.shape) - 1, len(operand.shape) - 2}:
            call.labels.fix(layer.numpy(), call.where)
    return replace(operand, parameter=None)


def narrow(axis: int, start: int, size: int) -> Callable[[Tensor], Tensor]:
    """Return what takes some places along an axis."""
    return lambda numbers: numbers.narrow(axis, start, size)


@rule("glu")
def gated(call: Call) -> Value:
    """The first half of an axis times the sigmoid of the second."""
    operand = call.operand(0)
    axis = call.argument(1, "dim", -1) % len(operand.shape)
    size = call.shape[axis]
    halves = [call.move(operand, narrow(axis, k * size, size), call.shape, apart=True) for k in (0, 1)]
    value, gate = halves[0], call.plain(halves[1])
    return Value(call.shape, call.meet(value, gate), value.scale, value.sign)


@rule("copy", rescales=True)
def copy(call: Call) -> Value:
    """A tensor overwritten by another."""
    source = call.operand(1)
    return Value(call.shape, call.meet(call.operand(0), source), source.scale, source.sign)
