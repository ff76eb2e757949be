"""Rubbish in: one clear line on stderr, exit code 2, nothing written."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from landscape_cli.io.checkpoint import read_checkpoint
from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture


def rewrite(path: str, to: str, *, drop: str = "", data: dict | None = None, **tensors: torch.Tensor) -> None:
    with safe_open(path, framework="pt") as opened:
        metadata = {key: value for key, value in opened.metadata().items() if key != drop}
        metadata |= {"data": json.dumps(data)} if data else {}
        save_file({name: opened.get_tensor(name) for name in opened.keys()} | tensors, to, metadata)  # noqa: SIM118


@pytest.fixture
def rubbish(landscape, trained: list[str]) -> None:  # noqa: F811
    whole = Path("1.st").read_bytes()
    Path("truncated.st").write_bytes(whole[: len(whole) // 2])
    Path("text.st").write_text("not a checkpoint\n")
    Path("pickle.st").write_bytes(pickle.dumps({"fc1.weight": [1.0]}))
    torch.save({"fc1.weight": torch.ones(2)}, "torch.st")
    rewrite("1.st", "nan.st", **{"fc2.bias": torch.full((9,), float("nan"))})
    rewrite("1.st", "keyless.st", drop="model")
    rewrite("1.st", "dataless.st", drop="data")
    record = read_checkpoint("1.st").data
    rewrite("1.st", "hostile.st", data=record | {"hmm": {"latent": None}})
    rewrite("1.st", "task.st", data=record | {"task": 5})
    rewrite("1.st", "mean.st", data=record | {"mean": [float("nan")]})
    rewrite("1.st", "shape.st", **{"fc2.bias": torch.zeros(8)})
    landscape(*[x if x != "12,9" else "12,8" for x in TRAIN], "-o", "other.st")
    landscape(*TRAIN, "--data-seed", "1", "-o", "elsewhere.st")
    Path("taken.st").write_text("precious")
    Path("taken.json").write_text("precious")


CASES = {
    "truncated": (["normalize", "truncated.st", "-o", "out.st"], "truncated"),
    "text": (["normalize", "text.st", "-o", "out.st"], "neither a safetensors file nor"),
    "pickle": (["normalize", "pickle.st", "-o", "out.st"], "not written by landscape"),
    "torch pickle": (["align", "1.st", "torch.st", "-o", "out.st"], "--model"),
    "architecture": (["align", "1.st", "other.st", "-o", "out.st"], "only networks of one model"),
    "shapes": (["path", "1.st", "shape.st", "-o", "out.json"], "fc2.bias is (8,), expected (9,)"),
    "nan": (["flatness", "nan.st", "-o", "out.json"], "'fc2.bias' holds NaN"),
    "no model": (["normalize", "keyless.st", "-o", "out.st"], "'model' is missing"),
    "no data": (["path", "1.st", "dataless.st", "-o", "out.json"], "'data' is missing"),
    "no such file": (["path", "1.st", "nowhere.st", "-o", "out.json"], "No such file"),
    "no such folder": (["normalize", "1.st", "-o", "missing/out.st"], "create it first"),
    "no such folder for a result": (["path", "1.st", "2.st", "-o", "missing/out.json"], "create it first"),
    "no such folder for training": ([*TRAIN, "-o", "missing/out.st"], "create it first"),
    "taken": (["normalize", "1.st", "-o", "taken.st"], "--force"),
    "taken by training": ([*TRAIN, "-o", "taken.st"], "--force"),
    "taken result": (["path", "1.st", "2.st", "-o", "taken.json"], "--force"),
    "suffix": (["path", "1.st", "2.st", "-o", "out.txt"], ".json or .csv"),
    "checkpoint suffix": (["normalize", "1.st", "-o", "out.txt"], ".st or .safetensors"),
    "format": (["path", "1.st", "2.st", "-o", "out.json", "--format", "csv"], "contradicts"),
    "negative sigma": (["flatness", "1.st", "--sigma", "-0.1", "-o", "out.json"], "not negative"),
    "sigma no number": (["flatness", "1.st", "--sigma", "a,b", "-o", "out.json"], "numbers separated by commas"),
    "sigma infinite": (["flatness", "1.st", "--sigma", "nan", "-o", "out.json"], "not negative"),
    "no samples": (["flatness", "1.st", "--samples", "0", "-o", "out.json"], "--samples"),
    "one point": (["path", "1.st", "2.st", "--points", "1", "-o", "out.json"], "--points"),
    "statistics": (["path", "1.st", "2.st", "--bn", "exact", "-o", "out.json"], "'--bn': 'exact' is not one of"),
    "one node": (["plane", "1.st", "2.st", "2.st", "--grid", "1", "-o", "out.json"], "--grid"),
    "collinear": (["plane", "1.st", "2.st", "2.st", "-o", "out.json"], "on one line"),
    "data set": (["train", "--data", "imagenet", "-o", "out.st"], "unknown data set"),
    "data folder": (["train", "--data", "mnist", "--data-dir", "nowhere", "-o", "out.st"], "--download"),
    "subset": ([*TRAIN, "--train-size", "100000", "-o", "out.st"], "--train-size"),
    "model": ([*TRAIN, "--model", "vit", "-o", "out.st"], "unknown model"),
    "lenet on vectors": (["train", "--model", "lenet", "--data", "hmm", "-o", "out.st"], "images"),
    "algo": ([*TRAIN, "--algo", "magic", "-o", "out.st"], "--algo"),
    "option of another algo": ([*TRAIN, "--replicas", "3", "-o", "out.st"], "for --algo rsgd"),
    "option of another method": (
        ["align", "1.st", "2.st", "--samples", "9", "-o", "out.st"],
        "for --method activation",
    ),
    "data of another init": (["train", "--init", "1.st", "--train-size", "9", "-o", "out.st"], "brings its data"),
    "hmm of another set": (["train", "--data", "mnist", "--hmm-dim", "9", "-o", "out.st"], "for --data hmm"),
    "parity of two classes": (["train", "--task", "parity", "-o", "out.st"], "a FILE.safetensors or FILE.npz, not hmm"),
    "parity of objects": (["train", "--data", "cifar10", "--task", "parity", "-o", "out.st"], "not cifar10"),
    "task": ([*TRAIN, "--task", "primes", "-o", "out.st"], "--task"),
    "task of another init": (["train", "--init", "1.st", "--task", "parity", "-o", "out.st"], "brings its data"),
    "hostile task": (["flatness", "task.st", "-o", "out.json"], "unknown task"),
    "hostile sizes": (["flatness", "hostile.st", "-o", "out.json"], "malformed"),
    "hostile mean": (["flatness", "mean.st", "-o", "out.json"], "no usable number"),
    "out-dir stays unmade": (["normalize", "text.st", "--out-dir", "unmade"], "neither a safetensors file nor"),
    "one file twice": (["align", "1.st", "2.st", "-o", "x.st", "--permutations", "./x.st"], "same file"),
    "log is output": ([*TRAIN, "-o", "x.st", "--log", "x.st"], "same file"),
    "data seed": ([*TRAIN, "--data-seed", "9" * 25, "-o", "out.st"], "--data-seed"),
    "filters of mlp": ([*TRAIN, "--filters", "3,4", "-o", "out.st"], "for --model lenet"),
    "learning rate": ([*TRAIN, "--lr", "-1", "-o", "out.st"], "--lr must be a positive number"),
    "outputs": ([*TRAIN, "--outputs", "7", "--init", "2.st", "-o", "out.st"], "brings its model"),
    "device": (["path", "1.st", "2.st", "--device", "tpu", "-o", "out.json"], "unknown device"),
    "device not there": (["path", "1.st", "2.st", "--device", "cuda:77", "-o", "out.json"], "not there"),
    "geodesic of raw": (["path", "1.st", "2.st", "--kind", "geodesic", "-o", "out.json"], "landscape normalize"),
    "different data": (["path", "1.st", "elsewhere.st", "-o", "out.json"], "trained on different data"),
    "one network": (["distance", "1.st", "-o", "out.json"], "at least two"),
    "two outputs": (["normalize", "1.st", "2.st", "-o", "out.st"], "--out-dir"),
    "no output": (["normalize", "1.st"], "-o"),
    "unknown option": (["path", "1.st", "2.st", "--nonsense", "-o", "out.json"], "--nonsense"),
    "unknown command": (["fly"], "fly"),
    "diverging": ([*TRAIN, "--lr", "1e30", "--epochs", "5", "-o", "out.st"], "diverged"),
}


@pytest.mark.usefixtures("rubbish")
def test_bad_input(landscape) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for name, (arguments, word) in CASES.items():
        landscape(*arguments).check_refused(word, name)
        assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before, name


def test_debug_shows_the_traceback(landscape) -> None:
    assert "Traceback" in landscape("normalize", "x.st", "-o", "y.st", "--debug").err
    assert "Traceback" not in landscape("normalize", "x.st", "-o", "y.st").err


def test_our_own_faults_exit_with_one(landscape, trained: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A transformation that breaks the function is caught by its proof, and nothing is written."""
    module = importlib.import_module("landscape_cli.normalization.normalize")
    rescale = module.RescaledParams.rescale

    def forgetful(work: object, factors: object, *, output: float = 1.0) -> None:
        rescale(work, factors)

    monkeypatch.setattr(module.RescaledParams, "rescale", forgetful)
    done = landscape("normalize", "1.st", "-o", "out.st")
    assert done.code == 1
    assert "changed the function" in done.err
    assert not Path("out.st").exists()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(module.RescaledParams, "rescale", broken)
    done = landscape("normalize", "1.st", "-o", "out.st")
    assert (done.code, "internal error" in done.err, done.err.count("\n")) == (1, True, 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_during_training(tmp_path: Path, number: signal.Signals, code: int) -> None:
    arguments = [*TRAIN, "--epochs", "100000", "-o", "x.st", "--log", "log.csv"]
    process = subprocess.Popen(
        [sys.executable, "-m", "landscape_cli", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "log.csv").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.count("\n") == 1
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
    assert len({line.count(",") for line in (tmp_path / "log.csv").read_text().splitlines()}) == 1  # no half line


def wait_for_handlers(process: subprocess.Popen[str]) -> None:
    """Wait until the program catches SIGTERM, which Python alone does not: until then signals are not its own."""
    status = Path(f"/proc/{process.pid}/status")
    for _ in range(600):
        caught = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt")]
        if caught and int(caught[0], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells by /proc when the program has begun")
@pytest.mark.parametrize("delay", [0.05, 0.2, 0.4, 0.6, 0.9])
def test_signals_during_start(tmp_path: Path, delay: float) -> None:
    """An import in progress must not swallow or mangle them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "landscape_cli", *TRAIN, "--epochs", "100000", "-o", "x.st"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_handlers(process)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "landscape: error: interrupted\n")


def test_signal_within_an_import_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nprint('imported')\n"
    )
    code = (
        "import time\nfrom landscape_cli.cli.signals import SIGNALS_OF_THIS_PROCESS\nSIGNALS_OF_THIS_PROCESS.begin()\n"
        "import slow\n"
        "try:\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["imported", "interrupted"], "")


def test_no_reader(tmp_path: Path) -> None:
    command = f"{sys.executable} -m landscape_cli --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_full_disk(tmp_path: Path) -> None:
    """/dev/full refuses every byte."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "landscape_cli", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_json_of_errors_stays_valid(landscape, trained: list[str]) -> None:  # noqa: F811
    """A standard error of one draw does not exist: null, not NaN."""
    result = json.loads(landscape("flatness", "1.st", "--samples", "1").out)
    assert result["networks"][0]["local_energy"][0]["train_standard_error"] is None
