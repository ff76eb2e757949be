"""Binary networks: perceptron, committee machine, multi-layer perceptrons, and a convolutional network.

See docs/method.md: Binary networks.

Widths are odd by default: a sum of an odd number of ±1 is never zero, so that the sign of a hidden unit is free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn

from landscape_cli.binary.layers import LARGEST, LEVEL, FixedPoint, Outputs, Sign, SignConv2d, SignLinear, Vote
from landscape_cli.errors import ModelError

POOL = 2
KERNELS = (5, 3)
"""The sizes of filters to choose from: the first that leaves an odd number of positions."""


def binary_perceptron(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Return a binary perceptron, shape (n, *input_shape) to (n, outputs): no hidden layer.

    Raises:
        ModelError: if there are too many inputs for exact sums.
    """
    return binary_mlp(input_shape, outputs, hidden=())


def committee(input_shape: tuple[int, ...], outputs: int, *, hidden: int = 9) -> nn.Module:
    """Return a binary committee machine: one hidden layer, whose units vote with weights fixed to +1.

    Raises:
        ModelError: if it is to have several outputs, the width is not positive, or there are too many inputs.
    """
    if outputs != 1:
        raise ModelError(
            f"a committee has one output, for two classes, not {outputs}: use binary-mlp, or data of two classes, as "
            "`task=` parity makes of digits"
        )
    if type(hidden) is not int or hidden < 1:
        raise ModelError(f"a committee's hidden is one positive whole number, as in hidden=9, not {hidden}")
    layers = _inputs(prod(input_shape))
    _hidden(layers, 1, prod(input_shape), hidden, first=True)
    layers["vote"] = Vote()
    layers["outputs"] = Outputs(hidden)
    return nn.Sequential(layers)


def binary_mlp(input_shape: tuple[int, ...], outputs: int, *, hidden: Sequence[int] = (501, 501)) -> nn.Module:
    """Return a binary multi-layer perceptron, shape (n, *input_shape) to (n, outputs).

    Raises:
        ModelError: if a width is not positive, or there are too many inputs for exact sums.
    """
    _check_whole("hidden", hidden)
    return nn.Sequential(_fully_connected(_inputs(prod(input_shape)), prod(input_shape), hidden, outputs, first=True))


def binary_conv(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    filters: Sequence[int] = (21, 51),
    kernel: int | None = None,
    hidden: Sequence[int] = (201, 101),
) -> nn.Module:
    """Return a binary convolutional network of five layers for images of shape (channels, height, width).

    Two convolutions without padding, each with max-pooling, then fully connected layers.

    Args:
        input_shape: large enough for both convolutions.
        outputs: the number of outputs.
        filters: of the two convolutions.
        kernel: the side of filters; by default 5, or 3 where that leaves an odd number of positions and 5 does not.
        hidden: widths of the hidden fully connected layers.

    Raises:
        ModelError: if the inputs are no images or too small, or a size is not positive.
    """
    if len(input_shape) != 3:
        raise ModelError(
            f"binary-conv needs images of shape (channels, height, width), not {input_shape}: use binary-mlp"
        )
    channels, *sides = input_shape
    side = kernel if kernel is not None else _kernel(sides)
    _check_whole("filters", filters)
    _check_whole("hidden", hidden)
    if type(side) is not int or side < 1:
        raise ModelError(f"kernel is one positive whole number, not {side}")
    if len(filters) != 2:
        raise ModelError(f"binary-conv has two convolutions: give two numbers of filters, not {list(filters)}")
    positions = _positions(sides, side)
    if positions < 1:
        raise ModelError(f"images of {sides[0]}x{sides[1]} are too small for two convolutions of {side}x{side}")
    layers: OrderedDict[str, nn.Module] = OrderedDict(inputs=FixedPoint(even_first=False))
    for k, count in enumerate(filters, start=1):
        layers[f"conv{k}"] = convolution = SignConv2d(channels, count, side, largest=LARGEST if k == 1 else 1)
        layers[f"pool{k}"] = nn.MaxPool2d(POOL)
        fan_in = convolution.fan_in
        layers[f"conv_sign{k}"] = Sign(fan_in, ties=fan_in % 2 == 0, level=LEVEL if k == 1 else 1)
        channels = count
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(_fully_connected(layers, channels * positions, hidden, outputs, first=False))


def _check_whole(name: str, sizes: object) -> None:
    """Check sizes, which a user or a file gives.

    Raises:
        ModelError: naming what they are.
    """
    if not isinstance(sizes, list | tuple) or not all(type(size) is int for size in sizes):
        raise ModelError(f"{name} takes a list of whole numbers, as in {name}=[51,51], not {sizes}")
    if any(size < 1 for size in sizes):
        raise ModelError(f"{name} must be positive, not {', '.join(map(str, sizes))}")


def _inputs(positions: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(flatten=nn.Flatten(), inputs=FixedPoint(even_first=positions % 2 == 0))


def _fully_connected(
    layers: OrderedDict[str, nn.Module], fan_in: int, hidden: Sequence[int], outputs: int, *, first: bool
) -> OrderedDict[str, nn.Module]:
    """Add fully connected layers, the first of which may be the one that takes the inputs."""
    for k, width in enumerate(hidden, start=1):
        _hidden(layers, k, fan_in, width, first=first and k == 1)
        fan_in = width
    takes_inputs = first and not hidden
    layers[f"fc{len(hidden) + 1}"] = SignLinear(fan_in, outputs, largest=LARGEST if takes_inputs else 1)
    layers["outputs"] = Outputs(fan_in, level=LEVEL if takes_inputs else 1)
    return layers


def _hidden(layers: OrderedDict[str, nn.Module], k: int, fan_in: int, width: int, *, first: bool) -> None:
    layers[f"fc{k}"] = SignLinear(fan_in, width, largest=LARGEST if first else 1)
    layers[f"sign{k}"] = Sign(fan_in, ties=not first and fan_in % 2 == 0, level=LEVEL if first else 1)


def _positions(sides: Sequence[int], kernel: int) -> int:
    """Return how many positions two convolutions and poolings leave of an image; 0 if none."""
    return prod(max(0, ((side - kernel + 1) // POOL - kernel + 1) // POOL) for side in sides)


def _kernel(sides: Sequence[int]) -> int:
    return next((kernel for kernel in KERNELS if _positions(sides, kernel) % 2), KERNELS[0])
