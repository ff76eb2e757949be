"""Convolutions of many channels as products of matrices, for GPUs in float32.

What cuDNN's rules choose there is up to twice as slow as its best, and its own trial of what is best may end otherwise
each time, with other bits. A product of matrices is as fast as that, and the same every time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

LEAST_UNITS = 64
LEAST_FAN_IN = 512
"""Of a convolution that is computed so: below, products of matrices are too thin (measured on an H100)."""
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class UnfoldedConvolutions(TorchFunctionMode):
    """Within, convolutions of images in float32 that are large enough are products with their unfolded windows."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not torch.conv2d:
            return func(*args, **kwargs)
        given = dict(zip(ARGUMENTS, args, strict=False)) | kwargs
        return unfolded(**given) if is_suitable(**given) else func(*args, **kwargs)


def is_suitable(input: Tensor, weight: Tensor, *_: object, dilation: Any = 1, groups: int = 1, **other: Any) -> bool:
    """Tell whether a convolution, by the arguments of `torch.conv2d`, is one that is computed so."""
    units, *window = weight.shape
    return (
        input.dtype == torch.float32
        and input.ndim == 4
        and groups == 1
        and _pair(dilation) == (1, 1)
        and not isinstance(other.get("padding"), str)
        and window[1] * window[2] > 1
        and units >= LEAST_UNITS
        and window[0] * window[1] * window[2] >= LEAST_FAN_IN
    )


def unfolded(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, **_: Any
) -> Tensor:
    """Return what `torch.conv2d` does, with channels last in memory: shape (n, units, h', w')."""
    (rows, columns), (down, right) = _pair(padding), _pair(stride)
    units, _channels, high, wide = weight.shape
    images = F.pad(input.permute(0, 2, 3, 1), (0, 0, columns, columns, rows, rows))
    windows = images.unfold(1, high, down).unfold(2, wide, right)  # (n, h', w', channels, high, wide)
    factor = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, weight[0].numel())
    filters = weight.permute(0, 2, 3, 1).reshape(units, -1).t()
    sums = factor @ filters if bias is None else torch.addmm(bias, factor, filters)
    return sums.view(*windows.shape[:3], units).permute(0, 3, 1, 2)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[-1])
