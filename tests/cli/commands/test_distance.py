"""`landscape distance`: the library's numbers, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from landscape_cli import disagreement, distance, load_data, read_checkpoint, trace_symmetry
from landscape_cli.choices import Metric
from landscape_cli.cli.reports.distance import as_matrix
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN


@pytest.fixture
def files(made: Callable[..., Any]) -> list[str]:
    """Two continuous networks, normalised and not, and two binary ones."""
    for seed in (1, 2):
        made(*TRAIN, "--seed", seed, "-o", f"{seed}.st")
        made(*BINARY, "--hidden", "15,12", "--seed", seed, "-o", f"b{seed}.st")
    made("normalize", "1.st", "2.st", "--out-dir", "n")
    return ["n/1.st", "n/2.st"]


@pytest.mark.parametrize("names", [("n/1.st", "n/2.st"), ("b1.st", "b2.st")])
def test_command_and_library_agree(landscape: Callable[..., Any], files: list[str], names: tuple[str, str]) -> None:
    done = landscape("distance", *names)
    [row] = json.loads(done.out)["pairs"]
    a, b = map(read_checkpoint, names)
    model = build_model(a.model, a.params)
    data = load_data(DataSpec.from_record(a.data), preprocessing=a.data)
    symmetry = trace_symmetry(model, torch.zeros(2, *a.model.input_shape))
    predicted = disagreement(model, a.params, b.params, data)
    expected = distance(a.params, b.params, symmetry).to_dict() | predicted.to_dict()
    assert list(row.items()) == [("a", names[0]), ("b", names[1]), *expected.items()]


def test_every_distance_as_a_matrix(landscape: Callable[..., Any], files: list[str]) -> None:
    for names in (files, ["b1.st", "b2.st"]):
        result = json.loads(landscape("distance", *names, "--matrix", "test_kl").out)
        [row] = result["pairs"]  # which has all that are shown, as one is asked for that is not usual
        assert row.items() >= json.loads(landscape("distance", *names).out)["pairs"][0].items()
        for metric in Metric:
            done = landscape("distance", *names, "--matrix", metric.value)
            if metric.value not in row:
                assert (done.code, f"--matrix {metric.value} has no meaning: use" in done.err) == (2, True)
                continue
            shown = json.loads(done.out)["matrix"]
            itself, value = metric.load().itself, row[metric.value]
            assert shown["metric"] == metric.value
            assert [list(line.values())[1:] for line in shown["rows"]] == [[itself, value], [value, itself]]


def test_networks_that_are_not_normalised_are_named(landscape: Callable[..., Any], files: list[str]) -> None:
    done = landscape("distance", "1.st", "n/2.st", "--no-functions")
    assert done.err == "landscape: 1.st is not normalised, so it has no geodesic distance: run landscape normalize\n"
    [row] = json.loads(done.out)["pairs"]
    assert row["geodesic"] is None
    assert row["euclidean"] > 0
    assert landscape("distance", "1.st", "2.st", "--no-functions", "-q").err == ""
    done = landscape("distance", "1.st", "2.st", "--no-functions")
    assert "1.st, 2.st are not normalised, so they have" in done.err
    assert landscape("distance", "b1.st", "b2.st", "--no-functions").err == ""
    Path("matrix.csv").unlink(missing_ok=True)
    refused = landscape("distance", *files, "--matrix", "test_disagreement", "--no-functions", "-o", "matrix.csv")
    assert (refused.code, "needs the data: leave out --no-functions" in refused.err) == (2, True)
    assert not Path("matrix.csv").exists()


def test_pairs_that_were_not_measured_are_missing_in_a_matrix() -> None:
    rows = [{"a": "x", "b": "y", "hamming": 3}, {"a": "z", "b": "x", "hamming": 5}]
    assert as_matrix(rows, ["x", "y", "z"], Metric.HAMMING) == [
        {"network": "x", "x": 0, "y": 3, "z": 5},
        {"network": "y", "x": 3, "y": 0, "z": None},
        {"network": "z", "x": 5, "y": None, "z": 0},
    ]
