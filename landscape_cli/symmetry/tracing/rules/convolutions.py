"""Convolutions, and what else slides windows over places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.integers import NONE, is_function, mix
from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, compress, covered, distinct, to_layer
from landscape_cli.symmetry.tracing.relate import INPUT, resolved
from landscape_cli.symmetry.tracing.rules.call import Call, padded, rule
from landscape_cli.symmetry.tracing.rules.products import contract

SPACE = "a place of an image or a sequence"
WINDOW = "units in a row, neighbours under a window"
WITHIN = "a place of a window"
KERNEL = "a place of a convolution's kernel"


def only_channels(call: Call, operand: Value, spatial: Sequence[int]) -> Value:
    """Return what lives apart from the places that a window slides over, which are thereby fixed."""
    labels = call.model.labels
    kept: list[Layer] = []
    reason = ""
    for layer in resolved(labels, operand.labels):
        if covered(layer) - set(spatial) and (labels.why_fixed(layer.numpy()) == labels.reason(INPUT)).any():
            reason = INPUT
        if not covered(layer) & set(spatial):
            kept.append(layer)
        elif covered(layer) <= set(spatial) or not (owners := _owners(call, layer, spatial)):
            labels.fix(layer.numpy(), WINDOW)
        else:
            kept += owners
    rank = len(operand.shape)
    scale = call.dropped(operand.scale, spatial, "scale", rank, kept)
    sign = call.dropped(operand.sign, spatial, "sign", rank, kept)
    sizes = tuple(1 if axis in spatial else size for axis, size in enumerate(operand.shape))
    return Value(operand.shape, call.apart(kept, sizes, reason), scale, sign)


def _owners(call: Call, layer: Layer, spatial: Sequence[int]) -> list[Layer]:
    """Return new units for what lives all over an image each: its units are those at one set of places each."""
    labels = call.model.labels
    if int(layer.min()) < 0:
        return []
    order = [axis for axis in range(layer.ndim) if axis not in spatial] + list(spatial)
    sizes = [1 if axis in spatial else size for axis, size in enumerate(layer.shape)]
    rows = layer.permute(order).reshape(prod(sizes), -1).numpy()
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
    slots = labels.slots(len(sets), SPACE)[kind]
    labels.derive(units, owners[owner], np.full(len(units), NONE), slots, call.where)
    return [to_layer(owners).view(sizes)]


def with_places(call: Call, value: Value, shape: Sequence[int], spatial: Sequence[int]) -> Value:
    """Return a value over new places."""
    new = [call.slots(shape[axis], axis, len(shape), SPACE) for axis in spatial if shape[axis] > 1]
    return Value(tuple(shape), distinct((*value.labels, *new)), value.scale, value.sign)


@rule("convolution")
def convolution(call: Call) -> Value:
    """A convolution in any number of dimensions, grouped or not, transposed or not."""
    groups, transposed = int(call.args[8]), bool(call.args[6])
    operand = call.operand(0)
    spatial = list(range(2, len(operand.shape)))
    if groups == 1 and _is_pointwise(call) and _has_units_along(operand, spatial):
        return _biased(call, _pointwise(call, operand, transposed))
    operand = only_channels(call, operand, spatial)
    if not transposed and _is_filter(call.model.numbers(call.args[1]), groups) and call.args[2] is None:
        return with_places(call, operand, call.shape, spatial)
    flat = Value(operand.shape[:2], *_two_axes(operand))
    out = _ungrouped(call, flat, transposed) if groups == 1 else _grouped(call, flat, groups, transposed)
    rank = len(call.shape)
    spread = out.layers(lambda layer: layer.reshape((*layer.shape, *[1] * (rank - 2))), call.shape)
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
    kernel = list(range(2, len(weight.shape)))
    labels = call.model.labels
    kept = []
    for layer in resolved(labels, weight.labels):
        if covered(layer) & set(kernel):
            labels.fix(layer.numpy(), KERNEL)
        else:
            kept.append(layer)
    name, dims = (weight.parameter.name, weight.parameter.dims) if weight.parameter else ("", ())
    beside = set().union(*(call.model.equations.of_axis(name, dims[axis]) for axis in kernel if name))
    terms = []
    for kind, own in (("scale", weight.scale), ("sign", weight.sign)):
        places = tuple(
            term for term in own if covered(term[0]) & set(kernel) or set(term[0].unique().tolist()) & beside
        )
        for term in places:
            call.model.equations.equate(kind, (term,), rank=len(weight.shape))
        terms.append(tuple(term for term in own if not any(term is place for place in places)))
    value = Value(weight.shape, tuple(kept), terms[0], terms[1])
    flat = Value(weight.shape[:2], *_two_axes(value))
    return flat if weight.parameter is None else replace(flat, parameter=replace(weight.parameter, dims=dims[:2]))


def _ungrouped(call: Call, operand: Value, transposed: bool) -> Value:
    return contract(call, operand, _reading(call, transposed), (operand.shape[0], call.shape[1]))


def _reading(call: Call, transposed: bool) -> Value:
    """Return the kernel as a matrix, inputs first."""
    weight = _matrix(call, call.operand(1))
    if transposed:
        return weight
    parameter = weight.parameter
    weight = weight.layers(lambda layer: layer.t(), weight.shape[::-1])
    return weight if parameter is None else replace(weight, parameter=replace(parameter, dims=parameter.dims[::-1]))


def _is_pointwise(call: Call) -> bool:
    """Tell whether a convolution works on each place alone, and all alike."""
    kernel = call.args[1].shape[2:]
    return set(kernel) == {1} and set(call.args[3]) == {1} and set(call.args[4]) | set(call.args[7]) == {0}


def _has_units_along(value: Value, axes: Sequence[int]) -> bool:
    """Tell whether units, rather than places, lie along these axes, and along no others but the batch's."""
    found = [layer for layer in value.labels if covered(layer) & set(axes) and int(layer.max()) >= 0]
    return bool(found) and not any(1 in covered(layer) for layer in found)


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


