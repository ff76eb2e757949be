"""The one reader and writer of checkpoints: a `state_dict` in safetensors, and where it came from in the metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor

from landscape_cli.arguments import check_kind
from landscape_cli.arguments import check_tensors as check_params
from landscape_cli.errors import CheckpointError, shown
from landscape_cli.io.atomic import write_atomic
from landscape_cli.io.export import PICKLES, Layout, check_export_name, export_content
from landscape_cli.io.header import read_header
from landscape_cli.io.origin import Origin
from landscape_cli.io.regular import open_regular
from landscape_cli.io.safetensors import SUFFIXES, pack, read_tensors
from landscape_cli.network import TYPES, ModelSpec, Params, all_finite, outline

FORMAT = "landscape/1"
OPTIONAL = {
    "normalized": "give Normalization.normalized",
    "preprocessing": "give Preprocessing.to_record()",
    "objective": "give Objective.record()",
}
"""The metadata keys that not every checkpoint has, and what a `Checkpoint` made in Python takes there."""
REMEDY = "only checkpoints written by `landscape train`, `normalize` or `align` carry it"


class StoredForm(Protocol):
    """How a file holds a network that is worked with in another form (`models/effective.py`)."""

    @property
    def unheld(self) -> Sequence[str]:
        """The names of the tensors because of which another network is written plain."""

    def stored(self, params: Params) -> Params:
        """Return a network as such a file holds it."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network and its provenance, as one safetensors file holds them.

    Attributes:
        params: the network's tensors.
        model: which model they belong to.
        data: the data set it was trained on: name, sizes, mean and deviation if they are standardised.
        history: every command that made it, oldest first.
        metrics: errors and losses measured when it was made.
        normalized: how it was normalised (docs/method.md: Normalize), or None.
        origin: what another program's file, in which it was once, called its tensors; None if that says nothing.
        path: the file it was read from, as the user named it; empty for a new one.
        sha256: the file's digest; empty for a new one.
        files: the digests of the files that it was read from, where they are several or in a folder that `path` names.
        layout: of the model's `state_dict`, for files that others read; it is not written into checkpoints.
        preprocessing: how it sees inputs, where `data` does not say: `Preprocessing.to_record()`.
        objective: what it was trained for, if that is not classification: `Objective.record()`.
        form: how files hold it, if not as `params` are: in it it is written.
    """

    params: Params = field(repr=False)
    model: ModelSpec
    data: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    normalized: Mapping[str, Any] | None = None
    origin: Origin | None = None
    path: str = ""
    sha256: str = ""
    layout: Layout = field(default_factory=Layout, repr=False)
    preprocessing: Mapping[str, Any] | None = None
    objective: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    form: StoredForm | None = field(default=None, repr=False)

    @property
    def stored(self) -> Params:
        """The tensors as a file holds them."""
        return self.params if self.form is None else self.form.stored(self.params)

    @property
    def inputs(self) -> Mapping[str, str]:
        """The digest of every file that was read, by its name, as a provenance lists them."""
        return self.files or {self.path: self.sha256}


def read_checkpoint(path: str | Path, *, again: bool = False) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        path: a file that `write_checkpoint` or the command line wrote.
        again: whether its tensors may be let go and read again (`FileTensors`).

    Returns:
        The network, its tensors on the CPU in the file's dtypes, and all that is recorded of it.

    Raises:
        CheckpointError: if the file is missing, truncated, of another format, lacks a metadata key,
            or holds a tensor that is not finite.
    """
    path = Path(path)
    params, metadata, digest = read_tensors(path, FORMAT, REMEDY, again=again)
    check_tensors(path, params)
    optional = {key: _json(path, metadata, key, dict) for key in OPTIONAL if key in metadata}
    try:
        model = ModelSpec.from_json(_json(path, metadata, "model", dict))
    except ValueError as cause:
        raise CheckpointError(f"{path}: the metadata key 'model' is malformed: {cause}") from cause
    try:
        origin = Origin.from_json(_json(path, metadata, "origin", dict)) if "origin" in metadata else None
    except ValueError as cause:
        raise CheckpointError(f"{path}: the metadata key 'origin' is malformed: {cause}") from cause
    history = _json(path, metadata, "history", list)
    if not all(isinstance(step, dict) for step in history):
        raise CheckpointError(f"{path}: the metadata key 'history' must list JSON objects")
    return Checkpoint(
        params=params,
        model=model,
        data=_json(path, metadata, "data", dict),
        history=tuple(history),
        metrics=_json(path, metadata, "metrics", dict),
        origin=origin,
        path=str(path),
        sha256=digest,
        **optional,
    )


