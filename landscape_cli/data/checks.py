"""What makes a data set, or a split that is handed over in Python, malformed: shapes, types, targets."""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError
from landscape_cli.forward.objective import Objective, check_labels
from landscape_cli.network import all_finite

INPUT_TYPES = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
INPUT_TYPES |= {torch.float16, torch.bfloat16, torch.float32, torch.float64}

SIGNED = {torch.uint16: torch.int32, torch.uint32: torch.int64}
"""In which type whole numbers are computed with that PyTorch stores, but has hardly an operator for."""


def computable(x: Tensor) -> Tensor:
    """Return inputs in a type that is computed with, the numbers unchanged."""
    return x.to(SIGNED[x.dtype]) if isinstance(x, Tensor) and x.dtype in SIGNED else x


def check_splits(name: str, train: Split, test: Split) -> None:
    """Check shapes and types of the two splits of a data set.

    Raises:
        DataError: naming the tensor, what it is and what was expected.
    """
    _check_tensors(name, train, suffix="_train")
    _check_tensors(name, test, suffix="_test")
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
        outputs: how many outputs the model has, of which one decides between two classes; by default any label will do.
        input_shape: the shape of one input of the model; by default any will do.

    Raises:
        DataError: saying what is wrong.
    """
    if not isinstance(split, Split):
        raise DataError(
            f"{name} is a {type(split).__name__}, expected all inputs and labels as tensors: wrap it: Split(x, y)"
        )
    for part, tensor in zip("xy", split, strict=True):
        if not isinstance(tensor, Tensor):
            raise DataError(f"{name}: {part} is a {type(tensor).__name__}, expected a tensor: see torch.as_tensor")
        if tensor.layout is not torch.strided or tensor.device.type == "meta":
            what = "has no values" if tensor.device.type == "meta" else f"is not stored densely ({tensor.layout})"
            raise DataError(f"{name}: {part} {what}, expected a plain tensor")
    check_kind("objective", split.objective, Objective, "give one, as in Split(x, y, Regression())", DataError)
    _check_tensors(name, split)
    if input_shape is not None and tuple(split.x.shape[1:]) != tuple(input_shape):
        raise DataError(
            f"{name}: inputs have shape {tuple(split.x.shape[1:])}, and the model takes {tuple(input_shape)}"
        )
    if outputs is not None and split.objective.balances:
        check_labels(name, split.y, outputs)


def _check_tensors(name: str, split: Split, *, suffix: str = "") -> None:
    """Check shapes and types of inputs and targets, and that they are finite if they have values."""
    x, y = split
    if x.ndim < 2 or x.numel() == 0:
        raise DataError(f"{name}: x{suffix} has shape {tuple(x.shape)}, expected (samples, ...), none empty")
    split.objective.check_targets(name, y, len(x), f"y{suffix}")
    if x.dtype not in INPUT_TYPES:
        raise DataError(f"{name}: x{suffix} holds {x.dtype}, expected uint8 or another plain number type")
    if not x.is_meta and not all_finite(x):
        raise DataError(f"{name}: x{suffix} holds NaN or Inf")