def _grouped(call: Call, operand: Value, groups: int, transposed: bool) -> Value:
    """Relate groups of input channels, units of one block each, to the groups of units that read them."""
    labels, weight = call.model.labels, call.args[1]
    first, second = weight.shape[0] // groups, weight.shape[1]
    inputs, outputs = (first, second) if transposed else (second, first)
    grouped = call.reshape(operand, (operand.shape[0], groups, inputs))
    mine = Value((1, groups, inputs), tuple(layer for layer in grouped.labels if not covered(layer) & {0}))
    if not call.model.is_new(weight) or any(
        covered(layer) & {0} and covered(layer) & {1, 2} for layer in grouped.labels
    ):
        return _grouped_again(call, operand, grouped, groups)
    # One run of numbers for each axis of the weights; the second is counted group by group.
    rows = to_layer(labels.units(weight.shape[0], together=True))
    inner = to_layer(labels.units(groups * second, together=True))
    row_variables = call.model.equations.variables(call.model.name(weight), (0,), rows.numpy())
    owners = inner.view(groups, 1, second).expand(groups, first, second).reshape(-1).numpy()
    variables = call.model.equations.variables(call.model.name(weight), (0, 1), owners)
    inner_variables = to_layer(variables).view(groups, first, second)[:, 0]
    kernel = [
        to_layer(labels.slots(size, KERNEL)).view([-1 if k == axis else 1 for k in range(weight.ndim)])
        for axis, size in enumerate(weight.shape)
        if axis > 1 and size > 1
    ]
    tail = [1] * (weight.ndim - 2)
    joint = to_layer(owners).view(weight.shape[0], second, *tail)
    known = Value(
        tuple(weight.shape),
        distinct((rows.view(-1, 1, *tail), joint, *kernel)),
        (
            (to_layer(row_variables).view(-1, 1, *tail), 1),
            (to_layer(variables).view(weight.shape[0], second, *tail), 1),
        ),
    )
    known = replace(known, sign=known.scale)
    # With one place along the second axis, what lives there moves along with the rows.
    runs = [[rows.view(-1, 1, *tail)], *([[joint]] if second > 1 else []), *([layer] for layer in kernel)]
    call.model.define(weight, runs, known)
    name = call.model.name(weight)
    call.model.note_role(name, 0, Role.OUTGOING if transposed else Role.INCOMING)
    call.model.note_role(name, 1, Role.INCOMING if transposed else Role.OUTGOING)
    read, write = (rows.view(groups, first), inner.view(groups, second))[:: 1 if transposed else -1]
    read_variables, write_variables = (
        to_layer(row_variables).view(groups, first),
        inner_variables.reshape(groups, second),
    )[:: 1 if transposed else -1]
    reader = Value((1, groups, inputs), (read[None],), ((read_variables[None], 1),), ((read_variables[None], 1),))
    call.meet(mine, reader, shape=(1, groups, inputs))
    blocks = call.summed([read[None]], [2])
    for block in blocks:
        labels.respect(write.numpy().ravel(), block.view(groups, 1).expand(groups, outputs).numpy().ravel(), call.where)
    rest = []
    for kind, own in (("scale", grouped.scale), ("sign", grouped.sign)):
        inside = tuple(term for term in own if covered(term[0]) & {1, 2})
        call.model.equations.equate(kind, combine(inside, reader.scale), rank=3)
        rest.append(tuple((layer.reshape(-1, 1), power) for layer, power in own if not covered(layer) & {1, 2}))
    batch = [layer.reshape(layer.shape[0], 1) for layer in grouped.labels if covered(layer) == {0}]
    units = compress(write.reshape(1, -1)) if write.numel() > 1 else write.reshape(1, -1)
    own_terms: Terms = ((write_variables.reshape(1, -1), 1),)
    return Value(
        (operand.shape[0], groups * outputs),
        distinct(resolved(labels, [units, *batch])),
        (*rest[0], *own_terms),
        (*rest[1], *own_terms),
    )


