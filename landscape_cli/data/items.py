"""What data sets of others give, turned into tensors: pairs of input and label, dictionaries, arrays, images."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape_cli.errors import DataError, listed, one_line, shown

LABELS = ("labels", "label", "targets", "target", "y")
"""Under which keys dictionaries hold labels."""
NEUTRAL = {"attention_mask": 1, "token_type_ids": 0}
"""Inputs that say nothing where they are all of one value."""
PAIR = "expected a pair of input and label"
MODES = {"L", "RGB", "RGBA", "I;16", "I", "F"}
"""Of images, those whose numbers are taken as they are."""


def pair_of(item: Any, called: str) -> tuple[Tensor, Tensor]:
    """Return input and label of a sample, or of a batch.

    Args:
        item: a pair, or a dictionary with a label and one input.
        called: what messages call it.

    Raises:
        DataError: if it is something else, or one of the two is no numbers.
    """
    if isinstance(item, Mapping):
        item = _pair_in(item, called)
    if not isinstance(item, tuple | list):
        raise DataError(f"{called} is a {type(item).__name__}, {PAIR}")
    if len(item) != 2:
        raise DataError(f"{called} has {len(item)} parts, {PAIR}: give these two alone")
    return tensor_of(item[0], f"the input of {called}"), tensor_of(item[1], f"the label of {called}")


def tensor_of(value: Any, called: str) -> Tensor:
    """Return a tensor on the CPU of a tensor, an array, numbers, or an image: bytes, shape (channels, height, width).

    Raises:
        DataError: if it is none of these.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.device.type == "meta" or value.is_nested:
            what = "has no values" if value.device.type == "meta" else "is not stored densely"
            raise DataError(f"{called} {what}, expected a plain tensor")
        return value.detach().cpu()
    image = sys.modules.get("PIL.Image")
    if image is not None and isinstance(value, image.Image):
        return image_tensor(value)
    try:
        if isinstance(value, np.ndarray | np.generic):
            return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
        if isinstance(value, float):
            return torch.tensor(value, dtype=torch.float64)  # as PyTorch's loaders make it
        if isinstance(value, int | list | tuple):
            return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as cause:
        raise DataError(
            f"{called} is no tensor ({one_line(cause, 100)}): give numbers in rows of one length"
        ) from cause
    raise DataError(f"{called} is a {type(value).__name__}, expected a tensor, an array, a number or an image")


def image_tensor(image: Any) -> Tensor:
    """Return an image of PIL's as a tensor, shape (channels, height, width): bytes, unless it has larger numbers."""
    numbers = np.array(image if image.mode in MODES else image.convert("RGB"))
    return torch.from_numpy(numbers if numbers.ndim == 3 else numbers[..., None]).permute(2, 0, 1).contiguous()


def _pair_in(item: Mapping[Any, Any], called: str) -> tuple[Any, Any]:
    """Return the input and the label in a dictionary, as those of Hugging Face's data sets are."""
    label = next((key for key in LABELS if key in item), None)
    if label is None:
        keys = listed(shown(str(key)) for key in item)
        raise DataError(f"{called} is a dictionary of {keys}, and none is the label: call it {' or '.join(LABELS[:2])}")
    inputs = {
        str(key): value
        for key, value in item.items()
        if key != label and not isinstance(value, str) and not _is_text(value) and not _says_nothing(key, value)
    }
    if len(inputs) != 1:
        named = f"several inputs ({listed(map(shown, inputs))})" if inputs else "no input beside its label"
        raise DataError(
            f"{called} has {named}, and networks are measured on one: give pairs (input, label), and a model that "
            "makes the others of it, as a mask of the tokens that are not padding"
        )
    return next(iter(inputs.values())), item[label]


def _is_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(each, str) for each in value)


def _says_nothing(key: Any, value: Any) -> bool:
    if key not in NEUTRAL:
        return False
    try:
        return bool((torch.as_tensor(value) == NEUTRAL[key]).all())
    except (TypeError, ValueError, RuntimeError):
        return False
