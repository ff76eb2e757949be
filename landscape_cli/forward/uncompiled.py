"""Parts of PyTorch without its compiler, which they import, for a second and more, to tell it to leave them alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import CellType, FunctionType
from typing import TypeVar, cast

import torch
from torch.utils._python_dispatch import TorchDispatchMode

OptimizerKind = TypeVar("OptimizerKind", bound=torch.optim.Optimizer)

COMPILER = "torch._dynamo"
WRITTEN_IN_PYTHON = (
    "torch._refs",
    "torch._refs.nn.functional",
    "torch._decomp.decompositions",
    "torch._meta_registrations",
)
TOLD = "__dynamo_disable"
"""Where PyTorch keeps what its compiler made of such a function, so that it asks once."""


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


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let operators that PyTorch has in Python, as for tensors without numbers, run as they are written meanwhile.

    Each would import the compiler, to be told by it what it leaves alone, unless that is there already.
    """
    functions = [] if COMPILER in sys.modules else [each for each in _left_alone() if not hasattr(each, TOLD)]
    for function in functions:
        setattr(function, TOLD, function)
    try:
        yield
    finally:
        for function in functions:
            delattr(function, TOLD)


@cache
def _left_alone() -> list[FunctionType]:
    """Return the functions that PyTorch tells its compiler to leave alone, of those modules that have operators."""
    tell = vars(torch).get("_disable_dynamo", lambda function: function)
    telling = tell(lambda: None).__code__
    modules = [sys.modules[name] for name in WRITTEN_IN_PYTHON if name in sys.modules]
    wrappers = [value for module in modules for value in vars(module).values() if isinstance(value, FunctionType)]
    seen, alone = {id(wrapper) for wrapper in wrappers}, []
    while wrappers:
        wrapper = wrappers.pop()
        within = [cell.cell_contents for cell in wrapper.__closure__ or () if _is_full(cell)]
        functions = [each for each in within if isinstance(each, FunctionType)]
        alone += functions if wrapper.__code__ is telling else []
        wrappers += [each for each in functions if id(each) not in seen]
        seen |= {id(each) for each in functions}
    return alone


def _is_full(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking raises where there is none
    except ValueError:
        return False
    return True