def _grouped_again(call: Call, operand: Value, grouped: Value, groups: int) -> Value:
    """Fix what a grouped convolution reads and writes with weights that other operators use as well."""
    weight = call.operand(1)
    for value in (operand, grouped, weight):
        call.fix(value)
    return Value(
        (operand.shape[0], call.shape[1]),
        (call.slots(operand.shape[0], 0, 2, call.where), call.slots(call.shape[1], 1, 2, call.where)),
    )


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
        lead, own = layer.shape[:-3], layer.shape[-3]
        spread = layer.reshape(*lead, own, 1, 1)
        return spread.expand(*lead, own, count, 1).reshape(*lead, own * count, 1) if own > 1 else spread[..., 0]

    result = passed.layers(change, call.shape)
    within = to_layer(call.model.labels.slots(count, WITHIN)).repeat(channels)
    kernel = compress(within.view(-1, 1).view([1] * (rank - 3) + [channels * count, 1]))
    told = Value(call.shape, distinct((*result.labels, kernel)), result.scale, result.sign)
    return with_places(call, told, call.shape, [rank - 2])


@rule("unfold")
def unfold_axis(call: Call) -> Value:
    """Windows along an axis: fixed places stay so, each at its window and within; units are copied about."""
    operand = call.operand(0)
    axis, size, step = call.args[1] % max(len(operand.shape), 1), call.args[2], call.args[3]
    here = [layer for layer in operand.labels if axis in covered(layer)]
    if all(covered(layer) == {axis} and int(layer.max()) < 0 for layer in here):
        kept = only_channels(call, operand, [axis])
        lifted = kept.layers(lambda layer: layer.unsqueeze(-1), call.shape)
        read = call.model.labels.reason(INPUT)
        reason = INPUT if any((call.model.labels.why_fixed(layer.numpy()) == read).any() for layer in here) else SPACE
        new = [call.slots(call.shape[k], k, len(call.shape), reason) for k in (axis, len(call.shape) - 1)]
        return Value(call.shape, distinct((*lifted.labels, *new)), lifted.scale, lifted.sign)
    return call.move(operand, lambda numbers: numbers.unfold(axis, size, step), call.shape, apart=True)
