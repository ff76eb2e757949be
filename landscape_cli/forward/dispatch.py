"""Seeing every operator that PyTorch runs, without its compiler."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class OperatorMode(TorchDispatchMode):
    """A mode whose `__torch_dispatch__` is called with every operator.

    PyTorch has it wrapped so that its compiler leaves it alone, and imports that compiler for seconds to do so. Where
    nothing is compiled that is for nothing.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
