"""The optimised path from Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from landscape_cli import optimize_midpoint, path, read_checkpoint
from landscape_cli.data.datasets import DataSpec, Split, load_data
from landscape_cli.errors import DataError, GeometryError, LandscapeError, LandscapeWarning, ModelError, TrainingError
from landscape_cli.models import build_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.samplers import EpochRecord, Recipe, TrainingObserver
from landscape_cli.symmetry import trace_symmetry
from tests.cli.test_app import TRAIN
from tests.support.paths import BINARY, MLP, make_ends, slow_scores

RECIPE = Recipe(epochs=6, learning_rate=0.1, batch_size=10, until_error=0.0)


def test_two_pieces_through_the_midpoint() -> None:
    ends = make_ends(MLP)
    records: list[EpochRecord] = []
    done: list[int] = []
    found = optimize_midpoint(
        *(ends.model, ends.start, ends.end, ends.data),
        spec=ends.spec,
        symmetry=ends.symmetry,
        recipe=RECIPE,
        points=4,
        loss=True,
        observer=TrainingObserver(epoch=records.append),
        advance=done.append,
    )
    assert len(records) == found.epochs == 6
    assert sum(done) == 7 * 85
    middle = {name: (u + ends.end[name]) / 2 for name, u in ends.start.items()}
    for split, data in ends.data.items():
        assert found.middle[f"{split}_error"] == pytest.approx(slow_scores(ends.model, middle, data)[0])
        error, loss = slow_scores(ends.model, found.midpoint, data)
        assert found.metrics[f"{split}_error"] == pytest.approx(error)
        assert found.metrics[f"{split}_loss"] == pytest.approx(loss)
        assert found.barrier[split].max == max(piece.barrier[split].max for piece in found.pieces)
    assert found.metrics["train_loss"] < slow_scores(ends.model, middle, ends.data["train"])[1]
    for piece, stops in zip(found.pieces, ((ends.start, found.midpoint), (found.midpoint, ends.end)), strict=True):
        assert piece.to_dict() == path(ends.model, *stops, ends.data, points=4, loss=True).to_dict()
    body = found.to_dict()
    assert list(body) == ["kind", "midpoint", "barrier", "pieces", "points"]
    assert [(piece["from"], piece["to"]) for piece in body["pieces"]] == [("start", "midpoint"), ("midpoint", "end")]
    assert body["midpoint"]["path"] is None
    weights = {name: u for name, u in ends.start.items() if name.endswith("weight")}
    euclidean = sum(float((found.midpoint[name] - u).square().sum()) for name, u in weights.items()) ** 0.5
    assert body["midpoint"]["distances"]["start"]["euclidean"] == pytest.approx(euclidean)
    assert body["midpoint"]["distances"]["start"]["geodesic"] is None
    assert len(body["points"]) == 7
    json.dumps(body, allow_nan=False)


def test_geodesic_midpoints_are_normalised() -> None:
    ends = make_ends(MLP, normalized=True)
    found = optimize_midpoint(
        *(ends.model, ends.start, ends.end, ends.data),
        spec=ends.spec,
        symmetry=ends.symmetry,
        kind="geodesic",
        recipe=RECIPE,
        points=3,
    )
    assert found.normalized is not None
    assert found.normalized["keep_last_layer"] is False
    rows = found.midpoint["fc1.weight"].norm(dim=1)
    assert torch.allclose(rows, torch.ones_like(rows))
    assert found.distances["end"]["geodesic"] is not None


def test_no_training_where_none_is_needed() -> None:
    for spec in (MLP, BINARY):
        ends = make_ends(spec)
        arguments = (ends.model, ends.start, ends.end, ends.data)
        recipe = Recipe(epochs=3, until_error=1.0)
        found = optimize_midpoint(*arguments, spec=spec, symmetry=ends.symmetry, recipe=recipe, points=3)
        assert found.epochs == 0
        if spec is MLP:
            assert found.path.points == path(*arguments, points=5).points
        else:
            flips = [distances["hamming"] for distances in found.distances.values()]
            assert abs(flips[0] - flips[1]) <= 1
            assert sum(flips) == path(*arguments, points=2).counts["flips"][-1]


def test_nonsense_is_refused() -> None:
    ends = make_ends(MLP)
    arguments = (ends.model, ends.start, ends.end, ends.data)
    options: dict[str, Any] = {"spec": ends.spec, "symmetry": ends.symmetry}
    with pytest.raises(GeometryError, match="unknown kind of path"):
        optimize_midpoint(*arguments, **options, kind="crooked")
    with pytest.raises(ModelError, match="end: the tensors do not fit"):
        optimize_midpoint(ends.model, ends.start, {}, ends.data, **options)
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 .*lower `learning_rate=`"):
        optimize_midpoint(*arguments, **options, recipe=Recipe(epochs=2, learning_rate=1e30, batch_size=10))
    halves = {"first": ends.data["train"], "second": ends.data["test"]}
    with pytest.raises(DataError, match="name one of the splits 'train'"):
        optimize_midpoint(ends.model, ends.start, ends.end, halves, **options)
    with pytest.raises(LandscapeError, match="magic"):
        optimize_midpoint(*arguments, **options, method="magic")


@pytest.mark.parametrize("spec", [MLP, BINARY])
def test_several_midpoints_are_as_many_paths(spec: ModelSpec) -> None:
    ends = make_ends(spec)
    arguments = (ends.model, ends.start, ends.end, ends.data)
    options: dict[str, Any] = {"spec": spec, "symmetry": ends.symmetry, "points": 3, "orders": 2}
    options["recipe"] = Recipe(epochs=2, batch_size=10, until_error=None)
    one, three = (optimize_midpoint(*arguments, **options, midpoints=count) for count in (1, 3))
    alone = [each.path for each in three.others]
    assert alone[0].points == one.path.points
    assert "midpoints" not in one.to_dict()
    assert len({tuple(path.errors["train"].flatten().tolist()) for path in alone}) == 3  # draws of their own
    everything = torch.cat([path.errors["train"] for path in alone])
    assert three.barrier["train"].max == pytest.approx(float(everything.max(1).values.mean()))
    assert three.barrier["train"].deviation == pytest.approx(float(everything.max(1).values.std()))
    for k, point in enumerate(three.path.points):
        assert point["train_error"] == pytest.approx(float(everything[:, k].mean()))
    body = three.to_dict()
    assert (body["midpoints"], body.get("orders")) == (
        [each.figures()["midpoint"] | {"barrier": each.figures()["barrier"]} for each in three.others],
        2 if spec is BINARY else None,
    )
    assert torch.equal(
        *(found.midpoint["fc1.weight" if spec is MLP else next(iter(one.midpoint))] for found in (one, three))
    )


def test_a_midpoint_that_leaves_is_warned_of() -> None:
    ends = make_ends(MLP)
    near = {name: u + 1e-3 * (ends.end[name] - u) for name, u in ends.start.items()}
    recipe = Recipe(epochs=4, learning_rate=0.1, batch_size=10, until_error=None)
    with pytest.warns(
        LandscapeWarning, match=r"start and end has left the middle: it is [\d.]+ from the nearer end, .*lower `lr=`"
    ):
        optimize_midpoint(
            *(ends.model, ends.start, near, ends.data), spec=MLP, symmetry=ends.symmetry, recipe=recipe, points=2
        )


@pytest.mark.parametrize(("spec", "rate"), [(MLP, 0.02), (BINARY, 20.0)])
def test_the_rate_is_the_usual_one_of_such_networks(
    monkeypatch: pytest.MonkeyPatch, spec: ModelSpec, rate: float
) -> None:
    recipes: list[Recipe] = []

    def keep(spec: ModelSpec, middle: Params, data: Split, recipe: Recipe, **_: Any) -> tuple[Params, int]:
        recipes.append(recipe)
        return middle, 1

    monkeypatch.setattr("landscape_cli.measures.midpoint.train_vertex", keep)
    ends = make_ends(spec)
    measure = partial(optimize_midpoint, ends.model, ends.start, ends.end, ends.data, points=2, orders=1)
    for learning_rate in (None, 0.5):
        recipe = Recipe(epochs=1, learning_rate=learning_rate)
        measure(spec=spec, symmetry=ends.symmetry, recipe=recipe)
    assert [recipe.learning_rate for recipe in recipes] == [rate, 0.5]


@pytest.mark.parametrize("kind", ["linear", "geodesic", "shortest"])
def test_the_command_writes_the_same(landscape: Callable[..., Any], kind: str) -> None:
    learn = [*TRAIN, "--epochs", "9", "--lr", "0.1"]
    learn += ["--model", "binary-mlp", "--hidden", "13,9"] if kind == "shortest" else []
    for seed in (1, 2):
        assert landscape(*learn, "--seed", seed, "-o", f"{seed}.st").code == 0
    names = ["1.st", "2.st"]
    if kind == "geodesic":
        assert landscape("normalize", *names, "--out-dir", "n", "--keep-last-layer").code == 0
        names = ["n/1.st", "n/2.st"]
    command = [
        "path",
        *names,
        "--kind",
        kind,
        "--optimize-midpoint",
        "--points",
        "3",
        "--batch-size",
        "8",
        "--lr",
        "0.1",
    ]
    done = landscape(*command, "--epochs", "3", "--seed", "5", "--midpoint-out", "m.st")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    a, b = map(read_checkpoint, names)
    model = build_model(a.model, a.params)
    loaded = load_data(DataSpec.from_record(a.data), preprocessing=a.data)
    found = optimize_midpoint(
        *(model, a.params, b.params, {"train": loaded.train, "test": loaded.test}),
        spec=a.model,
        symmetry=trace_symmetry(model, torch.zeros(2, 21)),
        kind=kind,
        recipe=Recipe(3, 0.1, 0.9, 8, 0.0),
        points=3,
        keep_last_layer=kind == "geodesic",
        seed=5,
    )
    written = read_checkpoint("m.st")
    assert all(torch.equal(written.params[name], tensor) for name, tensor in found.midpoint.items())
    assert (written.metrics, written.normalized) == (found.metrics, found.normalized)
    body = found.to_dict()
    body["midpoint"]["path"] = "m.st"
    body["pieces"][0]["from"], body["pieces"][1]["to"] = names
    assert body == {key: value for key, value in result.items() if key not in {"start", "end", "provenance"}}
