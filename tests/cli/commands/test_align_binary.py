"""Binary networks on the command line: aligned, normalised, explained, flipped; kinds are not mixed."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.binary.layers import to_signs
from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry.plane import span_plane
from landscape_cli.io.checkpoint import read_checkpoint, write_checkpoint
from landscape_cli.models import build_model
from landscape_cli.symmetry import flip, permute, random_permutations, random_signs, trace_symmetry
from tests.cli.test_app import TRAIN
from tests.support.binaries import same_signs

BINARY = [part if part != "mlp" else "binary-mlp" for part in TRAIN if part not in {"--hidden", "12,9"}]


@pytest.fixture
def trained(made) -> list[str]:
    """Two binary networks, a third that is the first permuted and flipped, and a continuous network."""
    for seed in (1, 2):
        made(*BINARY, "--hidden", "15,12", "--seed", seed, "-o", f"{seed}.st")
    made(*TRAIN, "-o", "smooth.st")
    network = read_checkpoint("1.st")
    params = {key: torch.where((tensor >= 0) & (tensor < 0.02), 0.0, tensor) for key, tensor in network.params.items()}
    symmetry = trace_symmetry(build_model(network.model, params), torch.zeros(2, 21))
    source = torch.Generator().manual_seed(0)
    moved = permute(params, symmetry, random_permutations(symmetry, generator=source))
    moved = flip(moved, symmetry, random_signs(symmetry, generator=source))
    write_checkpoint("moved.st", replace(network, params=moved))
    return ["1.st", "2.st"]


def outputs(path: str) -> torch.Tensor:
    network = read_checkpoint(path)
    x = torch.randn(50, 21, generator=torch.Generator().manual_seed(1))
    return build_model(network.model, network.params)(x)


@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_align_undoes_a_permutation_with_flips(landscape, trained: list[str], method: str) -> None:
    done = landscape("align", "1.st", "moved.st", "-o", "back.st", "--method", method, "--permutations", "p.json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["networks"][0]["largest_logit_difference"] == 0
    assert all(row["similarity"] == pytest.approx(1) for row in report["groups"])
    assert same_signs(dict(read_checkpoint("back.st").params), dict(read_checkpoint("1.st").params))
    assert torch.equal(outputs("back.st"), outputs("moved.st"))
    signs = json.loads(Path("p.json").read_text())["networks"][0]["signs"]
    assert {sign for group in signs.values() for sign in group} == {1, -1}
    flips = {row["group"]: row["flipped"] for row in report["groups"]}
    counted = {name: sum(sign < 0 for sign in group) for name, group in signs.items()}
    assert flips == dict.fromkeys(flips) | counted


def test_align_changes_no_bit_of_another_network(landscape, trained: list[str]) -> None:
    assert landscape("align", *trained, "-o", "aligned.st").code == 0
    assert torch.equal(outputs("aligned.st"), outputs("2.st"))
    assert not same_signs(dict(read_checkpoint("aligned.st").params), dict(read_checkpoint("2.st").params))
    assert landscape("normalize", "1.st", "-o", "n.st").code == 0
    done = landscape("align", "n.st", "2.st", "-o", "again.st")
    assert "normalised" not in done.err  # signs have no scale
    assert same_signs(dict(read_checkpoint("again.st").params), dict(read_checkpoint("aligned.st").params))


def test_a_change_of_the_smallest_output_is_refused(
    landscape, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is exact: a rounding that continuous networks are allowed is too much."""
    import landscape_cli.evaluation.equivalence

    kept = landscape_cli.evaluation.equivalence._outputs
    calls = []

    def nearly(*arguments: Any) -> tuple[torch.Tensor, ...]:
        calls.append(None)
        return tuple(output * (1 + 1e-13 * (len(calls) > 1)) for output in kept(*arguments))

    monkeypatch.setattr(landscape_cli.evaluation.equivalence, "_outputs", nearly)
    done = landscape("align", *trained, "-o", "aligned.st")
    assert done.code == 1
    assert "changed the function" in done.err
    assert not Path("aligned.st").exists()
    calls.clear()
    assert landscape("align", "smooth.st", "smooth.st", "-o", "fine.st").code == 0


