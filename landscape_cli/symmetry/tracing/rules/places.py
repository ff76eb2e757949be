"""Operators that move places about: what is known of them moves along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.integers import is_function
from landscape_cli.symmetry.tracing.layers import Layer, Parameter, Value, aligned, covered, pieces_of
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call, NoRule
from landscape_cli.symmetry.tracing.storage import covers

MOVED = "places moved about"


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "unflatten", "flatten", moves=True)
def reshape(call: Call) -> Value:
    """A row-major reshape."""
    operand = call.raw(0)
    if operand.shape == call.shape:
        return operand
    parameter, result = operand.behind, call.reshape(operand, call.shape)
    long = [axis for axis, size in enumerate(operand.shape) if size > 1]
    left = len([size for size in call.shape if size > 1])
    if operand.parameter is not None and left < len(long):
        for sizes, made, start in pieces_of(operand.shape, call.shape):
            if max(made, default=1) == prod(sizes):
                axes = [start + k for k, size in enumerate(sizes) if size > 1]
                call.parameters.cuts.note_joint(operand.parameter, axes)
    if parameter is not None and left < len(long):
        if None in parameter.dims and len(call.shape) == 3 and call.shape[0] == 1:  # as einsum lays out factors
            call.parameters.cuts.note_laid_out(parameter, _laid_out_as_one(operand, call.shape))
        elif call.shape[:1] != operand.shape[:1]:  # rows of kernels that are laid out flat are no stack
            call.parameters.cuts.note_stack(parameter)
        elif left > 2:  # but matrices are, of which each has several axes laid out as one
            call.parameters.cuts.note_stack(parameter, most=len(long))
    if parameter is None or [operand.shape[axis] for axis in long] != [size for size in call.shape if size > 1]:
        return _cut_up(call, operand, result) if left > len(long) > 1 else result
    behind = iter([parameter.dims[axis] for axis in long])
    return result.with_behind([next(behind) if size > 1 else None for size in call.shape], operand)


def _cut_up(call: Call, operand: Value, result: Value) -> Value:
    """Return what a parameter is whose axes were cut: as a piece, each such axis the last of those that came of it."""
    dims: list[int | None] = []
    for old, new, start in pieces_of(operand.shape, call.shape):
        long = [operand.behind.dims[start + k] for k, size in enumerate(old) if size > 1] if operand.behind else []
        if len(long) > 1:
            return result
        inner = max((k for k, size in enumerate(new) if size > 1), default=0)
        dims += [long[0] if long and k == inner else None for k in range(len(new))]
        outer = prod(new[:inner])
        stack = sum(size > 1 for size in operand.shape) > 2  # of a matrix it is told by which of them are taken
        if stack and operand.behind is not None and long and long[0] is not None and outer > 1:
            call.parameters.cuts.note_piece(operand.behind, long[0], (new[inner],) * outer)
    return replace(result, piece=operand.behind and Parameter(operand.behind.name, tuple(dims)))


def _laid_out_as_one(operand: Value, shape: Sequence[int]) -> list[int]:
    """Return the axes of a parameter behind a value of which a reshape lays out each with a later one."""
    dims = operand.behind.dims if operand.behind is not None else ()
    found: list[int] = []
    for old, _, start in pieces_of(operand.shape, shape):
        long = [dim for dim, size in zip(dims[start:], old, strict=False) if size > 1 and dim is not None]
        found += sorted(long)[:-1]
    return found


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
    if operand.behind is None:
        return result
    dims = operand.behind.dims
    return result.with_behind([None if axis is None else dims[axis] for axis in order], operand)


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
    if operand.behind is None:
        return result
    return result.with_behind([*[None] * new, *operand.behind.dims], operand)


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
    rest = [call.numbers(arg) for arg in call.args[1:]]
    taken = call.move(operand, lambda numbers: call.function(numbers, *rest, **call.kwargs), call.shape, apart=True)
    if call.operator.name == "select":
        return piece_of(call, operand, taken, call.args[1], dropped=True)
    if call.operator.name == "slice" and operand.behind is not None:
        axis = call.argument(1, "dim", 0) % len(operand.shape)
        places = call.function(torch.arange(operand.shape[axis]), 0, *rest[1:]).tolist()
        dim = operand.behind.dims[axis]
        if dim is not None and places and places == list(range(places[0], places[0] + len(places))):
            if len(places) == 1:
                call.parameters.cuts.note_piece(operand.behind, dim)
            else:
                note_slices(call, operand, taken)
            return replace(taken, piece=operand.behind)
    return taken


def note_slices(call: Call, value: Value, taken: Value) -> None:
    """Note that some places in a row along axes of a parameter were taken, of whichever view of it."""
    if value.behind is None:
        return
    here = np.concatenate([np.zeros(0, dtype=np.int64), *(layer.numpy().ravel() for layer in taken.labels)])
    layers = [np.isin(run[0].numpy(), here) for run in call.parameters.runs[value.behind.name]]
    for dim in range(len(call.parameters.shapes[value.behind.name])):
        along = [held.swapaxes(0, dim).reshape(held.shape[dim], -1).any(axis=1) for held in layers]
        held = np.all([places for places in along if len(places) > 1] or [[True]], axis=0)
        [places] = np.nonzero(held)
        if 1 < len(places) < len(held) and places[-1] - places[0] == len(places) - 1:
            call.parameters.cuts.note_slice(value.behind, dim, places.tolist())


def piece_of(
    call: Call, value: Value, taken: Value, axis: int, pieces: Sequence[int] = (), *, dropped: bool = False
) -> Value:
    """Note that the places along an axis of a parameter, or pieces of it, are used apart; return what was taken as one.

    Args:
        call: the operator that takes them.
        value: what it takes them of.
        taken: what it has taken.
        axis: the axis.
        pieces: how long they are; one place each if it does not say.
        dropped: whether the axis is gone.
    """
    if value.behind is None:
        return taken
    axis = axis % len(value.shape)
    dims = value.behind.dims
    dim = dims[axis]
    if dim is None or (pieces and value.parameter is None):
        note_slices(call, value, taken)
    else:
        call.parameters.cuts.note_piece(value.behind, dim, pieces)
    if dropped:
        dims = (*dims[:axis], *dims[axis + 1 :])
    return replace(taken, piece=Parameter(value.behind.name, dims))


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

    def piece(k: int) -> Callable[[Tensor], Tensor]:
        return lambda numbers: call.function(numbers, *call.args[1:], **call.kwargs)[k]

    made = [call.move(operand, piece(k), shape, apart=True) for k, shape in enumerate(call.shapes)]
    if call.operator.name == "unbind":
        return [piece_of(call, operand, each, call.argument(1, "dim", 0), dropped=True) for each in made]
    if len(made) < 2:
        return made
    [axis] = [k for k, size in enumerate(operand.shape) if size != call.shape[k]]
    return [piece_of(call, operand, each, axis, [shape[axis] for shape in call.shapes]) for each in made]


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
    """A tensor overwritten by another: all of a storage may hold anything else then."""
    source = call.operand(1)
    if source.shape == call.shape and covers(call.args[0]):
        return Value(call.shape, source.labels, source.scale, source.sign)
    return Value(call.shape, call.meet(call.operand(0), source), source.scale, source.sign)
