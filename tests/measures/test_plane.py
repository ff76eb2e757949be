"""What is measured in a plane, one network and one sample at a time."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn

from landscape_cli import PlaneResult, plane
from landscape_cli.data.datasets import Split
from landscape_cli.errors import DataError, GeometryError, LandscapeWarning, ModelError, Remark
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.geometry.plane import span_plane
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.network import ModelSpec, Params
from tests.support.binaries import make_binary
from tests.support.cases import make_case
from tests.support.reference import wrong

CASES = [make_case("mlp", seed=seed) for seed in range(3)]
MODEL = CASES[0].model
NETWORKS = [case.params for case in CASES]
LABELS = torch.randint(4, (16,), generator=torch.Generator().manual_seed(1))
DATA = {"train": Split(CASES[0].inputs, LABELS), "test": Split(CASES[0].inputs[:6], LABELS[:6])}
SPEC = ModelSpec("mlp", {"hidden": [12, 9]}, (7,), 4)


def errors(model: nn.Module, params: Params) -> list[float]:
    return [wrong(model, dict(params), data.x, data.y) / len(data.y) for data in DATA.values()]


def test_plane_equals_the_slow_way() -> None:
    steps: list[int] = []
    measured = plane(MODEL, *NETWORKS, DATA, grid=4, margin=0.1, loss=True, advance=steps.append)
    assert sum(steps) == (16 + 3) * 22
    spanned = span_plane(*NETWORKS)
    assert [list(axis) for axis in (measured.xs, measured.ys)] == [*spanned.grid(4, 0.1)]
    assert [(point["x"], point["y"]) for point in measured.points] == [(x, y) for y in measured.ys for x in measured.xs]
    for point in measured.points:
        params = spanned.network(point["x"], point["y"])
        assert [point["train_error"], point["test_error"]] == errors(MODEL, params)
        logits = torch.func.functional_call(MODEL, params, (DATA["train"].x,))
        assert point["train_loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, LABELS)))
    for params, scores in zip(NETWORKS, measured.corner_scores, strict=True):
        assert [scores["train_error"], scores["test_error"]] == errors(MODEL, params)
    grid = measured.grid("train_error")
    assert (len(grid), grid[1][2]) == (4, measured.points[6]["train_error"])


def test_further_networks_are_projected() -> None:
    middle = {name: sum(network[name] for network in NETWORKS) / 3 for name in NETWORKS[0]}
    further = {"inside": middle, "c": NETWORKS[2], "off": make_case("mlp", seed=3).params}
    measured = plane(MODEL, *NETWORKS, DATA, grid=2, margin=0, project=further)
    spanned = span_plane(*NETWORKS)
    inside, corner, off = measured.to_dict()["projected"]
    centroid = [sum(place[k] for place in spanned.corners) / 3 for k in range(2)]
    assert [inside["x"], inside["y"], inside["distance"]] == pytest.approx([*centroid, 0], abs=1e-9)
    assert [corner["x"], corner["y"], corner["distance"]] == pytest.approx([*spanned.corners[2], 0], abs=1e-9)
    nearest = spanned.network(off["x"], off["y"])
    square = sum(float((further["off"][name] - nearest[name]).square().sum()) for name in nearest)
    assert off["distance"] == pytest.approx(square**0.5)
    for dx, dy in ((0.1, 0), (0, 0.1), (-0.1, 0), (0, -0.1)):
        beside = spanned.network(off["x"] + dx, off["y"] + dy)
        assert sum(float((further["off"][name] - beside[name]).square().sum()) for name in beside) > square
    assert [[row["train_error"], row["test_error"]] for row in measured.projected] == [
        errors(MODEL, params) for params in further.values()
    ]
    for axis, ends in ((0, measured.xs), (1, measured.ys)):
        places = [place[axis] for place in spanned.corners] + [off["xy"[axis]]]
        assert ends == pytest.approx((min(places), max(places)))


def test_result_as_json_values() -> None:
    files = [Checkpoint(params, SPEC, {}, path=f"{k}.st") for k, params in enumerate(NETWORKS)]
    body = plane(MODEL, *files, DATA, grid=2).to_dict()
    assert list(body) == ["networks", "x", "y", "points"]
    assert [list(corner.values())[:4] for corner in body["networks"]] == [
        [letter, file.path, *corner]
        for letter, file, corner in zip("abc", files, span_plane(*NETWORKS).corners, strict=True)
    ]
    nameless = plane(MODEL, *NETWORKS, DATA["train"], grid=2)
    assert nameless.names == ("a", "b", "c")
    assert set(nameless.points[0]) == {"x", "y", "data_error"}
    missing = PlaneResult(("a",) * 3, ((0.0, 0.0),) * 3, (0.0,), (0.0,), ({"train_error": math.nan},), ({},) * 3)
    assert missing.to_dict()["points"] == [{"train_error": None}]


def test_plane_of_binary_networks() -> None:
    nets = [make_binary("mlp", seed) for seed in range(3)]
    data = Split(nets[0].inputs, torch.arange(40) % 3)
    measured = plane(nets[0].model, *(net.params for net in nets), data, grid=3)
    assert measured.to_dict()["binary"]
    spanned = span_plane(*(net.params for net in nets))
    for point in measured.points:
        logits = nets[0].outputs(spanned.network(point["x"], point["y"]))
        assert point["data_error"] == float((logits.argmax(1) != data.y).double().mean())


def batch_norm_network(seed: int) -> tuple[nn.Module, Params]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(7, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)).eval()
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(1, 1.2)
    return model, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def test_statistics_are_recomputed_over_the_training_set() -> None:
    (model, a), (_, b), (_, c) = (batch_norm_network(seed) for seed in range(3))
    data = {name: Split(split.x.float(), split.y) for name, split in DATA.items()}
    kept, anew = (plane(model, a, b, c, data, grid=2, bn=bn) for bn in ("keep", "recompute"))
    spanned = span_plane(a, b, c)
    for point in anew.points:
        params = recompute_statistics(model, spanned.network(point["x"], point["y"]), data["train"].x)
        assert point["train_error"] == wrong(model, dict(params), data["train"].x, LABELS) / 16
    assert [point["train_error"] for point in anew.points] != [point["train_error"] for point in kept.points]
    with pytest.warns(Remark, match="`bn=` recompute changes nothing"):
        plane(MODEL, *NETWORKS, DATA, grid=2, bn="recompute")


def test_missing_errors_are_said() -> None:
    (model, a), (_, b), (_, c) = (batch_norm_network(seed) for seed in range(3))
    data = Split(DATA["train"].x.float(), LABELS)
    with pytest.warns(LandscapeWarning, match=r"of 9 nodes have no error .*: use `bn=` recompute"):
        measured = plane(model, a, b, c, data, grid=3, margin=50)
    assert None in [point["data_error"] for point in measured.to_dict()["points"]]


def test_networks_of_which_some_are_normalised() -> None:
    kinds = ({}, None, None)
    files = [Checkpoint(p, SPEC, {}, normalized=kind) for p, kind in zip(NETWORKS, kinds, strict=True)]
    with pytest.warns(LandscapeWarning, match="some of the networks are normalised and some are not"):
        plane(MODEL, *files, DATA, grid=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plane(MODEL, *files[1:], NETWORKS[0], DATA, grid=2)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"grid": 1}, "`grid=` must be a whole number of at least 2"),
        ({"grid": 2.5}, "`grid=`"),
        ({"margin": math.inf}, "`margin=` must be a finite number, not inf"),
        ({"margin": math.nan}, "`margin=` must be a finite number, not nan"),
        ({"margin": -0.1}, "`margin=` must be a finite number that is not negative, not -0.1"),
        ({"bn": "forget"}, "unknown `bn=` 'forget': choose keep or recompute"),
    ],
)
def test_what_is_no_grid(options: dict[str, object], word: str) -> None:
    with pytest.raises(GeometryError, match=word):
        plane(MODEL, *NETWORKS, DATA, **options)


def test_what_spans_no_plane() -> None:
    a, b, _ = NETWORKS
    with pytest.raises(GeometryError, match=r"^two of the three networks are equal"):
        plane(MODEL, a, b, a, DATA)
    files = [Checkpoint(params, SPEC, {}, path=path) for params, path in ((a, "a.st"), (b, "b.st"), (b, "c.st"))]
    with pytest.raises(GeometryError, match=r"^a.st, b.st, c.st: the three networks lie on one line"):
        plane(MODEL, *files, DATA)
    with pytest.raises(ModelError, match="c: the tensors do not fit the model"):
        plane(MODEL, a, b, make_case("mlp-one-layer").params, DATA)
    for data, words in (
        ([DATA["train"]], "the split 'data' is a list, expected tensors"),
        ({}, "no data to evaluate on"),
        ({"train": (1, 2)}, "the split 'train' is a tuple, expected tensors"),
    ):
        with pytest.raises(DataError, match=words):
            plane(MODEL, *NETWORKS, data)