def test_normalize_makes_latents_their_signs(landscape, trained: list[str]) -> None:
    done = landscape("normalize", "1.st", "-o", "n.st")
    assert done.code == 0, done.err
    assert "no scale to remove; its latent weights become their signs" in done.err
    before, after = read_checkpoint("1.st"), read_checkpoint("n.st")
    expected = to_signs(before.params, before.params)
    assert all(torch.equal(after.params[key], expected[key]) for key in expected)
    assert after.normalized is not None
    assert after.normalized["binary"] is True
    assert json.loads(done.out)["networks"][0]["largest_logit_difference"] == 0
    assert torch.equal(outputs("n.st"), outputs("1.st"))
    assert landscape("normalize", "n.st", "-o", "twice.st").code == 0
    assert all(torch.equal(read_checkpoint("twice.st").params[key], expected[key]) for key in expected)
    assert landscape("normalize", "smooth.st", "-o", "s.st").code == 0
    normalized = read_checkpoint("s.st").normalized
    assert normalized is not None
    assert "binary" not in normalized


REFUSED = {
    "align": (["align", "1.st", "smooth.st", "-o", "out.st"], "1.st is binary (its weights are signs), but smooth.st"),
    "align, the other way": (["align", "smooth.st", "1.st", "-o", "out.st"], "1.st is binary"),
    "distance": (["distance", "2.st", "smooth.st"], "2.st is binary"),
    "path": (["path", "smooth.st", "1.st"], "1.st is binary"),
    "plane": (["plane", "1.st", "2.st", "smooth.st"], "but smooth.st is not"),
    "flatness": (["flatness", "1.st", "smooth.st"], "but smooth.st is not"),
    "the last layer": (["normalize", "1.st", "--keep-last-layer", "-o", "out.st"], "leave out --keep-last-layer"),
    "sigma": (["flatness", "1.st", "--sigma", "0.1"], "use --flip 0.01"),
    "flip": (["flatness", "smooth.st", "--flip", "0.1"], "use --sigma 0.1"),
    "all parameters": (["flatness", "1.st", "--all-parameters"], "leave out --all-parameters"),
    "probability above 1": (["flatness", "1.st", "--flip", "0.1,1.5"], "probabilities from 0 to 1"),
    "negative probability": (["flatness", "1.st", "--flip", "-0.1"], "probabilities from 0 to 1"),
    "probability that is none": (["flatness", "1.st", "--flip", "nan"], "probabilities from 0 to 1"),
    "no number": (["flatness", "1.st", "--flip", "few"], "numbers separated by commas"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(landscape, trained: list[str], case: str) -> None:
    arguments, reason = REFUSED[case]
    done = landscape(*arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("out.st").exists()


def test_flatness_flips_signs(landscape, trained: list[str]) -> None:
    done = landscape("flatness", *trained, "--samples", "3", "--test", "--plot", "f.png")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["perturbed"] == ["fc1.weight", "fc2.weight", "fc3.weight"]
    assert found["provenance"]["arguments"]["flip"] == "0.01,0.02,0.05,0.1"
    assert "sigma" not in found["provenance"]["arguments"]
    assert Path("f.png").stat().st_size > 1000
    for network in found["networks"]:
        assert [level["flip"] for level in network["local_energy"]] == [0.01, 0.02, 0.05, 0.1]
        assert all(len(level["test_draws"]) == 3 for level in network["local_energy"])
    done = landscape("flatness", "1.st", "--samples", "2", "--flip", "0,0.5", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out.partition("\n")[2])))
    assert [row["flip"] for row in rows] == ["0.0", "0.5"]
    assert float(rows[0]["train_energy"]) == 0
    assert float(rows[1]["train_energy"]) > 0
    smooth = json.loads(landscape("flatness", "smooth.st", "--samples", "1").out)
    assert [level["sigma"] for level in smooth["networks"][0]["local_energy"]] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert "flip" not in smooth["provenance"]["arguments"]


def test_local_energy_does_not_depend_on_latents(landscape, trained: list[str]) -> None:
    assert landscape("normalize", "1.st", "-o", "n.st").code == 0
    one, other = (json.loads(landscape("flatness", name, "--samples", "3").out) for name in ("1.st", "n.st"))
    assert one["networks"][0]["local_energy"] == other["networks"][0]["local_energy"]


def test_plane_takes_signs_of_latents(landscape, trained: list[str]) -> None:
    done = landscape("plane", *trained, "moved.st", "--grid", "4", "--plot", "p.png")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["binary"] is True
    networks = [read_checkpoint(name) for name in (*trained, "moved.st")]
    plane = span_plane(*(network.params for network in networks))
    model = build_model(networks[0].model, networks[0].params)
    data = load_data(DataSpec.from_record(networks[0].data), preprocessing=networks[0].data)
    evaluator = Evaluator(model, data.train)
    nodes = [plane.network(point["x"], point["y"]) for point in found["points"]]
    signs = [to_signs(node, node) for node in nodes]
    errors = [point["train_error"] for point in found["points"]]
    assert evaluator.error(signs).tolist() == errors
    corners = [corner["train_error"] for corner in found["networks"]]
    assert corners == evaluator.error([network.params for network in networks]).tolist()
    assert corners[0] == corners[2]
    for corner, network in zip(plane.corners, networks, strict=True):
        for key, tensor in plane.network(*corner).items():
            apart = (tensor >= 0) != (network.params[key] >= 0)
            assert not bool((apart & (network.params[key].abs() > 1e-6)).any())
    assert landscape(*TRAIN, "--seed", "5", "-o", "c.st").code == 0
    assert landscape("normalize", "smooth.st", "c.st", "--out-dir", "n").code == 0
    smooth = landscape("plane", "smooth.st", "c.st", "n/c.st", "--grid", "2")
    assert "binary" not in json.loads(smooth.out)


def test_explain_says_why_signs_are_fixed(landscape, trained: list[str]) -> None:
    committee = [part if part != "binary-mlp" else "committee" for part in BINARY]
    assert landscape(*committee, "--hidden", "9", "-o", "committee.st").code == 0
    assert landscape(*BINARY, "--hidden", "12,9", "-o", "even.st").code == 0
    found = json.loads(landscape("align", "--explain", "1.st").out)
    assert found["latents"] == ["fc1.weight", "fc2.weight", "fc3.weight"]
    assert found["fixed_signs"] == []
    assert [group["name"] for group in found["signs"]] == ["fc1", "fc2"]
    found = json.loads(landscape("align", "--explain", "committee.st").out)
    assert found["signs"] == []
    assert [(one["group"], one["reason"]) for one in found["fixed_signs"]] == [
        ("fc1", "units are summed with no weights that could take their sign")
    ]
    done = landscape("align", "--explain", "even.st", "--format", "table")
    assert "a sum of an even number of ±1 can be zero" in " ".join(done.out.replace("│", " ").split())
    assert "latents" not in json.loads(landscape("align", "--explain", "smooth.st").out)


def test_explain_says_that_pooling_fixes_signs(landscape) -> None:
    source = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 1, 16, 16, generator=source), torch.arange(40) % 3
    save_file({"x_train": x[:20], "y_train": y[:20], "x_test": x[20:], "y_test": y[20:]}, "data.safetensors")
    conv = ["train", "--model", "binary-conv", "--filters", "5,7", "--hidden", "9", "--data", "data.safetensors"]
    assert landscape(*conv, "--epochs", "1", "-o", "conv.st", "--device", "cpu").code == 0
    found = json.loads(landscape("align", "--explain", "conv.st").out)
    assert {one["group"]: "max-pooling" in one["reason"] for one in found["fixed_signs"]} == {
        "conv1": True,
        "conv2": True,
    }
    assert [group["name"] for group in found["signs"]] == ["fc1"]
