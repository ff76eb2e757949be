"""Convolutions, and what else slides windows over places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from torch import Tensor

from landscape_cli.symmetry.tracing.belonging import INPUT
from landscape_cli.symmetry.tracing.integers import NONE, is_function, mix, split_rows
from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, compress, covered, distinct, to_layer
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.relate import resolved
from landscape_cli.symmetry.tracing.rules.call import Call, padded
from landscape_cli.symmetry.tracing.rules.grouped import KERNEL, grouped_product
from landscape_cli.symmetry.tracing.rules.products import contract, transposed

SPACE = "a place of an image or a sequence"
WINDOW = "units in a row, neighbours under a window"
WITHIN = "a place of a window"


def only_channels(call: Call, operand: Value, spatial: Sequence[int], why: str = WINDOW) -> Value:
    """Return what lives apart from the places that a window slides over, which are thereby fixed."""
    labels = call.labels
    kept: list[Layer] = []
    reason = ""
    for layer in resolved(labels, operand.labels):
        if covered(layer) - set(spatial) and (labels.why_fixed(layer.numpy()) == labels.reason(INPUT)).any():
            reason = INPUT
        if not covered(layer) & set(spatial):
            kept.append(layer)
        elif covered(layer) <= set(spatial) or not (owners := _owners(call, layer, spatial)):
            labels.fix(layer.numpy(), why)
        else:
            kept += owners
    rank = len(operand.shape)
    scale = call.dropped(operand.scale, spatial, "scale", rank, kept)
    sign = call.dropped(operand.sign, spatial, "sign", rank, kept)
    sizes = tuple(1 if axis in spatial else size for axis, size in enumerate(operand.shape))
    told = kept if operand.copies else call.apart(kept, sizes, reason)
    return Value(operand.shape, tuple(told), scale, sign, copies=operand.copies)


def _owners(call: Call, layer: Layer, spatial: Sequence[int], what: str = SPACE) -> list[Layer]:
    """Return new units for what lives all over an image each: its units are those at one set of places each."""
    labels = call.labels
    if int(layer.min()) < 0:
        return []
    order = [axis for axis in range(layer.ndim) if axis not in spatial] + list(spatial)
    sizes = [1 if axis in spatial else size for axis, size in enumerate(layer.shape)]
    rows, which_row = split_rows(layer.permute(order).reshape(prod(sizes), -1).numpy())  # copies are alike
    index = np.broadcast_to(np.arange(len(rows))[:, None], rows.shape)
    if not is_function(rows, index):
        return []
    units, which = np.unique(rows, return_inverse=True)
    places = np.zeros(len(units), dtype=np.uint64)
    np.add.at(
        places, which.ravel(), np.broadcast_to(mix(np.arange(rows.shape[1], dtype=np.uint64)), rows.shape).ravel()
    )
    sets, kind = np.unique(places, return_inverse=True)
    owner = np.zeros(len(units), dtype=np.int64)
    owner[which.ravel()] = index.ravel()
    owners = labels.units(len(rows))
    slots = labels.slots(len(sets), what)[kind]
    labels.derive(units, owners[owner], np.full(len(units), NONE), slots, call.where)
    return [to_layer(owners[which_row]).view(sizes)]


def with_places(call: Call, value: Value, shape: Sequence[int], spatial: Sequence[int]) -> Value:
    """Return a value over new places."""
    new = [call.slots(shape[axis], axis, len(shape), SPACE) for axis in spatial if shape[axis] > 1]
    return Value(tuple(shape), distinct((*value.labels, *new)), value.scale, value.sign)


@rule("convolution", words="a convolution", contracts={0: None, 1: (1, 0)})
def convolution(call: Call) -> Value:
    """A convolution in any number of dimensions, grouped or not, transposed or not."""
    groups, transposed = int(call.args[8]), bool(call.args[6])
    operand = call.operand(0)
    spatial = list(range(2, len(operand.shape)))
    if groups == 1 and _is_pointwise(call) and _has_units_along(operand, spatial):
        return _biased(call, _pointwise(call, operand, transposed))
    return sliding(call, operand)


def sliding(call: Call, operand: Value) -> Value:
    """Return what is known of a convolution, whose windows fix the places that they slide over."""
    groups, transposed = int(call.args[8]), bool(call.args[6])
    spatial = list(range(2, len(operand.shape)))
    operand = only_channels(call, operand, spatial)
    if not transposed and _is_filter(call.tensors.numbers(call.args[1]), groups) and call.args[2] is None:
        return with_places(call, operand, call.shape, spatial)
    flat = Value(operand.shape[:2], *_two_axes(operand))
    if groups == 1:
        product = contract(call, flat, _reading(call, transposed), (operand.shape[0], call.shape[1]))
    else:
        product = grouped_product(call, flat, groups, lambda: _matrix(call, call.operand(1)), transposed=transposed)
    rank = len(call.shape)
    spread = product.layers(lambda layer: layer.reshape((*layer.shape, *[1] * (rank - 2))), call.shape)
    return _biased(call, with_places(call, spread, call.shape, spatial))


def _biased(call: Call, result: Value) -> Value:
    """Add a bias for each channel, if there is one."""
    if call.args[2] is None:
        return result
    rank = len(call.shape)
    bias = call.operand(2)
    call.follow(bias)
    column = bias.layers(lambda layer: layer.reshape((1, -1, *[1] * (rank - 2))), (1, call.shape[1], *[1] * (rank - 2)))
    call.equal(result, column)
    return Value(call.shape, call.meet(result, column), result.scale, result.sign)


def _two_axes(value: Value) -> tuple[tuple[Layer, ...], Terms, Terms]:
    def flat(layer: Layer) -> Layer:
        return layer.reshape(layer.shape[:2])

    scale, sign = (tuple((flat(layer), power) for layer, power in terms) for terms in (value.scale, value.sign))
    return tuple(flat(layer) for layer in value.labels), scale, sign


def _matrix(call: Call, weight: Value) -> Value:
    """Return a kernel as a matrix, its places fixed and their scales 1."""
    kernel = set(range(2, len(weight.shape)))
    kept: list[Layer] = []
    for layer in resolved(call.labels, weight.labels):
        if not covered(layer) & kernel:
            kept.append(layer)
        elif covered(layer) <= kernel or not (owners := _owners(call, layer, sorted(kernel), KERNEL)):
            call.labels.fix(layer.numpy(), KERNEL)
        else:  # of weights laid out flat, say
            kept += owners
    sizes = (*weight.shape[:2], *[1] * len(kernel))
    kept = list(call.apart(kept, sizes, KERNEL))
    scale, sign = (_beside_kernel(call, weight, kind, kernel, kept) for kind in ("scale", "sign"))
    flat = Value(weight.shape[:2], *_two_axes(Value(weight.shape, tuple(kept), scale, sign)))
    if weight.parameter is None:
        return flat
    return replace(flat, parameter=replace(weight.parameter, dims=weight.parameter.dims[:2]))


def _beside_kernel(call: Call, weight: Value, kind: str, kernel: set[int], kept: Sequence[Layer]) -> Terms:
    """State that the scales (or signs) of a kernel's places are 1, all alike if it was made; return the others."""
    if weight.parameter is None:
        return call.dropped(getattr(weight, kind), sorted(kernel), kind, len(weight.shape), kept)
    name, dims = weight.parameter.name, weight.parameter.dims
    variables: set[int] = set().union(*(call.equations.of_axis(name, dims[axis]) for axis in kernel))
    rest = []
    for layer, power in getattr(weight, kind):
        if covered(layer) & kernel or set(layer.unique().tolist()) & variables:
            call.equations.equate(kind, ((layer, power),), rank=len(weight.shape))
        else:
            rest.append((layer, power))
    return tuple(rest)


