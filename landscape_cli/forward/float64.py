"""Running code that makes tensors of a type of its own in float64 throughout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from landscape_cli.forward.memory import MIB
from landscape_cli.forward.uncompiled import OperatorMode

WIDER = dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64) | {
    torch.complex64: torch.complex128
}
UNFOLDED = 4 * MIB
"""Bytes of windows that a convolution on a CPU unfolds at once, or one sample's."""
FEW = 8
"""A sample has few windows for a convolution that has so many times as many filters."""

StandIns = Mapping[int, tuple[Tensor, Callable[[], Tensor]]]
"""By the `id` of a tensor that stands in for another: it, and what makes the other, whenever an operator takes it."""


def stand_in(shape: torch.Size, device: torch.device) -> Tensor:
    """Return a tensor in float64 that has a shape and no memory; whoever reads it nevertheless finds NaN."""
    return torch.full((), math.nan, dtype=torch.float64, device=device).expand(shape)


@contextmanager
def in_float64(stand_ins: StandIns | None = None) -> Iterator[None]:
    """Let every floating-point tensor that operators take or make be in float64, whichever type the code names.

    So that `torch.zeros(3)`, `x.float()` and tables in float32 fit a network in float64. A tensor that is written
    into keeps its type. In place of `stand_ins` operators take what they stand in for, which is made for each anew.
    """
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Wider(stand_ins or {}):
            yield
    finally:
        torch.set_default_dtype(usual)


class _Wider(OperatorMode):
    """Runs every operator in float64."""

    def __init__(self, stand_ins: StandIns) -> None:
        super().__init__()
        self._stand_ins = stand_ins

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            return func(args[0], *self._widened(args[1:]), **kwargs) if args else func(**kwargs)
        args, kwargs = self._widened(args), self._widened(kwargs)
        if func is torch.ops.aten.convolution.default and args[0].device.type == "cpu":
            return _convolved(func, *args)
        return self._widened(func(*args, **kwargs))

    def _widened(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if id(value) in self._stand_ins:
                value = self._stand_ins[id(value)][1]()
            return value.to(WIDER[value.dtype]) if value.dtype in WIDER else value
        if isinstance(value, torch.dtype):
            return WIDER.get(value, value)
        if isinstance(value, list | tuple):
            return type(value)(self._widened(item) for item in value) if type(value) in {list, tuple} else value
        if isinstance(value, Mapping):
            return {key: self._widened(item) for key, item in value.items()}
        return value


def _convolved(convolution: Any, x: Tensor, weight: Tensor, *how: Any) -> Tensor:
    """Return a convolution made of a few samples at a time: in float64 the windows of all of them are unfolded first.

    Where each has few windows, which would read all the weights for little, one product takes those of all.
    """
    _, stride, _, _, transposed, _, groups = how
    windows = x[0, 0].numel() // (1 if transposed else math.prod(stride)) if len(x) else 0
    samples = UNFOLDED // max(1, x.element_size() * weight[0].numel() * windows)
    if FEW * windows <= len(weight) and x.ndim == 4 and groups == 1 and not transposed:
        convolution, samples = _in_one_product, FEW * samples
    parts = [convolution(part, weight, *how) for part in x.split(max(1, samples))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _in_one_product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], dilation: list[int], *_: Any
) -> Tensor:
    """Return a convolution of images as one product of filters, as they lie in memory, and all windows."""
    windows = functional.unfold(x, weight.shape[2:], tuple(dilation), tuple(padding), tuple(stride))
    sizes = [
        (size + 2 * pad - spread * (side - 1) - 1) // step + 1
        for size, side, pad, spread, step in zip(x.shape[2:], weight.shape[2:], padding, dilation, stride, strict=True)
    ]
    result = weight.flatten(1) @ windows.transpose(0, 1).flatten(1)
    if bias is not None:
        result += bias[:, None]
    return result.view(len(weight), len(x), *sizes).transpose(0, 1).contiguous()
