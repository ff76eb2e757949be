"""Files whose names are not UTF-8 are files as others, shown escaped; long messages keep their ends."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.cli.console import listen
from landscape_cli.errors import one_line, shortened
from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture

A, B = os.fsdecode(b"caf\xe9.st"), os.fsdecode(b"x\xff y.st")
E = os.fsdecode(b"\xe9")


@pytest.fixture
def named(trained: list[str]) -> list[str]:  # noqa: F811
    for old, new in zip(trained, (A, B), strict=True):
        Path(old).rename(new)
    return [A, B]


def test_every_command(landscape, named: list[str]) -> None:
    pytest.importorskip("matplotlib")
    commands = [
        ["normalize", *named, "--out-dir", f"n{E}"],
        ["align", *named, "--out-dir", f"d{E}", "--permutations", f"d{E}/p{E}.json"],
        ["path", *named, "--points", "3", "-o", f"r{E}.json", "--plot", f"p{E}.svg"],
        ["path", *named, "--points", "3", "-o", f"r{E}.csv", "--plot", f"p{E}.pdf"],
        ["path", f"*{E}*.st", B, "--pairs", "cross", "--points", "2", "-o", f"pairs{E}.csv"],
        ["plane", *named, "--third", "random", "--grid", "2", "-o", f"plane{E}.csv", "--plot", f"plane{E}.png"],
        ["flatness", *named, "--samples", "1", "-o", f"f{E}.csv", "--plot", f"f{E}.png"],
        ["distance", *named, "-o", f"d{E}.csv"],
        ["path", *named, "--points", "3", "--format", "csv"],
        ["path", *named, "--points", "3", "--format", "table"],
        ["distance", *named, "--format", "csv"],
        ["distance", *named, "--format", "table"],
        ["distance", *named, "--matrix", "cosine", "--no-functions", "--format", "table"],
        ["align", "--explain", named[0], "--format", "table"],
        ["align", "--explain", named[0], "--format", "csv"],
    ]
    for command in commands:
        done = landscape(*command)
        assert done.code == 0, (command, done.err)
        done.err.encode()
        done.out.encode()
        for line in done.err.splitlines():
            assert line.isprintable()
    assert json.loads(Path(f"r{E}.json").read_bytes())["start"] == A


def test_training_on_such_data(landscape) -> None:
    x = torch.randn(20, 3)
    y = (x[:, 0] > 0).long()
    save_file({"x_train": x, "y_train": y, "x_test": x + 0, "y_test": y + 0}, "own")
    name = f"own{E}.safetensors"
    Path("own").rename(name)
    options = ["train", "--hidden", "4", "--data", name, "--epochs", "1"]
    assert landscape(*options, "-o", f"t{E}.st", "--log", f"l{E}.csv").code == 0
    done = landscape(*options, "-o", f"u{{seed}}{E}.st", "--runs", "2", "--checkpoint-every", "1", "--resume")
    assert done.code == 0, done.err
    assert landscape("path", f"t{E}.st", f"u0{E}.st", "--points", "2").code == 0
    assert landscape("train", "--init", f"t{E}.st", "--epochs", "1", "-o", f"v{E}.st").code == 0


def test_foreign_files_and_missing_ones(landscape) -> None:
    torch.save({"0.weight": torch.zeros(1)}, "x.pt")
    Path("x.pt").rename(f"x{E}.pt")
    for command in (
        ["path", f"missing{E}.st", A],
        ["path", f"x{E}.pt", f"x{E}.pt", "--model", "mlp", "--input-shape", "3"],
        ["path", f"x{E}.pt", f"x{E}.pt"],
        ["train", "--data", f"nowhere{E}.safetensors"],
        ["path", f"*{E}", B, "--pairs", "all"],
        ["normalize", A, "-o", f"x{E}.txt"],
        ["normalize", A, "-o", f"{E}/x.st"],
        ["train", f"--{E}"],
        ["train", "--algo", E],
        ["train", "--lr", E],
        [E],
    ):
        landscape(*command).check_refused("", str(command))


def test_long_messages_keep_both_ends(landscape) -> None:
    done = landscape("normalize", "/".join(["a" * 200] * 15), "-o", "x.st")
    assert done.code == 2
    assert len(done.err) < 450
    assert done.err.startswith("landscape: error: cannot read aaa")
    text = "what is wrong: " + "word " * 300 + "do this"
    assert len(shortened(text)) <= 405
    assert shortened(text).endswith(" word do this")
    assert set(shortened(text).removeprefix("what is wrong: ").removesuffix("do this").split()) == {"word", "..."}
    assert shortened("x" * 400) == "x" * 400
    assert one_line(ValueError("word " * 99)).endswith("word...")


def test_quiet_leaves_out_what_figures_say(capsys: pytest.CaptureFixture[str]) -> None:
    import matplotlib

    import landscape_cli.figures

    of_figures = [
        str(Path(package.__file__ or "").parent / "text.py") for package in (matplotlib, landscape_cli.figures)
    ]
    for quiet in (False, True):
        with warnings.catch_warnings():
            listen(quiet=quiet)
            warnings.simplefilter("always")
            for name in (*of_figures, "/users/figures/matplotlib/own.py"):
                warnings.warn_explicit("Glyph 9 missing", UserWarning, name, 1)
            logging.getLogger("matplotlib.font_manager").warning("building the font cache")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == (1 if quiet else 4)
        assert all(line.startswith("landscape: warning: ") for line in lines)
