"""What is to be told from labels, in place of the labels themselves; `choices.Task` registers each."""

from __future__ import annotations

from torch import Tensor


def parity(labels: Tensor) -> Tensor:
    """Return whether labels are odd: 0 or 1, int64, shape (n,)."""
    return labels % 2
