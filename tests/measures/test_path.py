"""Paths from Python, held against a plain loop over points and samples."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
import torch

import landscape_cli
from landscape_cli import barrier, geodesic, linear, path
from landscape_cli.choices import Kind
from landscape_cli.data.datasets import DataSpec, Split, load_data
from landscape_cli.errors import DataError, GeometryError, LandscapeWarning, ModelError, Remark
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.geometry.hamming import PATHS
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.measures.path_kinds import suitable_kind
from landscape_cli.models import build_model
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import trace_symmetry
from tests.cli.test_app import TRAIN
from tests.support.paths import BINARY, MLP, RESNET, Ends, make_ends, slow_barrier, slow_scores

MARKS = ("max", "tau", "above_ends", "above_line")


def check(found: Any, ends: Ends, networks: list[Params]) -> None:
    """Hold a path of one order against the slow way."""
    taus = [k / (len(networks) - 1) for k in range(len(networks))]
    assert found.taus == taus
    for split, data in ends.data.items():
        errors, losses = zip(*(slow_scores(ends.model, network, data) for network in networks), strict=True)
        assert found.errors[split].tolist() == [pytest.approx(errors)]
        assert found.losses[split].tolist() == [pytest.approx(losses)]
        assert found.barrier[split].to_dict() == pytest.approx(slow_barrier(taus, errors))
        assert found.loss_barrier[split].to_dict() == pytest.approx(slow_barrier(taus, losses))
        assert len(set(losses)) == len(networks)


def test_linear_is_a_plain_loop() -> None:
    ends = make_ends(MLP)
    found = path(ends.model, ends.start, ends.end, ends.data, points=6)
    check(found, ends, [{n: (1 - k / 5) * u + k / 5 * ends.end[n] for n, u in ends.start.items()} for k in range(6)])
    assert found.kind == "linear"
    assert len(set(found.errors["train"][0].tolist())) > 2
    two = path(ends.model, ends.start, ends.end, ends.data, points=2)
    check(two, ends, [ends.start, ends.end])


def test_geodesic_is_a_plain_loop() -> None:
    ends = make_ends(MLP, normalized=True)
    found = path(ends.model, ends.start, ends.end, ends.data, kind="geodesic", symmetry=ends.symmetry, points=4)
    check(found, ends, [geodesic(ends.start, ends.end, k / 3, ends.symmetry) for k in range(4)])
    straight = path(ends.model, ends.start, ends.end, ends.data, points=4)
    assert not torch.equal(straight.losses["train"], found.losses["train"])


def test_geodesics_are_between_normalized_networks() -> None:
    raw, normalized = make_ends(MLP), make_ends(MLP, normalized=True)
    for start, end, name in ((raw.start, normalized.end, "start"), (normalized.start, raw.end, "end")):
        for measure in (path, barrier):
            with pytest.raises(GeometryError, match=f"`{name}=` is not normalised, so no geodesic path leads there"):
                measure(raw.model, start, end, raw.data, kind="geodesic", symmetry=raw.symmetry)


@pytest.mark.parametrize("kind", ["linear", "geodesic"])
def test_beyond_the_ends(kind: str) -> None:
    ends = make_ends(MLP, normalized=True)
    arguments = (ends.model, ends.start, ends.end, ends.data)
    setting: dict[str, Any] = {"kind": kind, "symmetry": ends.symmetry, "points": 4, "loss": True}
    found, inside = path(*arguments, **setting, beyond=(-0.7, 1.4)), path(*arguments, **setting)
    assert found.taus == [k / 3 for k in range(-2, 5)]
    assert found.barrier == inside.barrier
    assert found.points[2:-1] == inside.points
    for k in (0, 1, 6):
        tau = found.taus[k]
        network = (
            geodesic(ends.start, ends.end, tau, ends.symmetry)
            if kind == "geodesic"
            else linear(ends.start, ends.end, tau)
        )
        for split, data in ends.data.items():
            error, loss = slow_scores(ends.model, network, data)
            assert found.errors[split][0, k] == pytest.approx(error)
            assert found.losses[split][0, k] == pytest.approx(loss)


def test_what_has_nothing_beyond() -> None:
    ends, binary = make_ends(MLP), make_ends(BINARY)
    for of, beyond, words in (
        (ends, (0.1, 1), "begins at 0 or before and ends at 1 or behind, not at 0.1, 1"),
        (ends, (0, 0.9), "not at 0, 0.9"),
        (ends, (-math.inf, 1), "`beyond=` must be a finite number"),
        (ends, 1.5, "`beyond=` is two numbers"),
        (ends, (-1e9, 1), "more points"),
        (binary, (-1, 1), "a shortest path ends where its networks are"),
    ):
        with pytest.raises(GeometryError, match=words):
            path(of.model, of.start, of.end, of.data, beyond=beyond)


def test_statistics_are_recomputed_at_every_point() -> None:
    ends = make_ends(RESNET)
    kept, anew = (path(ends.model, ends.start, ends.end, ends.data, points=3, bn=bn) for bn in ("keep", "recompute"))
    networks = [linear(ends.start, ends.end, tau) for tau in (0.0, 0.5, 1.0)]
    check(kept, ends, networks)
    check(anew, ends, [recompute_statistics(ends.model, network, ends.data["train"].x) for network in networks])
    assert not torch.allclose(kept.losses["test"], anew.losses["test"])


def test_shortest_is_a_plain_loop() -> None:
    ends, points, orders, seed = make_ends(BINARY), 5, 3, 8
    found = path(ends.model, ends.start, ends.end, ends.data, points=points, orders=orders, seed=seed, loss=True)
    names = list(ends.start)
    flat = [torch.cat([p[name].flatten() for name in names]) >= 0 for p in (ends.start, ends.end)]
    total = int((flat[0] != flat[1]).sum())
    flips = [math.floor(k * total / (points - 1) + 0.5) for k in range(points)]
    assert (found.kind, found.counts) == ("shortest", {"flips": flips})
    for split, data in ends.data.items():
        errors = []
        for order in range(orders):
            drawn = torch.randperm(len(flat[0]), generator=generator(seed, PATHS, order)).tolist()
            differing = [k for k in drawn if flat[0][k] != flat[1][k]]
            errors.append([])
            for count in flips:
                signs = flat[0].clone()
                signs[differing[:count]] = flat[1][differing[:count]]
                parts = torch.where(signs, 1.0, -1.0).split([ends.start[name].numel() for name in names])
                network = {n: part.view(ends.start[n].shape) for n, part in zip(names, parts, strict=True)}
                errors[-1].append(slow_scores(ends.model, network, data)[0])
        assert found.errors[split].tolist() == [pytest.approx(row) for row in errors]
        assert errors[0] != errors[1]
        each = [slow_barrier(found.taus, row) for row in errors]
        for mark in MARKS:
            assert getattr(found.barrier[split], mark) == pytest.approx(statistics.fmean(row[mark] for row in each))
        assert found.barrier[split].deviation == pytest.approx(statistics.stdev(row["max"] for row in each))
        for k, point in enumerate(found.points):
            column = [row[k] for row in errors]
            assert point[f"{split}_error"] == pytest.approx(statistics.fmean(column))
            assert point[f"{split}_error_deviation"] == pytest.approx(statistics.stdev(column))


def test_barrier_is_that_of_the_path() -> None:
    ends = make_ends(MLP)
    arguments = (ends.model, ends.start, ends.end, ends.data)
    measured = path(*arguments, points=5)
    assert barrier(*arguments, points=5) == measured.barrier
    assert barrier(*arguments, points=5, loss=True) == measured.loss_barrier != measured.barrier
    alone = barrier(ends.model, ends.start, ends.end, ends.data["test"], points=5)
    assert alone == {"data": measured.barrier["test"]}
    assert landscape_cli.barrier is barrier


def test_progress_counts_every_sample() -> None:
    for ends, bn, each in ((make_ends(MLP), "keep", 85), (make_ends(RESNET), "recompute", 145)):
        done: list[int] = []
        path(ends.model, ends.start, ends.end, ends.data, points=3, bn=bn, advance=done.append)
        assert sum(done) == 3 * each
        evaluator = PathEvaluator(ends.model, ends.data, like=ends.start, points=3, bn=bn)
        assert evaluator.samples(evaluator.networks()) == 3 * each


def test_pieces_share_their_ends() -> None:
    ends = make_ends(BINARY)
    far = {name: -tensor for name, tensor in ends.start.items()}
    evaluator = PathEvaluator(ends.model, ends.data, like=ends.start, points=4, orders=2, seed=3)
    done: list[int] = []
    whole = evaluator.measure([ends.start, ends.end, far], advance=done.append)
    assert sum(done) == evaluator.samples(evaluator.networks(pieces=2)) == 85 * (3 + 2 * 2 * 2)
    for k, stops in enumerate(((ends.start, ends.end), (ends.end, far))):
        alone = evaluator.measure(stops)
        assert whole.piece(k).to_dict() == alone.to_dict()
    assert whole.taus == [k / 6 for k in range(7)]
    assert len(whole.points) == 7


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.is_path])
def test_the_command_writes_the_same(landscape: Callable[..., Any], kind: Kind) -> None:
    model_of = ["--model", "binary-mlp", "--hidden", "13,9"] if kind is Kind.SHORTEST else []
    for seed in (1, 2):
        assert (
            landscape(*TRAIN, *model_of, "--epochs", "9", "--lr", "0.1", "--seed", seed, "-o", f"{seed}.st").code == 0
        )
    names = ["1.st", "2.st"]
    if kind is Kind.GEODESIC:
        assert landscape("normalize", *names, "--out-dir", "n").code == 0
        names = ["n/1.st", "n/2.st"]
    a, b = map(read_checkpoint, names)
    model = build_model(a.model, a.params)
    loaded = load_data(DataSpec.from_record(a.data), preprocessing=a.data)
    options: dict[str, Any] = {"points": 5, "loss": True, "seed": 4}
    if kind is Kind.GEODESIC:
        options |= {"kind": "geodesic", "symmetry": trace_symmetry(model, torch.zeros(2, 21))}
    if kind is Kind.SHORTEST:
        options |= {"orders": 3}
    found = path(model, a.params, b.params, loaded, **options)
    orders = ["--orders", "3"] if kind is Kind.SHORTEST else []
    done = landscape("path", *names, "--kind", kind.value, "--points", "5", "--loss", "--seed", "4", *orders)
    result = json.loads(done.out)
    assert found.to_dict() == {key: value for key, value in result.items() if key not in {"start", "end", "provenance"}}


def test_missing_errors_are_told() -> None:
    ends = make_ends(MLP)
    lost = {name: torch.full_like(tensor, math.nan) for name, tensor in ends.end.items()}
    with pytest.warns(LandscapeWarning, match="2 of 3 points have no error"):
        found = path(ends.model, ends.start, lost, ends.data, points=3)
    assert math.isnan(found.barrier["train"].max)
    assert found.to_dict()["barrier"]["train"] == dict.fromkeys(MARKS)
    assert [point["test_error"] is None for point in found.to_dict()["points"]] == [False, True, True]
    json.dumps(found.to_dict(), allow_nan=False)
    with pytest.warns(Remark, match="`bn=` recompute changes nothing"):
        path(ends.model, ends.start, ends.end, ends.data, points=2, bn="recompute")


def test_the_default_kind() -> None:
    ends, binary = make_ends(MLP), make_ends(BINARY)
    assert suitable_kind(ends.model, None) is Kind.LINEAR
    assert suitable_kind(binary.model, None) is Kind.SHORTEST
    assert suitable_kind(ends.model, "geodesic") is Kind.GEODESIC


def test_nonsense_is_refused() -> None:
    ends, binary = make_ends(MLP), make_ends(BINARY)
    arguments = (ends.model, ends.start, ends.end, ends.data)
    for options, error, words in (
        ({"kind": "crooked"}, GeometryError, "unknown kind of path 'crooked': choose linear, geodesic, shortest"),
        ({"kind": "geodesic"}, GeometryError, "give it as `symmetry=`"),
        ({"kind": "shortest"}, GeometryError, "no signs to flip: use `kind=` linear or geodesic"),
        ({"points": 1}, GeometryError, "at least 2 points"),
        ({"orders": 0}, GeometryError, "at least 1 order"),
        ({"bn": "exact"}, GeometryError, "unknown `bn=` 'exact': choose keep or recompute"),
    ):
        for measure in (path, barrier):
            with pytest.raises(error, match=words) as refused:
                measure(*arguments, **options)
            assert "\n" not in str(refused.value)
    with pytest.raises(GeometryError, match="no linear path leads from it: use `kind=` shortest"):
        path(binary.model, binary.start, binary.end, binary.data, kind="linear")
    with pytest.raises(ModelError, match=r"end: the tensors do not fit the model \(missing: fc1.weight"):
        path(ends.model, ends.start, {}, ends.data)
    with pytest.raises(ModelError, match="start: the tensors do not fit"):
        path(ends.model, binary.start, ends.end, ends.data)
    for data, words in (({}, "no data to evaluate on"), ([1, 2], r"'data' is a list, expected tensors \(x, y\)")):
        with pytest.raises(DataError, match=words):
            path(ends.model, ends.start, ends.end, data)  # type: ignore[arg-type]
    resnet = make_ends(RESNET)
    halves = {"first": resnet.data["train"], "second": resnet.data["test"]}
    assert path(resnet.model, resnet.start, resnet.end, halves, points=2).errors.keys() == halves.keys()
    alone = path(resnet.model, resnet.start, resnet.end, Split(*halves["first"]), points=2, bn="recompute")
    assert alone.errors.keys() == {"data"}
