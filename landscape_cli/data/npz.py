"""Data sets of the user's, as NumPy's archives: read without unpickling, and unpacked once they are known to fit."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from landscape_cli.arguments import available_memory
from landscape_cli.choices import Task
from landscape_cli.data.checks import check_splits
from landscape_cli.data.files import KEYS, splits_of
from landscape_cli.data.source import DataSource, Split
from landscape_cli.errors import DataError, one_line, shown
from landscape_cli.io.safetensors import unchanged

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

SUFFIX = ".npz"
UNPACKED, UNPACKED_EACH = 1 << 28, 100
"""How many bytes an archive may unpack to: so many, or so many for each of its own."""
LONGEST_HEADER = 1 << 16
"""Bytes of an array's header: NumPy itself takes no more than 10 000 characters."""
BLOCK = 1 << 24
"""Bytes unpacked at once."""
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What reading a malformed archive raises."""


class NpzFile(DataSource):
    """An archive of `np.savez` or `np.savez_compressed` with `x_train`, `y_train`, `x_test` and `y_test`."""

    tasks = tuple(task.value for task in Task)

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split, Split]:
        """Return what the archive holds.

        Raises:
            DataError: if it cannot be read, lacks an array, holds Python objects or what is no number, is too large
                to be unpacked, or an array is of a shape or type that it cannot be.
        """
        path = Path(spec.name)
        try:
            with unchanged(path) as file, zipfile.ZipFile(file) as archive:
                arrays = _arrays_in(path, archive)
                promised = {name: each.promised for name, each in arrays.items()}
                check_splits(spec.name, *splits_of(path, promised, spec.objective))
                _check_unpacked(path, sum(arrays[key].size for key in KEYS))
                tensors = {key: arrays[key].read(archive) for key in KEYS}
        except OSError as cause:
            raise DataError(f"cannot read {path}: {cause.strerror or cause}") from cause
        except BROKEN as cause:
            raise DataError(
                f"{path} is not a whole .npz file ({one_line(cause, 100)}): write it with np.savez"
            ) from cause
        return splits_of(path, tensors, spec.objective)


@dataclass(frozen=True)
class _Array:
    """An array as its header describes it.

    Attributes:
        entry: where it lies in the archive.
        offset: bytes before its numbers.
        dtype: NumPy's type.
        is_transposed: whether its first index changes fastest.
        promised: the tensor that it becomes, without values.
    """

    entry: zipfile.ZipInfo
    offset: int
    dtype: np.dtype
    is_transposed: bool
    promised: Tensor

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return self.promised.numel() * self.dtype.itemsize

    def read(self, archive: zipfile.ZipFile) -> Tensor:
        """Return its numbers.

        Raises:
            EOFError: if there are fewer than it says.
        """
        numbers = np.empty(self.promised.numel(), self.dtype)
        content = memoryview(numbers.view(np.uint8))  # type: ignore[arg-type]
        with archive.open(self.entry) as file:
            file.read(self.offset)
            begin = 0
            while begin < len(content):
                block = file.read(min(BLOCK, len(content) - begin))
                if not block:
                    raise EOFError("an array ends early")
                content[begin : begin + len(block)] = block
                begin += len(block)
        numbers = numbers.astype(self.dtype.newbyteorder("="), copy=False)
        shaped = numbers.reshape(self.promised.shape, order="F" if self.is_transposed else "C")
        return torch.from_numpy(np.ascontiguousarray(shaped))


def _arrays_in(path: Path, archive: zipfile.ZipFile) -> dict[str, _Array]:
    """Return those of the arrays that a data set is made of, by name, from their headers.

    Raises:
        DataError: if one occurs twice, or is none of numbers.
    """
    arrays: dict[str, _Array] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name not in KEYS:
            continue
        if name in arrays:
            raise DataError(f"{path} holds {name} twice: write it anew with np.savez")
        with archive.open(entry) as file:
            arrays[name] = _header(path, name, entry, file)  # type: ignore[arg-type]
    return arrays


def _header(path: Path, name: str, entry: zipfile.ZipInfo, file: BinaryIO) -> _Array:
    """Return what the header of an array says, checked against how much the archive says it unpacks to."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise DataError(f"{path}: {name} has a header of version {shown(str(version))}: give an array of plain numbers")
    head = io.BytesIO(file.read(LONGEST_HEADER))  # which says itself how long it is, and would be read whole
    try:
        shape, is_transposed, dtype = readers[version](head)
    except (TokenError, MemoryError) as cause:  # of Python's parser
        raise ValueError("a header that says nothing") from cause
    begin = npy.MAGIC_LEN + head.tell()
    if dtype.hasobject:
        raise DataError(f"{path}: {name} holds Python objects, which could run code: save it as an array of numbers")
    try:
        kind = torch.from_numpy(np.empty(0, dtype.newbyteorder("="))).dtype
    except TypeError as cause:
        raise DataError(f"{path}: {name} holds {shown(str(dtype))}, expected plain numbers") from cause
    sizes = [size for size in shape if type(size) is int and size >= 0]
    if len(sizes) < len(shape) or begin + math.prod(sizes) * dtype.itemsize != entry.file_size:
        raise DataError(f"{path}: {name} is not of the shape {shown(str(shape))} that it says: write it anew")
    return _Array(entry, begin, dtype, is_transposed, torch.empty(sizes, dtype=kind, device="meta"))


def _check_unpacked(path: Path, size: int) -> None:
    """Check that an archive does not unpack to far more than it holds, or than memory does.

    Raises:
        DataError: with the sizes.
    """
    held, free = path.stat().st_size, available_memory()
    if size > max(UNPACKED, UNPACKED_EACH * held):
        raise DataError(
            f"{path} holds {held:,} bytes that unpack to {size:,}, which is too much: write it anew with np.savez, "
            "which does not compress"
        )
    if size > free:
        raise DataError(f"{path} unpacks to {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free: give a part of it")
