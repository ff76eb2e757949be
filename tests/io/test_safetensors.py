"""Files that others write into: what was read is what is measured, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

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


def test_files_are_those_of_safetensors_and_no_tensor_is_copied() -> None:
    tied, wide = torch.arange(6.0), torch.arange(12.0).view(3, 4)
    params: dict[str, Tensor] = {"z": tied, "b": tied, "é": wide.T, "none": torch.empty(0, 3), "one": torch.tensor(7)}
    types = (torch.float64, torch.bfloat16, torch.float16, torch.uint8, torch.bool, torch.int32)
    params |= {f"a {dtype}": torch.tensor([1, 0, 3]).to(dtype) for dtype in types}
    parts = list(safetensors.pack(params, {"b": "é", "a": "1"}))
    content = save({name: tensor.contiguous().clone() for name, tensor in params.items()}, {"b": "é", "a": "1"})
    length, expected_length = (int.from_bytes(bytes(each[:8]), "little") for each in (parts[0], content))
    header = json.loads(bytes(parts[0][8:]))
    assert header == json.loads(content[8 : 8 + expected_length])
    assert list(header["__metadata__"]) == ["a", "b"]
    assert length == len(parts[0]) - 8
    assert length % 8 == 0
    assert b"".join(parts[1:]) == content[8 + expected_length :]
    tied[0] = 9
    assert sum(bytes(part[:4]) == struct.pack("<f", 9) for part in parts[1:]) == 2
