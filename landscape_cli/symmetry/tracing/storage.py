"""What storages hold that were written into piece by piece, through whichever view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, compress, distinct, to_layer
from landscape_cli.symmetry.tracing.relate import resolved
from landscape_cli.symmetry.tracing.told import tell_apart


@dataclass
class _Contents:
    """What is known of a storage, element by element: a column a layer; `holder` keeps the storage alive."""

    holder: Tensor
    labels: list[Tensor]
    terms: dict[str, list[tuple[Tensor, int]]] = field(default_factory=lambda: {"scale": [], "sign": []})


class StorageTable:
    """The storages that were written into, other than as a whole through the only tensor there is."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._nothing = int(labels.slots(1, "a tensor written into")[0])
        self._contents: dict[int, _Contents] = {}

    def holds(self, tensor: Tensor) -> bool:
        """Tell whether a tensor's storage was written into."""
        return storage_of(tensor) in self._contents

    def open(self, base: Tensor, value: Value | None) -> None:
        """Begin to keep track of a storage: all of it is `base`, of which `value` is known, else nothing is."""
        count = base.untyped_storage().nbytes() // base.element_size()
        contents = _Contents(base, [])
        self._contents[storage_of(base)] = contents
        if value is None:
            contents.labels.append(to_layer(self._labels.slots(count, "a tensor written into")))
            return
        elements = _elements(base)
        for layer in value.labels:
            contents.labels.append(self._filled(count, self._nothing, elements, layer, value.shape))
        for kind in ("scale", "sign"):
            for layer, power in getattr(value, kind):
                contents.terms[kind].append((self._filled(count, 0, elements, layer, value.shape), power))

    def load(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor by what its storage holds."""
        contents = self._contents[storage_of(tensor)]
        elements, shape = _elements(tensor), tuple(tensor.shape)
        taken = [compress(column[elements].view(shape)) for column in contents.labels]
        labels = tell_apart(self._labels, distinct(taken), shape, "a place of a tensor written into")
        terms: dict[str, Terms] = {}
        for kind, columns in contents.terms.items():
            terms[kind] = tuple(
                (layer, power)
                for layer, power in ((compress(column[elements].view(shape)), power) for column, power in columns)
                if bool(layer.any())
            )
        return Value(shape, labels, terms["scale"], terms["sign"])

    def store(self, tensor: Tensor, value: Value) -> None:
        """Take note of what was written into a storage through a view of it."""
        contents = self._contents[storage_of(tensor)]
        elements = _elements(tensor)
        free = list(range(len(contents.labels)))
        rest: list[Tensor] = []
        for layer in resolved(self._labels, value.labels):
            full = layer.expand(value.shape).reshape(-1)
            same = [k for k in free if torch.equal(self._resolved(contents.labels[k][elements]), full)]
            if same:
                free.remove(same[0])
            else:
                rest.append(full)
        for k in free:
            contents.labels[k] = contents.labels[k].clone()
            contents.labels[k][elements] = rest.pop(0) if rest else self._nothing
        for full in rest:
            contents.labels.append(self._filled(len(contents.labels[0]), self._nothing, elements, full, value.shape))
        for kind, columns in contents.terms.items():
            kept = [(column.index_fill(0, elements, 0), power) for column, power in columns]
            for layer, power in getattr(value, kind):
                kept.append((self._filled(len(contents.labels[0]), 0, elements, layer, value.shape), power))
            contents.terms[kind] = _merged(kept)

    def _resolved(self, column: Tensor) -> Tensor:
        return to_layer(self._labels.find(column.numpy()))

    @staticmethod
    def _filled(count: int, nothing: int, elements: Tensor, layer: Layer, shape: Sequence[int]) -> Tensor:
        column = torch.full((count,), nothing, dtype=torch.int64)
        full = layer if layer.numel() == len(elements) else layer.expand(tuple(shape))
        column[elements] = full.reshape(-1)
        return column


def _merged(columns: list[tuple[Tensor, int]]) -> list[tuple[Tensor, int]]:
    """Return columns of one power put together where no element has both."""
    merged: list[tuple[Tensor, int]] = []
    for column, power in columns:
        for k, (before, power_before) in enumerate(merged):
            if power_before == power and not bool(((before != 0) & (column != 0)).any()):
                merged[k] = (before + column, power)
                break
        else:
            merged.append((column, power))
    return merged


def storage_of(tensor: Tensor) -> int:
    """Return what identifies a tensor's storage while it lives."""
    return int(tensor.untyped_storage()._cdata)


def covers(tensor: Tensor) -> bool:
    """Tell whether a tensor is all of its storage, each element once."""
    count = tensor.untyped_storage().nbytes() // max(tensor.element_size(), 1)
    return tensor.numel() == count and len(torch.unique(_elements(tensor))) == count


def _elements(tensor: Tensor) -> Tensor:
    """Return where in its storage each element of a tensor lies."""
    count = tensor.untyped_storage().nbytes() // max(tensor.element_size(), 1)
    return torch.arange(count).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).reshape(-1)
