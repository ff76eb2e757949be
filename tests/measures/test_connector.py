"""Connectors: what is trained, what is measured, and what does not change under symmetries."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.alignment.pairs import PairAligner
from landscape_cli.alignment.sets import align_set
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError, LandscapeWarning, TrainingError
from landscape_cli.geometry.geodesic import geodesic
from landscape_cli.measures import connector_training
from landscape_cli.measures.connector import connector
from landscape_cli.measures.connector_result import ConnectorResult
from landscape_cli.measures.midpoint import optimize_midpoint
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.samplers import Recipe, train
from landscape_cli.symmetry import Symmetry, permute, random_permutations, rescale, trace_symmetry
from tests.support.paths import BINARY, RESNET, make_ends, slow_scores

SPEC = ModelSpec("mlp", {"hidden": [9, 8]}, (5,), 3)
RECIPE = Recipe(epochs=3, learning_rate=0.1, batch_size=30, until_error=0.0)


@dataclass
class Set:
    """Trained networks of one model, and what they learnt."""

    model: nn.Module
    symmetry: Symmetry
    networks: list[Params]
    data: dict[str, Split]

    def connect(self, networks: Sequence[Params] | None = None, **options: Any) -> ConnectorResult:
        setting = {"spec": SPEC, "symmetry": self.symmetry, "recipe": RECIPE, "points": 3, **options}
        return connector(self.model, networks or self.networks, self.data, **setting)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained() -> Set:
    """Three networks that know the angle of inputs in a plane: the lines between them are not low."""
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    splits = {}
    for name, count in (("train", 90), ("test", 40)):
        x = torch.randn(count, 5, generator=source)
        splits[name] = Split(x, ((torch.atan2(x[:, 0], x[:, 1]) + math.pi) * 3 / (2 * math.pi)).long().clamp(0, 2))
    solutions = train(
        SPEC, splits["train"], recipe=Recipe(epochs=40, learning_rate=0.3, batch_size=30), seeds=[1, 2, 3]
    )
    networks = [solution.params for solution in solutions if solution.params is not None]
    model = create_model(SPEC, seed=0).eval().requires_grad_(False)
    return Set(model, trace_symmetry(model, torch.zeros(2, 5)), networks, splits)


def scores_of(result: ConnectorResult) -> Tensor:
    return torch.cat([*result.after.loss.values(), *result.before.loss.values(), *result.simplex.loss.values()])


def three(trained: Set) -> list[Params]:
    return trained.networks[:3]


@pytest.mark.parametrize("train_on", ["vertices", "connector"])
@pytest.mark.parametrize("shape", ["complex", "star"])
def test_training_lowers_it(trained: Set, shape: str, train_on: str) -> None:
    recipe = Recipe(epochs=15, learning_rate=0.2, batch_size=30, until_error=None)
    result = trained.connect(three(trained), shape=shape, train_on=train_on, recipe=recipe)
    after, before = result.after.loss["train"], result.before.loss["train"]
    assert after.max() < 0.7 * before.max()
    assert after.mean() < 0.7 * before.mean()
    assert result.simplex.error["train"].max() > 0.1
    body = result.to_dict()
    assert body["connector"]["train"]["max"] < body["before"]["train"]["max"]
    epochs = 15 if train_on == "vertices" else 15 * len(result.complex.trained)
    assert [vertex["epochs"] for vertex in body["vertices"]] == [
        epochs if vertex["trained"] else 0 for vertex in body["vertices"]
    ]


@pytest.mark.parametrize("train_on", ["vertices", "connector"])
def test_of_two_it_is_the_optimised_path(trained: Set, monkeypatch: pytest.MonkeyPatch, train_on: str) -> None:
    """As the midpoint's, where that is not aligned to the middle."""
    monkeypatch.setattr(PairAligner, "align", lambda self, reference, network: network)
    a, b = trained.networks[:2]
    path = optimize_midpoint(
        trained.model,
        a,
        b,
        trained.data,
        spec=SPEC,
        symmetry=trained.symmetry,
        recipe=RECIPE,
        points=3,
        train_on=train_on,
    )
    result = trained.connect([a, b], train_on=train_on)
    assert all(torch.equal(result.trained["ab"][name], tensor) for name, tensor in path.midpoint.items())
    first, second = result.grid.facets
    along = [*first, *reversed(second[:-1])]
    for split in ("train", "test"):
        assert result.after.error[split][along].tolist() == path.path.errors[split][0].tolist()
        assert torch.allclose(result.after.loss[split][along], path.path.losses[split][0], rtol=1e-6)
    assert result.to_dict()["connector"]["train"]["above_ends"] == path.barrier["train"].above_ends
    assert result.vertices[2].epochs == path.epochs > 0
    other = trained.connect([a, b], train_on="connector" if train_on == "vertices" else "vertices")
    assert not torch.allclose(other.after.loss["train"], result.after.loss["train"], rtol=1e-3)