def _reading(call: Call, transpose: bool) -> Value:
    """Return the kernel as a matrix, inputs first."""
    weight = _matrix(call, call.operand(1))
    return weight if transpose else transposed(weight)


def _is_pointwise(call: Call) -> bool:
    """Tell whether a convolution works on each place alone, and all alike."""
    kernel = call.args[1].shape[2:]
    return set(kernel) == {1} and set(call.args[3]) == {1} and set(call.args[4]) | set(call.args[7]) == {0}


def _has_units_along(value: Value, axes: Sequence[int]) -> bool:
    """Tell whether units, rather than places, lie along these axes, and along no others but the batch's."""
    units = [layer for layer in value.labels if covered(layer) & set(axes) and int(layer.max()) >= 0]
    return bool(units) and not any(1 in covered(layer) for layer in units)


def _pointwise(call: Call, operand: Value, transposed: bool) -> Value:
    """Sum over channels what is at each place, as a fully connected layer does with the channels last."""
    rank = len(operand.shape)
    last, back = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    moved = operand.layers(lambda layer: layer.permute(last), [operand.shape[axis] for axis in last])
    matrix = _reading(call, transposed)
    weight, parameter = padded(matrix, rank), matrix.parameter
    if parameter is not None:
        dims = (*[None] * (rank - 2), *parameter.dims)
        weight = replace(weight, parameter=replace(parameter, dims=dims))
    shape = (*moved.shape[:-1], call.shape[1])
    return contract(call, moved, weight, shape).layers(lambda layer: layer.permute(back), call.shape)


