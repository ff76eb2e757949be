"""`align --method learned` in the shell: what it writes and records, and which options are for which method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from landscape_cli.io.checkpoint import read_checkpoint
from tests.cli.test_app import trained  # noqa: F401 - a fixture

LEARN = ("align", "1.st", "2.st", "--method", "learned", "--epochs", "2", "--samples", "30")


def test_it_reports_and_records_and_repeats(landscape, trained: list[str]) -> None:  # noqa: F811
    done = landscape(*LEARN, "-o", "a.st", "--batch-size", "8")
    remark, wrote = done.err.splitlines()
    assert remark.startswith("landscape: 2.st: mean loss between the networks ")
    assert wrote == "landscape: wrote a.st"
    [network] = json.loads(done.out)["networks"]
    assert network["learned"]["loss"] <= network["learned"]["loss_before"]
    assert network["learned"].items() >= {"epochs": 2, "samples": 30}.items()
    arguments = read_checkpoint("a.st").history[-1]["arguments"]
    assert arguments.items() >= {"relaxation": "sinkhorn", "lr": 0.5, "temperature": 1.0}.items()
    landscape(*LEARN, "-o", "b.st", "--batch-size", "8")
    assert Path("a.st").read_bytes() == Path("b.st").read_bytes()
    landscape(*LEARN, "-o", "c.st", "--relaxation", "straight-through")
    arguments = read_checkpoint("c.st").history[-1]["arguments"]
    assert arguments["lr"] == 0.001
    assert "temperature" not in arguments
    landscape("align", "1.st", "2.st", "-o", "d.st", "--method", "weight")
    assert not {"epochs", "relaxation", "learning_rate"} & read_checkpoint("d.st").history[-1]["arguments"].keys()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "weight", "--epochs", "3"), "--epochs is for --method learned"),
        (("--lr", "0.1"), "--lr is for --method learned"),
        (("--method", "learned", "--lr", "0"), "--lr must be positive"),
        (("--method", "learned", "--temperature", "nan"), "--temperature must be a finite number"),
        (("--method", "learned", "--relaxation", "straight-through", "--temperature", "2"), "--relaxation sinkhorn"),
        (("--method", "cosine", "--samples", "30"), "--samples is for --method activation or learned"),
    ],
)
def test_options_of_others_are_refused(landscape, trained, options: tuple[str, ...], said: str) -> None:  # noqa: F811
    done = landscape("align", *trained[:2], "-o", "x.st", *options)
    assert done.code == 2
    assert said in done.err
    assert not Path("x.st").exists()


@pytest.mark.parametrize("command", ["path", "distance"])
def test_other_commands_do_not_learn(landscape, trained: list[str], command: str) -> None:  # noqa: F811
    done = landscape(command, *trained[:2], "--align", "learned")
    assert done.code == 2
    assert "align first" in done.err.splitlines()[-1]
