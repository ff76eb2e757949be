"""`path --repair`: what it says and records, and what it does not go with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from landscape_cli import load_data, path, read_checkpoint, trace_symmetry
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.test_app import trained  # noqa: F401 - a fixture


def test_it_is_what_the_library_measures_and_is_recorded(landscape, trained: list[str]) -> None:  # noqa: F811
    done = landscape("path", *trained[:2], "--repair", "--points", "3", "--loss", "--plot", "p.svg")
    assert "landscape: units corrected between the ends: those of fc1, fc2" in done.err.splitlines()
    result = json.loads(done.out)
    assert result["repair"] == ["fc1", "fc2"]
    assert result["provenance"]["arguments"]["repair"] is True
    assert "repaired" in Path("p.svg").read_text()
    start, end = (read_checkpoint(name) for name in trained[:2])
    model = build_model(start.model, start.params)
    data = load_data(DataSpec.from_record(start.data, None), preprocessing=start.data)
    symmetry = trace_symmetry(model, torch.zeros(2, *start.model.input_shape))
    splits = {"train": data.train, "test": data.test}
    expected = path(model, start.params, end.params, splits, symmetry=symmetry, points=3, loss=True, repair=True)
    assert result["points"] == expected.points
    written = ("--network-at", "0.5", "--network-out", "m.st")
    landscape("path", *trained[:2], "--repair", "--points", "3", *written)
    merged = read_checkpoint("m.st")
    assert merged.metrics["train_loss"] == pytest.approx(result["points"][1]["train_loss"])
    assert merged.history[-1]["arguments"]["repair"] is True
    plain = json.loads(landscape("path", *trained[:2], "--points", "3", "--loss").out)
    assert "repair" not in plain
    assert "repair" not in plain["provenance"]["arguments"]
    assert [plain["points"][k] == result["points"][k] for k in range(3)] == [True, False, True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--optimize-midpoint",), "--repair is for paths without a trained midpoint"),
        (("--kind", "connector"), "--repair"),
    ],
)
def test_what_it_does_not_go_with(landscape, trained: list[str], options: list[str], said: str) -> None:  # noqa: F811
    done = landscape("path", *trained[:2], "--repair", *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err.splitlines()[-1]


def test_binary_networks_and_batch_norm_are_refused(landscape) -> None:
    train = ("train", "--epochs", "1", "--hmm-latent", "6", "--hmm-dim", "9", "--hmm-test", "20", "--runs", "2")
    landscape(*train, "--model", "binary-mlp", "--hidden", "5", "-o", "b-{seed}.st")
    done = landscape("path", "b-0.st", "b-1.st", "--repair")
    assert (done.code, "not for binary networks" in done.err.splitlines()[-1]) == (2, True)
