"""What makes a data set, or a split that is handed over in Python, malformed: shapes, types, labels."""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.data.source import Split
from landscape_cli.errors import DataError
from landscape_cli.network import all_finite

INPUT_TYPES = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
INPUT_TYPES |= {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def check_splits(name: str, train: Split, test: Split) -> None:
    """Check shapes and types of the two splits of a data set.

    Raises:
        DataError: naming the tensor, what it is and what was expected.
    """
    _check_tensors(name, *train, suffix="_train")
    _check_tensors(name, *test, suffix="_test")
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            f"{name}: x_train has samples of shape {tuple(train.x.shape[1:])}, x_test of {tuple(test.x.shape[1:])}"
        )


def check_split(
    name: str, split: object, outputs: int | None = None, input_shape: tuple[int, ...] | None = None
) -> None:
    """Check that a split can be evaluated or trained on: shapes, types, finite inputs, labels that the model has.

    Args:
        name: what to call it in messages.
        split: what should be a `Split`.
        outputs: how many outputs the model has: one decides between two classes; by default any label will do.
        input_shape: the shape of one input of the model; by default any will do.

    Raises:
        DataError: saying what is wrong.
    """
    if not isinstance(split, Split):
        raise DataError(
            f"{name} is a {type(split).__name__}, expected all inputs and labels as tensors: wrap it: Split(x, y)"
        )
    for part, tensor in zip(Split._fields, split, strict=True):
        if not isinstance(tensor, Tensor):
            raise DataError(f"{name}: {part} is a {type(tensor).__name__}, expected a tensor: see torch.as_tensor")
        if tensor.layout is not torch.strided or tensor.device.type == "meta":
            what = "has no values" if tensor.device.type == "meta" else f"is not stored densely ({tensor.layout})"
            raise DataError(f"{name}: {part} {what}, expected a plain tensor")
    _check_tensors(name, split.x, split.y)
    if input_shape is not None and tuple(split.x.shape[1:]) != tuple(input_shape):
        raise DataError(
            f"{name}: inputs have shape {tuple(split.x.shape[1:])}, and the model takes {tuple(input_shape)}"
        )
    if outputs is not None:
        check_labels(name, split.y, outputs)


def check_labels(name: str, labels: Tensor, outputs: int) -> None:
    """Check that labels, whole numbers, are of the classes that so many outputs decide between: two, if it is one.

    Raises:
        DataError: if they are not.
    """
    low, high, classes = int(labels.min()), int(labels.max()), max(2, outputs)
    if low < 0 or high >= classes:
        raise DataError(
            f"{name}: labels out of range: the model decides between {classes} classes, so they must lie between 0 "
            f"and {classes - 1}; they go from {low} to {high}"
        )


def _check_tensors(name: str, x: Tensor, y: Tensor, *, suffix: str = "") -> None:
    """Check shapes and types of inputs and labels, and that inputs are finite if they have values."""
    if x.ndim < 2 or x.numel() == 0:
        raise DataError(f"{name}: x{suffix} has shape {tuple(x.shape)}, expected (samples, ...), none empty")
    if y.shape != x.shape[:1]:
        raise DataError(
            f"{name}: y{suffix} has shape {tuple(y.shape)}, expected ({len(x)},): one label a sample of x{suffix}"
        )
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise DataError(f"{name}: y{suffix} holds {y.dtype}, expected whole numbers from 0")
    if x.dtype not in INPUT_TYPES:
        raise DataError(f"{name}: x{suffix} holds {x.dtype}, expected uint8 or another plain number type")
    if not x.is_meta and not all_finite(x):
        raise DataError(f"{name}: x{suffix} holds NaN or Inf")


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
