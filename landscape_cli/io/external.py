"""Reading networks that other programs have saved: safetensors, or PyTorch's own files, of which no code is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from landscape_cli.errors import CheckpointError, one_line, shown
from landscape_cli.io.checkpoint import FORMAT
from landscape_cli.io.entries import Entry, find_network, tensors_under
from landscape_cli.io.header import read_header
from landscape_cli.io.pickled import REMEDY, load_pickle
from landscape_cli.io.regular import open_regular
from landscape_cli.io.safetensors import load, looks_like_pickle
from landscape_cli.io.shards import find_files, is_set
from landscape_cli.network import AS_PAIRS, TYPES, Params


def is_foreign(path: str | Path) -> bool:
    """Tell whether a file or folder holds a network that `landscape` has not written; if it cannot be read, no."""
    path = Path(path)
    try:
        if path.is_dir() or is_set(path) or looks_like_pickle(path):
            return True
        with open_regular(path) as file:
            written_as = read_header(file).metadata.get("format", "")
    except (OSError, SafetensorError):
        return False
    return not written_as.startswith(FORMAT.partition("/")[0] + "/")


@dataclass(frozen=True)
class ForeignFile:
    """What another program's file, or files, hold of a network.

    Attributes:
        entry: the tensors, and where they were.
        files: the SHA-256 of every file that was read.
    """

    entry: Entry = field(repr=False)
    files: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """The digest of the file; of several, that of the lines that `sha256sum` writes of them."""
        if len(self.files) == 1:
            return next(iter(self.files.values()))
        lines = "".join(f"{digest}  {Path(name).name}\n" for name, digest in self.files.items())
        return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()

    def files_apart(self, path: Path) -> Mapping[str, str]:
        """Return what was read, where that is not the one file of this name."""
        return {} if self.files.keys() == {str(path)} else self.files


def read_foreign(path: str | Path, key: str = "") -> ForeignFile:
    """Read the tensors of a safetensors file, or of a PyTorch file without running code of it.

    The latter may be a `state_dict`, or a dictionary that holds one. A folder, an index or one shard that transformers
    has saved stands for all files of the network.

    Args:
        path: the file or folder.
        key: the entry that holds the network, dotted for nesting; by default the first of the usual ones.

    Raises:
        CheckpointError: if the file is missing, truncated, needs code to be read, holds something else than
            tensors, or tensors that networks do not have; if shards are missing, or not of one network.
    """
    path = Path(path)
    try:
        found = find_files(path)
        contents = {file: _load(file) for file in found.files}
    except OSError as cause:
        raise CheckpointError(f"cannot read {cause.filename or path}: {cause.strerror or cause}") from cause
    digests = {str(file): digest for file, (_, digest) in contents.items()}
    if found.index is None:
        [(content, _)] = contents.values()
        entry = find_network(str(path), content, key)
    else:
        entries = {file: find_network(str(file), content).tensors for file, (content, _) in contents.items()}
        found.check_names(entries)
        digests = {str(found.index): found.sha256} | digests
        merged = {name: tensor for tensors in entries.values() for name, tensor in tensors.items()}
        entry = Entry(tensors_under(str(path), merged, key))
    for name, tensor in entry.tensors.items():
        _check(path, name, tensor)
    return ForeignFile(replace(entry, tensors={n: t.detach() for n, t in entry.tensors.items()}), digests)


def read_structure(path: str | Path, key: str = "") -> Params | None:
    """Return the tensors that safetensors files say they hold, without values; None if they are none, or unreadable."""
    try:
        found = find_files(Path(path))
        if any(map(looks_like_pickle, found.files)):
            return None
        parts = {}
        for each in found.files:
            with open_regular(each) as file:
                parts[each] = read_header(file).tensors()
        found.check_names(parts)
        merged = {name: tensor for part in parts.values() for name, tensor in part.items()}
        return tensors_under(str(path), merged, key)
    except (OSError, SafetensorError, CheckpointError):
        return None


def _load(path: Path) -> tuple[Any, str]:
    """Return what a file holds, and its digest."""
    if looks_like_pickle(path):
        return load_pickle(path)
    try:
        tensors, _, digest = load(path)
        return tensors, digest
    except SafetensorError as cause:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({one_line(cause)}): it may be truncated"
        ) from cause


def _check(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse tensors that are of no network, before anything is computed from them."""
    what, remedy = None, REMEDY
    if tensor.dtype not in TYPES:
        what = f"is of type {tensor.dtype}"
        remedy = AS_PAIRS if tensor.is_complex() else "convert it, or the model, to real numbers of 16 to 64 bits"
    elif tensor.layout is not torch.strided or tensor.is_nested:
        what = f"is not stored densely ({tensor.layout})"
    elif tensor.device.type != "cpu":
        what = f"has no values (device {tensor.device})"
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        what = "has more elements than the file stores"
    if what is not None:
        raise CheckpointError(f"{path}: the tensor {shown(name)!r} {what}, which cannot be a network's: {remedy}")
