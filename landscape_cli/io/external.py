"""Reading networks that other programs have saved: safetensors, or PyTorch's own files, of which no code is run."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from landscape_cli.errors import CheckpointError, one_line, shown
from landscape_cli.io.checkpoint import FORMAT
from landscape_cli.io.header import read_header
from landscape_cli.io.regular import open_regular
from landscape_cli.io.safetensors import load, looks_like_pickle, read_content
from landscape_cli.network import TYPES, Params

KEYS = ("state_dict", "model_state_dict", "model")
DEEPEST = 4
UNPACKED, UNPACKED_EACH = 1 << 28, 4
"""How many bytes an archive may unpack to: so many, or so many for each of its own."""
REMEDY = "save the state_dict alone: torch.save(model.state_dict(), FILE)"


def is_foreign(path: str | Path) -> bool:
    """Tell whether a file holds a network that `landscape` has not written; if it cannot be read, no."""
    try:
        if looks_like_pickle(Path(path)):
            return True
        with open_regular(path) as file:
            written_as = read_header(file).metadata.get("format", "")
    except (OSError, SafetensorError):
        return False
    return not written_as.startswith(FORMAT.partition("/")[0] + "/")


@dataclass(frozen=True)
class ForeignFile:
    """What another program's file holds of a network.

    Attributes:
        tensors: by the file's names.
        sha256: the digest of what was read.
        key: the entry that held them, dotted for nesting; empty if there is nothing else.
    """

    tensors: Params = field(repr=False)
    sha256: str
    key: str = ""


def read_foreign(path: str | Path) -> ForeignFile:
    """Read the tensors of a safetensors file, or of a PyTorch file without running code of it.

    The latter may be a `state_dict`, or a dictionary that holds one under one of `KEYS`.

    Raises:
        CheckpointError: if the file is missing, truncated, needs code to be read, holds something else than
            tensors, or tensors that networks do not have.
    """
    path = Path(path)
    try:
        content, digest = _load_pickle(path) if looks_like_pickle(path) else _load_safetensors(path)
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror or cause}") from cause
    tensors, key = _state_dict_in(path, content)
    for name, tensor in tensors.items():
        _check(path, name, tensor)
    return ForeignFile({name: tensor.detach() for name, tensor in tensors.items()}, digest, key)


def _load_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        tensors, _, digest = load(path)
        return tensors, digest
    except SafetensorError as cause:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({one_line(cause)}): it may be truncated"
        ) from cause


def _load_pickle(path: Path) -> tuple[Any, str]:
    content, digest = read_content(path)
    _check_unpacked(path, content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), digest
    except (OSError, MemoryError):
        raise
    except Exception as cause:  # a pickle that was made to do so can raise anything
        text = str(cause)
        if "TorchScript" in text:
            raise CheckpointError(f"{path} is a TorchScript archive, which is code: {REMEDY}") from cause
        if isinstance(cause, pickle.UnpicklingError):
            needed = re.search(r"(?:GLOBAL |global )([\w.]+)", text)
            what = f" ({shown(needed[1])})" if needed else ""
            raise CheckpointError(
                f"{path} holds more than tensors{what}, and reading that could run code, so it is refused: {REMEDY}"
            ) from cause
        raise CheckpointError(
            f"{path} is not a whole PyTorch file: it may be truncated, or of another format"
        ) from cause


def _check_unpacked(path: Path, content: bytes) -> None:
    """Refuse an archive that unpacks to far more than it holds: PyTorch's own are not compressed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeError, struct.error, EOFError):
        return  # none, or a broken one: what reads it says so
    if unpacked > max(UNPACKED, UNPACKED_EACH * len(content)):
        raise CheckpointError(
            f"{path} holds {len(content):,} bytes that unpack to {unpacked:,}, which is too much: save it anew with "
            "torch.save, which does not compress"
        )


def read_structure(path: str | Path) -> Params | None:
    """Return the tensors that a safetensors file says it holds, without values; None if it is none, or unreadable."""
    try:
        if looks_like_pickle(Path(path)):
            return None
        with open_regular(path) as file:
            return read_header(file).tensors()
    except (OSError, SafetensorError):
        return None


def _state_dict_in(path: Path, content: Any) -> tuple[dict[str, Tensor], str]:
    """Return the `state_dict` in what a file holds, and the keys that lead there."""
    keys: list[str] = []
    for _ in range(DEEPEST):
        if not isinstance(content, Mapping):
            raise CheckpointError(f"{path} holds a {type(content).__name__}, expected a state_dict: {REMEDY}")
        if not content:
            raise CheckpointError(f"{path} holds no tensors: {REMEDY}")
        foreign = [key for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
        if not foreign:
            return dict(content), ".".join(keys)
        key = next((key for key in KEYS if isinstance(content.get(key), Mapping)), None)
        if key is None:
            entries = ", ".join(f"{shown(str(key))} ({type(content[key]).__name__})" for key in foreign[:3])
            raise CheckpointError(
                f"{path} holds entries that are no tensors ({entries}), and no state_dict "
                f"under {', '.join(KEYS)}: {REMEDY}"
            )
        content = content[key]
        keys.append(key)
    raise CheckpointError(f"{path} nests dictionaries too deep: {REMEDY}")


def _check(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse tensors that are of no network, before anything is computed from them."""
    what, remedy = None, REMEDY
    if tensor.dtype not in TYPES:
        what = f"is of type {tensor.dtype}"
        remedy = "convert it, or the model, to real numbers of 16 to 64 bits"
    elif tensor.layout is not torch.strided or tensor.is_nested:
        what = f"is not stored densely ({tensor.layout})"
    elif tensor.device.type != "cpu":
        what = f"has no values (device {tensor.device})"
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        what = "has more elements than the file stores"
    if what is not None:
        raise CheckpointError(f"{path}: the tensor {shown(name)!r} {what}, which cannot be a network's: {remedy}")
