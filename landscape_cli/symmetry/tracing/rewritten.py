"""Operators that are traced as others that compute the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def counted_by_number(numbers: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor | None:
    """Return how often each whole number below `minlength` occurs, if none is larger: a sum of one-hot vectors."""
    here = numbers.unsqueeze(-1) == torch.arange(minlength)
    return here.sum(0) if weights is None else (here * weights.unsqueeze(-1)).sum(0)


def chosen_by_matrix(factors: Sequence[Tensor], known: Sequence[Tensor | None]) -> Tensor | None:
    """Return a product with a constant that takes rows or columns, one each; None if there is none, or it is another.

    Args:
        factors: two matrices, or stacks of them.
        known: the numbers of either, if it is a constant.
    """
    for side, matrix, axis in ((factors[1], known[0], -1), (factors[0], known[1], -2)):
        if matrix is None or matrix.shape[axis] < 2 or not matrix.numel():  # which chooses nothing
            continue
        matrices = matrix.reshape(-1, *matrix.shape[-2:])
        ones = matrices[0] == 1
        alone = (
            (ones | (matrices[0] == 0)).all() & (ones.sum(axis) == 1).all() & (matrices == matrices[0]).all()
        ).item()
        if alone:
            return side.index_select(-2 if axis == -1 else -1, ones.int().argmax(axis))
    return None


REWRITTEN: dict[str, Callable[..., Tensor | None]] = {"_grouped_mm": grouped_product, "bincount": counted_by_number}
"""By the operator's name what returns the same; None where it does not know."""
