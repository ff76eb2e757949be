"""Operators that sum, average or take extremes over axes, or slide windows over places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from landscape_cli.symmetry.tracing.layers import Layer, Value
from landscape_cli.symmetry.tracing.operators import Rule, register, rule
from landscape_cli.symmetry.tracing.rules.call import Call, scaled_terms
from landscape_cli.symmetry.tracing.rules.convolutions import only_channels, with_places


def axes_of(call: Call, index: int, rank: int, name: str = "dim") -> list[int]:
    """Return the axes that an argument lists; all where there is none."""
    axes = call.argument(index, name)
    if isinstance(axes, bool) or axes is None or axes == []:
        return list(range(rank))
    return sorted({axis % rank for axis in ([axes] if isinstance(axes, int) else axes)} if rank else set())


def _kept(call: Call, value: Value, axes: Sequence[int], labels: tuple[Layer, ...]) -> Value:
    """Return a reduced value in the shape that the operator returns."""
    sizes = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape))
    kept = Value(sizes, labels, value.scale, value.sign, copies=value.copies)
    return call.reshape(kept, call.shape)


def reduce_axes(call: Call, value: Value, axes: Sequence[int]) -> Value:
    """Return what is known of sums, or the like, over axes, along which all have one scale and one sign."""
    labels = call.summed(value.labels, axes)
    scale = call.dropped(value.scale, axes, "scale", len(value.shape), labels)
    sign = call.dropped(value.sign, axes, "sign", len(value.shape), labels)
    return _kept(call, replace(value, scale=scale, sign=sign), axes, labels)


@rule("mean", "nansum", sums=True)
@rule("sum", sums=True, sign_matters="units are summed with no weights that could take their sign")
def mean(call: Call) -> Value:
    """A mean or sum over some axes: the order of what is summed does not matter, its scale does."""
    axes = axes_of(call, 1, len(call.args[0].shape))
    return reduce_axes(call, call.copied(0, axes), axes)


@rule("amax", "amin", "max", "min", "median", "nanmedian")
def extreme(call: Call) -> Value:
    """The largest or smallest over some axes, or the median; perhaps also where it is.

    The median of an odd number of numbers is odd.
    """
    operand = call.operand(0)
    axes = axes_of(call, 1, len(operand.shape))
    if "median" not in call.operator.name or _places(operand, axes) % 2 == 0:
        operand = call.unsigned(operand)
    made = reduce_axes(call, operand, axes)
    if len(call.shapes) > 1 and len(axes) == 1:
        largest = {"max": (True,), "min": (False,)}.get(call.operator.name, (True, False))
        call.name(operand, axes[0], made, largest)
    return made


def _places(value: Value, axes: Sequence[int]) -> int:
    """Return how many places there are along axes."""
    return prod(value.shape[axis] for axis in axes)


@rule("aminmax")
def both_extremes(call: Call) -> list[Value]:
    """The smallest and the largest along an axis."""
    operand = call.unsigned(call.operand(0))
    made = reduce_axes(call, operand, axes_of(call, 1, len(operand.shape)))
    return [made, made]


@rule("logsumexp", "all", "any")
def function_of_set(call: Call) -> Value:
    """A function of the numbers along some axes, in any order."""
    operand = call.plain(call.operand(0))
    return reduce_axes(call, operand, axes_of(call, 1, len(operand.shape)))


@rule("linalg_vector_norm", "norm")
def norm(call: Call) -> Value:
    """A norm over some axes: blind to signs."""
    axes = axes_of(call, 2, len(call.args[0].shape))
    operand = call.copied(0, axes).only(sign=False)
    if call.argument(1, "ord", 2) == 0:  # which counts what is not 0
        return reduce_axes(call, operand.only(scale=False), axes)
    return replace(reduce_axes(call, operand, axes), norm=True)


@rule("var", "std", "var_mean", "std_mean")
def variance(call: Call) -> list[Value]:
    """A variance or deviation over some axes, and perhaps the mean."""
    axes = axes_of(call, 1, len(call.args[0].shape))
    average = reduce_axes(call, call.copied(0, axes), axes)
    power = 2 if call.operator.name in {"var", "var_mean"} else 1
    spread = Value(average.shape, average.labels, scaled_terms(average.scale, power), copies=average.copies)
    return [spread, average][: len(call.shapes)]


@rule("_softmax", "_safe_softmax", "_log_softmax", "softmax", "log_softmax")
def softmax(call: Call) -> Value:
    """Numbers set against the others along an axis."""
    axis = call.args[1] % len(call.shape)
    operand = call.plain(call.copied(0, [axis]))
    call.summed(operand.labels, [axis])
    return operand


def _window(count: int, *, largest: bool) -> Rule:
    """Return the rule of a window that slides over the last `count` axes, or the like: channels pass through."""

    def slide(call: Call) -> Value:
        operand = call.operand(0)
        rank = len(operand.shape)
        spatial = list(range(rank - count, rank))
        passed = only_channels(call, operand, spatial)
        if largest:
            passed = call.unsigned(passed)
        return with_places(call, passed, call.shape, spatial)

    return slide


AVERAGES = [
    *("avg_pool", "adaptive_avg_pool", "_adaptive_avg_pool", "reflection_pad", "replication_pad"),
    *("upsample_nearest", "upsample_linear", "upsample_bilinear", "upsample_trilinear", "upsample_bicubic"),
    *("_upsample_nearest_exact", "_upsample_bilinear", "_upsample_bicubic"),
]
LARGEST = {
    "adaptive_max_pool": "",
    "max_pool": "the largest of several numbers is not the largest of their negatives (max-pooling)",
}
"""Windows that take the largest number, and why signs matter to them, where that is said."""
for _count in (1, 2, 3):
    for _suffix in ("d", "d_with_indices", "d_aa", "d_vec"):
        register(*(f"{name}{_count}{_suffix}" for name in AVERAGES), rule=_window(_count, largest=False))
        for _name, _reason in LARGEST.items():
            register(f"{_name}{_count}{_suffix}", rule=_window(_count, largest=True), sign_matters=_reason)


@rule("lp_pool1d", "lp_pool2d")
def power_pool(call: Call) -> Value:
    """A norm over windows."""
    operand = call.plain(call.operand(0))
    spatial = list(range(2, len(operand.shape)))
    return with_places(call, only_channels(call, operand, spatial), call.shape, spatial)
