"""The one reader and writer of checkpoints: a `state_dict` in safetensors, and where it came from in the metadata."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import write_atomic

Params = Mapping[str, Tensor]
"""A network: the tensors of a `state_dict`, under PyTorch's own names."""

FORMAT = "landscape/1"
SUFFIXES = (".st", ".safetensors")
TYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
TYPES |= {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
LONGEST_SHOWN = 100
REMEDY = "only checkpoints written by `landscape train`, `normalize` or `align` carry it"


@dataclass(frozen=True)
class ModelSpec:
    """Which model a checkpoint belongs to: enough to build it again.

    Attributes:
        name: the model's name in the registry.
        arguments: the registry entry's keyword arguments, as JSON values.
        input_shape: the shape of one input, without the batch.
        outputs: the number of outputs: classes, or 1 for a sign.
    """

    name: str
    arguments: Mapping[str, Any]
    input_shape: tuple[int, ...]
    outputs: int

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the checkpoint's metadata holds."""
        return {
            "name": self.name,
            "arguments": dict(self.arguments),
            "input_shape": list(self.input_shape),
            "outputs": self.outputs,
        }

    @classmethod
    def from_json(cls, value: Any) -> ModelSpec:
        """Read the JSON object back, checking every field.

        Raises:
            ValueError: if a field is missing or of the wrong kind.
        """
        if not isinstance(value, dict):
            raise ValueError("it is not a JSON object")
        name, arguments = value.get("name"), value.get("arguments")
        shape, outputs = value.get("input_shape"), value.get("outputs")
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise ValueError("'name' must be text and 'arguments' an object")
        if not isinstance(shape, list) or not shape or not all(_is_positive(size) for size in shape):
            raise ValueError("'input_shape' must list positive whole numbers")
        if not isinstance(outputs, int) or not _is_positive(outputs):
            raise ValueError("'outputs' must be a positive whole number")
        return cls(name, arguments, tuple(shape), outputs)


@dataclass(frozen=True)
class Checkpoint:
    """A network and its provenance, as one safetensors file holds them.

    Attributes:
        params: the network's tensors.
        model: which model they belong to.
        data: the data set it was trained on: name, sizes, preprocessing.
        history: every command that made it, oldest first.
        metrics: errors and losses measured when it was made.
        normalized: how it was normalised (SPEC 2), or None.
        path: the file it was read from, as the user named it; empty for a new one.
        sha256: the file's digest; empty for a new one.
    """

    params: Params
    model: ModelSpec
    data: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    normalized: Mapping[str, Any] | None = None
    path: str = ""
    sha256: str = ""


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: if the file is missing, truncated, of another format, lacks a metadata key,
            or holds a tensor that is not finite.
    """
    path = Path(path)
    params, metadata, digest = read_tensors(path, FORMAT, REMEDY)
    check_tensors(path, params)
    normalized = _json(path, metadata, "normalized", dict) if "normalized" in metadata else None
    try:
        model = ModelSpec.from_json(_json(path, metadata, "model", dict))
    except ValueError as cause:
        raise CheckpointError(f"{path}: the metadata key 'model' is malformed: {cause}") from cause
    history = _json(path, metadata, "history", list)
    if not all(isinstance(step, dict) for step in history):
        raise CheckpointError(f"{path}: the metadata key 'history' must list JSON objects")
    return Checkpoint(
        params=params,
        model=model,
        data=_json(path, metadata, "data", dict),
        history=tuple(history),
        metrics=_json(path, metadata, "metrics", dict),
        normalized=normalized,
        path=str(path),
        sha256=digest,
    )


def read_tensors(path: Path, form: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, str], str]:
    """Return the tensors, the metadata and the digest of a safetensors file of ours.

    Args:
        path: the file.
        form: what its metadata must name as its format.
        remedy: how to come by such a file.

    Raises:
        CheckpointError: if the file is missing, truncated, or of another format.
    """
    _check_looks_like_safetensors(path)
    try:
        digest = digest_of(path)
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            params = {name: opened.get_tensor(name) for name in sorted(opened.keys())}
    except SafetensorError as cause:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({cause}): it may be truncated, or of another format"
        ) from cause
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror or cause}") from cause
    found = metadata.get("format")
    if found != form:
        what = "has no 'format' in its metadata" if found is None else f"has the format {found!r}"
        raise CheckpointError(f"{path} {what}, expected {form!r}: {remedy}")
    return params, metadata, digest


def looks_like_pickle(path: Path) -> bool:
    """Tell whether a file begins as those of `torch.save` and of `pickle` do.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(9)
        size = file.seek(0, 2)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
        return False  # a safetensors file whose header happens to have such a length: 640, 896, ... bytes
    return start[:4] == b"PK\x03\x04" or start[:2] in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def digest_of(path: Path) -> str:
    """Return a file's SHA-256.

    Raises:
        OSError: if it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shown(name: str) -> str:
    """Return a name from a file as a message can show it: one short line without control characters."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def check_checkpoint_name(path: Path) -> None:
    """Check that a checkpoint to be written is named as one.

    Raises:
        CheckpointError: if the suffix is neither `.st` nor `.safetensors`.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path} must end in {' or '.join(SUFFIXES)}: checkpoints are safetensors files")


def write_checkpoint(path: str | Path, checkpoint: Checkpoint, *, force: bool = False) -> None:
    """Write a checkpoint whole or not at all; the same checkpoint always gives the same bytes.

    Raises:
        CheckpointError: if the name is not a checkpoint's, the folder is missing, the file exists
            (without `force`), a tensor is not finite, or the disk refuses.
    """
    path = Path(path)
    check_checkpoint_name(path)
    check_tensors(path, checkpoint.params)
    values: dict[str, Any] = {
        "model": checkpoint.model.to_json(),
        "data": dict(checkpoint.data),
        "history": [dict(step) for step in checkpoint.history],
        "metrics": dict(checkpoint.metrics),
    }
    if checkpoint.normalized is not None:
        values["normalized"] = dict(checkpoint.normalized)
    metadata = {"format": FORMAT} | {key: json.dumps(value, sort_keys=True) for key, value in values.items()}
    write_atomic(path, pack(checkpoint.params, metadata), force=force, error=CheckpointError)


def pack(params: Params, metadata: Mapping[str, str]) -> bytes:
    """Return the content of a safetensors file: the same for the same tensors and metadata, each time."""
    tensors: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in params.items():
        tensors[name] = tensor.detach().cpu().contiguous()
        storage = tensors[name].untyped_storage().data_ptr()
        if storage in storages:  # safetensors refuses memory that is shared, as tied parameters' is
            tensors[name] = tensors[name].clone()
        storages.add(storage)
    return _with_sorted_header(save(tensors, metadata=dict(metadata)))


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_looks_like_safetensors(path: Path) -> None:
    """Turn the mistakes people make into messages that name them."""
    try:
        pickled = looks_like_pickle(path)
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as cause:
        raise CheckpointError(f"cannot read {path}: {cause.strerror or cause}") from cause
    if pickled:
        raise CheckpointError(
            f"{path} is a pickle, which landscape has not written: give it to a command with --model and --input-shape"
        )
    if len(start) < 9 or start[8:9] != b"{":
        raise CheckpointError(
            f"{path} is neither a safetensors file nor one of PyTorch's: it may be empty or truncated"
        )


def check_tensors(path: str | Path, params: Params) -> None:
    """Check that tensors are of types that networks have, and finite.

    Raises:
        CheckpointError: naming the tensor.
    """
    for name, tensor in params.items():
        if tensor.dtype not in TYPES:
            raise CheckpointError(
                f"{path}: the tensor {shown(name)!r} is of type {tensor.dtype}, which networks do not have"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: the tensor {shown(name)!r} holds NaN or Inf: this network cannot be used")


def _json(path: Path, metadata: Mapping[str, str], key: str, kind: type) -> Any:
    if key not in metadata:
        raise CheckpointError(f"{path}: the metadata key {key!r} is missing: {REMEDY}")
    try:
        value = json.loads(metadata[key])
    except (ValueError, RecursionError) as cause:
        raise CheckpointError(f"{path}: the metadata key {key!r} is not JSON: {cause}") from cause
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: the metadata key {key!r} must be a JSON {kind.__name__}")
    return value


def _with_sorted_header(content: bytes) -> bytes:
    """Return the same file with its header's metadata sorted: safetensors writes it in a random order."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]
