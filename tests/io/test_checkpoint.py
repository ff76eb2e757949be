"""Checkpoints: exact, reproducible, whole or not at all, and suspicious of what they read."""

from __future__ import annotations

import json
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from landscape_cli.errors import CheckpointError
from landscape_cli.io import atomic as files
from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from landscape_cli.network import ModelSpec

SPEC = ModelSpec("mlp", {"hidden": [3], "bias": True}, (2,), 4)


def checkpoint() -> Checkpoint:
    params = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(2, dtype=torch.float64), "n": torch.tensor(3)}
    return Checkpoint(params, SPEC, {"name": "hmm"}, ({"command": "x"},), {"train_error": 0.25})


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.st"
    original = replace(checkpoint(), normalized={"output_factor": 2.0}, preprocessing={"kind": "unit"})
    write_checkpoint(path, original)
    found = read_checkpoint(path)
    assert all(torch.equal(found.params[key], original.params[key]) for key in original.params)
    assert all(found.params[key].dtype == original.params[key].dtype for key in original.params)
    assert (found.model, found.data, found.history) == (SPEC, {"name": "hmm"}, ({"command": "x"},))
    assert (found.metrics, found.normalized) == ({"train_error": 0.25}, {"output_factor": 2.0})
    assert found.preprocessing == {"kind": "unit"}
    assert len(found.sha256) == 64
    with safe_open(path, framework="pt") as opened:  # a plain safetensors file to everybody else
        assert opened.metadata()["format"] == "landscape/1"
        optional = {"normalized", "preprocessing"}
        assert set(opened.metadata()) == {"format", "model", "data", "history", "metrics"} | optional


def test_same_bytes_every_time(tmp_path: Path) -> None:
    contents = set()
    for k in range(10):
        write_checkpoint(tmp_path / f"{k}.st", replace(checkpoint(), normalized={}))
        contents.add((tmp_path / f"{k}.st").read_bytes())
    assert len(contents) == 1
    write_checkpoint(tmp_path / "other.st", replace(checkpoint(), metrics={}))
    assert (tmp_path / "other.st").read_bytes() not in contents


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.st"
    path.write_text("precious")
    with pytest.raises(CheckpointError, match="exists already"):
        write_checkpoint(path, checkpoint())
    assert path.read_text() == "precious"
    write_checkpoint(path, checkpoint(), force=True)
    assert read_checkpoint(path).model == SPEC


@pytest.mark.parametrize("force", [False, True])
def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write_checkpoint(tmp_path / "a.st", checkpoint(), force=force)
    assert list(tmp_path.iterdir()) == []


def test_file_systems_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.os, "link", refuse)
    write_checkpoint(tmp_path / "a.st", checkpoint())
    assert [path.name for path in tmp_path.iterdir()] == ["a.st"]


@pytest.mark.parametrize(
    ("name", "word"), [("a.txt", "must end in .st"), ("missing/a.st", "not a directory"), ("dir.st", "is a directory")]
)
def test_bad_places(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / "dir.st").mkdir()
    with pytest.raises(CheckpointError, match=word):
        write_checkpoint(tmp_path / name, checkpoint())


def test_no_nan_is_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'w' holds NaN"):
        write_checkpoint(tmp_path / "a.st", replace(checkpoint(), params={"w": torch.tensor([float("nan")])}))


def test_shared_memory_is_written_twice(tmp_path: Path) -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    params = {"a": tensor, "b": tensor, "c": tensor[1], "d": torch.ones(0), "e": torch.ones(0)}
    write_checkpoint(tmp_path / "a.st", replace(checkpoint(), params=params))
    found = read_checkpoint(tmp_path / "a.st").params
    assert all(torch.equal(found[name], params[name]) for name in params)


def saved(path: Path, **metadata: str) -> None:
    good = {
        "format": "landscape/1",
        "model": json.dumps(SPEC.to_json()),
        "data": "{}",
        "history": "[]",
        "metrics": "{}",
    }
    save_file({"w": torch.ones(3)}, path, {key: value for key, value in (good | metadata).items() if value})


def test_truncated_files(tmp_path: Path) -> None:
    path = tmp_path / "a.st"
    write_checkpoint(path, checkpoint())
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="truncated"):
            read_checkpoint(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"hello, this is text", "neither a safetensors file nor"),
        (pickle.dumps({"w": 1}), "is a pickle"),
        (b"PK\x03\x04 and so on", "is a pickle"),
        (struct.pack("<Q", 1 << 60) + b"{" * 20, "not a whole safetensors file"),
        (struct.pack("<Q", 8) + b"{not js}", "not a whole safetensors file"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "a.st").write_bytes(content)
    with pytest.raises(CheckpointError, match=word):
        read_checkpoint(tmp_path / "a.st")


@pytest.mark.parametrize("key", ["format", "model", "data", "history", "metrics"])
def test_missing_metadata(tmp_path: Path, key: str) -> None:
    saved(tmp_path / "a.st", **{key: ""})
    with pytest.raises(CheckpointError, match=f"'{key}'"):
        read_checkpoint(tmp_path / "a.st")


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("format", "landscape/9", "has the format 'landscape/9'"),
        ("model", "{", "not JSON"),
        ("model", "[]", "must be a JSON dict"),
        ("model", "{}", "malformed"),
        ("model", json.dumps(SPEC.to_json() | {"input_shape": []}), "input_shape"),
        ("model", json.dumps(SPEC.to_json() | {"input_shape": [0]}), "input_shape"),
        ("model", json.dumps(SPEC.to_json() | {"outputs": True}), "outputs"),
        ("history", "{}", "must be a JSON list"),
        ("data", "[" * 100000, "not JSON"),
    ],
)
def test_malformed_metadata(tmp_path: Path, key: str, value: str, word: str) -> None:
    saved(tmp_path / "a.st", **{key: value})
    with pytest.raises(CheckpointError, match=word):
        read_checkpoint(tmp_path / "a.st")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_checkpoint(tmp_path / "a.st")
    with pytest.raises(CheckpointError, match="directory"):
        read_checkpoint(tmp_path)


def test_infinite_tensor(tmp_path: Path) -> None:
    saved(tmp_path / "a.st")
    save_file({"w": torch.tensor([1.0, float("inf")])}, tmp_path / "b.st", {"format": "landscape/1"})
    with pytest.raises(CheckpointError, match="'w' holds NaN or Inf"):
        read_checkpoint(tmp_path / "b.st")
