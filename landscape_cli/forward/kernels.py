"""Convolutions and pooling on a CPU, each by the faster of the ways that PyTorch has, found by a rule.

The rules are from measurements (docs/performance.md) and look at shapes alone: layouts differ in the last bits of sums,
so that a trial on the user's machine could not choose between them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

CHANNELS_FIRST = 1 << 14
"""How many numbers a filter bank has, for each place of its result, from which on channels first is faster: filters
are then read from memory for few places. With channels last 512 x 512 x 3 x 3 takes 1.4 times as long on maps of 7 x 7,
2.1 on 4 x 4 and 2.9 on 2 x 2; 256 x 256 x 3 x 3 the same on 8 x 8, and less on larger ones."""


@dataclass(frozen=True)
class Kernels:
    """The ways in which a model's layers are computed.

    Attributes:
        channels_first: the names of filters that are computed with channels first.
        halving: whether there is pooling that halves both sides.
    """

    channels_first: frozenset[str] = frozenset()
    halving: bool = False

    def active(self) -> AbstractContextManager[object]:
        """Return a context in which layers are computed so, of networks that are laid out for it."""
        # A mode costs time, and takes attention off its fast path.
        return _Active() if self.channels_first or self.halving else nullcontext()


def choose_kernels(model: nn.Module, run: Callable[[], object]) -> Kernels:
    """Return the ways in which a model's layers are computed on a CPU, by running it.

    Args:
        model: with tensors of its own, whose filters are told by identity.
        run: a forward pass on a few samples.
    """
    tensors = model.state_dict(keep_vars=True)
    if not any(tensor.ndim == 4 for tensor in tensors.values()):
        return Kernels()
    with torch.inference_mode(), _Noted() as noted:
        run()
    names = {name for name, tensor in tensors.items() if id(tensor) in noted.filters}
    return Kernels(frozenset(names), noted.halving)


class _Noted(TorchFunctionMode):
    """Notes which filters are large for what they are applied to, and whether pooling halves."""

    def __init__(self) -> None:
        super().__init__()
        self.filters: set[int] = set()
        self.halving = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.conv2d and len(args) > 1:
            weight, places = args[1], result.shape[-2] * result.shape[-1]
            # Filters of 1 x 1 are products of matrices in any layout.
            large = weight.numel() > CHANNELS_FIRST * places and weight.shape[2:].numel() > 1
            if large and weight.dtype == torch.float32 and weight.shape[1] == args[0].shape[-3]:
                self.filters.add(id(weight))
        self.halving |= _halves(func, args, kwargs)
        return result


class _Active(TorchFunctionMode):
    """Brings inputs into the layout of their filters, and halves by comparing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and len(args) > 1 and args[1].stride(1) > 1:
            args = (args[0].contiguous(), *args[1:])
        elif _halves(func, args, kwargs):
            return halved(args[0])
        return func(*args, **(kwargs or {}))


def halved(x: Tensor) -> Tensor:
    """Return the largest of each 2 x 2 places of images, shape (n, c, h, w): max-pooling, but in large steps."""
    height, width = (size // 2 * 2 for size in x.shape[2:])
    rows = torch.maximum(x[:, :, 0:height:2], x[:, :, 1:height:2])
    return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


def _halves(func: Any, args: Any, kwargs: Any) -> bool:
    """Tell whether a call is max-pooling of 2 x 2 places of a batch of images."""
    if func not in POOLING or not args or args[0].ndim != 4 or min(args[0].shape[2:]) < 2:
        return False
    given = dict(zip(POOLING_ARGUMENTS, args[1:], strict=False)) | (kwargs or {})
    given["stride"] = given.get("stride") or given.get("kernel_size")
    return given.keys() <= HALVING.keys() and all(_is(value, HALVING[name]) for name, value in given.items())


POOLING = {torch.max_pool2d, F.max_pool2d}
HALVING = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1, "ceil_mode": 0, "return_indices": 0}
POOLING_ARGUMENTS = tuple(HALVING)


def _is(value: Any, expected: int) -> bool:
    values = value if isinstance(value, tuple | list) else [value]
    return all(each == expected for each in values)
