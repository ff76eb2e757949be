"""`landscape flatness --kind curvature`: the library's numbers, refusals, the provenance."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli import Evaluator, curvature, load_data, read_checkpoint
from landscape_cli.cli.flatness.curvature_options import PROBES, STEPS, CurvatureOptions
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN, rows_of

KIND = ["--kind", "curvature"]


@pytest.fixture
def files(made: Callable[..., Any]) -> tuple[str, str]:
    """A continuous and a binary network."""
    made(*TRAIN, "-o", "a.st")
    made(*BINARY, "--hidden", "15,12", "-o", "b.st")
    return "a.st", "b.st"


def evaluator_of(file: str) -> Evaluator:
    network = read_checkpoint(file)
    data = load_data(DataSpec.from_record(network.data), preprocessing=network.data)
    return Evaluator(build_model(network.model, network.params), {"train": data.train})


def test_command_and_library_agree(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    options = ["--eigenvalues", "2", "--smallest", "--trace-samples", "3", "--density", "--density-steps", "4"]
    done = landscape("flatness", "a.st", *KIND, *options, "--curvature-samples", "20", "--seed", "7", "--plot", "a.svg")
    result = json.loads(done.out)
    measured = curvature(
        evaluator_of("a.st"),
        read_checkpoint("a.st").params,
        eigenvalues=2,
        smallest=True,
        trace_samples=3,
        density=True,
        density_steps=4,
        curvature_samples=20,
        seed=7,
    )
    [network] = result["networks"]
    assert list(network.items()) == [("network", "a.st"), *measured.to_dict().items()]
    assert result["samples"] == 20
    assert result["parameters"] == ["fc1.weight", "fc2.weight", "fc3.weight"]
    arguments = result["provenance"]["arguments"]
    assert (arguments["kind"], arguments["density_probes"], arguments["density_steps"]) == ("curvature", 4, 4)
    assert not {"sigma", "samples", "test"} & arguments.keys()
    assert "eigenvalue of D H D" in Path("a.svg").read_text()
    landscape("flatness", "a.st", *KIND, *options, "--curvature-samples", "20", "--seed", "7", "-o", "a.csv")
    rows = rows_of(Path("a.csv").read_text())
    assert [row["rank"] for row in rows] == ["1", "2", "smallest"]
    assert [float(rows[0][key]) for key in ("loss", "error")] == [measured.loss, measured.error]  # of the subset
    assert {row["converged"] for row in rows} == {"True"}
    assert [float(row["eigenvalue"]) for row in rows] == [*measured.eigenvalues, measured.smallest]


def test_all_parameters_and_the_euclidean_metric(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    params = read_checkpoint("a.st").params
    for options in (["--all-parameters"], ["--metric", "euclidean"]):
        done = landscape("flatness", "a.st", *KIND, *options, "--trace-samples", "1")
        result = json.loads(done.out)
        assert result["parameters"] == [f"fc{k}.{kind}" for k in (1, 2, 3) for kind in ("weight", "bias")]
        assert result["networks"][0]["dimension"] == sum(tensor.numel() for tensor in params.values())
        assert ("--metric euclidean depends on the scales" in done.err) == ("euclidean" in options)
    assert "density_steps" not in result["provenance"]["arguments"]


def test_networks_at_different_losses(landscape: Callable[..., Any], files: tuple[str, str]) -> None:
    longer = [*TRAIN, "--epochs", "60", "--lr", "0.2", "--seed", "2", "-o", "c.st"]
    assert landscape(*longer).code == 0
    done = landscape("flatness", "a.st", "c.st", *KIND, "--trace-samples", "0", "--format", "table")
    assert "warning: training losses range from" in done.err
    assert "eigenvalue" in done.out
    assert "euclidean" not in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.st", "--sigma", "0.1"], "--sigma goes with --kind energy"),
        (["a.st", "--test"], "--test goes with --kind energy"),
        (["a.st", "--tolerance", "1.5"], "--tolerance must be at least 0 and below 1, and is 1.5"),
        (["a.st", "--tolerance", "nan"], "--tolerance must be a finite number, and is nan"),
        (["a.st", "--eigenvalues", "0", "--trace-samples", "0"], "nothing of the curvature is asked for: give"),
        (["a.st", "--eigenvalues", "4000"], "--eigenvalues 4000 of 369 weights: there are at most 369"),
        (["a.st", "--density", "--density-steps", "1000000"], "--density-steps 1000000 of 369 weights: there are at"),
        (["a.st", "--density-steps", "9"], "--density-steps goes with --density"),
        (["a.st", "--density-probes", "9"], "--density-probes goes with --density"),
        (["a.st", "--metric", "euclidean", "--all-parameters"], "--metric euclidean is of all parameters: leave out"),
        (["a.st", "--curvature-samples", "1"], "--curvature-samples 1 must lie between 2, the number of classes"),
        (["b.st"], "b.st is binary, and its loss is not twice differentiable: measure its local energy, by flips"),
    ],
)
def test_refusals(landscape: Callable[..., Any], files: tuple[str, str], arguments: list[str], message: str) -> None:
    done = landscape("flatness", *arguments, *KIND)
    assert done.code == 2
    assert done.err.startswith(f"landscape: error: {message}")
    assert done.out == ""


@pytest.mark.parametrize("option", ["--eigenvalues", "--tolerance", "--metric", "--curvature-samples"])
def test_options_of_another_kind(landscape: Callable[..., Any], files: tuple[str, str], option: str) -> None:
    value = "euclidean" if option == "--metric" else "0.5" if option == "--tolerance" else "3"
    landscape("flatness", "a.st", option, value).check_refused(f"{option} goes with --kind curvature", option)


def test_defaults_are_the_librarys() -> None:
    ours, theirs = inspect.signature(curvature).parameters, CurvatureOptions()
    names = ("eigenvalues", "smallest", "trace_samples", "density", "metric", "tolerance", "curvature_samples")
    for name in names:
        assert ours[name].default == getattr(theirs, name), name
    assert (ours["density_probes"].default, ours["density_steps"].default) == (PROBES, STEPS)
