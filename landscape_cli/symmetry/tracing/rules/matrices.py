"""Square matrices as wholes: diagonal ones, inverses, exponentials."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, covered, to_layer
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call, NoRule, padded, scaled_terms
from landscape_cli.symmetry.tracing.rules.products import contract


@rule("diag_embed", words="a diagonal matrix")
def diagonal_matrix(call: Call) -> Value:
    """A vector on the diagonal of a matrix, whose rows and columns are the vector's units, and zeros beside it."""
    rank = len(call.shape)
    dims = [call.argument(k, name, default) % rank for k, name, default in ((2, "dim1", -2), (3, "dim2", -1))]
    if call.argument(1, "offset", 0) != 0 or dims != [rank - 2, rank - 1]:
        raise NoRule
    operand = call.operand(0)
    rows = operand.layers(lambda layer: layer.unsqueeze(-1), (*operand.shape, 1))
    columns = tuple(layer.unsqueeze(-2) for layer in operand.labels if layer.ndim - 1 in covered(layer))
    labels = call.apart((*rows.labels, *columns), call.shape)
    scale, sign = ((*getattr(rows, kind), *_conjugated(call, kind, labels, rank)) for kind in ("scale", "sign"))
    return Value(call.shape, labels, scale, sign)


def _conjugated(call: Call, kind: str, labels: tuple[Layer, ...], rank: int) -> Terms:
    """Return a factor of each row by that of the column of the same unit: it is none on the diagonal."""
    of_rows = [layer for layer in labels if covered(layer) == {rank - 2} and int(layer.max()) >= 0]
    if len(of_rows) != 1:
        return ()
    variables = to_layer(call.equations.variables("", (), of_rows[0].numpy())).view(of_rows[0].shape)
    return ((variables, 1), (variables.mT, -1 if kind == "scale" else 1))


def _turned(value: Value) -> Value:
    """Return what is known of matrices with their rows and columns exchanged."""
    return value.layers(lambda layer: layer.mT, (*value.shape[:-2], *value.shape[:-3:-1]))


def _by_axis(call: Call, value: Value) -> Value:
    """Return matrices whose rows have scales and signs, and columns others: where places have, these are fixed."""
    both = {len(value.shape) - 2, len(value.shape) - 1}
    if any(both <= covered(layer) for layer in value.labels):
        raise NoRule
    for kind in ("scale", "sign"):
        if any(both <= covered(layer) for layer, _ in getattr(value, kind)):
            value = call.unscaled(value) if kind == "scale" else call.unsigned(value)
    return value


def inverse(call: Call, value: Value) -> Value:
    """Return what is known of the inverse: its rows are the columns of a matrix, with scales to the power -1."""
    turned = _turned(_by_axis(call, value))
    return Value(turned.shape, turned.labels, scaled_terms(turned.scale, -1), turned.sign)


@rule("linalg_inv_ex", "inverse", words="the inverse of a matrix")
def inverted(call: Call) -> list[Value]:
    """The inverse of a square matrix."""
    return [inverse(call, call.operand(0))]


@rule("_linalg_solve_ex", words="the inverse of a matrix", contracts={1: None})
def solution(call: Call) -> list[Value]:
    """The inverse of a square matrix, times others."""
    left, right = call.operand(0), call.operand(1)
    if right.shape in {left.shape[:-1], left.shape[-1:]}:  # which is a vector
        raise NoRule
    made, right = (padded(value, len(call.shape)) for value in (inverse(call, left), right))
    return [contract(call, right, made) if call.kwargs.get("left") is False else contract(call, made, right)]


@rule("_linalg_check_errors")
def check_of_errors(call: Call) -> list[Value]:
    """A check of what went wrong, which returns nothing."""
    return []


@rule("linalg_matrix_exp", words="the exponential of a matrix")
def exponential(call: Call) -> Value:
    """A sum of powers of a square matrix: rows and columns are the same units, of inverse scales."""
    value = _by_axis(call, call.operand(0))
    rank = len(call.shape)
    labels = call.meet(value, _turned(value))
    joint = replace(value, labels=labels)
    for kind in ("scale", "sign"):
        terms: Terms = getattr(joint, kind)
        call.equations.equate(kind, terms, _conjugated(call, kind, labels, rank), rank=rank)
    return joint
