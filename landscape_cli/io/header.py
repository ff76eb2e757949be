"""The header of a safetensors file: read and checked before anything that it promises is read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from torch import Tensor

LONGEST = 100_000_000
"""The longest header that safetensors allows, in bytes."""
LENGTH = 8
"""Bytes before the header, which hold its length."""
TYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it.

    Attributes:
        name: of the tensor.
        dtype: of its elements.
        shape: its sizes.
        begin: where it begins, counted from the end of the header.
        end: where it ends.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file says that it holds.

    Attributes:
        entries: its tensors, in the order in which they lie in the file, without gaps.
        metadata: text by key.
        raw: the bytes before the tensors.
    """

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]
    raw: bytes

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors without values, sorted by name.

        Raises:
            SafetensorError: if one has no shape that a tensor can have.
        """
        try:
            shapes = {entry.name: torch.empty(entry.shape, dtype=entry.dtype, device="meta") for entry in self.entries}
        except (RuntimeError, TypeError, OverflowError) as cause:
            raise SafetensorError("invalid shape") from cause
        return {name: shapes[name] for name in sorted(shapes)}


def read_header(file: BinaryIO) -> Header:
    """Return the header of a file that is open at its beginning, and check that it describes the file to its end.

    Raises:
        SafetensorError: if it is none, or the file is shorter or longer than it says.
        OSError: if it cannot be read.
    """
    size = os.fstat(file.fileno()).st_size
    start = file.read(LENGTH)
    length = int.from_bytes(start, "little")
    if len(start) < LENGTH:
        raise SafetensorError("header too small")
    if length > LONGEST:
        raise SafetensorError("header too large")
    if LENGTH + length > size:
        raise SafetensorError("invalid header length")
    text = file.read(length)
    if len(text) < length:
        raise SafetensorError("invalid header length")
    content = _parse(text)
    metadata = _metadata_in(content)
    entries = sorted(
        (_entry(name, value) for name, value in content.items()), key=lambda entry: (entry.begin, entry.end)
    )
    end = 0
    for entry in entries:
        if entry.begin != end:
            raise SafetensorError("invalid offsets: tensors overlap, or there are gaps between them")
        end = entry.end
    if LENGTH + length + end != size:
        raise SafetensorError("incomplete metadata, file not fully covered")
    return Header(tuple(entries), metadata, start + text)


def _parse(text: bytes) -> dict[str, Any]:
    """Return the header's JSON object, of whose keys none occurs twice."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            raise SafetensorError("invalid header: a key occurs twice")
        return values

    try:
        decoded = text.decode()
        content = json.loads(decoded, object_pairs_hook=distinct, parse_constant=int)  # NaN is no JSON
        json.dumps(content, ensure_ascii=False).encode()  # text that is none, such as half a pair of surrogates
    except (ValueError, RecursionError) as cause:
        raise SafetensorError("invalid header") from cause
    if not decoded.startswith("{") or not isinstance(content, dict):
        raise SafetensorError("invalid header start")
    return content


def _metadata_in(content: dict[str, Any]) -> dict[str, str]:
    """Return the metadata, which leave the header's content."""
    metadata = content.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SafetensorError("invalid header: the metadata are not text by key")
    return metadata


def _entry(name: str, value: Any) -> Entry:
    """Return what the header says of one tensor.

    Raises:
        SafetensorError: if that is no tensor.
    """
    try:
        dtype, shape, (begin, end) = TYPES[value["dtype"]], tuple(value["shape"]), value["data_offsets"]
    except (KeyError, TypeError, ValueError) as cause:
        raise SafetensorError("invalid header: a tensor without type, shape or offsets that are known") from cause
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise SafetensorError("invalid header: sizes and offsets must be whole numbers")
    elements = 0 if 0 in shape else 1
    for size in shape:
        elements *= size
        if elements > end:  # numbers without bound take time without bound
            break
    if end - begin != elements * dtype.itemsize:
        raise SafetensorError("invalid shape, data type, or offset for tensor")
    return Entry(name, dtype, shape, begin, end)
