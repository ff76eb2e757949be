"""The whole files that mutations start from."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from torch import nn

from landscape_cli.cli.app import main
from landscape_cli.cli.training.resume import TrainingCheckpointer
from landscape_cli.sharing.journal import Journal

HMM = ["--data", "hmm", "--hmm-latent", "7", "--hmm-dim", "9", "--hmm-test", "20", "--train-size", "12"]
SMALL = ["--epochs", "1", "--batch-size", "8", "--device", "cpu"]
MLP = ["train", "--model", "mlp", "--hidden", "6,5", *HMM, *SMALL]
STATES = {
    "sgd": [*MLP, "--seed", "3", "--momentum", "0.9"],
    "rsgd": [*MLP, "--algo", "rsgd", "--replicas", "2", "--runs", "2"],
    "swa": [*MLP, "--algo", "swa", "--optimizer", "adam"],
    "esgd": [*MLP, "--algo", "esgd", "--esgd-steps", "2"],
}
"""Trainings whose states are kept, by the name of their files."""
PLANE = ["plane", "a.st", "b.st", "n.st", "--grid", "2"]
RESULTS = {
    "path.json": ["path", "a.st", "b.st", "--points", "2"],
    "plane.json": PLANE,
    "flatness.json": ["flatness", "a.st", "b.st", "--samples", "1"],
    "part-1.json": [*PLANE, "--part", "1/2"],
    "part-2.json": [*PLANE, "--part", "2/2"],
}
"""Commands whose results are read again, by the name of their files."""
MEASURED = "out.json.resume"
"""What a measurement has come to that was interrupted."""
TRAP = "open('IMPORTED-{name}', 'w').close()\n"
TRAPS = ("evil", "uarray", "sksparse", "winreg", "charset_normalizer", "sitecustomize", "scipy", "torchvision")
"""Modules in the current folder, which nothing may import unless the user names one."""


def command(*arguments: str) -> None:
    """Run a command in this process.

    Raises:
        RuntimeError: if it fails.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main(list(arguments))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
            if code:
                raise RuntimeError(f"{arguments} failed: {errors.getvalue()}") from end


def make(folder: Path) -> dict[str, bytes]:
    """Make the files in an empty folder; return the content of each, by its name."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        _make_data()
        trainings: list[list[str]] = [
            [*MLP, "--seed", "1", "-o", "a.st"],
            [*MLP, "--seed", "2", "-o", "b.st"],
            ["train", "--model", "lenet", "--filters", "2,3", "--hidden", "5", "--data", "own.safetensors", *SMALL],
            ["train", "--model", "binary-mlp", "--hidden", "5", *HMM, *SMALL, "-o", "s.st"],
        ]
        trainings[2] += ["-o", "i.st"]
        for training in trainings:
            command(*training)
        command("normalize", "a.st", "-o", "n.st")
        command("normalize", "b.st", "-o", "m.st")
        with patch.object(TrainingCheckpointer, "remove", lambda self: None):
            for name, training in STATES.items():
                written = f"{name}-{{seed}}.st" if "--runs" in training else f"{name}.st"
                options = ["--epochs", "3", "--checkpoint-every", "2", "--log", f"{name}.csv", "-o", written]
                with patch.object(TrainingCheckpointer, "save_end", lambda self: None):
                    command(*training, *options)
        for path in Path().glob("*gd-*.st"):
            path.unlink()
        for name in STATES:
            Path(f"{name}.st").unlink(missing_ok=True)
        for name, measurement in RESULTS.items():
            command(*measurement, "-o", name)
        with patch.object(Journal, "remove", lambda self: None):
            command(*PLANE, "--resume", "-o", "out.json")
        Path("out.json").unlink()
        for name in TRAPS:
            Path(f"{name}.py").write_text(TRAP.format(name=name) + "def f(*a, **b): raise RuntimeError('run')\n")
        return {path.name: path.read_bytes() for path in Path().iterdir()}
    finally:
        os.chdir(before)


def resumed(state: str) -> list[str]:
    """Return the command that goes on from a state."""
    training = STATES[state]
    written = f"{state}-{{seed}}.st" if "--runs" in training else f"{state}.st"
    return [*training, "--epochs", "3", "--checkpoint-every", "2", "--log", f"{state}.csv", "--resume", "-o", written]


def _make_data() -> None:
    source = torch.Generator().manual_seed(0)
    y = torch.arange(24) % 3
    x = torch.randint(0, 200, (24, 1, 16, 16), generator=source, dtype=torch.uint8)
    save_file({"x_train": x, "y_train": y, "x_test": x[:12] + 1, "y_test": y[:12] + 0}, "own.safetensors")
    network = nn.Sequential(nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 2))
    torch.save({"state_dict": network.state_dict()}, "f.pt")
    torch.save(network.state_dict(), "g.pt", _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), "h.safetensors")
    Path("user.py").write_text(
        "from torch import nn\n\ndef make(width=6):\n"
        "    return nn.Sequential(nn.Linear(9, width), nn.ReLU(), nn.Linear(width, 2))\n"
    )


def tree_of(text: str) -> Any:
    """Return JSON, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
