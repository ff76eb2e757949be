"""What makes a data set malformed: shapes, types, labels."""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.data.source import Split
from landscape_cli.errors import DataError

INPUT_TYPES = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
INPUT_TYPES |= {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def check_splits(name: str, train: Split, test: Split) -> None:
    """Check shapes and types.

    Raises:
        DataError: naming the tensor, what it is and what was expected.
    """
    for label, (x, y) in (("train", train), ("test", test)):
        if x.ndim < 2 or x.numel() == 0:
            raise DataError(f"{name}: x_{label} has shape {tuple(x.shape)}, expected (samples, ...), none empty")
        if y.shape != x.shape[:1]:
            raise DataError(
                f"{name}: y_{label} has shape {tuple(y.shape)}, expected ({len(x)},): one label a sample of x_{label}"
            )
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise DataError(f"{name}: y_{label} holds {y.dtype}, expected whole numbers from 0")
        if x.dtype not in INPUT_TYPES:
            raise DataError(f"{name}: x_{label} holds {x.dtype}, expected uint8 or another plain number type")
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise DataError(f"{name}: x_{label} holds NaN or Inf")
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            f"{name}: x_train has samples of shape {tuple(train.x.shape[1:])}, x_test of {tuple(test.x.shape[1:])}"
        )


def count_classes(name: str, train: Tensor, test: Tensor) -> int:
    """Return the number of classes of labels, int64, shape (n,), having checked them.

    Raises:
        DataError: if they do not count from 0, or there is one class only.
    """
    classes = int(train.max()) + 1
    low = min(int(train.min()), int(test.min()))
    high = int(test.max())
    if low < 0 or high >= classes or classes > len(train):
        raise DataError(
            f"{name}: labels out of range: they must count from 0, and those of y_test occur in y_train; "
            f"y_train reaches {classes - 1}, y_test {high}, the lowest is {low}"
        )
    if classes < 2:
        raise DataError(f"{name}: y_train holds one class only: nothing to classify")
    return classes
