"""Tensors that do not depend on the input or on parameters: they keep their numbers beside what stands in for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

META = torch.device("meta")
CPU = torch.device("cpu")
FILLS = {"new_zeros": 0, "new_ones": 1, "new_full": None, "zeros_like": 0, "ones_like": 1, "full_like": None}
"""Operators that take no more of a tensor than its type, and perhaps its shape, and the number they fill it with."""
EMPTY = {"new_empty", "empty_like", "new_empty_strided"}
"""The same, with numbers that nobody has written yet; they are taken for 0."""


class Constants:
    """The constants of one run: those on the meta device have their numbers here."""

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, stand_in: Tensor, numbers: Tensor) -> Tensor:
        """Note what numbers a tensor without numbers stands in for; return it."""
        self._numbers[id(stand_in)] = (stand_in, numbers)
        return stand_in

    def numbers(self, tensor: Tensor) -> Tensor | None:
        """Return a constant with its numbers, None if they are not known."""
        if id(tensor) in self._numbers:
            return self._numbers[id(tensor)][1]
        return None if tensor.is_meta else tensor

    def make(self, func: Any, name: str, args: Any, kwargs: Any) -> Tensor:
        """Run an operator of `FILLS` or `EMPTY`."""
        made = func(*on_meta(args), **kwargs | {"device": META})
        number = 0 if name in EMPTY else FILLS[name]
        number = kwargs.get("fill_value", args[-1]) if number is None else number
        numbers = torch.empty_strided(made.shape, made.stride(), dtype=made.dtype)
        return self.add(made, numbers.fill_(number))

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator on constants alone."""
        tensors = [tensor for tensor in flatten((args, kwargs)) if isinstance(tensor, Tensor)]
        device = kwargs.get("device")
        made_here = not tensors or func.overloadpacket.__name__ in {"lift_fresh", "lift_fresh_copy"}
        to_meta = made_here if device is None else made_here or torch.device(device).type == "meta"
        to_cpu = not to_meta and device is not None
        with_numbers = all(self.numbers(tensor) is not None for tensor in tensors)
        real = None
        if with_numbers:
            target = {} if device is None else {"device": CPU}
            real = func(*self._real(args), **self._real(kwargs) | target)
        on_cpu = to_cpu or not (to_meta or any(tensor.is_meta for tensor in tensors))
        if with_numbers and (on_cpu or not isinstance(real, Tensor | list | tuple)):
            return real
        stand_in = func(*on_meta(args), **on_meta(kwargs) | ({"device": META} if device or not tensors else {}))
        for one, numbers in zip(_listed(stand_in), _listed(real), strict=False):
            if isinstance(one, Tensor) and isinstance(numbers, Tensor):
                self.add(one, numbers)
        return stand_in

    def _real(self, args: Any) -> Any:
        if isinstance(args, Tensor):
            return self.numbers(args)
        if isinstance(args, list | tuple):
            return type(args)(self._real(arg) for arg in args)
        if isinstance(args, Mapping):
            return {key: self._real(value) for key, value in args.items()}
        return args


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


def _listed(result: Any) -> Any:
    return [result] if isinstance(result, Tensor) or result is None else result
