"""How much a model may hold that is built for tensors that are there already, such as a file's: not more than those."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from landscape_cli.errors import ModelError
from landscape_cli.forward.uncompiled import OperatorMode
from landscape_cli.network import Params

FREE = 1 << 24
"""The most numbers in one tensor that are always allowed: tables that no file holds, sizes before they are reduced."""
FREE_IN_ALL = 1 << 27
FREE_CALLS = 1 << 12
NUMBERS_EACH = 16
"""How often a number may be made anew for each that is given: initialisations make copies."""
CALLS_EACH = 64
"""How many operators may be called for each tensor that is given."""


class ModelTooLargeError(ModelError):
    """A model that is larger than the tensors that it is built for."""


class Budget(OperatorMode):
    """Ends the building of a model as soon as it makes more than the tensors given could fill, before that is made."""

    def __init__(self, params: Params) -> None:
        """Take the sizes of the tensors that the model is built for."""
        super().__init__()
        self._given, self._tensors = sum(tensor.numel() for tensor in params.values()), len(params)
        self._largest = max(FREE, 2 * self._given)
        self._left = FREE_IN_ALL + NUMBERS_EACH * self._given
        self._calls = FREE_CALLS + CALLS_EACH * self._tensors

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, having counted it and what it makes.

        Raises:
            ModelTooLargeError: if that is too much.
        """
        kwargs = kwargs or {}
        self._calls -= 1
        if self._calls < 0:
            raise ModelTooLargeError(
                f"the model is made of far more tensors than the {self._tensors} that are given for it: is it of "
                "another architecture?"
            )
        if any(value.alias_info is None for value in func._schema.returns):
            made = _size_of(func, args, kwargs)
            self._left -= made
            if made > self._largest or self._left < 0:
                raise ModelTooLargeError(
                    f"the model has tensors of {made:,} numbers, but those that are given for it hold {self._given:,} "
                    "in all: is it of another architecture?"
                )
        return func(*args, **kwargs)


def _size_of(func: Any, args: Any, kwargs: Any) -> int:
    """Return how many numbers an operator would make; 0 if that takes running it."""

    def bare(value: Any) -> Any:
        return (
            torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
            if (isinstance(value, Tensor))
            else value
        )

    names = {argument.name for argument in func._schema.arguments}
    elsewhere: dict[str, Any] = {"device": torch.device("meta")} if "device" in names else {}
    elsewhere |= {"generator": None} if "generator" in names else {}
    try:
        made = func(*tree_map(bare, args), **(tree_map(bare, kwargs) | elsewhere))
    except Exception:  # whatever it is, running the operator for good says it
        return 0
    return sum(value.numel() for value in tree_leaves(made) if isinstance(value, Tensor))
