"""Outputs that are in each other's way are refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    "command",
    [
        "align 1.st 2.st --out-dir d --permutations d",
        "align 1.st 2.st --out-dir d/e --permutations d",
        "align 1.st 2.st --out-dir d --permutations ./x/../d",
        "align 1.st 2.st -o x.st --permutations 1.st --force",
        "align 1.st 2.st -o x.st --permutations ./x/../2.st --force",
        "normalize 1.st --out-dir 1.st/d",
        "path 1.st 2.st -o x.json --plot x/loop.svg",
        "align 1.st x/loop.st -o x.st --permutations x/loop.json",
        "path 1.st x/loop.st --pairs all --midpoint-out x/loop.st --optimize-midpoint",
        "train --init x/loop.st --log x/loop.csv --export x/loop.pt -o x.st",
        "train --model mlp -o x/loop.st --log x/loop.csv",
        "align 1.st 2.st --out-dir 1.st/d/e",
        "align 1.st 2.st -o /dev/null.st",
        "path 1.st 2.st -o /dev/null.json",
        "path 1.st 2.st -o x.json --plot /dev/null.svg",
        "train --log /dev/null.csv -o x.st",
    ],
)
def test_refused_early(landscape, command: str) -> None:
    Path("x").mkdir()
    for suffix in ("svg", "st", "json", "csv", "pt"):
        Path(f"x/loop.{suffix}").symlink_to(f"loop.{suffix}")
    before = sorted(Path().rglob("*"))
    done = landscape(*command.split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_the_same_picture_each_time(landscape, suffix: str) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    for name, size in (("a", 9), ("b", 40)):  # as a `matplotlibrc` in the current folder has it
        matplotlib.rcParams.update({"font.size": size, "text.usetex": size > 9})
        assert landscape("path", "1.st", "2.st", "--points", "3", "--loss", "--plot", f"{name}.{suffix}").code == 0
    assert Path(f"a.{suffix}").read_bytes() == Path(f"b.{suffix}").read_bytes()
    assert b"dc:date" not in Path(f"a.{suffix}").read_bytes()


@pytest.mark.usefixtures("trained")
def test_threads_are_recorded(landscape) -> None:
    import json

    import torch

    assert json.loads(landscape("path", "1.st", "2.st", "--points", "2").out)["provenance"]["threads"] == 1
    torch.set_num_threads(2)
    assert landscape(*TRAIN, "-o", "x.st").code == 0
    assert json.loads(landscape("train", "--init", "x.st", "--epochs", "1", "-o", "y.st").out)
    from landscape_cli.io.checkpoint import read_checkpoint

    assert read_checkpoint("x.st").history[0]["threads"] == 2
