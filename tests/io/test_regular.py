"""Pipes, sockets, devices and streams are refused in one line wherever a file is read or replaced: nothing waits."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.io.regular import check_regular, open_regular
from landscape_cli.network import ModelSpec
from tests.conftest import Outcome

Landscape = Callable[..., Outcome]
WORDS = "only regular files will do"
TINY = ("--model", "mlp", "--hidden", "2", "--hmm-patterns", "8", "--hmm-test", "4", "--epochs", "1")
SIZES = {"latent": 2, "dim": 3, "patterns": 8, "test_patterns": 4, "nonlinearity": "sign"}


@pytest.fixture(autouse=True)
def _hangs_fail() -> Iterator[None]:
    """End a test that waits for a pipe."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(params=["pipe", "link to a pipe", "socket", "device", "stdin", "descriptor"])
def irregular(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "irregular.st"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                # Names of sockets are short.
                folder = os.open(tmp_path, os.O_RDONLY)
                server.bind(f"/proc/self/fd/{folder}/irregular.st")
                os.close(folder)
                yield path
            return
        case "device":
            path.symlink_to("/dev/zero")
        case "stdin":
            path = Path("/dev/stdin")
        case _:
            path = Path("/proc/self/fd/0")
    yield path


def network(path: Path, **data: object) -> Path:
    params = {"fc1.weight": torch.ones(2, 3), "fc1.bias": torch.ones(2)}
    params |= {"fc2.weight": torch.ones(1, 2), "fc2.bias": torch.ones(1)}
    write_checkpoint(path, Checkpoint(params, ModelSpec("mlp", {"hidden": [2], "bias": True}, (3,), 1), data))
    return path


def test_networks(landscape: Landscape, irregular: Path, tmp_path: Path) -> None:
    good = network(tmp_path / "good.st")
    foreign = ("--model", "mlp?hidden=[2]&outputs=1", "--input-shape", "3")
    for arguments in (
        ("distance", irregular, good),
        ("distance", good, irregular),
        ("normalize", irregular, "-o", "n.st", *foreign),
        ("align", good, irregular, "-o", "a.st"),
        ("train", "--init", irregular, "--data", "hmm"),
        ("path", good, good, "--data", irregular if irregular.suffix else tmp_path / "none.st"),
    ):
        outcome = landscape(*arguments)
        outcome.check_refused(WORDS if irregular in arguments else "No such file", str(arguments))
    assert sorted(tmp_path.glob("?.st")) == []


def test_data_that_metadata_names(landscape: Landscape, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.st")
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"):
        os.mkfifo(tmp_path / "MNIST" / "raw" / name)
    record = {
        "directory": str(tmp_path),
        "train_size": None,
        "seed": 0,
        "hmm": SIZES,
        "mean": [0.0],
        "deviation": [1.0],
    }
    names = {str(tmp_path / "data.st"): WORDS, "/dev/zero.st/../stdin": "unknown data set", "mnist": "not found"}
    names["a\0.st"] = "no file can have this name"
    for k, (name, words) in enumerate(names.items()):
        path = network(tmp_path / f"n{k}.st", name=name, **record)
        landscape("path", path, path).check_refused(words, json.dumps(name))


@pytest.mark.parametrize("name", ["log.csv", "out.st", "out.st.resume"])
def test_what_training_writes(landscape: Landscape, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    outcome = landscape("train", *TINY, "-o", "out.st", "--log", "log.csv", "--checkpoint-every", 1, "--force")
    outcome.check_refused(WORDS, name)
    assert (tmp_path / name).is_fifo()
    outcome = landscape("train", *TINY, "-o", "out.st", "--log", "log.csv", "--resume", "--force", "-q")
    outcome.check_refused(WORDS, name)


def test_results_and_plots(landscape: Landscape, tmp_path: Path) -> None:
    good = network(tmp_path / "good.st")
    for name in ("r.json", "r.csv"):
        os.mkfifo(tmp_path / name)
        landscape("distance", good, good, "-o", name, "--force").check_refused(WORDS, name)


def test_regular_files_pass(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "a.st")
    (tmp_path / "link.st").symlink_to("a.st")
    for path in (tmp_path / "a.st", tmp_path / "link.st", tmp_path / "none.st", tmp_path, Path("/dev/shm"), "a.st"):
        check_regular(path)


def test_what_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a file when it was looked at."""
    from landscape_cli.io import regular
    from landscape_cli.io.safetensors import load

    os.mkfifo(tmp_path / "x.st")
    monkeypatch.setattr(regular, "check_regular", lambda path: None)
    handles = len(os.listdir("/proc/self/fd"))
    for read in (load, open_regular, lambda path: open_regular(path, "r+b", buffering=0)):
        with pytest.raises(OSError, match="it is a pipe"):
            read(tmp_path / "x.st")
    assert len(os.listdir("/proc/self/fd")) == handles
