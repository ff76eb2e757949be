"""Files that other programs have written: what is read, and what is refused before any of it runs."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from landscape_cli.errors import CheckpointError
from landscape_cli.io.checkpoint import Checkpoint as Ours
from landscape_cli.io.checkpoint import read_checkpoint, write_checkpoint
from landscape_cli.io.external import is_foreign, read_foreign
from landscape_cli.network import ModelSpec

STATE = OrderedDict(weight=torch.arange(6.0).reshape(2, 3), bias=torch.tensor([0.5, -1.0], dtype=torch.bfloat16))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"epoch": 3, "model": STATE, "optimizer": {"lr": 0.1, "state": [torch.ones(3)]}},
        {"model_state_dict": STATE, "loss": 0.5},
        {"model": {"state_dict": STATE, "step": 1}},
        {key: nn.Parameter(tensor) for key, tensor in STATE.items()},
    ],
    ids=["plain", "state_dict", "model", "model_state_dict", "nested", "parameters"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_files(tmp_path: Path, content: object, zipped: bool) -> None:
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert is_foreign(tmp_path / "a.pt")
    file = read_foreign(tmp_path / "a.pt")
    assert same(file.entry.tensors, STATE)
    assert file.sha256 == hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest()
    assert not any(tensor.requires_grad for tensor in file.entry.tensors.values())


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file(STATE, tmp_path / "a.safetensors", metadata)
    assert is_foreign(tmp_path / "a.safetensors")
    assert same(read_foreign(tmp_path / "a.safetensors").entry.tensors, STATE)


def test_our_own_are_not_foreign(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.st", Ours(STATE, ModelSpec("mlp", {}, (3,), 2), {}))
    (tmp_path / "text.st").write_text("hello")
    assert not any(is_foreign(tmp_path / name) for name in ("a.st", "text.st", "nowhere.st"))


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_header_lengths_that_look_like_a_pickle(tmp_path: Path, length: int) -> None:
    """A header of 640 bytes makes a file begin with 80 02, as pickles do."""
    spec = ModelSpec("mlp", {}, (3,), 2)
    write_checkpoint(tmp_path / "a.st", Ours(STATE, spec, {"pad": ""}))
    pad = length - struct.unpack("<Q", (tmp_path / "a.st").read_bytes()[:8])[0]
    write_checkpoint(tmp_path / "a.st", Ours(STATE, spec, {"pad": "x" * pad}), force=True)
    assert struct.unpack("<Q", (tmp_path / "a.st").read_bytes()[:8])[0] == length
    assert same(read_checkpoint(tmp_path / "a.st").params, STATE)
    assert not is_foreign(tmp_path / "a.st")


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def scripted(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 2)).save(path)


def zipped(path: Path, name: str = "a.txt") -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, "pt2")


def truncated(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-200])


def old_truncated(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-5])


def quantized() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


REFUSED = {
    "code": ({"weight": Evil()}, "could run code"),
    "code alone": (lambda path: path.write_bytes(pickle.dumps(Evil())), "could run code"),
    "a module": (nn.Linear(2, 2), r"could run code.*torch.save\(model.state_dict"),
    "a path": ({"state_dict": STATE, "args": argparse.Namespace(out=Path("a"))}, "pathlib.PosixPath"),
    "a masked array": ({"state_dict": STATE, "scores": np.ma.ones(3)}, r"numpy\.ma"),
    "arrays": ({name: np.ones(3) for name in STATE}, r"no tensors \(\S+ \(ndarray\)"),
    "torchscript": (scripted, "TorchScript"),
    "a program": (partial(zipped, name="a/archive_format"), r"torch\.export has written.*load\(FILE\)\.state_dict"),
    "an old program": (partial(zipped, name="serialized_exported_program.json"), "torch.export has written"),
    "a zip": (zipped, "not a whole PyTorch file"),
    "truncated": (truncated, "not a whole PyTorch file"),
    "truncated, old": (old_truncated, "not a whole PyTorch file"),
    "a tensor": (torch.ones(3), "holds a Tensor, expected a state_dict"),
    "a list": ([torch.ones(3)], "holds a list"),
    "nothing": ({}, "no tensors"),
    "other entries": ({"weight": torch.ones(2), "epoch": 3, "note": "x"}, r"epoch \(int\), note \(str\)"),
    "other names": ({1: torch.ones(2)}, r"1 \(Tensor\)"),
    "odd names": ({"a\n\x1b[31m" * 99: 1}, r"\(a\\n\\x1b\[31m.*\.\.\. \(int\)"),
    "deep": ({"model": {"model": {"model": {"model": {"model": STATE}}}}}, "too deep"),
    "complex": ({"weight": torch.ones(2, dtype=torch.complex64)}, "'weight' is of type torch.complex64"),
    "float8": ({"weight": torch.ones(2).to(torch.float8_e4m3fn)}, "float8"),
    "quantized": ({"weight": quantized()}, "qint8"),
    "sparse": ({"weight": torch.eye(3).to_sparse()}, "not stored densely"),
    "without values": ({"weight": torch.ones(2, device="meta")}, "no values"),
    "a bomb": ({"weight": torch.ones(1).expand(10**12)}, "more elements than the file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    content, word = REFUSED[name]
    if callable(content) and not isinstance(content, nn.Module):
        content(Path("a.pt"))
    else:
        torch.save(content, "a.pt")
    with pytest.raises(CheckpointError, match=word) as error:
        read_foreign("a.pt")
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert os.listdir() == ["a.pt"]


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 60) + b"{" * 20,
        struct.pack("<Q", 8) + b"{not js}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 64) + b'{"a":{"dtype":"F32","shape":[9999999],"data_offsets":[0,4]}}    ' + b"\0" * 4,
    ],
    ids=["long", "no JSON", "empty", "offsets"],
)
def test_hostile_headers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"safetensors file|no tensors"):
        read_foreign(tmp_path / "a.safetensors")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_foreign(tmp_path / "a.pt")
