"""Operators that part a number's sign from its size, or put two numbers' together."""

from __future__ import annotations

from torch import Tensor

from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import each
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.elementwise import aligned_terms, multiplied, total


@each("sign", "sgn")
def sign(call: Call) -> Value:
    """f(a x) = f(x) for every a > 0, and f(-x) = -f(x)."""
    return call.raw(0).only(scale=False)


@each("heaviside")
def step(call: Call) -> Value:
    """0 or 1 by a number's sign, whatever its size, and another number at 0."""
    operand, at_zero = call.operands()
    return Value(call.shape, call.meet(call.unsigned(operand.only(scale=False)), call.plain(at_zero)))


@each("hypot")
def hypotenuse(call: Call) -> Value:
    """The length of two legs: positively homogeneous in both together, and even in each."""
    return total(call, *(value.only(sign=False) for value in call.operands()))


@each("copysign", broadcasts=True, rescales=True)
def with_sign(call: Call) -> Value:
    """The size of one number with the sign of another, whose size does not matter."""
    size = call.operand(0).only(sign=False)
    if not isinstance(call.args[1], Tensor):
        return size
    signed = _without_zeros(call, 1, call.operand(1).only(scale=False))
    return multiplied(call, [size, signed], 1)


@each("atan2")
def angle_of_both(call: Call) -> Value:
    """The angle of a point, which no positive factor of both its coordinates changes: odd in the first."""
    first, second = call.operands()
    call.equal_scales(aligned_terms(first.scale, len(call.shape)), aligned_terms(second.scale, len(call.shape)))
    first = _without_zeros(call, 0, first.only(scale=False))
    labels = call.meet(first, call.unsigned(second.only(scale=False)))
    return Value(call.shape, labels, (), aligned_terms(first.sign, len(call.shape)))


def _without_zeros(call: Call, index: int, value: Value) -> Value:
    """Return a value whose sign is told by numbers other than 0, which have one: where many are 0, that is fixed."""
    repeated = call.tensors.ties.of(call.args[index]).repeated
    return call.unsigned(value) if repeated is None or 0 in repeated else value
