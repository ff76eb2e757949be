"""The tensors of a file that may be let go to make room, and are then read again whenever they are asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary, finalize

import torch
from torch import Tensor

from landscape_cli.errors import CheckpointError
from landscape_cli.io.header import Header
from landscape_cli.network import Params

LARGE = 1 << 16
"""How many numbers a tensor has that is let go."""


class FileTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, in memory until `release` lets the large ones go.

    What is read again is checked: the file, which stays open, must not have been written to, and a tensor's bits must
    have the sum that they had.
    """

    def __init__(self, path: Path, file: BinaryIO, header: Header, tensors: dict[str, Tensor]) -> None:
        """Take a file that has been read, and is still open, and its tensors."""
        self._path, self._tensors = path, tensors
        begins = {entry.name: len(header.raw) + entry.begin for entry in header.entries}
        self._begins = {name: begins[name] for name in tensors}
        self._file = os.dup(file.fileno())
        finalize(self, os.close, self._file)
        self._stamp = self._stamp_now()
        self._large = {name: _Outline(tensor) for name, tensor in tensors.items() if tensor.numel() >= LARGE}
        self._in_use: WeakValueDictionary[str, Tensor] = WeakValueDictionary()  # none is read twice at once
        self.nbytes = sum(tensor.nbytes for tensor in tensors.values())

    def release(self) -> None:
        """Let the large tensors go, as far as nobody else has them."""
        for name, outline in self._large.items():
            if name in self._tensors:
                outline.sum = _sum_of_bits(self._tensors[name])
                self._in_use[name] = self._tensors.pop(name)

    def outline(self, name: str) -> Tensor:
        """Return a tensor; in place of a large one zeros without memory, of its shape and type."""
        large = self._large.get(name)
        return self._tensors[name] if large is None else torch.zeros((), dtype=large.dtype).expand(large.shape)

    def outlined(self, names: Collection[str]) -> dict[str, Tensor]:
        """Return the tensors, the large ones among `names` as zeros without memory, in their shapes and types."""
        return {name: self.outline(name) if name in names else self[name] for name in self}

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor.

        Raises:
            CheckpointError: if it has to be read again, and is not what it was.
        """
        tensor = self._in_use.get(name) if name in self._large else None
        if tensor is None and name in self._large and name not in self._tensors:
            tensor = self._in_use[name] = self._read(name)
        return self._tensors[name] if tensor is None else tensor

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tensor, without reading it."""
        return name in self._begins

    def __iter__(self) -> Iterator[str]:
        """Yield the names, sorted."""
        return iter(self._begins)

    def __len__(self) -> int:
        """Return how many tensors there are."""
        return len(self._begins)

    def _read(self, name: str) -> Tensor:
        outline = self._large[name]
        tensor = torch.empty(outline.shape, dtype=outline.dtype)
        content = bytes_of(tensor)
        begin, offset = 0, self._begins[name]
        try:
            while begin < len(content) and (count := os.preadv(self._file, [content[begin:]], offset + begin)):
                begin += count
        except OSError as cause:
            raise CheckpointError(f"cannot read {self._path}: {cause.strerror or cause}") from cause
        if begin < len(content) or self._stamp_now() != self._stamp or _sum_of_bits(tensor) != outline.sum:
            raise CheckpointError(f"{self._path} changed while it was worked with: repeat the command")
        return tensor

    def _stamp_now(self) -> tuple[int, int]:
        now = os.fstat(self._file)
        return now.st_size, now.st_mtime_ns


class _Outline:
    """What stays of a tensor that is let go."""

    def __init__(self, tensor: Tensor) -> None:
        self.shape, self.dtype, self.sum = tensor.shape, tensor.dtype, 0


def release(params: Params, *, less_than: float = math.inf) -> None:
    """Let large tensors of a network go that can be read again, if it takes less than so many bytes."""
    if isinstance(params, FileTensors) and params.nbytes < less_than:
        params.release()


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor on the CPU."""
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type] # NumPy has a buffer


def _sum_of_bits(tensor: Tensor) -> int:
    content = tensor.reshape(-1).view(torch.uint8)
    whole = len(content) // 8 * 8
    return int(content[:whole].view(torch.int64).sum() + content[whole:].sum(dtype=torch.int64))
