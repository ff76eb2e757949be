"""Parts of PyTorch without its compiler, which they import, for a second and more, to tell it to leave them alone."""

from __future__ import annotations

from types import FunctionType
from typing import TypeVar, cast

import torch
from torch.utils._python_dispatch import TorchDispatchMode

OptimizerKind = TypeVar("OptimizerKind", bound=torch.optim.Optimizer)


class OperatorMode(TorchDispatchMode):
    """A mode whose `__torch_dispatch__` is called with every operator."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def uncompiled(kind: type[OptimizerKind]) -> type[OptimizerKind]:
    """Return a kind of optimiser whose methods run as they are written, without gradients."""
    written = {
        name: method.__wrapped__
        for base in (torch.optim.Optimizer, kind)
        for name, method in vars(base).items()
        if isinstance(method, FunctionType) and hasattr(method, "__wrapped__")
    }
    written["step"] = torch.no_grad()(written["step"])
    return cast(type[OptimizerKind], type(kind.__name__, (kind,), written))
