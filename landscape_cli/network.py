"""A network as data: its tensors by name, and which model they belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.errors import ModelError

Params = Mapping[str, Tensor]
"""A network: the tensors of a `state_dict`, under PyTorch's own names."""


MOST_INPUTS = 1 << 22
"""The most numbers in one input: 3 x 1182 x 1182."""
MOST_AXES = 16
TYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
TYPES |= {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
INTEGER_INPUTS = {torch.int8, torch.int16, torch.int32, torch.int64}
"""The dtypes of inputs that are names of things, tokens or categories, and no numbers to calculate with."""


@dataclass(frozen=True)
class ModelSpec:
    """Which model a checkpoint belongs to: enough to build it again.

    Attributes:
        name: the model's name in the registry.
        arguments: the registry entry's keyword arguments, as JSON values.
        input_shape: the shape of one input, without the batch.
        outputs: the number of outputs: classes, or 1 for a sign.

    Raises:
        ModelError: if one is of the wrong kind.
    """

    name: str
    arguments: Mapping[str, Any]
    input_shape: tuple[int, ...]
    outputs: int

    def __post_init__(self) -> None:
        check_kind("name", self.name, str, "give the name of a model", ModelError)
        check_kind("arguments", self.arguments, Mapping, "give the model's keyword arguments as a dict", ModelError)
        check_kind("input_shape", self.input_shape, tuple, "give the sizes of one input as a tuple", ModelError)
        for size in self.input_shape:
            check_whole("input_shape", size, ModelError, least=1)
        check_whole("outputs", self.outputs, ModelError, least=1)
        if reason := _too_large(self.input_shape):
            raise ModelError(f"`input_shape=` {reason}")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the checkpoint's metadata holds."""
        return {
            "name": self.name,
            "arguments": dict(self.arguments),
            "input_shape": list(self.input_shape),
            "outputs": self.outputs,
        }

    @classmethod
    def from_json(cls, value: Any) -> ModelSpec:
        """Read the JSON object back, checking every field.

        Raises:
            ValueError: if a field is missing or of the wrong kind.
        """
        if not isinstance(value, dict):
            raise ValueError("it is not a JSON object")
        name, arguments = value.get("name"), value.get("arguments")
        shape, outputs = value.get("input_shape"), value.get("outputs")
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise ValueError("'name' must be text and 'arguments' an object")
        if not isinstance(shape, list) or not shape or not all(_is_positive(size) for size in shape):
            raise ValueError("'input_shape' must list positive whole numbers")
        if reason := _too_large(shape):
            raise ValueError(f"'input_shape' {reason}")
        if not isinstance(outputs, int) or not _is_positive(outputs):
            raise ValueError("'outputs' must be a positive whole number")
        return cls(name, arguments, tuple(shape), outputs)


def _too_large(shape: Sequence[int]) -> str:
    """Return what is too large about the shape of one input; empty if nothing is."""
    if len(shape) > MOST_AXES:
        return f"has {len(shape)} sizes: at most {MOST_AXES}"
    if math.prod(shape) > MOST_INPUTS:
        count = math.prod(shape)
        return f"makes an input of {f'{count:,}' if count < 1 << 63 else 'very many'} numbers: at most {MOST_INPUTS:,}"
    return ""


def all_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor, of any shape and type, holds neither NaN nor Inf; no mask of its size is made."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return bool(torch.isfinite(torch.stack(tensor.aminmax())).all())  # both ends are NaN if there is any


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
