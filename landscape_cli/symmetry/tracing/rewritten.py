"""Operators that are traced as others that compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def grouped_product(
    rows: Tensor, matrices: Tensor, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: Any = None
) -> Tensor | None:
    """Return each row times the matrix of its group; None of other forms. Groups lie one after another, to `offs`."""
    if offs is None or bias is not None or out_dtype not in {None, rows.dtype} or (rows.ndim, matrices.ndim) != (2, 3):
        return None
    group = torch.searchsorted(offs, torch.arange(len(rows), dtype=offs.dtype), right=True)
    return torch.bmm(rows.unsqueeze(1), matrices.index_select(0, group)).squeeze(1)


REWRITTEN: dict[str, Callable[..., Tensor | None]] = {"_grouped_mm": grouped_product}
"""By the operator's name what returns the same; None where it does not know."""
