"""The optimised path on the command line: the midpoint, its two pieces, its checkpoint."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models import build_model
from landscape_cli.symmetry import permute, trace_symmetry
from tests.cli.commands.test_align_symmetry import save  # noqa: F401 - a fixture
from tests.cli.commands.test_path_pairs import LEARN, write_permuted
from tests.cli.test_app import TRAIN

BEND = ["--optimize-midpoint", "--batch-size", "8", "--points", "5"]


@pytest.fixture
def pair(made: Callable[..., Any]) -> None:
    """Two trained networks, and the same normalised, in a folder n."""
    for seed, path in ((3, "a.st"), (4, "b.st")):
        made(*LEARN, "--seed", seed, "-o", path)
    made("normalize", "a.st", "b.st", "--out-dir", "n")


def measured(result: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured, without names."""
    kept = {key: result[key] for key in ("barrier", "points", "midpoint")}
    return kept | {"pieces": [(piece["barrier"], piece["points"]) for piece in result["pieces"]]}


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("kind", ["linear", "geodesic"])
def test_midpoint(landscape: Callable[..., Any], kind: str) -> None:
    ends = ["n/a.st", "n/b.st", "--kind", kind]
    done = landscape("path", *ends, *BEND, "--loss", "--lr", "0.1", "--epochs", "40", "--midpoint-out", "m.st")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    midpoint, pieces = result["midpoint"], result["pieces"]
    straight = json.loads(landscape("path", *ends, "--points", "3", "--loss").out)
    assert midpoint["middle"] == {key: straight["points"][1][key] for key in ("train_error", "test_error")}
    assert midpoint["train_error"] < midpoint["middle"]["train_error"]
    assert 1 <= midpoint["epochs"] <= 40
    assert midpoint["train_error"] == 0 or midpoint["epochs"] == 40
    assert result["barrier"]["train"]["max"] < straight["barrier"]["train"]["max"]

    scores = [{key: value for key, value in point.items() if key != "tau"} for point in result["points"]]
    taus = [point["tau"] for point in result["points"]]
    assert taus == [k / 8 for k in range(9)]
    for k, piece in enumerate(pieces):
        assert [point["tau"] for point in piece["points"]] == [0, 0.25, 0.5, 0.75, 1]
        assert [{key: value for key, value in p.items() if key != "tau"} for p in piece["points"]] == scores[4 * k :][
            :5
        ]
    for split in ("train", "test"):
        assert scores[4][f"{split}_error"] == midpoint[f"{split}_error"]
        for key in (f"{split}_error", f"{split}_loss"):
            highest = result["barrier"]["loss"][split] if "loss" in key else result["barrier"][split]
            assert highest["max"] == max(score[key] for score in scores)
            inner = [piece["barrier"]["loss"] if "loss" in key else piece["barrier"] for piece in pieces]
            assert highest["max"] == max(one[split]["max"] for one in inner)
    assert scores[0] == {key: value for key, value in straight["points"][0].items() if key != "tau"}
    assert scores[-1] == {key: value for key, value in straight["points"][-1].items() if key != "tau"}

    network = read_checkpoint("m.st")
    assert (network.normalized is not None) == (kind == "geodesic")
    assert network.metrics == scores[4]
    assert [step["command"].split()[1] for step in network.history] == ["train", "normalize"] * 2 + ["path"]
    assert network.history[-1]["arguments"]["optimize_midpoint"] is True
    assert network.history[-1]["inputs"] == {path: read_checkpoint(path).sha256 for path in ends[:2]}
    assert network.data == read_checkpoint("a.st").data
    back = ["--kind", kind, "--points", "5", "--loss"]
    for piece, ends_of_it in zip(pieces, (("n/a.st", "m.st"), ("m.st", "n/b.st")), strict=True):
        again = json.loads(landscape("path", *ends_of_it, *back).out)
        assert again["points"] == piece["points"]
        assert again["barrier"] == piece["barrier"]
    rows = json.loads(landscape("distance", "m.st", "n/a.st", "n/b.st", "--no-functions").out)["pairs"]
    for row, end in zip(rows, ("start", "end"), strict=False):
        found = midpoint["distances"][end]
        assert found == pytest.approx({key: row[key] for key in found})
        assert (found["geodesic"] is None) == (kind == "linear")
        assert found["euclidean"] > 0.1


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("kind", ["linear", "geodesic"])
def test_a_permutation_of_the_midpoint_is_undone(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Where training did nothing but permute units, the two pieces are the halves of the path."""
    network = read_checkpoint("a.st")
    model = build_model(network.model, {name: tensor.clone() for name, tensor in network.params.items()})
    symmetry = trace_symmetry(model, torch.zeros(2, *network.model.input_shape))
    orders = {group.name: torch.arange(group.units).roll(1) for group in symmetry.permutations}
    module = importlib.import_module("landscape_cli.measures.midpoint")
    monkeypatch.setattr(module, "train_vertex", lambda spec, middle, *_, **__: (permute(middle, symmetry, orders), 1))
    ends = ["n/a.st", "n/b.st", "--kind", kind, "--loss"]
    straight = json.loads(landscape("path", *ends, "--points", "9").out)
    bent = json.loads(landscape("path", *ends, *BEND).out)
    for one, other in zip(straight["points"], bent["points"], strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    assert straight["points"][4]["train_loss"] > 1.1 * straight["points"][0]["train_loss"]
    aligner = importlib.import_module("landscape_cli.alignment.pairs").PairAligner
    monkeypatch.setattr(aligner, "align", lambda self, reference, network: network)
    left = json.loads(landscape("path", *ends, *BEND).out)
    assert left["points"][3]["train_loss"] != pytest.approx(straight["points"][3]["train_loss"], rel=1e-2)


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_labels_do_not_matter_once_aligned(landscape: Callable[..., Any], method: str) -> None:
    write_permuted("n/b.st", "r.st")
    for kind in ("linear", "geodesic"):
        options = [*BEND, "--kind", kind, "--epochs", "3", "--loss"]
        one, other = (landscape("path", "n/a.st", end, *options, "--align", method).out for end in ("n/b.st", "r.st"))
        expected, found = measured(json.loads(one)), measured(json.loads(other))
        assert_alike(found, expected)
        control = measured(json.loads(landscape("path", "n/a.st", "r.st", *options).out))
        assert control["points"] != expected["points"]


def assert_alike(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_alike(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    else:
        assert found == (expected if expected is None else pytest.approx(expected, rel=1e-5, abs=1e-9))


@pytest.mark.usefixtures("pair")
def test_no_training_where_none_is_needed(landscape: Callable[..., Any]) -> None:
    until = ["--until-error", "1"]
    result = json.loads(landscape("path", "a.st", "b.st", *BEND, *until).out)
    straight = json.loads(landscape("path", "a.st", "b.st", "--points", "9").out)
    assert result["midpoint"]["epochs"] == 0
    assert result["points"] == straight["points"]
    itself = json.loads(landscape("path", "a.st", "a.st", *BEND, *until).out)
    assert itself["midpoint"]["distances"]["start"]["euclidean"] == 0
    assert len({point["train_error"] for point in itself["points"]}) == 1


@pytest.mark.usefixtures("pair")
def test_same_command_same_bytes(landscape: Callable[..., Any]) -> None:
    command = ["path", "n/a.st", "n/b.st", *BEND, "--kind", "geodesic", "--epochs", "2", "--align", "weight"]
    contents = []
    for _ in range(2):
        done = landscape(*command, "--midpoint-out", "m.st", "--seed", "3", "--force")
        contents.append((done.out, Path("m.st").read_bytes()))
    assert contents[0] == contents[1]
    landscape(*command, "--midpoint-out", "m.st", "--seed", "4", "--force")
    assert Path("m.st").read_bytes() != contents[0][1]
    landscape(*command, "--midpoint-out", "other.st", "--seed", "3")
    assert Path("other.st").read_bytes() == contents[0][1]


@pytest.mark.parametrize("kind", ["linear", "geodesic"])
def test_batch_norm(landscape: Callable[..., Any], save: Callable[..., Any], kind: str) -> None:  # noqa: F811
    """With statistics recomputed, the checkpoint of the midpoint holds those of the training set."""
    save("Residual")
    named = ["--model", "nets:Residual"]
    options = ["--data", "data.safetensors", "--kind", kind, "--points", "3", "--loss"]
    assert landscape("normalize", "1.pt", "2.pt", *named, "--input-shape", "3,3,3", "--out-dir", "n").code == 0
    ends = ["n/1.st", "n/2.st", *named, *options]
    for bn in ("recompute", "keep"):
        train = ["--optimize-midpoint", "--epochs", "3", "--lr", "0.1", "--batch-size", "10", "--bn", bn]
        done = landscape("path", *ends, "--align", "weight", *train, "--midpoint-out", f"{bn}.st")
        assert done.code == 0, done.err
        result = json.loads(done.out)
        assert result["midpoint"]["epochs"] == 3
        piece = result["pieces"][0]
        again = json.loads(landscape("path", "n/1.st", f"{bn}.st", *named, *options, "--bn", bn).out)
        assert again["points"] == piece["points"]
        losses = [
            json.loads(landscape("path", f"{bn}.st", f"{bn}.st", *named, *options, "--bn", way).out)["points"][0]
            for way in ("recompute", "keep")
        ]
        same = losses[0]["train_loss"] == pytest.approx(losses[1]["train_loss"], rel=1e-4)
        assert same == (bn == "recompute")


def test_statistics_before_training(
    landscape: Callable[..., Any],
    save: Callable[..., Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = save("Residual")
    module = importlib.import_module("landscape_cli.measures.midpoint")
    seen: list[Any] = []
    monkeypatch.setattr(module, "train_vertex", lambda spec, middle, *_, **__: (seen.append(middle), (middle, 1))[1])
    ends = ["1.pt", "2.pt", "--model", "nets:Residual", "--input-shape", "3,3,3", "--data", "data.safetensors"]
    for bn in ("recompute", "keep"):
        done = landscape("path", *ends, "--optimize-midpoint", "--points", "2", "--bn", bn)
        assert done.code == 0, done.err
    inputs = load_data(DataSpec("data.safetensors")).train.x
    for middle, recomputed in zip(seen, (True, False), strict=True):
        again = recompute_statistics(model, middle, inputs)
        assert torch.allclose(again["bn2.running_var"], middle["bn2.running_var"], rtol=1e-5) == recomputed


DROPS = """
from torch import nn

class Drops(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(27, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 4))
"""


@pytest.mark.usefixtures("save")
def test_dropout_draws_from_the_seed(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("drops.py").write_text(DROPS)
    drops = importlib.import_module("drops")
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.save(drops.Drops().state_dict(), f"{seed}.pt")
    command = ["path", "1.pt", "2.pt", "--model", "drops:Drops", "--input-shape", "3,3,3", "--data", "data.safetensors"]
    outs = []
    for _ in range(2):
        done = landscape(*command, *BEND, "--epochs", "2", "--lr", "0.1", "--loss")
        assert done.code == 0, done.err
        outs.append(done.out)
    monkeypatch.delitem(sys.modules, "drops")
    assert outs[0] == outs[1]


@pytest.mark.usefixtures("pair")
def test_midpoints_are_trained_as_the_networks_were(landscape: Callable[..., Any]) -> None:
    for seed, name in ((1, "x.st"), (2, "y.st")):
        landscape(*LEARN, "--optimizer", "adam", "--lr-schedule", "constant", "--seed", str(seed), "-o", name)

    def arguments(*options: str) -> dict[str, Any]:
        done = landscape("path", "x.st", *options, *BEND, "--epochs", "1")
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)["provenance"]["arguments"]
        return {name: found.get(name) for name in ("optimizer", "lr_schedule", "lr", "midpoints")}

    alike = {"optimizer": "adam", "lr_schedule": "constant", "lr": 0.001, "midpoints": None}
    assert arguments("y.st") == alike
    assert arguments("y.st", "--optimizer", "sgd", "--lr-schedule", "cosine", "--midpoints", "2") == {
        **dict.fromkeys(alike),
        "lr": 0.02,
        "midpoints": 2,
    }
    assert arguments("a.st")["optimizer"] is None  # networks that do not agree


@pytest.mark.usefixtures("pair")
def test_both_ways(landscape: Callable[..., Any]) -> None:
    command = ["path", "a.st", "b.st", "--pairs", "cross", "--points", "3"]
    there = json.loads(landscape(*command).out)
    done = landscape(*command, "--both-ways")
    assert done.code == 0, done.err
    both = json.loads(done.out)
    assert both["pairs"][0] == there["pairs"][0]
    assert [(pair["start"], pair["end"]) for pair in both["pairs"]] == [("a.st", "b.st"), ("b.st", "a.st")]
    assert [entry["families"] for entry in both["summary"]] == [["a.st", "b.st"], ["b.st", "a.st"]]
    errors = [[point["train_error"] for point in pair["points"]] for pair in both["pairs"]]
    assert errors[0] == errors[1][::-1]
    assert "both_ways" not in there["provenance"]["arguments"]
    assert landscape("path", "a.st", "b.st", "--both-ways").code == 2


@pytest.mark.usefixtures("pair")
def test_midpoints_of_families(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert landscape(*LEARN, "--seed", "1", "-o", "c.st").code == 0
    command = ["path", "[ab].st", "c.st", *BEND, "--pairs", "all", "--epochs", "2"]
    done = landscape(*command, "--midpoint-out", "mid-{start}-{end}.st")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    written = [pair["midpoint"]["path"] for pair in result["pairs"]]
    assert written == ["mid-a-b.st", "mid-a-c.st", "mid-b-c.st"]
    for pair in result["pairs"]:
        errors = {key: pair["midpoint"][key] for key in ("train_error", "test_error")}
        assert errors.items() <= read_checkpoint(pair["midpoint"]["path"]).metrics.items()
    table = landscape(*command, "--format", "table", "--quiet").out
    assert "euclidean to start" in " ".join(table.split())

    module = importlib.import_module("landscape_cli.measures.connector_training")
    trained = module.train
    calls: list[int] = []

    def failing(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise TrainingError("training diverged")
        return trained(*arguments, **options)

    monkeypatch.setattr(module, "train", failing)
    done = landscape(*command)
    assert (done.code, "warning: the midpoint of a.st and c.st is missing" in done.err) == (2, True)
    assert "1 of 3 midpoints are missing" in done.err
    partial = json.loads(done.out)
    first, failed, last = partial["pairs"]
    assert (failed["points"], failed["barrier"], failed["failure"]) == (None, None, "training diverged")
    assert first["points"] == result["pairs"][0]["points"]
    assert last["points"] == result["pairs"][2]["points"]
    within, between = partial["summary"]
    assert within["barrier"] == result["summary"][0]["barrier"]
    missing = {"mean": None, "deviation": None}
    assert between["barrier"]["train"]["max"] == between["midpoint"]["epochs"] == missing
    assert [point["train_error"] for point in between["points"]] == [missing] * 9
    assert result["summary"][1]["barrier"]["train"]["max"]["mean"] is not None
    calls.clear()
    assert len(landscape(*command, "--format", "csv").out.splitlines()) == 2 + 9 + 1 + 9
    calls[:] = [1]
    done = landscape("path", "a.st", "b.st", *BEND)
    assert (done.code, "training diverged" in done.err) == (2, True)


OUT = ["--optimize-midpoint", "--midpoint-out"]
HOSTILE = {
    "epochs alone": (["--epochs", "3"], "--epochs is for --optimize-midpoint"),
    "several of none": (["--midpoints", "3"], "--midpoints is for --optimize-midpoint: leave it out"),
    "momentum of adam": (["--optimize-midpoint", "--optimizer", "adam", "--momentum", "0.5"], "adam has its own"),
    "seed of nothing": (["--batch-size", "3"], "--batch-size is for --optimize-midpoint"),
    "default alone": (["--lr", "0.02"], "--lr is for --optimize-midpoint"),
    "out alone": (["--midpoint-out", "m.st"], "--midpoint-out is for --optimize-midpoint"),
    "until": (["--optimize-midpoint", "--until-error", "2"], "a fraction from 0 to 1"),
    "until nan": (["--optimize-midpoint", "--until-error", "nan"], "a fraction from 0 to 1"),
    "rate": (["--optimize-midpoint", "--lr", "-1"], "--lr must be a positive number, and is -1.0"),
    "no epochs": (["--optimize-midpoint", "--epochs", "0"], "--epochs"),
    "diverging": (["--optimize-midpoint", "--lr", "1e30"], "diverged"),
    "suffix": ([*OUT, "m.txt"], ".st or .safetensors"),
    "no such folder": ([*OUT, "missing/m.st"], "create it first"),
    "taken": ([*OUT, "taken.st"], "--force"),
    "itself": ([*OUT, "a.st", "--force"], "one of the networks themselves"),
    "taken by a template": ([*OUT, "{start}.st"], "a.st exists already"),
    "result too": ([*OUT, "m.st", "-o", "m.st"], ".json or .csv"),
}
TEMPLATES = {
    "m.st": "several midpoints would be written to m.st",
    "m-{start}.st": "several midpoints would be written to m-a.st",
    "m-{end}.st": "several midpoints would be written to m-c.st",
    "m-{start}-{begin}.st": "has a field that is not known: only {start} and {end} are",
    "missing/{start}-{end}.st": "create it first",
    "taken-{start}-{end}.st": "taken-a-b.st exists already",
}


@pytest.mark.usefixtures("pair")
def test_hostile_midpoints(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("taken.st").write_text("precious")
    Path("taken-a-b.st").write_text("precious")
    assert landscape(*TRAIN, "-o", "c.st").code == 0
    before = {path: path.read_bytes() for path in Path().rglob("*.st")}
    for name, (arguments, word) in HOSTILE.items():
        done = landscape("path", "a.st", "b.st", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), (name, done.err)
        assert word in done.err, (name, done.err)
    monkeypatch.setattr("landscape_cli.models.reader.read_checkpoint", None)  # refused before any work
    for template, word in TEMPLATES.items():
        done = landscape("path", "[ab].st", "c.st", "--pairs", "all", *OUT, template)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), (template, done.err)
        assert word in done.err, (template, done.err)
    assert {path: path.read_bytes() for path in Path().rglob("*.st")} == before
