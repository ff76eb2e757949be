"""Sums of products: fully connected layers, attention's products, convolutions."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.layers import Term, Terms, Value, covered
from landscape_cli.symmetry.tracing.rules.call import Call, rule
from landscape_cli.symmetry.tracing.rules.elementwise import total


@rule("mm", "bmm")
def matrix_product(call: Call) -> Value:
    """The product of two matrices, or of stacks of them."""
    return contract(call, call.operand(0), call.operand(1))


@rule("addmm", "baddbmm")
def linear(call: Call) -> Value:
    """A fully connected layer: bias + x W."""
    return total(call, contract(call, call.operand(1), call.operand(2)), call.operand(0))


@rule("mv")
def matrix_vector(call: Call) -> Value:
    """The product of a matrix and a vector."""
    vector = call.operand(1)
    column = _inserted(vector, 1)
    product = contract(call, call.operand(0), column, (*call.shape, 1))
    return call.reshape(product, call.shape)


@rule("dot", "vdot")
def scalar_product(call: Call) -> Value:
    """The product of two vectors."""
    return call.reshape(contract(call, _inserted(call.operand(0), 0), _inserted(call.operand(1), 1), (1, 1)), ())


def _inserted(value: Value, axis: int) -> Value:
    shape = (*value.shape[:axis], 1, *value.shape[axis:])
    result = value.layers(lambda layer: layer.unsqueeze(axis), shape)
    if value.parameter is None:
        return result
    dims = value.parameter.dims
    return replace(result, parameter=replace(value.parameter, dims=(*dims[:axis], None, *dims[axis:])))


def contract(call: Call, left: Value, right: Value, shape: tuple[int, ...] | None = None) -> Value:
    """Sum over the last axis of one stack of matrices and the first of another."""
    shape = call.shape if shape is None else shape
    for weight, other, units, inputs in ((right, left, -1, -2), (left, right, -2, -1)):
        if weight.parameter is not None and other.parameter is None:
            _note_roles(call, weight, weight.parameter.dims[units], weight.parameter.dims[inputs])
    if left.shape[-1] == 1:
        left, right = _through_one_place(call, left, right)
    batch = shape[:-2]
    joint = (*batch, left.shape[-2], left.shape[-1], right.shape[-1])
    rank, middle = len(joint), len(joint) - 2
    one, other = _inserted(left, len(left.shape)), _inserted(right, len(right.shape) - 2)
    labels = call.summed(call.meet(one, other, shape=joint), [middle])
    scale = call.dropped(combine(one.scale, other.scale), [middle], "scale", rank)
    sign = combine(one.sign, other.sign)
    for weight, read in ((right, one), (left, other)):
        if weight.parameter is not None and (left.parameter is None or right.parameter is None):
            sign = _taken_up(call, sign, read, middle, rank)
    sign = call.dropped(sign, [middle], "sign", rank)
    return Value(joint, labels, scale, sign).layers(lambda layer: layer.squeeze(middle), shape)


def _taken_up(call: Call, sign: Terms, read: Value, middle: int, rank: int) -> Terms:
    """Let the columns of weights take up a sign that all they read has: that of rows would come to the same."""
    gone = tuple(term for term in sign if covered(term[0]) & {middle})
    whole = tuple(term for term in sign if term[0].numel() == 1 and any(term[0] is layer for layer, _ in read.sign))
    if not gone or not whole or any(covered(layer) != {middle} for layer, _ in gone):
        return sign
    call.equal_signs(combine(gone, whole), rank=rank)
    return tuple(term for term in sign if not any(term is other for other in (*gone, *whole)))


def _note_roles(call: Call, weight: Value, units: int | None, inputs: int | None) -> None:
    assert weight.parameter is not None
    for dim, role in ((inputs, Role.OUTGOING), (units, Role.INCOMING)):
        if dim is not None:
            call.model.note_role(weight.parameter.name, dim, role)


def _through_one_place(call: Call, left: Value, right: Value) -> tuple[Value, Value]:
    """Let weights that read a single unit take up its scale, which no axis tells from other factors."""
    for weight, other, dim in ((right, left, -2), (left, right, -1)):
        if weight.parameter is None or other.parameter is not None:
            continue
        behind = weight.parameter.dims[dim]
        own = call.model.equations.of_axis(weight.parameter.name, behind) if behind is not None else set()
        rests = []
        for kind, mine, theirs in (("scale", weight.scale, other.scale), ("sign", weight.sign, other.sign)):
            lone: list[Term] = [term for term in theirs if term[0].numel() == 1]
            taken = [term for term in mine if _is_one_of(term, own)]
            call.model.equations.equate(kind, combine(tuple(lone), tuple(taken)), rank=len(call.shape))
            rests.append(
                (
                    tuple(term for term in mine if not _is_one_of(term, own)),
                    tuple(term for term in theirs if not any(term is one for one in lone)),
                )
            )
        weight = Value(weight.shape, weight.labels, rests[0][0], rests[1][0], weight.parameter)
        other = Value(other.shape, other.labels, rests[0][1], rests[1][1])
        return (other, weight) if dim == -2 else (weight, other)
    return left, right


def _is_one_of(term: Term, variables: set[int]) -> bool:
    return term[0].numel() == 1 and int(term[0].reshape(-1)[0]) in variables
