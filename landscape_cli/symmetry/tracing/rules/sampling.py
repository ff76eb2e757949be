"""Operators that look places of an image up where other numbers say."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.convolutions import SPACE, only_channels, sliding, with_places


@rule("grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler", words="places looked up")
def sample(call: Call) -> Value:
    """Channels between the places of an image; where, is said by coordinates that may not move."""
    operand = call.operand(0)
    spatial = list(range(2, len(operand.shape)))
    call.tensors.fix(call.operand(1), SPACE)
    return with_places(call, only_channels(call, operand, spatial), call.shape, spatial)


@rule("affine_grid_generator", words="coordinates")
def affine_grid(call: Call) -> Value:
    """Coordinates made by a matrix that may not move."""
    call.tensors.fix(call.operand(0), SPACE)
    return Value(call.shape, call.apart((), call.shape, SPACE))


@rule("deform_conv2d", words="a convolution", contracts={0: None, 1: (1, 0)})
def deformed_convolution(call: Call) -> Value:
    """A convolution of places looked up: offsets, and what multiplies each, may not move."""
    image, weight, offset, mask, bias, *sizes = call.args
    call.tensors.fix(call.tensors.value(offset), SPACE)
    if sizes[-1]:
        call.tensors.fix(call.tensors.value(mask), SPACE)
    plain = (image, weight, bias, sizes[0:2], sizes[2:4], sizes[4:6], False, [0, 0], sizes[6])
    as_convolution = replace(call, args=plain)
    return sliding(as_convolution, as_convolution.operand(0))
