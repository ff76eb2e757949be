"""Paths and distances between binary networks on the command line."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landscape_cli.data.datasets import DataSpec, Split, load_data
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry.barrier import barrier_of
from landscape_cli.geometry.hamming import PATHS
from landscape_cli.io.checkpoint import read_checkpoint, write_checkpoint
from landscape_cli.network import Params
from landscape_cli.rng import generator
from tests.cli.commands.test_path_pairs import check
from tests.cli.test_app import TRAIN

LEARN = [*TRAIN, "--model", "binary-mlp", "--hidden", "13,9", "--epochs", "30", "--lr", "0.1"]
NAMES = ("fc1.weight", "fc2.weight", "fc3.weight")
MIDDLE = ["--optimize-midpoint", "--batch-size", "8", "--lr", "0.3", "--epochs", "20"]


@pytest.fixture
def binary(made: Callable[..., Any]) -> None:
    """Three trained binary networks, and a continuous one."""
    for seed in (1, 2, 3):
        made(*LEARN, "--seed", seed, "-o", f"{seed}.st")
    made(*TRAIN, "-o", "c.st")


def run(landscape: Callable[..., Any], *arguments: Any) -> Any:
    done = landscape(*arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


def signs(params: Params) -> list[int]:
    return [1 if value >= 0 else -1 for name in NAMES for value in params[name].flatten().tolist()]


def distance(one: str, other: str) -> int:
    both = (signs(read_checkpoint(path).params) for path in (one, other))
    return sum(x != y for x, y in zip(*both, strict=True))


def wrong(weights: list[int], params: Params, data: Split) -> float:
    """Return the error of a network of signs by integer arithmetic alone."""
    hidden = 2 * np.floor(data.x.numpy() * np.float32(15.5)).astype(np.int64).T + 1
    hidden = hidden.clip(-127, 127)
    for name in NAMES:
        shape = params[name].shape
        own, weights = weights[: shape.numel()], weights[shape.numel() :]
        sums = np.array(own).reshape(shape) @ hidden
        hidden = np.where(sums >= 0, 1, -1)
    assert not weights
    return int(((hidden[0] > 0) != (data.y.numpy() == 1)).sum()) / len(data.y)


@pytest.mark.usefixtures("binary")
def test_errors_are_those_of_integer_arithmetic(landscape: Callable[..., Any]) -> None:
    points, orders, seed = 6, 3, 11
    result = run(landscape, "path", "1.st", "2.st", "--points", points, "--orders", orders, "--seed", seed)
    a, b = (read_checkpoint(path) for path in ("1.st", "2.st"))
    data = load_data(DataSpec.from_record(a.data, None), preprocessing=a.data)
    start, end = signs(a.params), signs(b.params)
    flips = distance("1.st", "2.st")
    found: dict[str, list[list[float]]] = {"train": [], "test": []}
    for order in range(orders):
        drawn = torch.randperm(len(start), generator=generator(seed, PATHS, order)).tolist()
        places = [k for k in drawn if start[k] != end[k]]
        for split, errors in found.items():
            errors.append([])
            for k in range(points):
                here = list(start)
                for place in places[: int(k * flips / (points - 1) + 0.5)]:
                    here[place] *= -1
                errors[-1].append(wrong(here, a.params, getattr(data, split)))
    assert result["kind"] == "shortest"
    assert result["orders"] == orders
    assert [row["tau"] for row in result["points"]] == [k / 5 for k in range(6)]
    assert [row["flips"] for row in result["points"]] == [int(k * flips / 5 + 0.5) for k in range(6)]
    for split, errors in found.items():
        for k, row in enumerate(result["points"]):
            own = [errors[order][k] for order in range(orders)]
            assert row[f"{split}_error"] == pytest.approx(np.mean(own), abs=1e-12)
            assert row[f"{split}_error_deviation"] == pytest.approx(np.std(own, ddof=1), abs=1e-12)
        each = [barrier_of([k / 5 for k in range(6)], own) for own in errors]
        for mark in ("max", "tau", "above_ends", "above_line"):
            mean = statistics.fmean(getattr(one, mark) for one in each)
            assert result["barrier"][split][mark] == pytest.approx(mean, abs=1e-12)
        assert result["barrier"][split]["deviation"] == pytest.approx(statistics.stdev(one.max for one in each))
        # an order of its own makes a difference, and so the mean over them
        assert errors[0] != errors[1]
    assert result["points"][0]["train_error_deviation"] == result["points"][-1]["test_error_deviation"] == 0
    other = run(landscape, "path", "1.st", "2.st", "--points", points, "--orders", orders, "--seed", "12")
    assert other["points"][2] != result["points"][2]
    assert other["points"][5] == result["points"][5]


@pytest.mark.usefixtures("binary")
def test_ends_are_measured_once(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    evaluate = Evaluator.evaluate

    def counting(self: Evaluator, networks: Any) -> Any:
        counts.append(0)

        def counted() -> Any:
            for network in networks:
                counts[-1] += 1
                yield network

        return evaluate(self, counted())

    monkeypatch.setattr(Evaluator, "evaluate", counting)
    run(landscape, "path", "1.st", "2.st", "--points", "7", "--orders", "4")
    assert sum(counts) == 2 + 4 * 5
    counts.clear()
    run(landscape, "path", "1.st", "2.st", "--points", "2")
    assert counts == [2]
    counts.clear()
    run(landscape, "path", "1.st", "2.st", "--points", "4", "--orders", "3", *MIDDLE, "--until-error", "1")
    assert counts == [1, 3 + 2 * 3 * 2]


@pytest.mark.usefixtures("binary")
def test_parts_of_a_path_in_several_orders_are_the_whole(landscape: Callable[..., Any]) -> None:
    command = ["path", "1.st", "2.st", "--points", "4", "--orders", "2"]
    whole = run(landscape, *command)
    for k in (1, 2, 3):
        assert landscape(*command, "--part", f"{k}/3", "-o", f"{k}.json").code == 0
    assert run(landscape, "path", "--merge", "2.json", "1.json", "3.json") == whole


@pytest.mark.usefixtures("binary")
def test_short_paths(landscape: Callable[..., Any]) -> None:
    itself = run(landscape, "path", "1.st", "1.st", "--points", "4")
    assert {row["flips"] for row in itself["points"]} == {0}
    assert len({row["train_error"] for row in itself["points"]}) == 1
    assert itself["barrier"]["train"]["deviation"] == itself["barrier"]["train"]["above_line"] == 0
    network = read_checkpoint("1.st")
    flipped = dict(network.params)
    flipped["fc3.weight"] = network.params["fc3.weight"].clone()
    flipped["fc3.weight"][0, 0] *= -1
    write_checkpoint("near.st", replace(network, params=flipped))
    near = run(landscape, "path", "1.st", "near.st", "--points", "4")
    assert [row["flips"] for row in near["points"]] == [0, 0, 1, 1]
    errors = [row["train_error"] for row in near["points"]]
    assert errors[0] == errors[1] != errors[2] == errors[3]
    alone = run(landscape, "path", "1.st", "2.st", "--points", "3", "--orders", "1", "--loss")
    assert {alone["points"][1][f"{key}_deviation"] for key in ("train_error", "train_loss", "test_loss")} == {None}
    assert alone["barrier"]["test"]["deviation"] is alone["barrier"]["loss"]["train"]["deviation"] is None
    assert alone["points"][1]["train_error"] is not None


OPTIONS = {
    "plain": [],
    "loss": ["--loss", "--seed", "4"],
    "aligned": ["--align", "cosine"],
    "weight": ["--align", "weight"],
    "midpoint": ["--align", "cosine", *MIDDLE[:-1], "3"],
}


@pytest.mark.usefixtures("binary")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_families_give_the_numbers_of_single_pairs(landscape: Callable[..., Any], options: list[str]) -> None:
    options = ["--points", "5", "--orders", "3", *options]
    for pairing, families in {
        "all": ["[12].st", "3.st"],
        "cross": ["[12].st", "3.st"],
        "zip": ["1.st", "2.st"],
    }.items():
        result = run(landscape, "path", *families, "--pairs", pairing, *options)
        assert (result["kind"], result["orders"]) == ("shortest", 3)
        assert len(result["pairs"]) == {"all": 3, "cross": 2, "zip": 1}[pairing]
        for pair in result["pairs"]:
            alone = run(landscape, "path", pair["start"], pair["end"], *options)
            shared = {"start", "end", "barrier", "points", "midpoint", "pieces"} & alone.keys()
            assert pair == {"families": pair["families"]} | {key: alone[key] for key in shared}
        for entry in result["summary"]:
            own = [pair for pair in result["pairs"] if pair["families"] == entry["families"]]
            check(entry["barrier"], [pair["barrier"] for pair in own])
            for k, point in enumerate(entry["points"]):
                check({key: v for key, v in point.items() if key != "tau"}, [pair["points"][k] for pair in own])
            if "midpoint" in entry:
                check(entry["midpoint"], [pair["midpoint"] for pair in own])
        assert ("midpoint" in result["summary"][0]) == ("--optimize-midpoint" in options)


@pytest.mark.usefixtures("binary")
def test_the_kind_may_be_named(landscape: Callable[..., Any]) -> None:
    result = run(landscape, "path", "1.st", "2.st", "--points", "4")
    assert result == run(landscape, "path", "1.st", "2.st", "--points", "4", "--kind", "shortest", "--orders", "10")
    assert result["provenance"]["arguments"]["kind"] == "shortest"
    assert result["provenance"]["arguments"]["orders"] == 10
    straight = run(landscape, "path", "c.st", "c.st", "--points", "3")
    assert (straight["kind"], straight["provenance"]["arguments"]["kind"]) == ("linear", "linear")
    assert not {"orders"} & (straight.keys() | straight["provenance"]["arguments"].keys())
    assert straight.keys() == {"kind", "start", "end", "barrier", "points", "provenance"}
    assert straight["points"][0].keys() == {"tau", "train_error", "test_error"}


@pytest.mark.usefixtures("binary")
def test_midpoint(landscape: Callable[..., Any]) -> None:
    options = ["--points", "5", "--orders", "4", "--loss"]
    result = run(landscape, "path", "1.st", "2.st", *options, *MIDDLE, "--midpoint-out", "m.st")
    midpoint, pieces = result["midpoint"], result["pieces"]
    network = read_checkpoint("m.st")
    latents = torch.cat([network.params[name].flatten() for name in NAMES])
    assert bool((latents.abs() <= 1).all())
    assert len(latents.abs().unique()) > 10
    assert midpoint["train_error"] < midpoint["middle"]["train_error"]
    assert network.metrics == {key: result["points"][4][key] for key in network.metrics}
    assert len(network.metrics) == 4
    assert network.history[-1]["arguments"]["kind"] == "shortest"
    for end, path in (("start", "1.st"), ("end", "2.st")):
        flips = distance(path, "m.st")
        fraction = flips / len(latents)
        assert midpoint["distances"][end] == {
            "hamming": flips,
            "hamming_fraction": fraction,
            "cosine": pytest.approx(1 - 2 * fraction),
        }
    first, second = (distance(path, "m.st") for path in ("1.st", "2.st"))
    assert [row["flips"] for row in result["points"]][::4] == [0, first, first + second]
    assert [row["tau"] for row in result["points"]] == [k / 8 for k in range(9)]
    assert [piece["points"][-1]["flips"] for piece in pieces] == [first, second]
    for piece, ends in zip(pieces, (("1.st", "m.st"), ("m.st", "2.st")), strict=True):
        again = run(landscape, "path", *ends, *options)
        assert again["points"] == piece["points"]
        assert again["barrier"] == piece["barrier"]
    assert result["barrier"]["train"]["max"] >= max(piece["barrier"]["train"]["max"] for piece in pieces)

    untrained = run(
        landscape, "path", "1.st", "2.st", *options, *MIDDLE, "--until-error", "1", "--midpoint-out", "u.st"
    )
    assert untrained["midpoint"]["epochs"] == 0
    halves = [untrained["midpoint"]["distances"][end]["hamming"] for end in ("start", "end")]
    assert sum(halves) == distance("1.st", "2.st")
    assert abs(halves[0] - halves[1]) <= 1
    drawn = {name: read_checkpoint("u.st").params[name] for name in NAMES}
    ends = [read_checkpoint(path).params for path in ("1.st", "2.st")]
    for name, middle in drawn.items():
        agree = (ends[0][name] >= 0) == (ends[1][name] >= 0)
        assert torch.allclose(middle[agree], (ends[0][name] + ends[1][name])[agree] / 2, atol=1e-7)
        assert bool(((middle == ends[0][name]) | (middle == ends[1][name]))[~agree].all())


@pytest.mark.usefixtures("binary")
def test_rates_of_their_own(landscape: Callable[..., Any]) -> None:
    options = ["--points", "3", "--optimize-midpoint", "--epochs", "3"]
    for ends, rate in ((("1.st", "2.st"), "20"), (("c.st", "c.st"), "0.02")):
        by_default = run(landscape, "path", *ends, *options, "--loss")
        assert by_default == run(landscape, "path", *ends, *options, "--loss", "--lr", rate)
        assert by_default["provenance"]["arguments"]["lr"] == float(rate)
        assert by_default["midpoint"]["epochs"] == 3
        other = run(landscape, "path", *ends, *options, "--loss", "--lr", "0.5")
        assert other["points"] != by_default["points"]


@pytest.mark.usefixtures("binary")
def test_same_command_same_bytes(landscape: Callable[..., Any]) -> None:
    command = ["path", "1.st", "2.st", "--points", "4", "--orders", "2", *MIDDLE, "--midpoint-out"]
    outs = [(landscape(*command, f"{name}.st").out, Path(f"{name}.st").read_bytes()) for name in ("x", "y")]
    assert outs[0][0].replace("x.st", "y.st") == outs[1][0]
    assert outs[0][1] == outs[1][1]
    assert landscape(*command, "z.st", "--seed", "1").code == 0
    assert Path("z.st").read_bytes() != outs[0][1]


@pytest.mark.usefixtures("binary")
def test_forms(landscape: Callable[..., Any]) -> None:
    command = ["path", "1.st", "2.st", "--points", "3", "--orders", "2"]
    done = landscape(*command, "-o", "x.csv")
    assert done.code == 0
    assert " ± " in done.err
    rows = list(csv.DictReader(io.StringIO(Path("x.csv").read_text().split("\n", 1)[1])))
    columns = ["tau", "flips", "train_error", "test_error", "train_error_deviation", "test_error_deviation"]
    assert list(rows[0]) == columns
    assert rows[2]["flips"] == str(distance("1.st", "2.st"))
    table = landscape("path", "*.st", "*.st", "--pairs", "all", "--points", "3", "--format", "table")
    assert (table.code, "only networks of one model" in table.err) == (2, True)
    short = [*MIDDLE[:-1], "1", "--points", "3", "--format", "table", "-q"]
    table = landscape("path", "[12].st", "3.st", "--pairs", "all", *short)
    assert "hamming fraction to start" in " ".join(table.out.split())
    pytest.importorskip("matplotlib")
    assert landscape(*command, "--plot", "x.svg", "--force").code == 0
    assert landscape(*command[:-1], "1", "--plot", "one.svg").code == 0
    fills = [Path(name).read_text().count("PolyCollection") for name in ("x.svg", "one.svg")]
    assert fills[0] > fills[1] == 0
    assert landscape("path", "[12].st", "3.st", "--pairs", "all", "--points", "3", "--plot", "f.png").code == 0


@pytest.mark.usefixtures("binary")
def test_distances(landscape: Callable[..., Any]) -> None:
    done = landscape("distance", "1.st", "2.st", "3.st")
    assert "normalised" not in done.err
    rows = json.loads(done.out)["pairs"]
    weights = len(signs(read_checkpoint("1.st").params))
    for row, (a, b) in zip(rows, combinations(("1.st", "2.st", "3.st"), 2), strict=True):
        columns = ("a", "b", "hamming", "hamming_fraction", "cosine", "train_disagreement", "test_disagreement")
        assert tuple(row) == columns
        assert row["hamming"] == distance(a, b)
        assert row["hamming_fraction"] == row["hamming"] / weights
        assert row["cosine"] == pytest.approx(1 - 2 * row["hamming_fraction"])
        assert row["test_disagreement"] > 0
    matrix = run(landscape, "distance", "1.st", "2.st", "3.st", "--matrix", "hamming")["matrix"]["rows"]
    assert [matrix[0][name] for name in ("1.st", "2.st", "3.st")] == [0, rows[0]["hamming"], rows[1]["hamming"]]
    for metric in ("hamming_fraction", "cosine", "train_disagreement"):
        matrix = run(landscape, "distance", "1.st", "2.st", "--matrix", metric)["matrix"]["rows"]
        assert matrix[0]["2.st"] == rows[0][metric]
        assert matrix[0]["1.st"] == (metric == "cosine")
    families = run(landscape, "distance", "[12].st", "3.st", "--pairs", "cross", "--no-functions")
    [entry] = families["summary"]
    check({key: entry[key] for key in ("hamming", "hamming_fraction", "cosine")}, rows[1:])
    assert "geodesic" not in entry
    table = landscape("distance", "[12].st", "3.st", "--pairs", "cross", "--format", "table")
    assert "hamming fraction" in table.out
    continuous = run(landscape, "distance", "c.st", "c.st")["pairs"][0]
    assert "euclidean" in continuous
    assert "hamming" not in continuous


MIXED = """
from torch import nn
from landscape_cli.binary import FixedPoint, Outputs, Sign, SignLinear

