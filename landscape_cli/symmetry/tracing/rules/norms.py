"""Normalising layers. What is added to a variance is counted: only batch-norm has tensors that can make up for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.equations import combine
from landscape_cli.symmetry.tracing.layers import Value, covered
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.record import BatchNorm
from landscape_cli.symmetry.tracing.rules.call import Call, scaled_terms

NORM = "a norm layer"


def _along(call: Call, tensor: Any, axis: int, rank: int, size: int, role: Role) -> Value | None:
    """Return a vector of a norm layer, laid along an axis."""
    if not isinstance(tensor, Tensor):
        return None
    value = call.tensors.value(tensor)
    call.follow(value, role)
    shape = tuple(size if k == axis else 1 for k in range(rank))
    return value.layers(lambda layer: layer.reshape([-1 if k == axis else 1 for k in range(rank)]), shape)


@rule("native_batch_norm", words=NORM)
@rule("_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def batch_norm(call: Call) -> Value:
    """A normalisation by statistics of each channel: running ones, which scale along, or the batch's."""
    operand = call.operand(0)
    rank, size = len(operand.shape), operand.shape[1]
    weight, bias, mean, variance = (
        _along(call, tensor, 1, rank, size, role)
        for tensor, role in zip(call.args[1:5], (Role.GAIN, Role.FOLLOWER, Role.FOLLOWER, Role.FOLLOWER), strict=True)
    )
    legit = call.operator.name == "_native_batch_norm_legit_no_training"
    training = False if legit else bool(call.args[5])
    if training or mean is None or variance is None:
        operand = call.unscaled(operand)
        together = [axis for axis in range(rank) if axis != 1]
        call.summed(operand.labels, together)
        result = Value(operand.shape, operand.labels, (), call.dropped(operand.sign, together, "sign", rank))
    else:
        result = _by_running_statistics(call, operand, mean, variance)
    return _affine(call, result, weight, bias)


def _by_running_statistics(call: Call, operand: Value, mean: Value, variance: Value) -> Value:
    labels = call.meet(operand, mean, variance)
    rank = len(operand.shape)
    mean_of, variance_of = (call.tensors.value(tensor).parameter for tensor in call.args[3:5])
    call.equal_signs(variance.sign, rank=rank)
    if mean_of is None or variance_of is None:
        operand, mean = call.unscaled(operand), call.unscaled(mean)
        call.unscaled(variance)
    call.equal_scales(operand.scale, mean.scale, rank)
    call.equal_scales(variance.scale, scaled_terms(mean.scale, 2), rank)
    call.equal_signs(operand.sign, mean.sign, rank)
    if mean_of is not None and variance_of is not None:
        gain = call.tensors.value(call.args[1]).parameter if isinstance(call.args[1], Tensor) else None
        record = BatchNorm(mean_of.name, variance_of.name, gain.name if gain else None, float(call.args[-1]))
        call.parameters.batch_norms.append(record)
    return Value(operand.shape, labels, (), operand.sign)


def _affine(call: Call, value: Value, weight: Value | None, bias: Value | None) -> Value:
    """Multiply by a gain, which sets the scale, and add a bias."""
    if weight is not None:
        met = call.met(value, weight, shape=value.shape)
        value = replace(met, scale=combine(value.scale, weight.scale), sign=combine(value.sign, weight.sign))
    if bias is None:
        return value
    rank = len(value.shape)
    call.equal_scales(value.scale, bias.scale, rank)
    call.equal_signs(value.sign, bias.sign, rank)
    return replace(call.met(value, bias, shape=value.shape), scale=value.scale, sign=value.sign)


@rule("native_layer_norm", words=NORM)
@rule("layer_norm")
def layer_norm(call: Call) -> Value:
    """A normalisation by mean and deviation over the last axes, which passes on a sign that all there have."""
    operand = call.unscaled(_of_last(call))
    rank = len(operand.shape)
    sign = call.dropped(operand.sign, range(rank - len(call.args[1]), rank), "sign", rank)
    operand = Value(operand.shape, operand.labels, (), sign, copies=operand.copies)
    return _over_last(call, operand, call.args[1], call.argument(2, "weight"), call.argument(3, "bias"))


@rule("rms_norm", words=NORM)
@rule("_fused_rms_norm")
def rms_norm(call: Call) -> Value:
    """A normalisation by the root mean square over the last axes, which is blind to signs."""
    return _over_last(call, call.unscaled(_of_last(call)), call.args[1], call.argument(2, "weight"), None)


def _of_last(call: Call) -> Value:
    """Return what is known of a tensor that is normalised over its last axes."""
    rank = len(call.shape)
    return call.copied(0, range(rank - len(call.args[1]), rank))


def _over_last(call: Call, operand: Value, sizes: Sequence[int], weight: Any, bias: Any) -> Value:
    rank = len(operand.shape)
    axes = list(range(rank - len(sizes), rank))
    call.summed(operand.labels, axes)
    result = Value(operand.shape, operand.labels, operand.scale, operand.sign, copies=operand.copies)
    parts = []
    for tensor, role in ((weight, Role.GAIN), (bias, Role.FOLLOWER)):
        value = call.tensors.value(tensor) if isinstance(tensor, Tensor) else None
        if value is not None:
            call.follow(value, role)
            value = call.reshape(value, (1,) * (rank - len(sizes)) + tuple(sizes))
        parts.append(value)
    return _affine(call, result, *parts)


@rule("native_group_norm", words=NORM)
def group_norm(call: Call) -> Value:
    """A normalisation by mean and deviation over each group of channels, and over places; groups have signs."""
    operand = call.unscaled(call.operand(0))
    groups = int(call.args[6])
    rank, size = len(operand.shape), operand.shape[1]
    channels = size // groups
    grouped = call.reshape(operand, (operand.shape[0], groups, channels, *operand.shape[2:]))
    together = range(2, rank + 1)
    sign = call.dropped(grouped.sign, together, "sign", rank + 1, call.summed(grouped.labels, together))
    sign = call.reshape(Value(grouped.shape, (), (), sign), operand.shape).sign
    weight, bias = (_along(call, call.args[k], 1, rank, size, role) for k, role in ((1, Role.GAIN), (2, Role.FOLLOWER)))
    return _affine(call, Value(operand.shape, operand.labels, operand.scale, sign), weight, bias)


@rule("_weight_norm_interface", broadcasts=True)
@rule("_weight_norm")
def weight_norm(call: Call) -> Value:
    """Weights by direction and length: g v / |v|, the norm taken over all axes but one (Salimans & Kingma, 2016)."""
    direction, length = call.operand(0), call.operand(1)
    rank = len(direction.shape)
    axis = call.argument(2, "dim", 0) % rank
    call.summed(direction.labels, [k for k in range(rank) if k != axis])
    for value, role in ((direction, Role.INCOMING), (length, Role.GAIN)):
        if value.parameter is not None:
            for dim in range(rank):
                behind = value.parameter.dims[dim]
                if behind is not None:
                    call.parameters.note_role(value.parameter.name, behind, role if dim == axis else Role.OUTGOING)
    call.equal_scales(tuple(term for term in direction.scale if covered(term[0]) - {axis}), rank=rank)
    call.follow(length, Role.GAIN)
    unit = Value(direction.shape, direction.labels, (), direction.sign)
    labels = call.meet(unit, length, shape=direction.shape)
    return Value(direction.shape, labels, combine((), length.scale), combine(unit.sign, length.sign))
