"""Tensors that do not depend on the input or on parameters: they keep their numbers beside what stands in for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.identity import TensorDict
from landscape_cli.symmetry.tracing.operators import Operator

META = torch.device("meta")
CPU = torch.device("cpu")


class Constants:
    """The constants of one run: those on the meta device have their numbers here."""

    def __init__(self) -> None:
        self._numbers: TensorDict[Tensor] = TensorDict()

    def add(self, stand_in: Tensor, numbers: Tensor) -> Tensor:
        """Note what numbers a tensor without numbers stands in for; return it."""
        self._numbers[stand_in] = numbers
        return stand_in

    def numbers(self, tensor: Tensor) -> Tensor | None:
        """Return a constant with its numbers, None if they are not known."""
        if tensor in self._numbers:
            return self._numbers[tensor]
        return None if tensor.is_meta else tensor

    def fill(self, operator: Operator, function: Any, args: Any, kwargs: Any) -> Tensor:
        """Run an operator that fills a new tensor with one number."""
        made = function(*on_meta(args), **kwargs | {"device": META})
        number: Any = kwargs.get("fill_value", args[-1]) if operator.fills == "argument" else operator.fills
        numbers = torch.empty_strided(made.shape, made.stride(), dtype=made.dtype)
        return self.add(made, numbers.fill_(number))

    def run(self, operator: Operator, function: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator on constants alone."""
        tensors = tensors_in((args, kwargs))
        device = kwargs.get("device")
        real = None
        if all(self.numbers(tensor) is not None for tensor in tensors):
            target = {} if device is None else {"device": CPU}
            real = function(*self._real(args), **self._real(kwargs) | target)
            if not isinstance(real, Tensor | list | tuple) or _stays_on_cpu(operator, tensors, device):
                return real
        stand_in = function(*on_meta(args), **on_meta(kwargs) | ({"device": META} if device or not tensors else {}))
        for output, numbers in zip(_listed(stand_in), _listed(real), strict=False):
            if isinstance(output, Tensor) and isinstance(numbers, Tensor):
                self.add(output, numbers)
        return stand_in

    def _real(self, args: Any) -> Any:
        if isinstance(args, Tensor):
            return self.numbers(args)
        if isinstance(args, list | tuple):
            return type(args)(self._real(arg) for arg in args)
        if isinstance(args, Mapping):
            return {key: self._real(value) for key, value in args.items()}
        return args


def _stays_on_cpu(operator: Operator, tensors: Sequence[Tensor], device: Any) -> bool:
    """Tell whether what an operator makes of constants is given to the program with its numbers."""
    if not tensors or operator.creates:
        return False
    if device is not None:
        return torch.device(device).type != "meta"
    return not any(tensor.is_meta for tensor in tensors)


def on_meta(args: Any) -> Any:
    """Return arguments with every tensor one without numbers, so that they fit each other."""
    if isinstance(args, Tensor):
        return args if args.is_meta or args.ndim == 0 else torch.empty_like(args, device=META)
    if isinstance(args, list | tuple):
        return type(args)(on_meta(arg) for arg in args)
    if isinstance(args, Mapping):
        return {key: on_meta(value) for key, value in args.items()}
    return args


def flatten(args: Any) -> Iterator[Any]:
    """Yield what lists, tuples and dictionaries hold, one within another."""
    for arg in args.values() if isinstance(args, Mapping) else args:
        if isinstance(arg, list | tuple | Mapping):
            yield from flatten(arg)
        else:
            yield arg


def tensors_in(args: Any) -> list[Tensor]:
    """Return the tensors among arguments."""
    return [arg for arg in flatten(args) if isinstance(arg, Tensor)]


def _listed(result: Any) -> Any:
    return [result] if isinstance(result, Tensor) or result is None else result