def read_structure(path: str | Path) -> tuple[ModelSpec, Params] | None:
    """Return which model a checkpoint is of, and its tensors without values, of its header alone.

    Returns:
        None if the file cannot be read, or is malformed: `read_checkpoint` says why.
    """
    try:
        with open_regular(path) as file:
            header = read_header(file)
        spec = ModelSpec.from_json(_json(Path(path), header.metadata, "model", dict))
        return None if header.metadata.get("format") != FORMAT else (spec, header.tensors())
    except (OSError, SafetensorError, CheckpointError, ValueError):
        return None


def check_checkpoint_name(path: Path) -> None:
    """Check that a checkpoint to be written is named as one.

    Raises:
        CheckpointError: if the suffix is neither a checkpoint's nor a plain `state_dict`'s.
    """
    if path.suffix not in (*SUFFIXES, *PICKLES):
        raise CheckpointError(
            f"{path} must end in {' or '.join(SUFFIXES)}: checkpoints are safetensors files; or in "
            f"{', '.join(PICKLES)} for a plain state_dict"
        )


def write_checkpoint(path: str | Path, checkpoint: Checkpoint, *, force: bool = False) -> None:
    """Write a checkpoint whole or not at all; the same checkpoint always gives the same bytes.

    Args:
        path: the file to write, `.st` or `.safetensors`, in a folder that is there; a plain `state_dict`, as
            `write_state_dict` writes it, if it ends in `.pt`, `.pth` or `.bin`.
        checkpoint: what to write; tensors keep their dtypes. Its `path` and `sha256` are not written.
        force: whether to replace a file.

    Raises:
        CheckpointError: if the name is not a checkpoint's, the folder is missing, the file exists
            (without `force`), a tensor is not finite, something beside the tensors is no JSON, or the disk refuses.
        ModelError: if the tensors are no tensors by name.
    """
    path = Path(path)
    write_atomic(path, _content(path, checkpoint), force=force, error=CheckpointError)


def write_state_dict(path: str | Path, checkpoint: Checkpoint, *, force: bool = False) -> None:
    """Write a network as a plain `state_dict`, for its owner's `load_state_dict(strict=True)`; whole or not at all.

    Args:
        path: the file to write: `.pt`, `.pth` or `.bin` for what `torch.load(weights_only=True)` reads, or
            `.safetensors`, in a folder that is there.
        checkpoint: the network; tensors keep their dtypes. Nothing else of it is written.
        force: whether to replace a file.

    Raises:
        CheckpointError: as `write_checkpoint` does.
        ModelError: if the tensors are no tensors by name.
    """
    path = Path(path)
    check_export_name(path)
    checkpoint = _checked(checkpoint)
    check_tensors(path, checkpoint.params)
    write_atomic(path, export_content(path, checkpoint), force=force, error=CheckpointError)


