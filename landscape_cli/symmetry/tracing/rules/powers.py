"""Powers of numbers, roots among them: scales to the same power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, compress, covered, reach, to_layer
from landscape_cli.symmetry.tracing.operators import each
from landscape_cli.symmetry.tracing.rules.call import Call, is_number, padded, scaled_terms

MOST_ROOTS = 12
"""The largest denominator of powers that are taken for a fraction as of a root, rather than a decimal one."""
MOST_POWER = 1e9
"""Up to which powers scales are followed."""
MOST_POWERS = 64
"""Up to how many powers of one number have a scale each."""


@each("reciprocal", rescales=True)
def reciprocal(call: Call) -> Value:
    """1/x."""
    operand = call.copied(0)
    return inverse(operand)


def inverse(operand: Value) -> Value:
    """Return what is known of 1/x."""
    scale = scaled_terms(operand.scale, -1)
    return Value(operand.shape, operand.labels, scale, operand.sign, copies=operand.copies)


@each("pow", broadcasts=True, rescales=True)
@each("square", rescales=True)
def power(call: Call) -> Value:
    """X to a power, which raises its scale; a whole one keeps the sign, raised to it."""
    exponent = call.argument(1, "exponent", 2)
    operand = call.copied(0) if isinstance(call.args[0], Tensor) else None
    exponents = call.tensors.numbers(exponent) if isinstance(exponent, Tensor) else None
    if operand is not None and exponents is not None and (raised := _raised_to_each(call, operand, exponents)):
        return raised
    if operand is None or not is_number(exponent) or not abs(exponent) < MOST_POWER:
        values = [call.plain(value) for value in call.operands()]
        return Value(call.shape, call.meet(*values))
    share = Fraction(exponent).limit_denominator(MOST_ROOTS)
    near = abs(float(share) - exponent) <= 1e-15 * abs(exponent)
    return _raised(call, operand, share if near else Fraction(repr(float(exponent))))


@each("sqrt", rescales=True)
@each("rsqrt", rescales=True)
def root(call: Call) -> Value:
    """The square root, or one by it."""
    return _raised(call, call.copied(0), Fraction(1 if call.operator.name == "sqrt" else -1, 2))


def _raised(call: Call, operand: Value, share: Fraction) -> Value:
    """Return a value to a power: of one that is no whole number, the sign matters."""
    whole = share.denominator == 1
    operand = operand if whole else call.unsigned(operand)
    sign = operand.sign if whole and share.numerator % 2 else ()
    scale = scaled_terms(operand.scale, share.numerator if whole else share) if share else ()
    is_norm = operand.norm and share > 0
    return Value(operand.shape, operand.labels, scale, sign, copies=operand.copies, norm=is_norm)


def _raised_to_each(call: Call, operand: Value, exponents: Tensor) -> Value | None:
    """Return numbers to whole powers that differ along axes along which the numbers have one scale and one sign.

    None where it is otherwise, or where there are many powers.
    """
    rank, held = len(call.shape), compress(exponents)
    axes = {axis + rank - held.ndim for axis, size in enumerate(held.shape) if size > 1}
    terms = (*operand.scale, *operand.sign)
    along = {axis + rank - layer.ndim for layer, _ in terms for axis in covered(layer)}
    whole = bool((exponents == exponents.round()).all()) and bool((exponents.abs() < MOST_POWER).all())
    if not whole or along & axes or len(axes) != 1 or held.numel() > MOST_POWERS:
        return None
    [axis] = axes
    scale, sign = (
        powers_along(call, padded(operand, rank), kind, axis, [int(power) for power in held.reshape(-1)])
        for kind in ("scale", "sign")
    )
    return replace(call.met(operand, call.tensors.raw(call.args[1])), scale=scale, sign=sign)


def powers_along(call: Call, value: Value, kind: str, axis: int, powers: Sequence[int]) -> Terms:
    """Return a scale (or sign) to these powers, one after another along an axis that it does not depend on."""
    terms: Terms = getattr(value, kind)
    rank = len(value.shape)
    along = reach([layer for layer, _ in terms])
    owners: Sequence[Layer] = [layer for layer in value.labels if covered(layer) == along and int(layer.max()) >= 0]
    if not along:
        owners = [to_layer(call.labels.slots(1, "all")).view([1] * rank)]
    if not terms or not owners:
        call.equations.equate(kind, terms, rank=rank)
        return ()
    layers = []
    for power in powers:
        layer = to_layer(call.equations.variables("", (), owners[0].numpy())).view(owners[0].shape)
        raised = scaled_terms(terms, power if kind == "scale" else power % 2)
        call.equations.equate(kind, ((layer, 1),), raised, rank=rank)
        layers.append(layer)
    return ((torch.cat(layers, axis), 1),)
