"""`landscape normalize`: what it reports, writes and remarks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from landscape_cli.io.checkpoint import read_checkpoint, write_checkpoint
from landscape_cli.models import build_model
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import trace_symmetry
from tests.cli.test_app import trained  # noqa: F401 - a fixture


def test_normalize_reports_its_proof(landscape, trained: list[str]) -> None:  # noqa: F811
    done = landscape("normalize", "1.st", "-o", "n.st")
    [report] = json.loads(done.out)["networks"]
    assert report["relative_difference"] < 1e-5
    assert report["decisions_changed"] == 0
    kept = landscape("normalize", "1.st", "-o", "k.st", "--keep-last-layer")
    assert json.loads(kept.out)["networks"][0]["output_factor"] == 1.0
    assert read_checkpoint("k.st").metrics == read_checkpoint("1.st").metrics


def test_what_is_written_is_what_the_library_finds(landscape, trained: list[str]) -> None:  # noqa: F811
    done = landscape("normalize", *trained, "--out-dir", "n")
    assert done.err.splitlines() == ["landscape: wrote n/1.st", "landscape: wrote n/2.st"]
    rows = json.loads(done.out)["networks"]
    assert [(row["network"], row["output"]) for row in rows] == [("1.st", "n/1.st"), ("2.st", "n/2.st")]
    for row in rows:
        before, after = read_checkpoint(row["network"]), read_checkpoint(row["output"])
        model = build_model(before.model, before.params)
        expected = normalize_params(before.params, trace_symmetry(model, torch.zeros(2, *before.model.input_shape)))
        assert all(torch.equal(after.params[name], tensor) for name, tensor in expected.params.items())
        assert row["output_factor"] == expected.output_factor
        assert after.normalized == {"keep_last_layer": False, "output_factor": expected.output_factor, "degenerate": {}}
        assert [step["command"] for step in after.history] == ["landscape train", "landscape normalize"]
        assert after.metrics == {key: value for key, value in before.metrics.items() if "loss" not in key}
        assert after.metrics != before.metrics  # the last layer, and so the loss, is another


def test_units_without_weights_are_remarked_on(landscape, trained: list[str]) -> None:  # noqa: F811
    network = read_checkpoint("1.st")
    weight = network.params["fc1.weight"].index_fill(0, torch.tensor([1, 5]), 0)
    write_checkpoint("dead.st", replace(network, params={**network.params, "fc1.weight": weight}))
    done = landscape("normalize", "dead.st", "-o", "n.st")
    assert "landscape: dead.st: fc1 has units without incoming weights or gain: 1, 5" in done.err.splitlines()
    assert json.loads(done.out)["networks"][0]["degenerate_units"] == 2
    quiet = landscape("normalize", "dead.st", "-o", "q.st", "-q")
    assert (quiet.code, quiet.err) == (0, "")
    assert Path("q.st").exists()