def _content(path: Path, checkpoint: Checkpoint) -> Iterable[bytes | memoryview]:
    """Return the bytes of a checkpoint's file, in parts.

    Raises:
        CheckpointError: if the name or something that it holds is none of a checkpoint's.
    """
    check_checkpoint_name(path)
    checkpoint = _checked(checkpoint)
    if path.suffix in PICKLES:
        check_tensors(path, checkpoint.params)
        return export_content(path, checkpoint)
    values: dict[str, Any] = {
        "model": checkpoint.model.to_json(),
        "data": dict(checkpoint.data),
        "history": [dict(step) for step in checkpoint.history],
        "metrics": dict(checkpoint.metrics),
    }
    values |= {key: dict(value) for key in OPTIONAL if (value := getattr(checkpoint, key)) is not None}
    if checkpoint.origin is not None:
        values["origin"] = checkpoint.origin.to_json()
    try:
        metadata = {"format": FORMAT} | {key: json.dumps(value, sort_keys=True) for key, value in values.items()}
    except (TypeError, ValueError) as cause:
        raise CheckpointError(f"{path}: what a checkpoint says of its network must be JSON values: {cause}") from cause
    for name in checkpoint.params:
        _check_type(path, name, outline(checkpoint.params, name))
    return pack(checkpoint.params, metadata, check=partial(_check_finite, path))


def _checked(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint in the form of its file, having checked that it holds what it should.

    Raises:
        CheckpointError: if something is of another kind.
        ModelError: if the tensors are no tensors by name.
    """
    remedy = "give a Checkpoint, as in Checkpoint(params, spec, data.record)"
    check_kind("checkpoint", checkpoint, Checkpoint, remedy, CheckpointError)
    check_params(checkpoint.params)
    check_kind("model", checkpoint.model, ModelSpec, "give the model's ModelSpec", CheckpointError)
    for name in ("data", "metrics"):
        check_kind(name, getattr(checkpoint, name), Mapping, "give a dict, such as data.record or {}", CheckpointError)
    for name, remedy in OPTIONAL.items():
        if getattr(checkpoint, name) is not None:
            check_kind(name, getattr(checkpoint, name), Mapping, remedy, CheckpointError)
    if checkpoint.origin is not None:
        check_kind("origin", checkpoint.origin, Origin, "give that of a network that was read", CheckpointError)
    check_kind("history", checkpoint.history, (tuple, list), "give the steps, each a dict", CheckpointError)
    for step in checkpoint.history:
        check_kind("history", step, Mapping, "give the steps, each a dict", CheckpointError)
    return checkpoint if checkpoint.form is None else replace(checkpoint, params=checkpoint.stored, form=None)


def check_tensors(path: str | Path, params: Params) -> None:
    """Check that tensors are of types that networks have, and finite.

    Raises:
        CheckpointError: naming the tensor.
    """
    for name, tensor in params.items():
        _check_type(path, name, tensor)
        _check_finite(path, name, tensor)


def _check_type(path: str | Path, name: str, tensor: Tensor) -> None:
    if tensor.dtype not in TYPES:
        raise CheckpointError(
            f"{path}: the tensor {shown(name)!r} is of type {tensor.dtype}, which networks do not have"
        )


def _check_finite(path: str | Path, name: str, tensor: Tensor) -> None:
    if not all_finite(tensor):
        raise CheckpointError(f"{path}: the tensor {shown(name)!r} holds NaN or Inf: this network cannot be used")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, none of whose keys occurs twice: of two values readers choose differently."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _json(path: Path, metadata: Mapping[str, str], key: str, kind: type) -> Any:
    if key not in metadata:
        raise CheckpointError(f"{path}: the metadata key {key!r} is missing: {REMEDY}")
    try:
        value = json.loads(metadata[key], object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as cause:
        raise CheckpointError(f"{path}: the metadata key {key!r} is not JSON: {cause}") from cause
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: the metadata key {key!r} must be a JSON {kind.__name__}")
    return value


def to_device(network: Checkpoint, device: torch.device) -> dict[str, Tensor]:
    """Return a checkpoint's tensors on a device, where what is made of them then happens."""
    return {name: tensor.to(device) for name, tensor in network.params.items()}
