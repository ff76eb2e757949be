"""Fourier transforms, and complex numbers: pairs of real ones, which have one scale and one sign."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.convolutions import only_channels, with_places
from landscape_cli.symmetry.tracing.rules.elementwise import total

PARTS = "the real and the imaginary part"


@rule("_fft_r2c", "_fft_c2r", "_fft_c2c", words="a Fourier transform")
def transform(call: Call) -> Value:
    """A Fourier transform or its inverse over some axes: a sum of all places there for each frequency."""
    operand = call.operand(0)
    axes = [axis % len(operand.shape) for axis in call.args[1]]
    return with_places(call, only_channels(call, operand, axes), call.shape, axes)


@rule("view_as_real")
def real_and_imaginary(call: Call) -> Value:
    """Both parts of complex numbers, side by side."""
    operand = call.copied(0)
    lifted = operand.layers(lambda layer: layer.unsqueeze(-1), (*operand.shape, 1))
    parts = call.slots(2, len(call.shape) - 1, len(call.shape), PARTS)
    return replace(lifted, shape=call.shape, labels=(*lifted.labels, parts))


@rule("view_as_complex")
def complex_numbers(call: Call) -> Value:
    """Pairs taken for complex numbers."""
    operand = call.copied(0, [len(call.shape)])
    passed = only_channels(call, operand, [len(call.shape)], PARTS)
    return passed.layers(lambda layer: layer.squeeze(-1), call.shape)


@rule("complex")
def composed(call: Call) -> Value:
    """Complex numbers made of their parts."""
    return total(call, *call.operands())


@rule("polar")
def polar(call: Call) -> Value:
    """Complex numbers made of lengths and angles."""
    length, angle = call.operands()
    angle = call.plain(angle)
    return Value(call.shape, call.meet(length, angle), length.scale, length.sign)


@rule("angle")
def angle(call: Call) -> Value:
    """Angles, which no positive scale changes."""
    return replace(call.unsigned(call.operand(0)).only(scale=False), zero=False)
