"""Grouped convolutions: weights of which each group of outputs reads a group of inputs, a block of units, alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, along, compress, covered, distinct, to_layer
from landscape_cli.symmetry.tracing.relate import resolved
from landscape_cli.symmetry.tracing.rules.call import Call

KERNEL = "a place of a convolution's kernel"


@dataclass(frozen=True)
class _Channels:
    """The channels on one side of grouped weights, group by group.

    Attributes:
        units: that live there, shape (groups, channels).
        variables: of their scales and signs, in the weights, of the same shape.
    """

    units: Layer
    variables: Layer

    @property
    def terms(self) -> Terms:
        """The scale (or sign) of the channels, all groups side by side, in every example."""
        return ((self.variables.reshape(1, -1), 1),)


def grouped_product(call: Call, operand: Value, groups: int, matrix: Callable[[], Value], *, transposed: bool) -> Value:
    """Relate groups of input channels, units of one block each, to the groups of units that read them.

    Args:
        call: the convolution.
        operand: its input, shape (n, channels).
        groups: how many there are.
        matrix: returns what is known of the weights without their places, shape (outputs, inputs of a group).
        transposed: whether the first axis of the weights is that of the inputs.
    """
    weight, batch = call.args[1], operand.shape[0]
    inputs = weight.shape[0] // groups if transposed else weight.shape[1]
    grouped = call.reshape(operand, (batch, groups, inputs))
    mixed = any(covered(layer) & {0} and covered(layer) & {1, 2} for layer in grouped.labels)
    if mixed or not call.tensors.is_new(weight):
        return _by_groups(call, grouped, matrix(), transposed=transposed)
    rows, columns = _define(call, groups)
    read, written = (rows, columns) if transposed else (columns, rows)
    shape = (1, groups, inputs)
    of_read: Terms = ((read.variables[None], 1),)
    met = Value(shape, tuple(layer for layer in grouped.labels if not covered(layer) & {0}))
    call.meet(met, Value(shape, (read.units[None],), of_read, of_read), shape=shape)
    outputs = written.units.shape[1]
    for block in call.summed([read.units[None]], [2]):
        blocks = block.view(groups, 1).expand(groups, outputs).numpy().ravel()
        call.labels.respect(written.units.numpy().ravel(), blocks, call.where)
    scale, sign = (
        _beside_groups(call, kind, terms, of_read) for kind, terms in (("scale", grouped.scale), ("sign", grouped.sign))
    )
    beside = [layer.reshape(layer.shape[0], 1) for layer in grouped.labels if covered(layer) == {0}]
    units, terms = written.units.reshape(1, -1), written.terms
    labels = distinct(resolved(call.labels, [compress(units) if units.numel() > 1 else units, *beside]))
    return Value((batch, groups * outputs), labels, (*scale, *terms), (*sign, *terms))


def _define(call: Call, groups: int) -> tuple[_Channels, _Channels]:
    """Say what is known of grouped weights; return the channels of their first axis and of their second.

    There is one run of units for each axis of the weights; the second is counted group by group.
    """
    weight, name = call.args[1], call.parameters.name(call.args[1])
    length, second, rank = weight.shape[0], weight.shape[1], weight.ndim
    first = length // groups
    rows = to_layer(call.labels.units(length, together=True))
    inner = to_layer(call.labels.units(groups * second, together=True))
    row_variables = to_layer(call.equations.variables(name, (0,), rows.numpy()))
    owners = inner.view(groups, 1, second).expand(groups, first, second).reshape(-1)
    variables = to_layer(call.equations.variables(name, (0, 1), owners.numpy()))
    kernel = [
        along(to_layer(call.labels.slots(size, KERNEL)), axis, rank)
        for axis, size in enumerate(weight.shape)
        if axis > 1 and size > 1
    ]
    tail = [1] * (rank - 2)
    row_layer, joint = along(rows, 0, rank), owners.view(length, second, *tail)
    terms: Terms = ((along(row_variables, 0, rank), 1), (variables.view(length, second, *tail), 1))
    value = Value(tuple(weight.shape), distinct((row_layer, joint, *kernel)), terms, terms)
    # With one place along the second axis, what lives there moves along with the rows.
    runs = [[row_layer], *([[joint]] if second > 1 else []), *([layer] for layer in kernel)]
    call.tensors.define(weight, runs, value)
    transposed = bool(call.args[6])
    call.parameters.note_role(name, 0, Role.OUTGOING if transposed else Role.INCOMING)
    call.parameters.note_role(name, 1, Role.INCOMING if transposed else Role.OUTGOING)
    inner_variables = variables.view(groups, first, second)[:, 0].reshape(groups, second)
    return (
        _Channels(rows.view(groups, first), row_variables.view(groups, first)),
        _Channels(inner.view(groups, second), inner_variables),
    )


def _beside_groups(call: Call, kind: str, terms: Terms, of_read: Terms) -> Terms:
    """Let the weights take up the scales (or signs) of the channels that they read; return those of the batch."""
    inside = tuple(term for term in terms if covered(term[0]) & {1, 2})
    call.equations.equate(kind, combine(inside, of_read), rank=3)
    return tuple((layer.reshape(-1, 1), power) for layer, power in terms if not covered(layer) & {1, 2})


def _by_groups(call: Call, grouped: Value, matrix: Value, *, transposed: bool) -> Value:
    """Sum over the inputs of each group with weights of which something is known already, or that were made."""
    batch, groups, inputs = grouped.shape
    call.parameters.cuts.note_groups(call.args[1].shape, matrix.labels, groups, call.labels)
    outputs = matrix.shape[1] if transposed else matrix.shape[0] // groups
    weights = call.reshape(matrix, (groups, inputs, outputs) if transposed else (groups, outputs, inputs))
    if transposed:
        weights = weights.layers(lambda layer: layer.mT, (groups, outputs, inputs))
    joint = (batch, groups, outputs, inputs)
    rows = grouped.layers(lambda layer: layer.unsqueeze(2), (batch, groups, 1, inputs))
    columns = weights.layers(lambda layer: layer[None], (1, *weights.shape))
    labels = call.summed(call.meet(rows, columns, shape=joint), [3])
    for unit in [layer for layer in labels if covered(layer) == {1, 2} and int(layer.min()) >= 0]:
        for block in [layer for layer in labels if covered(layer) == {1} and int(layer.min()) >= 0]:
            call.labels.respect(unit.numpy().ravel(), block.expand(unit.shape).numpy().ravel(), call.where)
    scale, sign = (
        call.dropped(combine(getattr(rows, kind), getattr(columns, kind)), [3], kind, 4, labels)
        for kind in ("scale", "sign")
    )
    product = Value((batch, groups, outputs, 1), distinct(resolved(call.labels, labels)), scale, sign)
    return call.reshape(product, (batch, groups * outputs))
