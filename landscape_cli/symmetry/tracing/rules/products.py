"""Sums of products: fully connected layers, attention's products, convolutions."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.layers import Parameter, Term, Terms, Value, covered
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.elementwise import nothing, total

PRODUCT = "a product of matrices"
LEFT, RIGHT = (-1, -2), (-2, -1)
"""The axes of two matrices that their product sums over, and those that their units are on."""


@rule("mm", "bmm", words=PRODUCT, contracts={0: LEFT, 1: RIGHT})
def matrix_product(call: Call) -> Value:
    """The product of two matrices, or of stacks of them."""
    return contract(call, call.raw(0), call.raw(1))


@rule("addmm", "baddbmm", words=PRODUCT, contracts={1: LEFT, 2: RIGHT})
def linear(call: Call) -> Value:
    """A fully connected layer: bias + x W."""
    return total(call, contract(call, call.raw(1), call.raw(2)), call.raw(0))


@rule("mv", words=PRODUCT, contracts={0: LEFT, 1: None})
def matrix_vector(call: Call) -> Value:
    """The product of a matrix and a vector."""
    vector = call.operand(1)
    column = _inserted(vector, 1)
    product = contract(call, call.operand(0), column, (*call.shape, 1))
    return call.reshape(product, call.shape)


@rule("dot", words=PRODUCT, contracts={0: None, 1: None})
@rule("vdot", contracts={0: None, 1: None})
def scalar_product(call: Call) -> Value:
    """The product of two vectors."""
    return call.reshape(contract(call, _inserted(call.operand(0), 0), _inserted(call.operand(1), 1), (1, 1)), ())


@rule("_cdist_forward", "_euclidean_dist", words="distances", contracts={0: LEFT, 1: LEFT})
@rule("cdist", words="distances", contracts={0: LEFT, 1: LEFT})
def distances(call: Call) -> Value:
    """Distances between the rows of two matrices: units are summed over, of which both have the scale and sign."""
    rank, middle = len(call.shape) + 1, len(call.shape) - 1
    left, right = call.raw(0), call.raw(1)
    if call.argument(2, "p", 2) == 0:  # which counts where they differ
        left, right = call.unscaled(left), call.unscaled(right)
    for value in (left, right):
        if value.parameter is not None:
            _note_roles(call, value.parameter, *value.parameter.dims[-2:])
    rows, columns = _inserted(left, len(left.shape)), _inserted(_turned(right), len(right.shape) - 2)
    joint = (*call.shape[:-1], left.shape[-1], call.shape[-1])
    labels = call.summed(call.meet(rows, columns, shape=joint), [middle])
    call.equal(rows, columns)
    scale = call.dropped(rows.scale, [middle], "scale", rank)
    return Value(joint, labels, scale).layers(lambda layer: layer.squeeze(middle), call.shape)


def _turned(value: Value) -> Value:
    """Return stacked matrices with their axes exchanged."""
    return value.layers(lambda layer: layer.mT, (*value.shape[:-2], *value.shape[:-3:-1]))


@rule("_trilinear", words=PRODUCT, contracts={0: None, 1: None, 2: None})
def trilinear(call: Call) -> Value:
    """The products of three tensors of which each lacks some axes, summed over some."""
    values = []
    for value, missing in zip((call.raw(k) for k in range(3)), call.args[3:6], strict=True):
        if value.parameter is not None:
            units, *inputs = value.parameter.dims
            for dim in inputs:
                _note_roles(call, value.parameter, units, dim)
        for axis in sorted(missing):
            value = _inserted(value, axis)
        values.append(value)
    joint = tuple(max(sizes) for sizes in zip(*(value.shape for value in values), strict=True))
    over, rank = sorted(call.args[6]), len(joint)
    labels = call.summed(call.meet(*values, shape=joint), over)
    first, second, third = values
    scale = call.dropped(combine(combine(first.scale, second.scale), third.scale), over, "scale", rank)
    sign = call.dropped(combine(combine(first.sign, second.sign), third.sign), over, "sign", rank)
    sizes = tuple(1 if axis in over else size for axis, size in enumerate(joint))
    return call.reshape(Value(sizes, labels, scale, sign), call.shape)


def _inserted(value: Value, axis: int) -> Value:
    shape = (*value.shape[:axis], 1, *value.shape[axis:])
    result = value.layers(lambda layer: layer.unsqueeze(axis), shape)
    if value.behind is None:
        return result
    dims = value.behind.dims
    return result.with_behind([*dims[:axis], None, *dims[axis:]], value)


def transposed(matrix: Value) -> Value:
    """Return what is known of a matrix with its axes exchanged."""
    result = matrix.layers(lambda layer: layer.t(), matrix.shape[::-1])
    if matrix.parameter is None:
        return result
    return replace(result, parameter=replace(matrix.parameter, dims=matrix.parameter.dims[::-1]))


def contract(call: Call, left: Value, right: Value, shape: tuple[int, ...] | None = None) -> Value:
    """Sum over the last axis of one stack of matrices and the first of another."""
    shape = call.shape if shape is None else shape
    for weight, operand, units, inputs in ((right, left, -1, -2), (left, right, -2, -1)):
        if weight.parameter is not None and operand.parameter is None:
            _note_roles(call, weight.parameter, weight.parameter.dims[units], weight.parameter.dims[inputs])
        if weight.behind is not None and operand.parameter is None:
            call.parameters.cuts.note_batch(weight.behind, [dim for dim in weight.behind.dims[:-2] if dim is not None])
    if left.zero or right.zero:
        return nothing(shape)
    if left.shape[-1] == 1:
        left, right = _through_one_place(call, left, right)
    batch = shape[:-2]
    joint = (*batch, left.shape[-2], left.shape[-1], right.shape[-1])
    rank, middle = len(joint), len(joint) - 2
    rows, columns = _inserted(left, len(left.shape)), _inserted(right, len(right.shape) - 2)
    kept = labels = call.summed(call.meet(rows, columns, shape=joint), [middle])
    for layer in labels:
        if covered(layer) and covered(layer) <= set(range(len(batch))) and int(layer.min()) >= 0:
            call.parameters.cuts.note_beside(layer)
    pinned = _is_pinned(call, left, -1) or _is_pinned(call, right, -2)
    scale = call.dropped(combine(rows.scale, columns.scale), [middle], "scale", rank, kept, pinned=pinned)
    sign = combine(rows.sign, columns.sign)
    for weight, read in ((right, rows), (left, columns)):
        if weight.parameter is not None and (left.parameter is None or right.parameter is None):
            sign = _taken_up(call, sign, read, middle, rank)
    sign = call.dropped(sign, [middle], "sign", rank, kept, pinned=pinned)
    return Value(joint, labels, scale, sign).layers(lambda layer: layer.squeeze(middle), shape)


def _is_pinned(call: Call, weight: Value, axis: int) -> bool:
    """Tell whether weights take up what all that they read have in common: it would come to the same as of rows."""
    parameter = weight.parameter
    return parameter is not None and parameter.dims[axis] is not None and call.parameters.pin(parameter.name)


def _taken_up(call: Call, sign: Terms, read: Value, middle: int, rank: int) -> Terms:
    """Let the columns of weights take up a sign that all they read has: that of rows would come to the same."""
    gone = tuple(term for term in sign if covered(term[0]) & {middle})
    whole = tuple(term for term in sign if term[0].numel() == 1 and any(term[0] is layer for layer, _ in read.sign))
    if not gone or not whole or any(covered(layer) != {middle} for layer, _ in gone):
        return sign
    call.equal_signs(combine(gone, whole), rank=rank)
    return _without(sign, (*gone, *whole))


def _without(terms: Terms, left_out: Terms) -> Terms:
    return tuple(term for term in terms if not any(term is gone for gone in left_out))


def _note_roles(call: Call, parameter: Parameter, units: int | None, inputs: int | None) -> None:
    for dim, role in ((inputs, Role.OUTGOING), (units, Role.INCOMING)):
        if dim is not None:
            call.parameters.note_role(parameter.name, dim, role)


def _through_one_place(call: Call, left: Value, right: Value) -> tuple[Value, Value]:
    """Let weights that read a single unit take up its scale, which no axis tells from other factors."""
    for weight, read, dim in ((right, left, -2), (left, right, -1)):
        if weight.parameter is None or read.parameter is not None:
            continue
        behind = weight.parameter.dims[dim]
        variables = call.equations.of_axis(weight.parameter.name, behind) if behind is not None else set()
        rests = []
        for kind, of_weight, of_read in (("scale", weight.scale, read.scale), ("sign", weight.sign, read.sign)):
            lone = tuple(term for term in of_read if term[0].numel() == 1)
            taken = tuple(term for term in of_weight if _is_one_of(term, variables))
            call.equations.equate(kind, combine(lone, taken), rank=len(call.shape))
            rests.append((_without(of_weight, taken), _without(of_read, lone)))
        weight = replace(weight, scale=rests[0][0], sign=rests[1][0])
        read = replace(read, scale=rests[0][1], sign=rests[1][1])
        return (read, weight) if dim == -2 else (weight, read)
    return left, right


def _is_one_of(term: Term, variables: set[int]) -> bool:
    return term[0].numel() == 1 and int(term[0].reshape(-1)[0]) in variables