class Biased(nn.Sequential):
    def __init__(self):
        last = nn.Linear(5, 1)
        super().__init__(FixedPoint(even_first=False), SignLinear(21, 5, largest=127), Sign(21, ties=False), last)
"""
HOSTILE = {
    "linear": (["path", "1.st", "2.st", "--kind", "linear"], "1.st is a binary network"),
    "geodesic": (["path", "1.st", "2.st", "--kind", "geodesic"], "use --kind shortest, or leave it out"),
    "shortest": (["path", "c.st", "c.st", "--kind", "shortest"], "c.st is not a binary network"),
    "orders": (["path", "c.st", "c.st", "--orders", "10"], "--orders is for binary networks: leave it out"),
    "no orders": (["path", "1.st", "2.st", "--orders", "0"], "--orders"),
    "orders no number": (["path", "1.st", "2.st", "--orders", "many"], "--orders"),
    "no such kind": (["path", "1.st", "2.st", "--kind", "flips"], "'--kind': 'flips' is not one of"),
    "one point": (["path", "1.st", "2.st", "--points", "1"], "--points"),
    "mixed": (["path", "1.st", "c.st"], "only networks of one model"),
    "epochs alone": (["path", "1.st", "2.st", "--epochs", "3"], "for --optimize-midpoint"),
    "matrix geodesic": (["distance", "1.st", "2.st", "--matrix", "geodesic"], "--matrix geodesic has no meaning"),
    "matrix euclidean": (["distance", "1.st", "2.st", "--matrix", "euclidean"], "use hamming, hamming_fraction"),
    "matrix hamming": (["distance", "c.st", "c.st", "--matrix", "hamming"], "c.st is not a binary network"),
    "matrix fraction": (["distance", "c.st", "c.st", "--matrix", "hamming_fraction"], "use geodesic, rms_angle"),
    "rate": (["path", "1.st", "2.st", *MIDDLE, "--lr", "-1"], "--lr must be a positive number, and is -1.0"),
}


@pytest.mark.usefixtures("binary")
def test_hostile(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(Path().rglob("*"))
    for name, (arguments, word) in HOSTILE.items():
        landscape(*arguments).check_refused(word, name)
    assert sorted(Path().rglob("*")) == before
    Path("mixed.py").write_text(MIXED)
    monkeypatch.syspath_prepend(".")
    model = ["--model", "mixed:Biased"]
    done = landscape("train", *model, *TRAIN[5:], "--seed", "1", "-o", "x.st")
    assert done.code == 0, done.err
    for command in (["path"], ["path", *MIDDLE], ["distance"]):
        done = landscape(*command, "x.st", "x.st", *model)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
        assert "'3.bias', '3.weight', which have no signs to flip" in done.err
