"""Operators that go along an axis in the order of its places, or of the numbers there."""

from __future__ import annotations

from collections.abc import Sequence

from landscape_cli.symmetry.tracing.layers import Value, covered
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.convolutions import only_channels, with_places

ORDER = "places that come one after another"


def _axis(call: Call, index: int, value: Value, default: int = -1) -> int:
    axis = call.argument(index, "dim", default)
    return int(default if axis is None else axis) % max(len(value.shape), 1)


def _first(call: Call) -> Sequence[bool]:
    """Return whether the largest come first, or the smallest; both where neither do."""
    name = call.operator.name
    if name in {"argmax", "argmin"}:
        return [name == "argmax"]
    if name == "topk":
        return [bool(call.argument(3, "largest", True))]
    if name in {"sort", "argsort"}:
        return [bool(call.kwargs.get("descending", any(arg is True for arg in call.args[1:])))]
    return [True, False]


@rule("cumsum", words="a running sum")
def running_sum(call: Call) -> Value:
    """The sum of all places up to each."""
    operand = call.operand(0)
    axis = _axis(call, 1, operand)
    return with_places(call, only_channels(call, operand, [axis], ORDER), call.shape, [axis])


@rule("cummax", "cummin", words="a running extreme")
def running_extreme(call: Call) -> list[Value]:
    """The largest or smallest of all places up to each, and where it is."""
    operand = call.unsigned(call.operand(0))
    axis = _axis(call, 1, operand)
    made = with_places(call, only_channels(call, operand, [axis], ORDER), call.shape, [axis])
    return [made, Value(made.shape, made.labels)]


@rule("logcumsumexp", words="a running sum")
def running_function(call: Call) -> Value:
    """A function of all places up to each."""
    operand = call.plain(call.operand(0))
    axis = _axis(call, 1, operand)
    return with_places(call, only_channels(call, operand, [axis], ORDER), call.shape, [axis])


@rule("sort", words="numbers in their order")
@rule("topk", "kthvalue", "mode", words="numbers in their order")
def ordered(call: Call) -> list[Value]:
    """The numbers along an axis in their order, or those at some places of it: whose they are is no matter.

    Where they were before is told of an axis of fixed places; of units, to what looks them up again.
    """
    operand = call.unsigned(call.operand(0))
    named = "stable" in call.kwargs or (call.operator.name == "sort" and "dim" in call.kwargs)
    axis = (
        _axis(call, {"sort": 1, "mode": 1}.get(call.operator.name, 2), operand)
        if not named
        else (int(call.kwargs.get("dim", -1)) % max(len(operand.shape), 1))
    )
    fixed = all(int(layer.max()) < 0 for layer in operand.labels if axis in covered(layer))
    labels = call.summed(operand.labels, [axis])
    rank = len(operand.shape)
    scale = call.dropped(operand.scale, [axis], "scale", rank, labels)
    sizes = tuple(1 if k == axis else size for k, size in enumerate(operand.shape))
    kept = Value(sizes, labels, scale)
    made = call.reshape(kept, call.shape) if len(call.shape) < rank else with_places(call, kept, call.shape, [axis])
    call.name(operand, axis, made, _first(call))
    return [made, Value(made.shape, made.labels)] if fixed else [made]


@rule("argmax", "argmin", "argsort", words="where the largest number is")
def place_of_extreme(call: Call) -> list[Value]:
    """Where the largest or smallest of an axis is, which no common scale changes; of units it is what none may ask."""
    operand = call.unsigned(call.operand(0))
    rank = len(operand.shape)
    over = list(range(rank)) if call.argument(1, "dim") is None else [_axis(call, 1, operand)]
    labels = call.summed(operand.labels, over)
    call.dropped(operand.scale, over, "scale", rank, labels)
    sizes = tuple(1 if k in over else size for k, size in enumerate(operand.shape))
    if call.operator.name == "argsort":
        made = with_places(call, Value(sizes, labels), call.shape, over)
    else:
        made = call.reshape(Value(sizes, labels), call.shape)
    if all(int(layer.max()) < 0 for layer in operand.labels if covered(layer) & set(over)):
        return [made]
    if len(over) == 1:
        call.name(operand, over[0], made, _first(call))
    return []
