"""Multi-layer perceptrons (docs/method.md: Findings)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn

from landscape_cli.errors import ModelError


def mlp(
    input_shape: tuple[int, ...], outputs: int, *, hidden: Sequence[int] = (512, 512, 512), bias: bool = True
) -> nn.Module:
    """Return a multi-layer perceptron with ReLU units, shape (n, *input_shape) to (n, outputs).

    Raises:
        ModelError: if a width is not positive.
    """
    if any(width < 1 for width in hidden):
        raise ModelError(f"hidden widths must be positive, not {', '.join(map(str, hidden))}")
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    fan_in = prod(input_shape)
    for k, width in enumerate(hidden, start=1):
        layers[f"fc{k}"] = nn.Linear(fan_in, width, bias=bias)
        layers[f"relu{k}"] = nn.ReLU()
        fan_in = width
    layers[f"fc{len(hidden) + 1}"] = nn.Linear(fan_in, outputs, bias=bias)
    return nn.Sequential(layers)
