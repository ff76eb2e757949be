"""Networks in folders, in one file or several with an index, as transformers lays them out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from landscape_cli.errors import CheckpointError
from landscape_cli.io.external import is_foreign, read_foreign, read_structure

STATE = {name: torch.full((2,), float(k)) for k, name in enumerate(["a.w", "a.b", "b.w"])}
KINDS = {"safetensors": "model", "bin": "pytorch_model"}


def save(tensors: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".bin":
        torch.save(tensors, path)
    else:
        save_file(tensors, path, {"format": "pt"})


def sharded(folder: Path, kind: str = "safetensors", **changes: object) -> Path:
    """Write the network in two shards, and the index; some of what it says may be changed."""
    stem = KINDS[kind]
    names = [f"{stem}-0000{k}-of-00002.{kind}" for k in (1, 2)]
    parts = [dict(list(STATE.items())[:2]), dict(list(STATE.items())[2:])]
    for name, part in zip(names, parts, strict=True):
        save(part, folder / name)
    where = {key: name for name, part in zip(names, parts, strict=True) for key in part} | changes
    index = folder / f"{stem}.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 24}, "weight_map": where}))
    return index


def same(path: Path) -> bool:
    assert is_foreign(path)
    found = read_foreign(path).entry.tensors
    return found.keys() == STATE.keys() and all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("kind", KINDS)
def test_one_file_in_a_folder(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"{KINDS[kind]}.{kind}"
    save(STATE, file)
    assert same(tmp_path)
    assert read_foreign(tmp_path).files == {str(file): hashlib.sha256(file.read_bytes()).hexdigest()}
    assert (read_structure(tmp_path) is None) == (kind == "bin")


@pytest.mark.parametrize("kind", KINDS)
def test_folder_index_and_shard_are_one(tmp_path: Path, kind: str) -> None:
    """However the network is named, all of its files are read, and their digests told."""
    index = sharded(tmp_path, kind)
    shards = sorted(tmp_path.glob(f"*.{kind}"))
    digests = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (index, *shards)}
    for path in (tmp_path, index, *shards):
        assert same(path)
        assert read_foreign(path).files == digests
        assert len(read_foreign(path).sha256) == 64
        structure = read_structure(path)
        assert structure is None if kind == "bin" else structure is not None and structure.keys() == STATE.keys()
    assert read_foreign(tmp_path, "a").entry.tensors.keys() == {"a.w", "a.b"}


def without_index(folder: Path) -> Path:
    sharded(folder).unlink()
    return folder / "model-00001-of-00002.safetensors"


def without_shard(folder: Path) -> Path:
    sharded(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    return folder


def rewritten(folder: Path, tensors: dict[str, Tensor], shard: int = 2) -> Path:
    sharded(folder)
    save_file(tensors, folder / f"model-0000{shard}-of-00002.safetensors")
    return folder


def stranger(folder: Path) -> Path:
    sharded(folder)
    path = folder / "model-00003-of-00002.safetensors"
    save_file({"c": torch.ones(1)}, path)
    return path


def says(folder: Path, content: object) -> Path:
    index = sharded(folder)
    index.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


REFUSED = {
    "no index": (without_index, r"index\.json is not beside it"),
    "no shard": (without_shard, r"not beside it: model-00002-of-00002\.safetensors"),
    "an empty folder": (lambda folder: folder, "is a folder, and holds none of model.safetensors"),
    "overlap": (lambda folder: rewritten(folder, {"b.w": torch.ones(2), "a.w": torch.ones(2)}), "both hold 'a.w'"),
    "a tensor more": (lambda folder: rewritten(folder, {"b.w": torch.ones(2), "c": torch.ones(2)}), "another network"),
    "a tensor less": (lambda folder: rewritten(folder, {"b.v": torch.ones(2)}), "another network"),
    "one missing": (lambda folder: sharded(folder, x="model-00001-of-00002.safetensors"), r"not there: x \(model"),
    "a strange shard": (stranger, "does not name"),
    "no JSON": (lambda folder: says(folder, "{"), "is no index"),
    "nested": (lambda folder: says(folder, "[" * 100_000), "is no index"),
    "no map": (lambda folder: says(folder, {"weights": {}}), "is no index"),
    "a list": (lambda folder: says(folder, {"weight_map": ["a"]}), "is no index"),
    "numbers": (lambda folder: says(folder, {"weight_map": {"a": 1}}), "must name a file"),
    "a pipe's text": (lambda folder: says(folder, {"weight_map": {"a": "x\n\x1b[31m"}}), r"not beside it: x\\n\\x1b"),
} | {
    f"leaves: {name!r}": (lambda folder, name=name: sharded(folder, x=name), "is not a file beside it")
    for name in ("../../etc/passwd", "/etc/passwd", "..", "", "sub/x.safetensors", "a\\b", "x\0y")
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    make, words = REFUSED[name]
    path = make(tmp_path)
    with pytest.raises(CheckpointError, match=words) as error:
        read_foreign(path)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert read_structure(path) is None
