"""`landscape align`: what it reports, writes and warns of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from landscape_cli import align
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models import build_model
from landscape_cli.symmetry import trace_symmetry
from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture


def test_the_table_speaks_of_permuted_units(landscape, trained: list[str]) -> None:  # noqa: F811
    table = landscape("align", *trained[:2], "-o", "t.st", "--format", "table").out
    assert " permuted " in table
    assert "relabelled" not in table
    assert "relabelled" in landscape("align", *trained[:2], "-o", "u.st", "--format", "csv").out


def test_align_reports_and_saves(landscape, trained: list[str]) -> None:  # noqa: F811
    landscape(*TRAIN, "--seed", "3", "-o", "3.st")
    done = landscape("align", "1.st", "2.st", "3.st", "--out-dir", "out", "--permutations", "p.json")
    report = json.loads(done.out)
    assert {(row["network"], row["group"]) for row in report["groups"]} == {
        (network, group) for network in ("2.st", "3.st") for group in ("fc1", "fc2")
    }
    first = report["groups"][0]
    assert first["similarity"] > first["similarity_before"]
    saved = json.loads(Path("p.json").read_text())["networks"][1]
    assert sorted(saved["groups"]["fc1"]) == list(range(12))
    order = torch.tensor(saved["groups"]["fc1"])
    found, before = read_checkpoint("out/3_aligned.st"), read_checkpoint("3.st")
    assert torch.equal(found.params["fc1.weight"], before.params["fc1.weight"][order])


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_what_is_written_is_what_the_library_finds(landscape, trained: list[str], method: str) -> None:  # noqa: F811
    options = ["--orders", "3"] if method == "weight" else []
    done = landscape(
        *("align", "1.st", "2.st", "-o", "a.st", "--permutations", "p.json", "--method", method, "--seed", "5"),
        *options,
    )
    assert done.err.splitlines() == ["landscape: wrote a.st", "landscape: wrote p.json"]
    reference, network, found = (read_checkpoint(path) for path in ("1.st", "2.st", "a.st"))
    model = build_model(reference.model, reference.params)
    symmetry = trace_symmetry(model, torch.zeros(2, *reference.model.input_shape))
    expected = align(model, reference.params, network.params, symmetry, method=method, orders=3, seed=5)
    assert all(torch.equal(found.params[name], tensor) for name, tensor in expected.params.items())
    values, report = expected.to_dict(), json.loads(done.out)
    [saved] = json.loads(Path("p.json").read_text())["networks"]
    assert saved == {"network": "2.st", "groups": values["permutations"], "signs": values["signs"]}
    [proof] = report["networks"]
    assert proof.items() >= {key: value for key, value in values["proof"].items() if key != "in_float64"}.items()
    assert {row["group"]: row["similarity"] for row in report["groups"]} == values["similarity"]
    assert found.metrics == network.metrics


def test_one_normalised_network_alone_is_warned_of(landscape, trained: list[str]) -> None:  # noqa: F811
    assert landscape("normalize", "1.st", "-o", "n.st").code == 0
    done = landscape("align", "n.st", "1.st", "2.st", "--out-dir", "a")
    warned = [line for line in done.err.splitlines() if "warning: " in line]
    assert warned == [
        f"landscape: warning: only one of n.st and {path} is normalised: matches will be poor" for path in trained
    ]
    assert "warning" not in landscape("align", "1.st", "2.st", "-o", "b.st").err
    assert landscape("align", "n.st", "2.st", "-o", "q.st", "-q").err == ""


@pytest.mark.parametrize(
    ("option", "method"), [("--orders", "weight"), ("--samples", "activation"), ("--data-dir", "activation")]
)
def test_options_of_other_methods_are_refused(
    landscape,
    trained: list[str],  # noqa: F811
    option: str,
    method: str,
) -> None:
    done = landscape("align", *trained, "-o", "a.st", option, "3")
    assert (done.code, done.out, Path("a.st").exists()) == (2, "", False)
    assert f"{option} is for --method {method} or learned" in done.err
