"""In which numbers networks in float32 are multiplied: in those, or in the shorter ones that GPUs have units for.

See docs/method.md: Precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

import torch

from landscape_cli.choices import Precision
from landscape_cli.forward.unfolding import UnfoldedConvolutions


@contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Compute so, within.

    Args:
        precision: one of `choices.Precision`; TF32 is float32 on a CPU.
        device: where tensors lie.
    """
    way: AbstractContextManager[Any] = nullcontext()
    if precision == Precision.BF16:
        way = torch.autocast(device.type, torch.bfloat16)
    elif precision == Precision.FLOAT32 and device.type == "cuda":
        way = UnfoldedConvolutions()
    with tf32(device, allowed=precision == Precision.TF32), way:
        yield


@contextmanager
def tf32(device: torch.device, *, allowed: bool) -> Iterator[None]:
    """Let a GPU round the factors of float32 products to TF32, or not, as PyTorch lets it for convolutions."""
    backends: Any = torch.backends
    name, value = "allow_tf32", cast("bool | str", allowed)
    switches = [backends.cuda.matmul, backends.cudnn] if device.type == "cuda" else []
    try:
        before = [getattr(each, name) for each in switches]
    except RuntimeError:  # of a program that uses the newer switches, beside which PyTorch refuses the older
        name, value = "fp32_precision", "tf32" if allowed else "ieee"
        switches = [backends.cuda.matmul, backends.cudnn.conv]
        before = [getattr(each, name) for each in switches]
    try:
        for each in switches:
            setattr(each, name, value)
        yield
    finally:
        for each, old in zip(switches, before, strict=True):
            setattr(each, name, old)
