"""Families of networks on the command line: which pairs, the same numbers as one by one, and their statistics."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import landscape_cli.data.datasets
import landscape_cli.models.reader
from landscape_cli.io.checkpoint import read_checkpoint, write_checkpoint
from landscape_cli.models import build_model
from landscape_cli.symmetry import permute, trace_symmetry
from tests.cli.test_app import TRAIN

LEARN = [*TRAIN, "--epochs", "40", "--lr", "0.1"]
A, B = ["a-1.st", "a-2.st", "a-10.st"], ["b-1.st", "b-2.st", "b-3.st"]
EVERY = [*combinations(A, 2), *product(A, B), *combinations(B, 2)]


def write_permuted(path: str, to: str, *, seed: int = 0) -> None:
    """Write the network with its hidden units in a random order, none in its place: the same function."""
    network = read_checkpoint(path)
    model = build_model(network.model, {name: tensor.clone() for name, tensor in network.params.items()})
    symmetry = trace_symmetry(model, torch.zeros(2, *network.model.input_shape))
    source = torch.Generator().manual_seed(seed)
    orders = {}
    for group in symmetry.permutations:
        start = torch.randperm(group.units, generator=source)
        orders[group.name] = torch.empty_like(start)
        orders[group.name][start] = start.roll(1)
    write_checkpoint(to, replace(network, params=permute(network.params, symmetry, orders)), force=True)


@pytest.fixture
def families(made: Callable[..., Any]) -> None:
    """Two families of three networks, trained; and the same normalised, in a folder n."""
    for seed, path in enumerate(A + B):
        made(*LEARN, "--seed", seed, "-o", path)
    made("normalize", *A, *B, "--out-dir", "n")


def names(result: dict[str, Any], keys: tuple[str, str] = ("start", "end")) -> list[tuple[str, ...]]:
    return [tuple(pair[key] for key in keys) for pair in result["pairs"]]


@pytest.mark.usefixtures("families")
def test_which_pairs(landscape: Callable[..., Any]) -> None:
    def pairs_of(*arguments: str) -> list[tuple[str, ...]]:
        done = landscape("path", *arguments, "--points", "2")
        assert done.code == 0, done.err
        result = json.loads(done.out)
        assert len(result["pairs"]) == sum(entry["pairs"] for entry in result["summary"])
        own = landscape("distance", *arguments, "--no-functions")
        assert names(json.loads(own.out), ("a", "b")) == names(result)
        return names(result)

    assert pairs_of("a-*.st", "b-*.st", "--pairs", "all") == EVERY
    assert pairs_of("a-*.st", "b-*.st", "--pairs", "cross") == list(product(A, B))
    assert pairs_of("b-*.st", "a-*.st", "--pairs", "cross") == list(product(B, A))
    assert pairs_of("a-*.st", "b-*.st", "--pairs", "zip") == list(zip(A, B, strict=True))
    assert pairs_of("a-*.st", "a-*.st", "--pairs", "all") == list(combinations(A, 2))
    assert pairs_of("a-10.st", "b-?.st", "--pairs", "cross") == list(product(["a-10.st"], B))
    assert pairs_of("b-1.st", "b-2.st", "b-3.st", "--pairs", "all") == list(combinations(B, 2))
    one = landscape("distance", "a-*.st", "--pairs", "all", "--no-functions")
    assert names(json.loads(one.out), ("a", "b")) == list(combinations(A, 2))


OPTIONS = {
    "plain": [],
    "loss": ["--loss"],
    "cosine": ["--align", "cosine"],
    "weight": ["--align", "weight", "--seed", "3"],
    "activation": ["--align", "activation", "--seed", "4"],
    "geodesic": ["--align", "cosine", "--kind", "geodesic"],
    "midpoint": [
        "--align",
        "cosine",
        "--kind",
        "geodesic",
        "--optimize-midpoint",
        "--epochs",
        "2",
        "--batch-size",
        "9",
    ],
}


@pytest.mark.usefixtures("families")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_families_give_the_numbers_of_single_pairs(landscape: Callable[..., Any], options: list[str]) -> None:
    chosen = ("n/a-1*.st", "n/b-[12].st")
    done = landscape("path", *chosen, "--pairs", "all", "--points", "5", *options)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["families"] == {chosen[0]: ["n/a-1.st", "n/a-10.st"], chosen[1]: ["n/b-1.st", "n/b-2.st"]}
    assert len(result["pairs"]) == 6
    for pair in result["pairs"]:
        alone = json.loads(landscape("path", pair["start"], pair["end"], "--points", "5", *options).out)
        shared = {"start", "end", "barrier", "points", "midpoint", "pieces"} & alone.keys()
        assert pair == {"families": pair["families"]} | {key: alone[key] for key in shared}
    for entry in result["summary"]:
        own = [pair for pair in result["pairs"] if pair["families"] == entry["families"]]
        assert entry["pairs"] == len(own)
        check(entry["barrier"], [pair["barrier"] for pair in own])
        for k, point in enumerate(entry["points"]):
            assert point["tau"] == own[0]["points"][k]["tau"]
            check({key: value for key, value in point.items() if key != "tau"}, [pair["points"][k] for pair in own])
        assert ("midpoint" in entry) == ("--optimize-midpoint" in options)
        if "midpoint" in entry:
            check(entry["midpoint"], [pair["midpoint"] for pair in own])
    sizes = [len({pair["barrier"]["test"]["max"] for pair in result["pairs"]}), len(result["summary"])]
    assert sizes[0] > 1
    assert sizes[1] == 3


def check(summary: dict[str, Any], values: list[Any]) -> None:
    """Hold a summary against numpy."""
    if "mean" not in summary:
        assert summary
        for key, inner in summary.items():
            check(inner, [value[key] for value in values])
    elif any(value is None for value in values):
        assert summary == {"mean": None, "deviation": None}
    else:
        assert summary["mean"] == pytest.approx(np.mean(values))
        assert summary["deviation"] == (pytest.approx(np.std(values, ddof=1)) if len(values) > 1 else None)


@pytest.mark.usefixtures("families")
def test_distances_of_families(landscape: Callable[..., Any]) -> None:
    arguments = ["distance", "n/a-*.st", "n/b-*.st", "--pairs", "all"]
    result = json.loads(landscape(*arguments).out)
    every = json.loads(landscape("distance", *(f"n/{name}" for name in A + B)).out)["pairs"]
    known = {(row["a"], row["b"]): row for row in every}
    for row in result["pairs"]:
        assert (row.pop("family_a"), row.pop("family_b")) == tuple(f"n/{row[end][2]}-*.st" for end in "ab")
        assert row == known[row["a"], row["b"]]
    assert len(result["pairs"]) == len(known)
    for entry in result["summary"]:
        one, other = (family[2] for family in entry["families"])
        own = [row for row in every if (row["a"][2], row["b"][2]) == (one, other)]
        assert entry["pairs"] == len(own)
        check({key: value for key, value in entry.items() if key not in {"families", "pairs"}}, own)
    lines = landscape(*arguments, "--format", "csv").out.split("\n", 1)[1]
    table = list(csv.DictReader(io.StringIO(lines)))
    assert [row["family_b"] for row in table] == ["n/a-*.st"] * 3 + ["n/b-*.st"] * 12
    matrix = json.loads(landscape(*arguments[:-1], "zip", "--matrix", "geodesic").out)["matrix"]["rows"]
    assert [value is None for value in matrix[0].values()] == [False, False, True, True, False, True, True]


@pytest.mark.usefixtures("families")
def test_each_file_is_read_once(landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(module: Any, name: str) -> None:
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **k: (calls.append(str(a[0])), function(*a, **k))[1])

    counted(landscape_cli.models.reader, "read_checkpoint")
    counted(landscape_cli.data.datasets, "load_data")
    for command in (["path", "--points", "2"], ["distance"]):
        calls.clear()
        assert landscape(*command, "a-*.st", "b-*.st", "--pairs", "all", "--align", "activation").code == 0
        assert len(calls) == 7
        assert set(calls) >= {*A, *B}


@pytest.mark.usefixtures("families")
@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_align_undoes_a_planted_permutation(landscape: Callable[..., Any], method: str) -> None:
    Path("r").mkdir()
    for k, path in enumerate(A):
        write_permuted(f"n/{path}", f"r/{path}", seed=k)
    for kind in ("linear", "geodesic"):
        arguments = ["path", "n/a-*.st", "r/a-*.st", "--pairs", "zip", "--kind", kind, "--points", "7"]
        plain, aligned = (json.loads(landscape(*arguments, *extra).out) for extra in ([], ["--align", method]))
        for one, other in zip(plain["pairs"], aligned["pairs"], strict=True):
            itself = json.loads(landscape("path", one["start"], one["start"], "--points", "7").out)
            assert other["barrier"] == itself["barrier"]
            assert one["barrier"]["train"]["above_ends"] > 0.05
    arguments = ["distance", "n/a-*.st", "r/a-*.st", "--pairs", "zip"]
    plain, aligned = (json.loads(landscape(*arguments, *extra).out) for extra in ([], ["--align", method]))
    for one, other in zip(plain["pairs"], aligned["pairs"], strict=True):
        assert other["geodesic"] == other["euclidean"] == 0
        assert min(one["geodesic"], one["euclidean"]) > 1
    different = ["distance", "n/a-1.st", "n/b-1.st"]
    plain, aligned = (json.loads(landscape(*different, *extra).out)["pairs"][0] for extra in ([], ["--align", method]))
    assert aligned["euclidean"] < plain["euclidean"]
    assert aligned["test_disagreement"] == plain["test_disagreement"] > 0


@pytest.mark.usefixtures("families")
@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_align_is_what_the_command_does(landscape: Callable[..., Any], method: str) -> None:
    assert landscape("align", "a-1.st", "b-1.st", "-o", "x.st", "--method", method, "--seed", "5").code == 0
    chain = json.loads(landscape("path", "a-1.st", "x.st").out)
    at_once = json.loads(landscape("path", "a-1.st", "b-1.st", "--align", method, "--seed", "5").out)
    assert at_once["points"] == chain["points"]
    assert at_once["provenance"]["arguments"]["align"] == method
    assert "align" not in chain["provenance"]["arguments"]


@pytest.mark.usefixtures("families")
def test_a_mean_is_missing_where_a_pair_is(landscape: Callable[..., Any]) -> None:
    network = read_checkpoint("a-2.st")
    lost = {name: 3e38 * tensor.sign() for name, tensor in network.params.items()}
    write_checkpoint("a-2.st", replace(network, params=lost), force=True)
    done = landscape("path", "a-*.st", "b-*.st", "--pairs", "all", "--points", "3")
    assert "have no error (missing, null)" in done.err
    both, between, whole = json.loads(done.out)["summary"]
    for entry in (both, between):
        for split in ("train", "test"):
            assert entry["barrier"][split]["max"] == {"mean": None, "deviation": None}
            assert entry["points"][0][f"{split}_error"] == {"mean": None, "deviation": None}
    assert whole["barrier"]["train"]["max"]["mean"] is not None
    table = landscape("path", "a-*.st", "b-*.st", "--pairs", "all", "--points", "3", "--format", "table").out
    assert [("│ -" in line) for line in table.splitlines() if " – " in line] == [True, True, False]


@pytest.mark.usefixtures("families")
def test_forms(landscape: Callable[..., Any]) -> None:
    arguments = ["path", "a-*.st", "b-*.st", "--pairs", "cross", "--points", "3"]
    rows = list(csv.DictReader(io.StringIO(landscape(*arguments, "--format", "csv").out.split("\n", 1)[1])))
    assert len(rows) == 27
    assert list(rows[0]) == ["a", "b", "family_a", "family_b", "tau", "train_error", "test_error"]
    assert {(row["family_a"], row["family_b"]) for row in rows} == {("a-*.st", "b-*.st")}
    table = landscape(*arguments, "--format", "table", "--quiet")
    assert table.err == ""
    assert table.out.count(" – ") == 1
    assert "±" in table.out
    table = landscape("distance", "a-*.st", "b-*.st", "--pairs", "all", "--format", "table", "--quiet")
    assert table.out.count(" – ") == 3
    first, second = (landscape(*arguments, "--align", "weight").out for _ in range(2))
    assert first == second
    pytest.importorskip("matplotlib")
    for suffix in ("png", "svg"):
        assert landscape(*arguments, "--plot", f"p.{suffix}").code == 0
        assert Path(f"p.{suffix}").stat().st_size > 1000


HOSTILE = {
    "empty glob": (["path", "a-*.st", "c-*.st", "--pairs", "all"], "no file matches the pattern 'c-*.st'"),
    "empty glob, distance": (["distance", "c-*.st", "--pairs", "all"], "no file matches"),
    "no such file": (["path", "a-*.st", "c.st", "--pairs", "all"], "No such file"),
    "folder": (["path", "a-*.st", "n", "--pairs", "all"], "n is a folder, and holds none of model.safetensors"),
    "unequal zip": (["path", "a-*.st", "b-[12].st", "--pairs", "zip"], "'a-*.st' has 3 networks, 'b-[12].st' has 2"),
    "zip with itself": (["path", "a-*.st", "a-*.st", "--pairs", "zip"], "two different families, not 1"),
    "zip of three": (["path", "a-1.st", "a-2.st", "b-1.st", "--pairs", "zip"], "two different families, not 3"),
    "cross with itself": (["path", "a-*.st", "a-*.st", "--pairs", "cross"], "two different families"),
    "one network": (["distance", "a-1.st", "--pairs", "all"], "at least two networks"),
    "in two families": (["path", "a-*.st", "*-1.st", "--pairs", "all"], "a-1.st is in two families"),
    "in two by another way": (["path", "a-*.st", "./n/../a-1.st", "--pairs", "all"], "in two families"),
    "three without --pairs": (["path", "a-1.st", "a-2.st", "b-1.st"], "families with --pairs: leave out b-1.st"),
    "pattern without --pairs": (["path", "a-*.st", "b-1.st"], "is a pattern"),
    "pairs": (["path", "a-*.st", "b-*.st", "--pairs", "some"], "'--pairs': 'some' is not one of"),
    "another model": (["path", "a-*.st", "other.st", "--pairs", "all"], "only networks of one model"),
    "not normalised": (["path", "a-*.st", "b-*.st", "--pairs", "all", "--kind", "geodesic"], "landscape normalize"),
    "method": (["path", "a-1.st", "b-1.st", "--align", "magic"], "'--align': 'magic' is not one of"),
    "taken": (["path", "a-*.st", "b-*.st", "--pairs", "all", "-o", "taken.json"], "--force"),
}


@pytest.mark.usefixtures("families")
def test_hostile_families(landscape: Callable[..., Any]) -> None:
    assert landscape(*[x if x != "12,9" else "12,8" for x in TRAIN], "-o", "other.st").code == 0
    Path("taken.json").write_text("precious")
    before = sorted(Path().rglob("*"))
    for name, (arguments, word) in HOSTILE.items():
        landscape(*arguments).check_refused(word, name)
    assert sorted(Path().rglob("*")) == before
    assert Path("taken.json").read_text() == "precious"
    Path("a[1].st").write_bytes(Path("a-1.st").read_bytes())
    Path("b-1.st").unlink()
    done = landscape("path", "a[1].st", "b-*.st", "--pairs", "cross", "--points", "2")
    assert names(json.loads(done.out)) == [("a[1].st", "b-2.st"), ("a[1].st", "b-3.st")]
