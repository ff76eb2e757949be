"""Running code that makes tensors of a type of its own in float64 throughout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from landscape_cli.forward.uncompiled import OperatorMode

WIDER = dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64) | {
    torch.complex64: torch.complex128
}


@contextmanager
def in_float64() -> Iterator[None]:
    """Let every floating-point tensor that operators take or make be in float64, whichever type the code names.

    So that `torch.zeros(3)`, `x.float()` and tables in float32 fit a network in float64. A tensor that is written
    into keeps its type.
    """
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Wider():
            yield
    finally:
        torch.set_default_dtype(usual)


class _Wider(OperatorMode):
    """Runs every operator in float64."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            return func(args[0], *_widened(args[1:]), **kwargs) if args else func(**kwargs)
        return _widened(func(*_widened(args), **_widened(kwargs)))


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to(WIDER[value.dtype]) if value.dtype in WIDER else value
    if isinstance(value, torch.dtype):
        return WIDER.get(value, value)
    if isinstance(value, list | tuple):
        return type(value)(_widened(item) for item in value) if type(value) in {list, tuple} else value
    if isinstance(value, Mapping):
        return {key: _widened(item) for key, item in value.items()}
    return value
