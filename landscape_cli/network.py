"""A network as data: its tensors by name, and which model they belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.choices import InputType, check_choice
from landscape_cli.errors import ModelError

Params = Mapping[str, Tensor]
"""A network: the tensors of a `state_dict`, under PyTorch's own names."""


MOST_INPUTS = 1 << 22
"""The most numbers in one input: 3 x 1182 x 1182."""
MOST_AXES = 16
LARGEST_INPUT = 1 << 31
"""Of whole numbers as inputs."""
TYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
TYPES |= {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
AS_PAIRS = (
    "keep torch.view_as_real of it, a real tensor with a last axis of 2, and let the model's forward pass read that by "
    "torch.view_as_complex"
)
"""What to do with complex parameters."""
INTEGER_INPUTS = {torch.int8, torch.int16, torch.int32, torch.int64}
"""The dtypes of inputs that are names of things, tokens or categories, and no numbers to calculate with."""


@dataclass(frozen=True)
class WholeInputs:
    """Inputs that are whole numbers: token ids, categories.

    Attributes:
        low: the least.
        high: one more than the largest.
        dtype: in which type a model takes them: "int64", or "float32" for whole numbers among real ones.

    Raises:
        ModelError: if there are none between the two, or no such type.
    """

    low: int
    high: int
    dtype: str = InputType.INT64.value

    def __post_init__(self) -> None:
        check_choice("`input_dtype=`", self.dtype, InputType, ModelError, joined=" or ")
        check_whole("input_range", self.low, ModelError)
        check_whole("input_range", self.high, ModelError)
        if not -LARGEST_INPUT <= self.low < self.high <= LARGEST_INPUT:
            raise ModelError(f"`input_range=` {self.low},{self.high} holds no numbers: give the least and one too many")

    def draw(self, *shape: int, seed: torch.Generator) -> Tensor:
        """Return such numbers, uniform."""
        return torch.randint(self.low, self.high, shape, generator=seed).to(getattr(torch, self.dtype))


@dataclass(frozen=True)
class ModelSpec:
    """Which model a checkpoint belongs to: enough to build it again.

    Attributes:
        name: the model's name in the registry.
        arguments: the registry entry's keyword arguments, as JSON values.
        input_shape: the shape of one input, without the batch.
        outputs: the number of outputs: classes, or 1 for a sign; of places with outputs each, of all together.
        inputs: which whole numbers it takes; None for real numbers.
        output: which of several outputs is measured, by its name or number; None for the first.

    Raises:
        ModelError: if one is of the wrong kind.
    """

    name: str
    arguments: Mapping[str, Any]
    input_shape: tuple[int, ...]
    outputs: int
    inputs: WholeInputs | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        check_kind("name", self.name, str, "give the name of a model", ModelError)
        check_kind("arguments", self.arguments, Mapping, "give the model's keyword arguments as a dict", ModelError)
        check_kind("input_shape", self.input_shape, tuple, "give the sizes of one input as a tuple", ModelError)
        for size in self.input_shape:
            check_whole("input_shape", size, ModelError, least=1)
        check_whole("outputs", self.outputs, ModelError, least=1)
        if reason := _too_large(self.input_shape):
            raise ModelError(f"`input_shape=` {reason}")
        if self.inputs is not None:
            check_kind("inputs", self.inputs, WholeInputs, "give WholeInputs(0, vocabulary)", ModelError)
        if self.output is not None:
            check_kind("output", self.output, str, "give the name of an output", ModelError)

    def example(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return two inputs whose values do not matter, real numbers in a type."""
        if self.inputs is None:
            return torch.zeros(2, *self.input_shape, dtype=dtype)
        return torch.full((2, *self.input_shape), self.inputs.low, dtype=getattr(torch, self.inputs.dtype))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the checkpoint's metadata holds."""
        return {
            "name": self.name,
            "arguments": dict(self.arguments),
            "input_shape": list(self.input_shape),
            "outputs": self.outputs,
            **({} if self.output is None else {"output": self.output}),
            **({} if self.inputs is None else _inputs_json(self.inputs)),
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
        output = value.get("output")
        if output is not None and not isinstance(output, str):
            raise ValueError("'output' must be text")
        return cls(name, arguments, tuple(shape), outputs, _inputs_of_json(value), output)


def _inputs_json(inputs: WholeInputs) -> dict[str, Any]:
    return {"input_dtype": inputs.dtype, "input_range": [inputs.low, inputs.high]}


def _inputs_of_json(value: Mapping[str, Any]) -> WholeInputs | None:
    """Read back what `_inputs_json` returned; None where there is nothing.

    Raises:
        ValueError: if it is malformed.
    """
    if "input_range" not in value and "input_dtype" not in value:
        return None
    try:
        low, high = value["input_range"]
        return WholeInputs(low, high, value["input_dtype"])
    except (KeyError, TypeError, ValueError, ModelError) as cause:
        raise ValueError("'input_range' must be the least whole number and one too many, of 'input_dtype'") from cause


def _too_large(shape: Sequence[int]) -> str:
    """Return what is too large about the shape of one input; empty if nothing is."""
    if len(shape) > MOST_AXES:
        return f"has {len(shape)} sizes: at most {MOST_AXES}"
    if math.prod(shape) > MOST_INPUTS:
        count = math.prod(shape)
        return f"makes an input of {f'{count:,}' if count < 1 << 63 else 'very many'} numbers: at most {MOST_INPUTS:,}"
    return ""


def outline(params: Params, name: str) -> Tensor:
    """Return a tensor, or one of its shape and type where it would have to be made or read for that alone."""
    outlined: Tensor = getattr(params, "outline", params.__getitem__)(name)
    return outlined


def all_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor, of any shape and type, holds neither NaN nor Inf; no mask of its size is made."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return bool(torch.isfinite(torch.stack(tensor.aminmax())).all())  # both ends are NaN if there is any


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
