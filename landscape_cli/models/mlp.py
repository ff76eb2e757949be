"""Multi-layer perceptrons (docs/method.md: Findings)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn

from landscape_cli.errors import ModelError
from landscape_cli.models.dropout import check_dropout


def mlp(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    hidden: Sequence[int] = (512, 512, 512),
    bias: bool = True,
    dropout: float = 0.0,
) -> nn.Module:
    """Return a multi-layer perceptron with ReLU units, shape (n, *input_shape) to (n, outputs).

    While it trains, a fraction `dropout` of what every layer but the first reads is dropped.

    Raises:
        ModelError: if a width is not positive, or the fraction is none.
    """
    if any(width < 1 for width in hidden):
        raise ModelError(f"hidden widths must be positive, not {', '.join(map(str, hidden))}")
    check_dropout(dropout)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    fan_in = prod(input_shape)
    for k, width in enumerate(hidden, start=1):
        layers[f"fc{k}"] = nn.Linear(fan_in, width, bias=bias)
        layers[f"relu{k}"] = nn.ReLU()
        if dropout:
            layers[f"dropout{k}"] = nn.Dropout(dropout)
        fan_in = width
    layers[f"fc{len(hidden) + 1}"] = nn.Linear(fan_in, outputs, bias=bias)
    return nn.Sequential(layers)
