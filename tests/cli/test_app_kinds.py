"""What is wrong with a file, the user's code or the environment is one line and exit code 2, never our fault."""

from __future__ import annotations

import gzip
import json
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture

HUGE = (10**400, 2**63, 2**64, -(2**70))
OTHER = ("x", None, [], {}, 1.5, "\ud800", math.nan)

CODE = """
import torch
from torch import nn

class Inner(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.layer, self.mode = nn.Linear(8, 8), mode

    def forward(self, x):
        if len(x) > 20:
            if self.mode == "exit":
                raise SystemExit(3)
            raise {"key": KeyError("oops"), "lines": RuntimeError("too\\nlong"), "stop": StopIteration()}[self.mode]
        return self.layer(x)

class Outer(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(9, 8), Inner(mode), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(self.inner(torch.relu(self.first(x))))

def make(mode="key"):
    return Outer(mode)

class Unsaid(Exception):
    def __str__(self):
        raise ValueError

class Base(BaseException):
    pass

class Hostile(Outer):
    def forward(self, x):
        raise Unsaid if self.inner.mode == "said" else Base("no")

    def named_parameters(self, *arguments, **options):
        if self.inner.mode == "name":
            raise ValueError("no")
        return super().named_parameters(*arguments, **options)

def hostile(mode):
    return Hostile(mode)

def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 2)))
"""


def edit(path: str, to: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Write a checkpoint whose record of its data is changed."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    record = json.loads(header["__metadata__"]["data"])
    change(record)
    header["__metadata__"]["data"] = json.dumps(record)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(to).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


@pytest.mark.usefixtures("trained")
def test_records_of_data(landscape) -> None:
    for value in (*HUGE, *OTHER):
        for key in ("latent", "dim", "patterns", "test_patterns"):
            edit("1.st", "x.st", lambda record, key=key, value=value: record["hmm"].update({key: value}))  # type: ignore[misc]
            landscape("path", "x.st", "x.st", "--points", "2").check_refused("", f"{key}={str(value)[:20]}")
        for key in ("mean", "deviation"):
            for whole in ([value], value, [[value]], [value, value]):
                if whole == [1.5]:
                    continue
                edit("1.st", "x.st", lambda record, key=key, whole=whole: record.update({key: whole}))  # type: ignore[misc]
                if not (key == "mean" and whole in ([2**63], [2**64], [-(2**70)])) and whole not in ([2**63], [2**64]):
                    landscape("path", "x.st", "x.st", "--points", "2").check_refused("", f"{key}={str(value)[:20]}")
        edit("1.st", "x.st", lambda record, value=value: record.update(seed=value))  # type: ignore[misc]
        landscape("path", "x.st", "x.st", "--points", "2").check_refused("", f"seed={str(value)[:20]}")


def test_the_users_forward_pass(landscape) -> None:
    Path("own_code.py").write_text(CODE)
    network = nn.ModuleDict({"first": nn.Linear(9, 8), "inner": nn.ModuleDict({"layer": nn.Linear(8, 8)})})
    network["last"] = nn.Linear(8, 2)
    torch.save(network.state_dict(), "u.pt")
    x = torch.randn(40, 9)
    y = (x[:, 0] > 0).long()
    save_file({"x_train": x, "y_train": y, "x_test": x + 0, "y_test": y + 0}, "own.safetensors")
    on = ["--data", "own.safetensors", "-q"]
    commands = [
        ["path", "u.pt", "u.pt", "--points", "2", *on],
        ["align", "u.pt", "u.pt", "-o", "o.st", "--method", "activation", *on],
        ["flatness", "u.pt", "--samples", "1", *on],
        ["flatness", "u.pt", "--kind", "curvature", "--trace-samples", "1", *on],
        ["distance", "u.pt", "u.pt", *on],
        ["plane", "u.pt", "--third", "random", "--grid", "2", *on],
        ["normalize", "u.pt", "-o", "o.st"],
    ]
    for mode in ("key", "lines", "stop", "exit"):
        for command in commands if mode == "key" else commands[:2]:
            done = landscape(*command, "--model", f"own_code:make?mode={mode}", "--input-shape", "9")
            assumed, _, refused = done.err.rpartition("landscape: error")
            assert assumed.startswith("landscape: assumed: ") or not assumed
            done = replace(done, err=f"landscape: error{refused}")
            done.check_refused("forward pass", f"{mode} {command}")
            assert ("inner" in done.err) == (mode != "exit"), done.err
    for mode in ("said", "name", "base"):
        done = landscape(*commands[-1], "--model", f"own_code:hostile?mode={mode}", "--input-shape", "9")
        done.check_refused({"said": "does not run", "name": "ValueError: no", "base": "Base: no"}[mode], mode)
        assert "own_code" in done.err or mode == "said", done.err
    script = [nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 2)]
    torch.save(nn.Sequential(*script).state_dict(), "s.pt")
    for command in (["path", "s.pt", "s.pt", "--points", "2", *on], ["align", "s.pt", "s.pt", "-o", "o.st"]):
        done = landscape(*command, "--model", "own_code:scripted", "--input-shape", "9")
        assert done.code == 0 or (done.code, done.err.count("\n")) == (2, 1), done.err


@pytest.mark.parametrize("kind", [0x07, 0x0F, 0x0D, 0xFF])
def test_image_files_of_unknown_types(landscape, kind: int) -> None:
    folder = Path("data/MNIST/raw")
    folder.mkdir(parents=True)
    for name, axes in (("images-idx3", 3), ("labels-idx1", 1)):
        for split in ("train", "t10k"):
            content = bytes([0, 0, kind, axes]) + struct.pack(">I", 2) * axes + bytes(64)
            (folder / f"{split}-{name}-ubyte").write_bytes(content)
            with gzip.open(folder / f"{split}-{name}-ubyte.gz", "wb") as file:
                file.write(content)
    landscape("train", "--data", "mnist", "-o", "x.st").check_refused("cannot load mnist", hex(kind))


@pytest.mark.usefixtures("trained")
def test_matplotlib_that_does_not_start() -> None:
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-m", "landscape_cli", "path", "1.st", "2.st", "--plot", "x.svg"]
    done = subprocess.run(
        ["env", "MPLBACKEND=nosuch", *command], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "matplotlib does not start" in done.stderr


def test_a_shell_without_completions(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LANDSCAPE_COMPLETE", "complete_nosuch")
    done = landscape("--version")
    assert (done.code, done.out, done.err) == (2, "", "Shell nosuch not supported.\n")


@pytest.mark.parametrize("place", range(7))
def test_states_of_which_a_part_has_changed(landscape, place: int) -> None:
    """Whatever it is: the header, a fact, a number of a tensor."""
    options = [*TRAIN, "--checkpoint-every", "1", "--resume", "--optimizer", "adam", "-o", "x.st"]
    from unittest.mock import patch

    from landscape_cli.cli.training.resume import TrainingCheckpointer

    with patch.object(TrainingCheckpointer, "remove", lambda self: None):
        assert landscape(*options).code == 0
    Path("x.st").unlink()
    state = Path("x.st.resume")
    content = bytearray(state.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    header = bytes(content[8 : 8 + length])
    where = [
        len(content) - 1,
        8 + length,
        (len(content) + length) // 2,
        *(8 + header.index(word) for word in (b"epoch", b"step", b"records", b"F32")),
    ]
    content[where[place]] ^= 1
    state.write_bytes(content)
    done = landscape(*options)
    done.check_refused("remove it to begin anew", str(place))
    assert state.read_bytes() == bytes(content)
