"""The surrogate landscape through the commands: trained, measured, left as it is, refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from landscape_cli import build_model, read_checkpoint
from tests.cli.test_app import rows_of

MODEL = "wedges?dim=80&wedges=4&short=10&seed=3"
TRAINING = ["train", "--model", MODEL, "--data", "wedges", "--epochs", "80", "--lr", "0.5", "--momentum", "0"]


def far(name: str) -> float:
    """Return the distance of a checkpoint's position to the nearest wedge."""
    network = read_checkpoint(name)
    short = build_model(network.model, network.params).get_buffer("short")
    return min(float(network.params["position"].double()[axes].norm()) for axes in short)


def test_every_command_measures_it(landscape: Callable[..., Any]) -> None:
    trained = landscape(*TRAINING, "--runs", "3", "-o", "w{seed}.st")
    assert trained.code == 0
    names = ["w0.st", "w1.st", "w2.st"]
    for row, name in zip(json.loads(trained.out)["networks"], names, strict=True):
        assert row["train_loss"] == pytest.approx(far(name), abs=3e-8)
        assert far(name) < 1e-3
        assert (row["train_error"], row["test_error"]) == (0, 0)
    assert read_checkpoint("w0.st").model.arguments["threshold"] == math.log(2)

    done = landscape("path", "w0.st", "w1.st", "--loss", "--points", "5", "--format", "csv")
    middle = (read_checkpoint("w0.st").params["position"] + read_checkpoint("w1.st").params["position"]) / 2
    network = read_checkpoint("w0.st")
    short = build_model(network.model, network.params).get_buffer("short")
    expected = min(float(middle[axes].norm()) for axes in short)
    rows = rows_of(done.out)
    assert float(rows[2]["train_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(rows[2]["train_error"]) == float(expected > math.log(2))
    done = landscape("path", "w0.st", "w1.st", "--loss", "--points", "3", "--optimize-midpoint", "--lr", "0.1")
    assert done.code == 0

    done = landscape("plane", *names, "--loss", "--grid", "3")
    assert all(point["train_loss"] == point["test_loss"] for point in json.loads(done.out)["points"])
    done = landscape("plane", "w0.st", "w1.st", "--third", "origin", "--loss", "--grid", "2")
    corner = json.loads(done.out)["networks"][2]
    assert (corner["train_loss"], corner["train_error"]) == (0, 0)
    done = landscape("plane", "w0.st", "--third", "random", "--loss", "--grid", "2")
    assert json.loads(done.out)["networks"][1]["train_loss"] > 0.5

    [pair] = json.loads(landscape("distance", "w0.st", "w1.st").out)["pairs"]
    positions = [read_checkpoint(name).params["position"] for name in names]
    assert pair["euclidean"] == pytest.approx(float(torch.dist(positions[0], positions[1])), rel=1e-5)
    energy = json.loads(landscape("flatness", "w0.st", "--sigma", "0.1,0.5", "--samples", "4").out)
    assert energy["perturbed"] == ["position"]


def test_its_curvature_is_known(landscape: Callable[..., Any]) -> None:
    """The Hessian of a distance L in s directions: s - 1 eigenvalues 1/L, and zeros."""
    options = ["--epochs", "1", "--lr", "0.1", "--momentum", "0", "-o", "w.st"]
    assert landscape("train", "--model", MODEL, "--data", "wedges", *options).code == 0
    options = ["--kind", "curvature", "--metric", "euclidean", "--eigenvalues", "3", "--tolerance", "1e-5"]
    [measured] = json.loads(landscape("flatness", "w.st", *options).out)["networks"]
    assert measured["eigenvalues"] == pytest.approx([1 / far("w.st")] * 3, rel=1e-3)
    trace = measured["trace"]
    assert abs(trace["mean"] - 9 / far("w.st")) < 4 * trace["standard_error"]


def test_it_has_no_symmetries_and_the_commands_say_so(landscape: Callable[..., Any]) -> None:
    assert landscape(*TRAINING, "--runs", "2", "-o", "w{seed}.st").code == 0
    done = landscape("normalize", "w0.st", "-o", "n.st")
    assert "w0.st: its model has no scale to remove: all is left as it is\n" in done.err
    assert torch.equal(read_checkpoint("n.st").params["position"], read_checkpoint("w0.st").params["position"])
    done = landscape("align", "w0.st", "w1.st", "-o", "aligned.st")
    assert "w1.st: its model has nothing to permute: all is left as it is\n" in done.err
    assert torch.equal(read_checkpoint("aligned.st").params["position"], read_checkpoint("w1.st").params["position"])
    [fixed] = json.loads(landscape("align", "w0.st", "--explain", "--strict").out)["fixed"]
    assert fixed["reason"] == "the wedges lie along coordinates, each in directions of its own"


@pytest.mark.parametrize("options", ["--algo rsgd", "--algo sam", "--algo swa", "--optimizer adam"])
def test_samplers(landscape: Callable[..., Any], options: str) -> None:
    arguments = ["--model", MODEL, "--data", "wedges", *options.split(), "--epochs", "8"]
    assert landscape("train", *arguments, "-o", "w.st").code == 0
    assert math.isfinite(far("w.st"))


def test_refusals(landscape: Callable[..., Any]) -> None:
    for words, arguments in (
        ("--data wedges is for --model wedges, a landscape without a network, not mlp", ["--data", "wedges"]),
        ("not committee", ["--data", "wedges", "--model", "committee"]),
        ("--model wedges is for --data wedges, not hmm", ["--model", "wedges"]),
        *(
            (f"--model wedges has 2 outputs, not {count}: leave out", ["--data", "wedges", "--model", "wedges", *more])
            for count, more in ((3, ["--outputs", "3"]), (1, ["--outputs", "1"]))
        ),
        ("--hidden is for --model mlp", ["--data", "wedges", "--model", "wedges", "--hidden", "3"]),
        (
            "short must be less than dim, 1000, and is 1000",
            ["--data", "wedges", "--model", "wedges?short=1000"],
        ),
        ("wedges: wedges must be a whole number of at least 1", ["--data", "wedges", "--model", "wedges?wedges=0"]),
        ("need 931 GiB: at most 1 GiB", ["--data", "wedges", "--model", "wedges?dim=1000000&wedges=1000000"]),
    ):
        landscape("train", *arguments, "--epochs", "1", "-o", "w.st").check_refused(words, " ".join(arguments))