def _is_filter(kernel: Tensor | None, groups: int) -> bool:
    """Tell whether a kernel is a constant that filters every channel alike, as a blur does."""
    return kernel is not None and kernel.shape[:2] == (groups, 1) and bool((kernel == kernel[:1]).all())


@rule("im2col")
def unfold_image(call: Call) -> Value:
    """Windows of an image, each as a vector: channels, and places of the window within; padding is 0."""
    operand = call.operand(0)
    rank = len(operand.shape)
    passed = only_channels(call, operand, [rank - 2, rank - 1])
    channels, count = operand.shape[-3], prod(call.args[1])

    def change(layer: Layer) -> Layer:
        lead, size = layer.shape[:-3], layer.shape[-3]
        spread = layer.reshape(*lead, size, 1, 1)
        return spread.expand(*lead, size, count, 1).reshape(*lead, size * count, 1) if size > 1 else spread[..., 0]

    result = passed.layers(change, call.shape)
    within = to_layer(call.labels.slots(count, WITHIN)).repeat(channels)
    kernel = compress(within.view(-1, 1).view([1] * (rank - 3) + [channels * count, 1]))
    windows = Value(call.shape, distinct((*result.labels, kernel)), result.scale, result.sign)
    return with_places(call, windows, call.shape, [rank - 2])


@rule("col2im")
def fold_image(call: Call) -> Value:
    """Windows, each a vector of channels and places within, put together to an image."""
    operand = call.operand(0)
    rank, count = len(operand.shape), prod(call.args[2])
    windows = call.reshape(operand, (*operand.shape[:-2], operand.shape[-2] // count, count, operand.shape[-1]))
    passed = only_channels(call, windows, [rank - 1, rank])
    return with_places(call, passed, call.shape, [rank - 1, rank])


@rule("unfold")
def unfold_axis(call: Call) -> Value:
    """Windows along an axis: fixed places stay so, each at its window and within; units are copied about."""
    axis, size, step = call.args[1] % max(call.args[0].ndim, 1), call.args[2], call.args[3]
    operand = call.blanks_fixed(call.operand(0), axis)
    here = [layer for layer in operand.labels if axis in covered(layer)]
    if all(covered(layer) == {axis} and int(layer.max()) < 0 for layer in here):
        kept = only_channels(call, operand, [axis])
        lifted = kept.layers(lambda layer: layer.unsqueeze(-1), call.shape)
        read = call.labels.reason(INPUT)
        reason = INPUT if any((call.labels.why_fixed(layer.numpy()) == read).any() for layer in here) else SPACE
        new = [call.slots(call.shape[k], k, len(call.shape), reason) for k in (axis, len(call.shape) - 1)]
        return Value(call.shape, distinct((*lifted.labels, *new)), lifted.scale, lifted.sign)
    return call.move(operand, lambda numbers: numbers.unfold(axis, size, step), call.shape, apart=True)
