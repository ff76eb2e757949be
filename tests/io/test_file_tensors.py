"""Tensors that are let go and read again are those that were there, or the file is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from landscape_cli.errors import CheckpointError
from landscape_cli.io.file_tensors import LARGE, FileTensors, release
from landscape_cli.io.safetensors import load, pack


def written(path: Path, dtype: torch.dtype = torch.float32) -> FileTensors:
    source = torch.Generator().manual_seed(0)
    tensors = {"small": torch.arange(3.0), "b": torch.randn(LARGE + 1, generator=source).to(dtype)}
    path.write_bytes(b"".join(pack(tensors | {"a": tensors["b"].flip(0)}, {"format": "x"})))
    found, _, _ = load(path, again=True)
    assert isinstance(found, FileTensors)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_let_go_is_read_again_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = written(tmp_path / "a.st", dtype)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    release(tensors, less_than=tensors.nbytes)
    assert tensors["b"] is tensors["b"]
    release(tensors)
    assert list(tensors) == sorted(before)
    assert "b" in tensors
    held = tensors["b"]
    assert tensors["b"] is held, "none is in memory twice"
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())


def test_a_replaced_file_is_still_there_and_one_that_is_written_into_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.st"
    tensors = written(path)
    expected = tensors["b"].clone()
    release(tensors)
    (tmp_path / "new").write_bytes(b"other")
    os.replace(tmp_path / "new", path)
    assert torch.equal(tensors["b"], expected)
    tensors = written(path)
    release(tensors)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(CheckpointError, match="changed while"):
        tensors["b"]


def test_bits_are_compared_even_if_nothing_tells_that_the_file_was_written_into(tmp_path: Path) -> None:
    path = tmp_path / "a.st"
    tensors = written(path)
    release(tensors)
    before = os.stat(path)
    with path.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CheckpointError, match="changed while"):
        [tensors[name] for name in tensors]
