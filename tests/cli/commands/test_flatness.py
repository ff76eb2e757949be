"""`landscape flatness`: the library's numbers, refusals, the provenance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli import Evaluator, flip_energy, load_data, local_energy, read_checkpoint
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN, rows_of


@pytest.fixture
def files(made: Callable[..., Any]) -> tuple[str, str]:
    """A continuous and a binary network."""
    made(*TRAIN, "-o", "a.st")
    made(*BINARY, "--hidden", "15,12", "-o", "b.st")
    return "a.st", "b.st"


def evaluator_of(file: str) -> Evaluator:
    network = read_checkpoint(file)
    data = load_data(DataSpec.from_record(network.data), preprocessing=network.data)
    return Evaluator(build_model(network.model, network.params), {"train": data.train, "test": data.test})


def test_command_and_library_agree(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    options = ["--samples", "3", "--seed", "7", "--test"]
    for file, energy in zip(files, (local_energy, flip_energy), strict=True):
        result = json.loads(landscape("flatness", file, *options, "--plot", f"{file}.svg").out)
        measured = energy(evaluator_of(file), read_checkpoint(file).params, samples=3, seed=7)
        [network] = result["networks"]
        assert list(network.items()) == [("network", file), *measured.to_dict().items()]
        assert result["provenance"]["arguments"][measured.kind] == ",".join(f"{x:g}" for x in measured.strengths)
        assert len({"sigma", "flip"} & result["provenance"]["arguments"].keys()) == 1
        label = {"sigma": "σ", "flip": "probability of a flip"}[measured.kind]
        assert label in Path(f"{file}.svg").read_text()
        landscape("flatness", file, *options, "-o", f"{file}.csv")
        rows = rows_of(Path(f"{file}.csv").read_text())
        assert [{k: float(v) for k, v in row.items() if k != "network"} for row in rows] == measured.rows()


def test_what_is_perturbed(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    weights = ["fc1.weight", "fc2.weight", "fc3.weight"]
    for options, expected in (
        (["a.st"], weights),
        (["b.st", "--strict"], weights),
        (["a.st", "--all-parameters"], [name for weight in weights for name in (weight, weight[:4] + "bias")]),
    ):
        result = json.loads(landscape("flatness", *options, "--samples", "1").out)
        assert result["perturbed"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.st", "--sigma", "-0.10,0.2"], "--sigma takes numbers that are not negative, not -0.10,0.2"),
        (["a.st", "--flip", "0.1"], "--flip is for binary networks, and a.st is not: use --sigma 0.1,0.2,0.3,0.4,0.5"),
        (["b.st", "--flip", "2"], "--flip takes probabilities from 0 to 1, as in 0.01,0.02,0.05,0.1, not 2"),
        (["b.st", "--sigma", "1"], "b.st is binary, which noise on its weights makes no sense for: use --flip 0.01,"),
        (["a.st", "--sigma", "few"], "--sigma takes numbers separated by commas, not 'few'"),
        (["b.st", "--all-parameters"], "b.st is binary, and its signs are all that is flipped: leave out --all-"),
    ],
)
def test_refusals(landscape: Callable[..., Any], files: tuple[str, str], arguments: list[str], message: str) -> None:
    done = landscape("flatness", *arguments)
    assert done.code == 2
    assert done.err.startswith(f"landscape: error: {message}")
    assert done.err.endswith("(see 'landscape flatness --help')\n")


def test_patterns_are_families(landscape: Callable[..., Any]) -> None:
    for name in ("sgd-1", "sgd-2", "adv-1"):
        assert landscape(*TRAIN, "-o", f"{name}.st", "--force").code == 0
    options = ["--samples", "1", "--sigma", "0.1"]
    result = json.loads(landscape("flatness", "sgd-*.st", "adv-1.st", *options).out)
    assert result["families"] == {"sgd-*.st": ["sgd-1.st", "sgd-2.st"], "adv-1.st": ["adv-1.st"]}
    named = json.loads(landscape("flatness", "sgd-1.st", "sgd-2.st", "adv-1.st", *options).out)
    assert "families" not in named
    assert named["networks"] == result["networks"]
    assert "no file matches" in landscape("flatness", "x-*.st").err