def test_on_spheres_it_starts_as_the_geodesic(trained: Set) -> None:
    a, b = (normalize_params(network, trained.symmetry).params for network in trained.networks[:2])
    result = trained.connect([a, b], geometry="spherical")
    first, second = result.grid.facets
    along = [*first, *reversed(second[:-1])]
    losses = result.before.loss["train"][along].tolist()
    for k, loss in enumerate(losses):
        network = geodesic(a, b, k / 4, trained.symmetry)
        assert loss == pytest.approx(slow_scores(trained.model, network, trained.data["train"])[1], rel=1e-4)
    assert result.after.loss["train"].mean() < result.before.loss["train"].mean()
    flat = trained.connect([a, b]).before.loss["train"][along]
    assert flat.tolist() != pytest.approx(losses, rel=1e-2)
    for train_on in ("vertices", "connector"):
        three = [normalize_params(network, trained.symmetry).params for network in trained.networks[:3]]
        result = trained.connect(three, geometry="spherical", train_on=train_on)
        assert result.after.loss["train"].mean() < result.before.loss["train"].mean()


def test_points_are_means_of_vertices(trained: Set) -> None:
    result = trained.connect(three(trained), loss=True)
    vertices = [vertex.params for vertex in result.vertices]
    for k in (0, 5, 11, len(result.grid.points) - 1):
        facet = result.complex.facets[result.grid.first[k]]
        row = result.rows[k]
        names = [result.complex.vertices[vertex].name for vertex in facet]
        assert row["facet"] == "-".join(names)
        weights = [row[f"weight_{position}"] for position in (1, 2, 3)]
        assert sum(weights) == pytest.approx(1)
        network: dict[str, Tensor] = {}
        for name in three(trained)[0]:
            mean = torch.zeros((), dtype=torch.float64)
            for weight, vertex in zip(weights, facet, strict=True):
                params = vertices[vertex]
                assert params is not None
                mean = mean + weight * params[name].double()
            network[name] = mean.float()
        for split in ("train", "test"):
            error, loss = slow_scores(trained.model, network, trained.data[split])
            assert row[f"{split}_error"] == pytest.approx(error)
            assert row[f"{split}_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("loss", [False, True])
def test_what_is_reported(trained: Set, loss: bool) -> None:
    names = ["x.st", "y.st", "z.st"]
    result = trained.connect(three(trained), loss=loss, names=names)
    body = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    keys = ["kind", "shape", "geometry", "networks", "vertices", "facets", "connector", "before", "simplex"]
    assert list(body) == keys
    assert [body[key] for key in keys[:4]] == ["connector", "complex", "linear", names]
    assert [vertex["name"] for vertex in body["vertices"]] == ["a", "b", "c", "ab", "ac", "bc", "abc"]
    scores = {"train_error", "test_error"} | ({"train_loss", "test_loss"} if loss else set())
    for vertex in body["vertices"]:
        assert vertex.keys() == {"name", "of", "trained", "epochs", "distances"} | scores
        assert len(vertex["distances"]) == 3
    assert body["vertices"][1]["distances"][1]["euclidean"] == 0
    assert body["vertices"][3]["distances"][0]["euclidean"] > 0.1
    splits = {"train", "test"} | ({"loss"} if loss else set())
    for name, scored in (("connector", result.after), ("before", result.before), ("simplex", result.simplex)):
        assert body[name].keys() == splits | {"points"}
        assert body[name]["points"] == len(scored.error["train"])
        top = float(scored.error["test"].max())
        ends = max(body["vertices"][k]["test_error"] for k in range(3))
        assert body[name]["test"] == {
            "max": top,
            "mean": pytest.approx(float(scored.error["test"].mean())),
            "above_ends": top - ends,
        }
    for facet, points in zip(body["facets"], result.grid.facets, strict=True):
        assert facet.keys() == splits | {"vertices"}
        errors = [float(result.after.error["train"][k]) for k in points]
        assert facet["train"]["max"] == max(errors)
        assert facet["train"]["mean"] == pytest.approx(sum(errors) / len(errors))
        vertices = [[v["name"] for v in body["vertices"]].index(name) for name in facet["vertices"]]
        at = [k for k in points if result.grid.weights(k, vertices) == facet["train"]["at"]]
        assert [float(result.after.error["train"][k]) for k in at] == [max(errors)]
    assert body["connector"]["train"]["max"] == max(facet["train"]["max"] for facet in body["facets"])


def test_the_same_seed_gives_the_same(trained: Set) -> None:
    for train_on in ("vertices", "connector"):
        setting = partial(trained.connect, three(trained), train_on=train_on, loss=True)
        assert setting(seed=3).to_dict() == setting(seed=3).to_dict() != setting(seed=4).to_dict()


def test_vertices_do_not_see_each_other(trained: Set) -> None:
    whole, pair = trained.connect(three(trained)), trained.connect(trained.networks[1:3])
    assert all(torch.equal(whole.trained["bc"][name], tensor) for name, tensor in pair.trained["ab"].items())


@pytest.mark.parametrize("train_on", ["vertices", "connector"])
def test_a_symmetry_of_all_networks_changes_nothing(trained: Set, train_on: str) -> None:
    source = torch.Generator().manual_seed(5)
    orders = random_permutations(trained.symmetry, generator=source)
    factors = {
        group.name: 2.0 ** torch.randint(-1, 2, (group.size,), generator=source) for group in trained.symmetry.scales
    }
    moved = [permute(network, trained.symmetry, orders) for network in three(trained)]
    recipe = Recipe(epochs=2, learning_rate=0.1, batch_size=16, until_error=None)
    options = {"recipe": recipe, "train_on": train_on}
    expected = scores_of(trained.connect(three(trained), **options))
    assert torch.allclose(scores_of(trained.connect(moved, **options)), expected, rtol=1e-4)
    apart = [moved[0], *three(trained)[1:]]
    assert not torch.allclose(scores_of(trained.connect(apart, **options)), expected, rtol=1e-2)
    # scales are lost by normalising, so that connectors of normalised networks do not see them
    scaled = [rescale(network, trained.symmetry, factors) for network in three(trained)]
    options["geometry"] = "spherical"
    one, other = (
        scores_of(trained.connect([normalize_params(n, trained.symmetry).params for n in networks], **options))
        for networks in (three(trained), scaled)
    )
    assert torch.allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("rounds", [0, 2])
def test_aligned_sets_do_not_see_permutations(trained: Set, rounds: int) -> None:
    source = torch.Generator().manual_seed(6)
    moved = [
        permute(n, trained.symmetry, random_permutations(trained.symmetry, generator=source)) for n in three(trained)
    ]
    recipe = Recipe(epochs=2, learning_rate=0.1, batch_size=16, until_error=None)
    one, other = (
        scores_of(
            trained.connect(align_set(trained.model, networks, trained.symmetry, rounds=rounds).networks, recipe=recipe)
        )
        for networks in (three(trained), moved)
    )
    assert torch.allclose(one, other, rtol=1e-4)
    control = scores_of(trained.connect(moved, recipe=recipe))
    assert not torch.allclose(control, one, rtol=1e-2)


def test_several_centres_begin_apart(trained: Set) -> None:
    recipe = Recipe(epochs=1, learning_rate=1e-30, batch_size=90, until_error=None)
    result = trained.connect(three(trained), shape="star", centres=2, recipe=recipe)
    ends = [torch.cat([tensor.flatten().double() for tensor in network.values()]) for network in three(trained)]
    mean = sum(ends) / 3
    assert isinstance(mean, Tensor)
    size = sum(float((end - mean).norm()) for end in ends) / 3
    begun = [torch.cat([t.flatten().double() for t in params.values()]) for params in result.trained.values()]
    assert [float((start - mean).norm()) / size for start in begun] == pytest.approx([0.1, 0.1], rel=1e-4)
    assert float((begun[0] - begun[1]).norm()) / size > 0.1
    alone = trained.connect(three(trained), shape="star", recipe=recipe)
    [start] = [torch.cat([t.flatten().double() for t in params.values()]) for params in alone.trained.values()]
    assert torch.allclose(start, mean, atol=1e-6)


@pytest.mark.parametrize("train_on", ["vertices", "connector"])
def test_no_training_where_none_is_needed(trained: Set, train_on: str) -> None:
    recipe = Recipe(epochs=2, learning_rate=0.1, until_error=1.0)
    result = trained.connect(three(trained), train_on=train_on, recipe=recipe)
    assert {vertex.epochs for vertex in result.vertices} == {0}
    assert torch.equal(result.after.loss["train"], result.before.loss["train"])


def test_orthogonal_steps(trained: Set) -> None:
    plain, held = (trained.connect(three(trained), orthogonal=way) for way in (False, True))
    for result, stays in ((plain, False), (held, True)):
        a, b = ({n: t.double() for n, t in network.items()} for network in trained.networks[:2])
        line = torch.cat([(b[n] - a[n]).flatten() for n in a])
        moved = torch.cat([(result.trained["ab"][n].double() - (a[n] + b[n]) / 2).flatten() for n in a])
        assert (abs(float(moved @ line / (moved.norm() * line.norm()))) < 1e-5) == stays


def test_one_diverging_vertex_leaves_the_others(trained: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained.connect(three(trained))
    monkeypatch.setattr("landscape_cli.measures.connector_optimizer.train_vertex", failing_for("ac"))
    with pytest.warns(LandscapeWarning, match=r"^the vertex ac is missing: training the vertex ac diverged"):
        result = trained.connect(three(trained))
    assert result.missing == ["ac"]
    body = result.to_dict()
    assert body["connector"]["train"] == {"max": None, "mean": None, "above_ends": None}
    assert body["before"] == whole.to_dict()["before"]
    vertex = body["vertices"][4]
    assert (vertex["train_error"], vertex["distances"]) == (None, [])
    assert "diverged" in vertex["failure"]
    for facet, expected in zip(body["facets"], whole.to_dict()["facets"], strict=True):
        missing = {"max": None, "mean": None, "at": None}
        assert facet["train"] == (missing if "ac" in facet["vertices"] else expected["train"])
    monkeypatch.setattr("landscape_cli.measures.connector_optimizer.train_vertex", failing_for(""))
    with pytest.raises(TrainingError, match=r"^every vertex is missing \(ab, ac, bc, abc\): .* vertex abc diverged"):
        trained.connect(three(trained), shape=None)
    monkeypatch.undo()
    with pytest.raises(TrainingError, match="training the connector diverged in epoch"):
        trained.connect(three(trained), train_on="connector", recipe=Recipe(epochs=1, learning_rate=1e30))


def failing_for(name: str) -> Any:
    trains = connector_training.train_vertex

    def train_vertex(*arguments: Any, **options: Any) -> Any:
        if options["name"] == f"vertex {name}" or not name:
            raise TrainingError(f"training the {options['name']} diverged")
        return trains(*arguments, **options)

    return train_vertex


@pytest.mark.parametrize("train_on", ["vertices", "connector"])
@pytest.mark.parametrize("bn", ["keep", "recompute"])
def test_batch_norm(bn: str, train_on: str) -> None:
    ends = make_ends(RESNET)
    result = connector(
        ends.model,
        [ends.start, ends.end],
        ends.data,
        spec=RESNET,
        symmetry=ends.symmetry,
        train_on=train_on,
        recipe=Recipe(epochs=2, learning_rate=0.02, batch_size=20, until_error=None),
        points=3,
        bn=bn,
    )
    assert {tensor.dtype for tensor in result.trained["ab"].values()} <= {torch.float64, torch.int64}
    assert not torch.cat([*result.after.error.values()]).isnan().any()
    assert result.after.loss["train"].mean() < result.before.loss["train"].mean()


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "shape": ({"shape": "ring"}, "choose complex or star"),
    "centres of a complex": ({"shape": "complex", "centres": 2}, "`centres=` is for"),
    "geometry": ({"geometry": "curved"}, "unknown `geometry=`"),
    "target": ({"train_on": "edges"}, "unknown `train_on=`"),
    "raw networks on spheres": ({"geometry": "spherical"}, "a is not normalised, so no spherical connector"),
    "orthogonal points": ({"train_on": "connector", "orthogonal": True}, "`orthogonal=` is for vertices"),
    "orthogonal": ({"orthogonal": 1}, "`orthogonal=` is an int, 1: give True or False"),
    "points": ({"points": 300}, "lower `points=`"),
    "names": ({"names": ["x", "y"]}, "takes 3 different names"),
    "names twice": ({"names": ["x", "y", "x"]}, "takes 3 different names"),
    "recipe": ({"recipe": None}, "give a Recipe"),
    "spec": ({"spec": "mlp"}, "give the model's ModelSpec"),
    "device": ({"device": "nonsense"}, "cannot be computed on"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refusals(trained: Set, case: str) -> None:
    options, words = HOSTILE[case]
    with pytest.raises((GeometryError, TrainingError, Exception)) as refused:
        trained.connect(three(trained), **options)
    assert type(refused.value).__module__ == "landscape_cli.errors"
    assert words in str(refused.value)


def test_networks_that_cannot_be_connected(trained: Set) -> None:
    a, b = trained.networks[:2]
    with pytest.raises(GeometryError, match="at least 2 networks, not 1"):
        trained.connect([a])
    with pytest.raises(GeometryError, match="a and c are the same network"):
        trained.connect([a, b, dict(a)])
    ends = make_ends(BINARY)
    with pytest.raises(GeometryError, match="no connector between binary networks: use `kind=` shortest"):
        connector(ends.model, [ends.start, ends.end], ends.data, spec=BINARY, symmetry=ends.symmetry)
    with pytest.raises(TrainingError, match="`train_on=` must be vertices"):
        optimize_midpoint(
            ends.model,
            ends.start,
            ends.end,
            ends.data,
            spec=BINARY,
            symmetry=ends.symmetry,
            train_on="connector",
        )
