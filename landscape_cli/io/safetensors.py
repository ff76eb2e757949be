"""Safetensors files of ours: read whole and checked, written with the same bytes for the same tensors."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from landscape_cli.errors import CheckpointError, one_line, shown
from landscape_cli.io.file_tensors import FileTensors, bytes_of
from landscape_cli.io.header import Entry, read_header
from landscape_cli.io.regular import open_regular
from landscape_cli.network import Params, outline

SUFFIXES = (".st", ".safetensors")
BLOCK = 1 << 24
"""Bytes read at once."""
CHANGED = "it changed while it was read: repeat the command once it is written"


def read_tensors(
    path: Path,
    form: str,
    remedy: str,
    *,
    check: Callable[[Mapping[str, str]], None] = lambda metadata: None,
    again: bool = False,
) -> tuple[Params, dict[str, str], str]:
    """Return the tensors, the metadata and the digest of a safetensors file of ours.

    Args:
        path: the file.
        form: what its metadata must name as its format.
        remedy: how to come by such a file.
        check: what else to raise of the metadata, before anything more is read.
        again: whether the tensors are to be `FileTensors`, which may be let go and read again.

    Raises:
        CheckpointError: if the file is missing, truncated, or of another format.
    """

    def check_format(metadata: Mapping[str, str]) -> None:
        actual = metadata.get("format")
        if actual != form:
            what = "has no 'format' in its metadata" if actual is None else f"has the format {shown(actual)!r}"
            raise CheckpointError(f"{path} {what}, expected {form!r}: {remedy}")
        check(metadata)

    _check_looks_like_safetensors(path)
    try:
        return load(path, check_format, again=again)
    except SafetensorError as cause:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({one_line(cause)}): it may be truncated, or of another format"
        ) from cause
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror or cause}") from cause


def load(
    path: Path, check: Callable[[Mapping[str, str]], None] = lambda metadata: None, *, again: bool = False
) -> tuple[Params, dict[str, str], str]:
    """Return the tensors of any safetensors file, sorted by name, its metadata, and the digest of what was read.

    What `check` raises of the metadata comes before the tensors are read.

    The file is read once, into memory: whoever writes into it later changes nothing. With `again` the tensors are
    `FileTensors`.

    Raises:
        SafetensorError: if it is none, or not a whole one.
        OSError: if it cannot be read, or changes meanwhile.
    """
    with unchanged(path) as file:
        header = read_header(file)
        check(header.metadata)
        digest = hashlib.sha256(header.raw)
        found = {entry.name: _read_tensor(file, entry, digest) for entry in header.entries}
        tensors: Params = {name: found[name] for name in sorted(found)}
        tensors = FileTensors(path, file, header, dict(tensors)) if again else tensors
    return tensors, dict(header.metadata), digest.hexdigest()


def read_content(path: Path) -> tuple[bytes, str]:
    """Return the content of a file, which is read once, and its SHA-256.

    Raises:
        OSError: if it cannot be read, or changes meanwhile.
    """
    with unchanged(path) as file:
        content = file.read(os.fstat(file.fileno()).st_size)
    return content, hashlib.sha256(content).hexdigest()


@contextmanager
def unchanged(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be read, and check afterwards that nobody has written into it meanwhile."""
    with open_regular(path) as file:
        before = os.fstat(file.fileno())
        yield file
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(errno.EBUSY, CHANGED)


def _read_tensor(file: BinaryIO, entry: Entry, digest: Any) -> Tensor:
    """Return the next tensor of a file, in memory of its own."""
    try:
        tensor = torch.empty(entry.shape, dtype=entry.dtype)
    except (RuntimeError, TypeError, OverflowError) as cause:
        if "allocate" in str(cause):
            raise
        raise SafetensorError("invalid shape") from cause
    if not tensor.numel():
        return tensor
    content = bytes_of(tensor)
    begin = 0
    while begin < len(content):
        count = file.readinto(content[begin : begin + BLOCK])  # type: ignore[attr-defined]
        if not count:
            raise OSError(errno.EBUSY, CHANGED)
        digest.update(content[begin : begin + count])
        begin += count
    return tensor


def looks_like_pickle(path: Path) -> bool:
    """Tell whether a file begins as those of `torch.save` and of `pickle` do.

    Raises:
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        start = file.read(9)
        size = file.seek(0, 2)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
        return False  # a safetensors file whose header happens to have such a length: 640, 896, ... bytes
    return start[:4] == b"PK\x03\x04" or start[:2] in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def pack(
    params: Params, metadata: Mapping[str, str], *, check: Callable[[str, Tensor], None] = lambda name, tensor: None
) -> Iterator[bytes | memoryview]:
    """Yield the content of a safetensors file in parts: the same for the same tensors and metadata, each time.

    Tensors on the CPU are not copied, and must stay as they are until the parts are written; each is asked for, given
    to `check`, and let go before the next.
    """
    outlines = ((name, outline(params, name)) for name in params)
    kinds = {name: (torch.empty(0, dtype=t.dtype), list(t.shape), t.nbytes) for name, t in outlines}
    order = json.loads(save({name: empty for name, (empty, *_) in kinds.items()})[8:])  # by dtype, name
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, entry in order.items():
        _, shape, size = kinds[name]
        header[name] = entry | {"shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for name in order:
        if kinds[name][2]:
            tensor = params[name]
            check(name, tensor)
            yield bytes_of(tensor.detach().cpu().contiguous())
            del tensor


def _check_looks_like_safetensors(path: Path) -> None:
    """Turn the mistakes people make into messages that name them."""
    try:
        pickled = looks_like_pickle(path)
        with open_regular(path) as file:
            start = file.read(9)
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror or cause}") from cause
    if pickled:
        raise CheckpointError(
            f"{path} is a pickle, which landscape has not written: give it to a command with `model=` and "
            "`input_shape=`"
        )
    if len(start) < 9 or start[8:9] != b"{":
        raise CheckpointError(
            f"{path} is neither a safetensors file nor one of PyTorch's: it may be empty or truncated"
        )
