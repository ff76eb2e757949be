"""Operators that work element by element, by their symmetry."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.spec import Mask, Role
from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.layers import Terms, Value, to_layer
from landscape_cli.symmetry.tracing.operators import each, rule
from landscape_cli.symmetry.tracing.record import GainTable
from landscape_cli.symmetry.tracing.rules.call import Call, is_number, padded, scaled_terms
from landscape_cli.symmetry.tracing.rules.powers import inverse

NO_NORM = 1e-7
"""Of norms up to this, something else may be put in their place: vectors so short count as zeros."""
MOST_ZEROS = 1 << 20
"""Up to how many zeros written into a tensor have a scale of their own."""


@each("alias", "detach", "clone", "contiguous", "positive", moves=True)
@each("lift_fresh", creates=True)
def same(call: Call) -> Value:
    """The same numbers."""
    return call.raw(0)


@each("neg", "_conj", "conj", "real", "imag", "conj_physical", "resolve_conj", "resolve_neg", "deg2rad", "rad2deg")
def linear(call: Call) -> Value:
    """f(a x) = a f(x) for every a."""
    return replace(call.raw(0), parameter=None)


@each("relu", "leaky_relu", "rrelu_with_noise", "rrelu")
def positively_homogeneous(call: Call) -> Value:
    """f(a x) = a f(x) for every a > 0."""
    return call.unsigned(call.raw(0))


@each("tanh", "sin", "tan", "asin", "atan", "sinh", "asinh", "atanh", "erf", "erfinv", "softshrink", "hardshrink")
@each("round", "trunc", "fix", "frac")
def odd(call: Call) -> Value:
    """f(-x) = -f(x)."""
    return call.unscaled(call.raw(0))


@each("binarize", sign_matters="a sum of an even number of ±1 can be zero, which counts as +")
def binarize(call: Call) -> Value:
    """The sign, with +1 for zero: odd unless there are zeros (`binary.binarize`)."""
    operand = call.unscaled(call.operand(0))
    return call.unsigned(operand) if call.argument(1, "ties", False) else operand


@each("cos", "cosh", "sinc", "special_sinc", "i0", "special_i0", "special_i0e")
def even(call: Call) -> Value:
    """f(-x) = f(x)."""
    return replace(call.unscaled(call.raw(0)).only(sign=False), zero=False)


@each("gelu", "silu", "sigmoid", "hardsigmoid", "hardswish", "mish", "elu", "celu", "selu", "softplus", "relu6")
@each("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "log_sigmoid_forward", "logit")
@each("lgamma", "digamma", "special_log_ndtr", "special_ndtr", "bucketize")
@each("floor", "ceil", "fixed_point", "acos", "acosh", "erfc")
def neither(call: Call) -> Value:
    """No symmetry but that of working element by element."""
    return _plain(call)


def _plain(call: Call) -> Value:
    return replace(call.plain(call.raw(0)), zero=False)


@each("threshold")
def threshold(call: Call) -> Value:
    """X where it is larger than a number, and another number elsewhere: of 0 and 0, a ReLU."""
    if tuple(call.args[1:3]) == (0, 0):
        return call.unsigned(call.raw(0))
    return _plain(call)


@each("nan_to_num")
def without_nan(call: Call) -> Value:
    """X, and 0 in place of what is no number: of finite numbers nothing is changed."""
    values = [call.argument(k, name) for k, name in ((1, "nan"), (2, "posinf"), (3, "neginf"))]
    opposite = values[1:] == [None, None] or (None not in values and values[1] == -values[2])
    return replace(call.raw(0), parameter=None) if not values[0] and opposite else _plain(call)


@each("abs", rescales=True)
def absolute(call: Call) -> Value:
    """Positively homogeneous, and even."""
    return call.raw(0).only(sign=False)


@each("fmod", "remainder", "floor_divide", "xlogy", "logaddexp", "special_xlog1py")
def neither_of_both(call: Call) -> Value:
    """A function of two numbers at each place, with no symmetry but that."""
    return Value(call.shape, call.meet(*[call.plain(value) for value in call.operands()]))


@each("_to_copy", "to", moves=True)
def cast(call: Call) -> Value:
    """A change of type; one to whole numbers is no map that a scale survives."""
    dtype = call.kwargs.get("dtype")
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        return call.plain(call.raw(0))
    return call.raw(0)


@each("clamp", "clamp_min", "clamp_max", "hardtanh")
def clamp(call: Call) -> Value:
    """Positively homogeneous only as max(x, 0) or min(x, 0), odd only between -c and c."""
    low, high = (_known_number(call, call.argument(k, name)) for k, name in ((1, "min"), (2, "max")))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        values = [call.plain(value) for value in call.operands(3)]
        return Value(call.shape, call.meet(*values))
    if call.operator.name == "hardtanh":
        low, high = (-1 if low is None else low), (1 if high is None else high)
    if call.operator.name == "clamp_max":
        low, high = None, low
    operand = call.raw(0)
    if {low, high} == {0, None}:
        return call.unsigned(operand)
    if operand.norm and high is None and 0 < low <= NO_NORM:
        return operand
    if low is not None and high is not None and low == -high:
        return call.unscaled(operand)
    return replace(call.plain(operand), zero=False)


def _known_number(call: Call, arg: Any) -> Any:
    """Return a tensor that is known to hold one number all over as that number, and anything else as it is."""
    if not isinstance(arg, Tensor) or torch.broadcast_shapes(arg.shape, call.args[0].shape) != call.args[0].shape:
        return arg
    number = None if call.tensors.is_known(arg) else call.tensors.filling(arg)
    return arg if number is None else number


@each("_prelu_kernel", "prelu")
def parametric_relu(call: Call) -> Value:
    """Positively homogeneous, with a slope for each channel or one for all; slopes have no scale."""
    operand, slope = call.unsigned(call.operand(0)), call.operand(1)
    if len(slope.shape) == 1 and len(operand.shape) > 1:  # one slope a channel
        slope = call.reshape(slope, (-1 if slope.shape[0] < 1 else slope.shape[0], *[1] * (len(operand.shape) - 2)))
    call.follow(call.operand(1))
    labels = call.meet(operand, call.plain(slope))
    return Value(call.shape, labels, operand.scale)


@each("add", "sub", "rsub", words="a sum", broadcasts=True)
def add(call: Call) -> Value:
    """A sum: both sides share labels, scale and sign; a number added leaves neither scale nor sign free."""
    operands = call.operands()
    if len(operands) == 1:
        call.follow(operands[0])
        numbers = [arg for arg in call.args[:2] if not isinstance(arg, Tensor)]
        if numbers and is_number(numbers[0]) and numbers[0] == 0:
            return replace(operands[0], parameter=None)
        return replace(call.plain(operands[0]), zero=False)
    return total(call, *operands)


def total(call: Call, left: Value, right: Value) -> Value:
    """Add two values, one perhaps broadcast against the other."""
    for value in (left, right):
        call.follow(value)
    met = call.met(left, right)
    if left.zero or right.zero:
        kept = right if left.zero else left
    else:
        call.equal(left, right)
        kept = max((left, right), key=lambda value: (math.prod(value.shape), bool(value.scale), value is left))
    rank = len(call.shape)
    scale, sign = aligned_terms(kept.scale, rank), aligned_terms(kept.sign, rank)
    return replace(met, scale=scale, sign=sign, zero=left.zero and right.zero)


def nothing(shape: tuple[int, ...]) -> Value:
    """Return zeros, which say nothing of what they are a product of."""
    return Value(shape, (), zero=True, copies=True)


def aligned_terms(terms: Terms, rank: int) -> Terms:
    """Return the scale (or sign) of a value with axes put in front, as broadcasting does."""
    return tuple((layer.reshape((1,) * (rank - layer.ndim) + tuple(layer.shape)), power) for layer, power in terms)


@each("mul", words="a product", multiplies=True, broadcasts=True, rescales=True)
def multiply(call: Call) -> Value:
    """A product: labels are shared, scales and signs multiply."""
    operands = call.operands()
    masks = [call.is_mask(operand) for operand in operands]
    if sorted(masks) == [False, True]:
        k = masks.index(False)
        return _masked(call, call.args[k], operands[k], operands[1 - k])
    for operand in operands:
        call.follow(operand, Role.GAIN if len(operands) == 2 else Role.FOLLOWER)
    if len(operands) == 2:
        _note_table(call, *sorted(operands, key=lambda operand: math.prod(operand.shape)))
    return multiplied(call, operands, 1)


def _note_table(call: Call, gain: Value, weight: Value) -> None:
    """Note that a parameter multiplies another at each place of several axes: there, each number has its own scale."""
    of_gain, of_weight, parameters = gain.parameter, weight.parameter, call.parameters
    if of_gain is None or of_weight is None or of_gain.name == of_weight.name or weight.shape != call.shape:
        return
    for value, parameter in ((gain, of_gain), (weight, of_weight)):
        whole = math.prod(value.shape) == math.prod(parameters.shapes[parameter.name])
        if parameter.name not in parameters.learned or not whole:
            return
    missing = len(call.shape) - len(gain.shape)
    axes = [axis for axis, size in enumerate(gain.shape) if size > 1]
    dims = [(of_gain.dims[axis], of_weight.dims[missing + axis]) for axis in axes]
    gain_dims = tuple(dim for dim, _ in dims if dim is not None)
    weight_dims = tuple(dim for _, dim in dims if dim is not None)
    in_order = sorted(gain_dims) == [*gain_dims] and sorted(weight_dims) == [*weight_dims]
    if len(gain_dims) == len(weight_dims) == len(dims) > 1 and in_order:
        parameters.tables[GainTable(of_gain.name, gain_dims, of_weight.name, weight_dims)] += 1


def _masked(call: Call, tensor: Tensor, operand: Value, mask: Value) -> Value:
    """Return what is known of a value multiplied by a mask: a parameter is the parameter still, to units."""
    parameter, behind, rank = operand.parameter, mask.parameter, len(call.shape)
    product = multiplied(call, [operand, call.plain(mask)], 1)
    if parameter is None or behind is None or parameter.name not in call.parameters.learned:
        return product
    if operand.shape != call.shape:
        call.follow(operand, Role.GAIN)
        return product
    whole = math.prod(mask.shape) == math.prod(call.parameters.shapes[behind.name])
    if tensor in call.parameters and whole:
        sizes = padded(mask, rank).shape
        dims = (*(None for _ in range(rank - len(behind.dims))), *behind.dims)
        dims = tuple(dim if size > 1 else None for dim, size in zip(dims, sizes, strict=True))
        call.parameters.masks[Mask(parameter.name, behind.name, dims)] += 1
    return replace(product, parameter=parameter)


@each("div", words="a product", broadcasts=True, rescales=True)
def divide(call: Call) -> Value:
    """A quotient."""
    operands = call.operands()
    for operand in operands:
        call.follow(operand)
    if call.kwargs.get("rounding_mode") is not None:
        return Value(call.shape, call.meet(*[call.plain(operand) for operand in operands]))
    if not isinstance(call.args[0], Tensor):
        operand = operands[0]
        return inverse(operand)
    return multiplied(call, operands, -1)


def multiplied(call: Call, operands: list[Value], power: int) -> Value:
    """Return what is known of a product, or of a quotient, whose second operand is then to the power -1."""
    if operands[0].zero or (operands[-1].zero and power > 0):
        return nothing(call.shape)
    if len(operands) == 1:
        by_zero = any(is_number(arg) and arg == 0 for arg in call.args[:2])
        return nothing(call.shape) if by_zero else replace(operands[0], parameter=None)
    met = call.met(*operands)
    scale, sign = operands[0].scale, operands[0].sign
    rank = len(call.shape)
    scale, sign = aligned_terms(scale, rank), aligned_terms(sign, rank)
    scale = combine(scale, scaled_terms(aligned_terms(operands[1].scale, rank), power))
    sign = combine(sign, aligned_terms(operands[1].sign, rank))
    return replace(met, scale=scale, sign=sign)


@each("addcmul", "addcdiv", words="a sum", rescales=True)
def addproduct(call: Call) -> Value:
    """X + c y z or x + c y / z."""
    first, *factors = call.operands(3)
    power = 1 if call.operator.name == "addcmul" else -1
    return total(call, first, multiplied(call, factors, power))


@each("lerp", words="a sum", rescales=True)
def interpolate(call: Call) -> Value:
    """X + w (y - x)."""
    start, end = call.operands()
    value = total(call, start, end)
    if isinstance(call.args[2], Tensor):
        value = Value(call.shape, call.meet(value, call.plain(call.operand(2))), value.scale, value.sign)
    return value


@rule("fill", "zero", rescales=True)
def fill(call: Call) -> Value:
    """Everything overwritten by one number: what was there before does not matter."""
    operand = call.operand(0)
    number = call.argument(1, "value", 0)
    if isinstance(number, Tensor):
        number = call.tensors.numbers(number)
    if number is None or float(number) != 0 or math.prod(operand.shape) > MOST_ZEROS:
        return Value(operand.shape, operand.labels)
    free = to_layer(call.equations.variables("", (), np.arange(math.prod(operand.shape))))
    terms = ((free.view(operand.shape), 1),) if operand.shape else ()
    return Value(operand.shape, operand.labels, terms, terms, zero=True)
