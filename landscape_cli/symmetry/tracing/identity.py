"""A dictionary of tensors: by which tensor it is, whatever it holds."""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor

T = TypeVar("T")


class TensorDict(Generic[T]):
    """Maps tensors to what is noted of them, and keeps them alive, so that no later one is taken for them."""

    def __init__(self) -> None:
        self._items: dict[int, tuple[Tensor, T]] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        """Tell whether something is noted of a tensor."""
        return id(tensor) in self._items

    def __getitem__(self, tensor: Tensor) -> T:
        """Return what is noted of a tensor."""
        return self._items[id(tensor)][1]

    def __setitem__(self, tensor: Tensor, note: T) -> None:
        """Note something of a tensor, in place of what was noted before."""
        self._items[id(tensor)] = (tensor, note)

    def get(self, tensor: Tensor) -> T | None:
        """Return what is noted of a tensor, None if nothing is."""
        return self._items.get(id(tensor), (tensor, None))[1]

    def pop(self, tensor: Tensor) -> T | None:
        """Forget a tensor; return what was noted of it, None if nothing was."""
        return self._items.pop(id(tensor), (tensor, None))[1]
