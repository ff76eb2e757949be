"""Powers of numbers, roots among them: scales to the same power."""

from __future__ import annotations

from fractions import Fraction

from torch import Tensor

from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import each
from landscape_cli.symmetry.tracing.rules.call import Call, is_number, scaled_terms

MOST_ROOTS = 12
"""The largest denominator of powers that are taken for a fraction as of a root, rather than a decimal one."""
MOST_POWER = 1e9
"""Up to which powers scales are followed."""


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
