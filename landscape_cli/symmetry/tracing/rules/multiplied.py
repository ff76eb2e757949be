"""Products of all numbers along an axis, or of those up to each place."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import prod

from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.layers import Terms, Value, covered
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call, scaled_terms
from landscape_cli.symmetry.tracing.rules.convolutions import only_channels, with_places
from landscape_cli.symmetry.tracing.rules.orders import ORDER
from landscape_cli.symmetry.tracing.rules.powers import MOST_POWERS, powers_along
from landscape_cli.symmetry.tracing.rules.reductions import axes_of, reduce_axes

MOST_FACTORS = 16
"""Up to how many numbers with scales of their own are multiplied."""


@rule("prod", words="a product of all along an axis")
def product(call: Call) -> Value:
    """The product over an axis: of n numbers of one scale and sign, these to the power n."""
    operand = call.operand(0)
    axes = axes_of(call, 1, len(operand.shape))
    terms = (*operand.scale, *operand.sign)
    if len(axes) == 1 and any(covered(layer) & set(axes) for layer, _ in terms) and _are_apart(call, operand, axes[0]):
        return _of_each(call, operand, axes[0])
    made = reduce_axes(call, operand, axes)
    count = prod(operand.shape[axis] for axis in axes)
    return replace(made, scale=scaled_terms(made.scale, count), sign=made.sign if count % 2 else ())


def _are_apart(call: Call, value: Value, axis: int) -> bool:
    """Tell whether what lives at different places along an axis is of different tensors, or in no order but its own."""
    size = value.shape[axis]
    layers = [layer for layer in value.labels if axis in covered(layer) and int(layer.max()) >= 0]
    if size > MOST_FACTORS:
        return False
    return not any(
        call.labels.of_one_axis(layer.select(axis, j).numpy(), layer.select(axis, k).numpy())
        for layer in layers
        for j, k in combinations(range(size), 2)
    )


def _of_each(call: Call, operand: Value, axis: int) -> Value:
    """Return what is known of a product of numbers that have a scale and a sign each: they meet, as factors do."""
    shape = tuple(1 if k == axis else size for k, size in enumerate(operand.shape))

    def at(place: int) -> Value:
        return operand.layers(lambda layer: layer.narrow(axis, place if layer.shape[axis] > 1 else 0, 1), shape)

    factors = [at(place) for place in range(operand.shape[axis])]
    scale: Terms = ()
    sign: Terms = ()
    for factor in factors:
        scale, sign = combine(scale, factor.scale), combine(sign, factor.sign)
    met = replace(call.met(*factors, shape=shape), scale=scale, sign=sign)
    return call.reshape(met, call.shape)


@rule("cumprod", words="a running product")
def running_product(call: Call) -> Value:
    """The product of all places up to each: at the n-th, a scale and a sign to the power n."""
    operand = call.operand(0)
    axis = int(call.argument(1, "dim")) % max(len(operand.shape), 1)
    passed = only_channels(call, operand, [axis], ORDER)
    size = call.shape[axis]
    if size > MOST_POWERS:
        passed = call.plain(passed)
    powers = range(1, size + 1)
    scale, sign = (powers_along(call, passed, kind, axis, powers) for kind in ("scale", "sign"))
    return with_places(call, replace(passed, scale=scale, sign=sign), call.shape, [axis])
