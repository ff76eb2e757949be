"""Rules for operators that compare, and that choose by what comes of it, element by element."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.layers import Layer, Value
from landscape_cli.symmetry.tracing.operators import each
from landscape_cli.symmetry.tracing.rules.call import Call, is_number, padded
from landscape_cli.symmetry.tracing.rules.elementwise import total
from landscape_cli.symmetry.tracing.tensors import Names


@each("maximum", "minimum", words="a choice", broadcasts=True)
@each("fmax", "fmin")
def extreme(call: Call) -> Value:
    """The larger or smaller of two: positively homogeneous in both together."""
    operands = [call.unsigned(value) for value in call.operands()]
    return total(call, *operands) if len(operands) == 2 else call.plain(operands[0])


@each("where", words="a choice")
def where(call: Call) -> Value:
    """One or the other, by a condition."""
    condition = call.plain(call.raw(0))
    branches = [call.tensors.value(arg) if isinstance(arg, Tensor) else None for arg in call.args[1:3]]
    values = [branch for branch in branches if branch is not None]
    if len(values) < 2:
        numbers = [arg for arg in call.args[1:3] if is_number(arg)]
        values = values if numbers == [0] else [call.plain(value) for value in values]
        labels, scale = call.meet(condition, *values), values[0].scale if values else ()
        return Value(call.shape, labels, scale)
    chosen = total(call, *[call.unsigned(value) for value in values])
    return Value(call.shape, call.meet(condition, chosen), chosen.scale)


@each("masked_fill", words="a choice")
def masked_fill(call: Call) -> Value:
    """A number put where a mask is true: 0 and the infinities leave scales free, 0 signs too."""
    operand, mask = call.operand(0), call.plain(call.raw(1))
    number = call.args[2]
    number = float(call.numbers(number))
    if number != 0:
        operand = call.unsigned(operand)
    if number != 0 and not math.isinf(number):
        operand = call.unscaled(operand)
    return Value(call.shape, call.meet(operand, mask), operand.scale, operand.sign)


@each("gt", "ge", "lt", "le", "eq", "ne", words="a choice")
def compare(call: Call) -> Value:
    """A comparison: with 0 the scale does not matter; of numbers of places with all of them, as in one-hot vectors."""
    if call.operator.name == "eq" and (named := _compared_by_name(call)) is not None:
        return named if named.unread else Value(call.shape, call.apart(call.meet(named), call.shape))
    operands = [call.plain(value) if call.is_mask(value) else value for value in call.operands()]
    if len(operands) == 1 and is_number(call.args[1]) and call.args[1] == 0:
        value = operands[0].only(scale=False)
        return value.only(sign=False) if call.operator.name in {"eq", "ne"} else call.unsigned(value)
    return Value(call.shape, call.meet(*[call.plain(value) for value in operands]))


def _compared_by_name(call: Call) -> Value | None:
    """Return the units that one side names, if the other is one number, or all of them in their order."""
    for index, other in (call.args[:2], call.args[1::-1]):
        names = call.tensors.names(index) if isinstance(index, Tensor) else None
        numbers = call.tensors.numbers(other) if isinstance(other, Tensor) else torch.as_tensor(other)
        if names is None or numbers is None:
            continue
        places = padded(names.places, len(call.shape))
        if numbers.numel() == 1:
            return _compared_with_one(call, names, places, float(numbers.reshape(-1)[0]))
        sizes = (1,) * (len(call.shape) - numbers.ndim) + tuple(numbers.shape)
        long = [axis for axis, size in enumerate(sizes) if size > 1]
        units = _with_more(call, names, numbers.numel())
        if len(long) != 1 or places.shape[long[0]] > 1 or units is None:
            return None
        if torch.equal(numbers.reshape(-1).long(), torch.arange(numbers.numel())):
            return Value(call.shape, call.meet(places, Value(sizes, (units.view(sizes),))))
    return None


def _with_more(call: Call, names: Names, count: int) -> Layer | None:
    """Return the units that are named, with places of none after them: numbers that nothing is named by."""
    more = count - len(names.units)
    beside = call.slots(max(more, 0), 0, 1, "a number of no unit")
    return torch.cat([names.units, beside]) if more >= 0 else None


def _compared_with_one(call: Call, names: Names, places: Value, number: float) -> Value | None:
    """Return where one unit is named, which is told of all by its number; None if that names no unit."""
    if number not in range(len(names.units)):
        return None
    unit = names.units[int(number)].view([1] * len(call.shape))
    return Value(call.shape, call.apart(places.labels, call.shape), lone=(unit,), unread=True)


@each("signbit")
def is_negative(call: Call) -> Value:
    """Whether a number is negative, whatever its size."""
    return replace(call.unsigned(call.raw(0).only(scale=False)), zero=False)


@each("isnan", "isinf", "isfinite")
def is_finite(call: Call) -> Value:
    """Whether something is a number, which neither scale nor sign change."""
    return replace(call.raw(0).only(scale=False, sign=False), zero=False)


@each("logical_not", "bitwise_not")
@each("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or")
def logic(call: Call) -> Value:
    """Truth values."""
    if len(call.args) == 1:
        return replace(call.plain(call.raw(0)), parameter=None)
    return Value(call.shape, call.meet(*[call.plain(value) for value in call.operands()]))
