"""Whether a model takes whole numbers, found by running it: what it looks up in a table, as token ids."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape_cli.errors import LandscapeError, Remark
from landscape_cli.forward.functional import ForwardError, run_with
from landscape_cli.forward.shapes import ShapesTold
from landscape_cli.forward.uncompiled import without_compiler
from landscape_cli.network import WholeInputs
from landscape_cli.rng import generator

BATCH = 2
OUTLIER = -8.0
"""A real number that, rounded, is an index of no table: near zero, two in three normal ones are."""
SMALLEST = 2
"""Rows of a table that is worth the name."""
LOOKUPS = (F.embedding, F.embedding_bag)


class _Lookups(TorchFunctionMode):
    """Notes the rows of every table that is looked into, and of those whose indices are the input or views of it."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self._memory = x.untyped_storage().data_ptr()
        self.rows: list[int] = []
        self.rows_read: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in LOOKUPS:
            indices, table = (args[k] if len(args) > k else kwargs[name] for k, name in enumerate(("input", "weight")))
            self.rows.append(len(table))
            if indices.untyped_storage().data_ptr() == self._memory:
                self.rows_read.append(len(table))
        return func(*args, **kwargs)


def find_inputs(model: nn.Module, input_shape: tuple[int, ...]) -> WholeInputs | None:
    """Return which whole numbers a model takes, if it takes none but such; else None.

    A model that runs on standard normal inputs takes them. One that does not, and looks into tables (`nn.Embedding`),
    is run on whole numbers, int64, and then on such as real numbers, below the size of the tables that its input is an
    index of: of all tables, if that cannot be seen.

    Args:
        model: a template or any model, whose values do not matter; left in evaluation mode.
        input_shape: the shape of one input.

    Warns:
        Remark: saying what was assumed.
    """
    model.eval()
    normal = torch.randn(BATCH, *input_shape, generator=generator(0))
    without_numbers = _lookups(model, normal.to("meta"))
    if without_numbers is not None and not without_numbers.rows:
        return None
    if all(_lookups(model, real) is not None for real in (normal, torch.full_like(normal, OUTLIER))):
        return None
    bits = torch.randint(SMALLEST, (BATCH, *input_shape), generator=generator(0))
    for dtype in ("int64", "float32"):
        seen = _lookups(model, bits.to(getattr(torch, dtype)))
        if seen is not None and seen.rows:
            found = WholeInputs(0, min(seen.rows_read or seen.rows), dtype)
            warnings.warn(
                f"the model looks inputs up in a table of {found.high} rows, so it is tried on whole numbers from 0 to "
                f"{found.high - 1} (`input_dtype=` {dtype}, `input_range=` 0,{found.high})",
                Remark,
                stacklevel=2,
            )
            return found
    return None


def _lookups(model: nn.Module, x: Tensor) -> _Lookups | None:
    """Return what a model looks up as it runs on inputs; None if it does not run on them."""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    values = {
        name: torch.zeros_like(tensor, device=x.device) if tensor.is_meta and not x.is_meta else tensor.to(x.device)
        for name, tensor in tensors.items()
    }
    kind = next((tensor.dtype for tensor in values.values() if tensor.is_floating_point()), torch.float32)
    lookups = _Lookups(x := x.to(kind) if x.is_floating_point() else x)
    try:
        with torch.no_grad(), without_compiler(), ShapesTold(), lookups:
            run_with(model, values, x)
    except ForwardError:
        return None
    except LandscapeError:  # as of an output that is not there
        raise
    except Exception:  # code of others: on such inputs it does not run
        return None
    return lookups
