"""Files that others write into: what was read is what is measured, and its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.data.datasets import DataSpec
from landscape_cli.data.files import SafetensorsFile
from landscape_cli.errors import CheckpointError, DataError
from landscape_cli.io import safetensors
from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from landscape_cli.io.external import read_foreign
from landscape_cli.network import ModelSpec, Params

PARAMS = {"a": torch.arange(5000.0), "b": torch.ones(3, 2, dtype=torch.float64)}


def ours(path: Path) -> tuple[Params, str]:
    network = read_checkpoint(path)
    return network.params, network.sha256


def write(path: Path) -> None:
    """Write a file of the kind that its suffix says."""
    if path.suffix == ".pt":
        torch.save(PARAMS, path)
    elif path.suffix == ".safetensors":
        save_file(PARAMS, path)
    else:
        write_checkpoint(path, Checkpoint(PARAMS, ModelSpec("mlp", {}, (3,), 2), {}))


def theirs(path: Path) -> tuple[Params, str]:
    file = read_foreign(path)
    return file.entry.tensors, file.sha256


KINDS: dict[str, Callable[[Path], tuple[Params, str]]] = {"a.st": ours, "a.safetensors": theirs, "a.pt": theirs}
WRITERS: dict[str, Callable[[Path], Any]] = {
    "zeros in place": lambda path: _write_into(path, bytes(path.stat().st_size)),
    "cut off": lambda path: path.write_bytes(b""),
    "another": lambda path: path.write_bytes(path.read_bytes() + b"more"),
}


def _write_into(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_read_stays(tmp_path: Path, name: str, writer: str) -> None:
    path = tmp_path / name
    write(path)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    params, digest = KINDS[name](path)
    WRITERS[writer](path)
    assert digest == expected
    assert all(torch.equal(params[key], PARAMS[key]) for key in PARAMS)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_changes_as_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, writer: str
) -> None:
    path = tmp_path / name
    write(path)
    opened = safetensors.unchanged
    os.utime(path, (1, 1))  # or both writings might be within one tick of the clock

    @contextmanager
    def written_into(path: Path) -> Iterator[BinaryIO]:
        with opened(path) as file:
            WRITERS[writer](path)
            yield file

    monkeypatch.setattr(safetensors, "unchanged", written_into)
    with pytest.raises(CheckpointError, match=r"it changed while it was read|not a whole"):
        KINDS[name](path)


def test_data_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "data.safetensors"
    tensors = {"x_train": torch.ones(4, 2), "y_train": torch.arange(4), "x_test": torch.ones(2, 2)}
    save_file(tensors | {"y_test": torch.arange(2)}, path)
    train, _ = SafetensorsFile().load(DataSpec(str(path)), download=False)
    path.write_bytes(b"")
    assert torch.equal(train.x, tensors["x_train"])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        SafetensorsFile().load(DataSpec(str(path)), download=False)
