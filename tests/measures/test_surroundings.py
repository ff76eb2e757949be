"""Lines and planes through one network, one network and one sample at a time."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from landscape_cli import line_around, normalize, plane, plane_around
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError, LandscapeWarning, ModelError, Remark
from landscape_cli.geometry.random_direction import moved_along, random_direction
from tests.support.binaries import make_binary
from tests.support.cases import make_case
from tests.support.reference import wrong

CASES = [make_case("mlp", seed=seed) for seed in range(4)]
MODEL, SYMMETRY = CASES[0].model, CASES[0].symmetry
NETWORKS = {f"n{k}": normalize(MODEL, case.params, SYMMETRY).params for k, case in enumerate(CASES)}
BASE = NETWORKS["n0"]
LABELS = torch.randint(4, (16,), generator=torch.Generator().manual_seed(1))
DATA = {"train": Split(CASES[0].inputs, LABELS), "test": Split(CASES[0].inputs[:6], LABELS[:6])}


def errors(params: dict[str, torch.Tensor]) -> list[float]:
    return [wrong(MODEL, dict(params), data.x, data.y) / len(data.y) for data in DATA.values()]


def directions(count: int) -> list[dict[str, torch.Tensor]]:
    owners = {name: name for name in BASE}
    return [random_direction(BASE, SYMMETRY, owners, seed=4, number=k) for k in range(count)]


def test_a_plane_equals_the_slow_way() -> None:
    steps: list[int] = []
    along = directions(2)
    measured = plane_around(MODEL, BASE, DATA, grid=3, loss=True, seed=4, advance=steps.append)
    assert sum(steps) == (9 + 1) * 22
    assert (measured.xs, measured.ys) == ((-1, 0, 1), (-1, 0, 1))
    for point in measured.points:
        network = {
            name: tensor + point["x"] * along[0].get(name, 0) + point["y"] * along[1].get(name, 0)
            for name, tensor in BASE.items()
        }
        assert [point["train_error"], point["test_error"]] == errors(network)
        logits = torch.func.functional_call(MODEL, network, (DATA["train"].x,))
        assert point["train_loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, LABELS)))
    assert list(measured.corner_scores[0].values())[:2] == errors(BASE)
    body = measured.to_dict()
    assert list(body) == ["networks", "directions", "x", "y", "points"]
    length = sum(float(tensor.square().sum()) for tensor in along[0].values()) ** 0.5
    assert body["directions"][0] == {"direction": "random", "normalize": "filter", "length": pytest.approx(length)}


def test_a_line_equals_the_slow_way_and_the_planes_axis() -> None:
    [along] = directions(1)
    measured = line_around(MODEL, BASE, DATA, points=5, limits=(-1, 3), seed=4)
    for point in measured.points:
        network = {name: tensor + point["x"] * along.get(name, 0) for name, tensor in BASE.items()}
        assert [point["train_error"], point["test_error"]] == errors(network)
    assert [point["x"] for point in measured.points] == [-1, 0, 1, 2, 3]
    assert list(measured.to_dict()) == ["kind", "networks", "directions", "points"]


def test_a_plane_towards_networks_is_that_through_three() -> None:
    towards = {name: NETWORKS[name] for name in ("n1", "n2")}
    with pytest.warns(Remark, match="not at right angles"):
        measured = plane_around(
            MODEL, BASE, DATA, directions=["n1", "n2"], towards=towards, project=NETWORKS, grid=2, limits=(0, 1)
        )
    steps = [torch.cat([(NETWORKS[n][name] - BASE[name]).flatten() for name in BASE]) for n in ("n1", "n2")]
    assert measured.directions[1]["cosine"] == pytest.approx(float(torch.cosine_similarity(*steps, dim=0)))
    through = plane(MODEL, *(NETWORKS[f"n{k}"] for k in range(3)), DATA, grid=2)
    for k, corner in ((0, 0), (1, 1), (2, 2)):
        assert [measured.points[k][f"{split}_error"] for split in DATA] == [
            through.corner_scores[corner][f"{split}_error"] for split in DATA
        ]
    places = [(row["x"], row["y"], row["distance"]) for row in measured.projected]
    for place, expected in zip(places[:3], [(0, 0, 0), (1, 0, 0), (0, 1, 0)], strict=True):
        assert place == pytest.approx(expected, abs=1e-9)
    assert places[3][2] > 1
    assert [[row["train_error"], row["test_error"]] for row in measured.projected] == list(
        map(errors, NETWORKS.values())
    )


def test_a_trajectory_lies_in_its_principal_plane() -> None:
    measured = plane_around(MODEL, NETWORKS["n3"], DATA, directions=["pca"], trajectory=NETWORKS, grid=2)
    rows = measured.to_dict()["trajectory"]
    assert [row["network"] for row in rows] == list(NETWORKS)
    assert (rows[-1]["x"], rows[-1]["y"], rows[-1]["distance"]) == (0, 0, 0)
    for axis, ends in (("x", measured.xs), ("y", measured.ys)):
        places = [row[axis] for row in rows]
        edge = 0.2 * (max(places) - min(places))
        assert (ends[0] + ends[1], ends[1] - ends[0]) == (
            pytest.approx(min(places) + max(places)),
            pytest.approx(max(max(places) - min(places) + 2 * edge, (measured.xs[1] - measured.xs[0]) / 2)),
        )
    assert [[row["train_error"], row["test_error"]] for row in rows] == list(map(errors, NETWORKS.values()))


def test_a_line_along_the_principal_direction_holds_the_trajectory() -> None:
    measured = line_around(MODEL, NETWORKS["n3"], DATA, direction="pca", trajectory=NETWORKS, points=3)
    rows = measured.to_dict()["trajectory"]
    places, points = [row["x"] for row in rows], [point["x"] for point in measured.points]
    edge = 0.2 * (max(places) - min(places))
    assert (points[0], points[-1]) == pytest.approx((min(places) - edge, max(places) + edge))
    assert rows[-1]["distance"] == 0 < rows[0]["distance"]
    assert [[row["train_error"], row["test_error"]] for row in rows] == list(map(errors, NETWORKS.values()))


def test_automatic_ranges_end_where_the_error_has_grown() -> None:
    labels = torch.func.functional_call(MODEL, BASE, (CASES[0].inputs,)).argmax(1)
    data = {"train": Split(CASES[0].inputs, labels)}
    measured = line_around(MODEL, BASE, data, limits="auto", growth=0.2, points=40)
    values = [point["train_error"] for point in measured.points]
    assert min(values[0], values[-1]) >= 0.2 > max(values[10:30])
    with pytest.warns(Remark, match=r"does not grow by 0\.999 everywhere: the range ends at 1024"):
        line_around(MODEL, BASE, data, limits="auto", growth=0.999, points=2)


def test_what_surroundings_depend_on_is_said() -> None:
    with pytest.warns(Remark, match="the network is not normalised: its surroundings depend on the scales"):
        line_around(MODEL, CASES[0].params, DATA, points=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line_around(MODEL, BASE, DATA, points=2)
        line_around(MODEL, CASES[0].params, DATA, direction="b", towards={"b": BASE}, points=2)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4)).eval()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    data = Split(CASES[0].inputs.float(), LABELS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not normalised")
        with pytest.warns(Remark, match="batch-norm's statistics stay those of the network"):
            kept = line_around(model, params, data, points=2)
        warnings.filterwarnings("error", message="batch-norm's")
        anew = line_around(model, params, data, points=2, bn="recompute")
    assert kept.points != anew.points


def test_networks_that_cannot_be_normalised_have_surroundings() -> None:
    model = nn.Sequential(nn.Linear(7, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)).eval()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    params["1.running_var"][0] = -1
    data = Split(CASES[0].inputs.float(), LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(line_around(model, params, data, points=2).points) == 2
        with pytest.raises(GeometryError, match="on no torus"):
            line_around(model, params, data, points=2, on_torus=True)


def test_biases_move_if_asked_and_lengths_are_as_asked() -> None:
    for options, moves in (({}, False), ({"all_parameters": True}, True)):
        measured = plane_around(MODEL, BASE, DATA, grid=2, normalize_directions="layer", **options)
        names = [name for name in BASE if moves or name.endswith("weight")]
        expected = sum(float(BASE[name].square().sum()) for name in names) ** 0.5
        assert measured.directions[0]["length"] == pytest.approx(expected)
    alone = line_around(MODEL, BASE, DATA, points=2, normalize_directions="none")
    assert alone.direction["length"] == pytest.approx(1)
    towards = {"towards": {"b": NETWORKS["n1"]}, "direction": "b", "points": 2}
    weights = sum(float(BASE[name].square().sum()) for name in BASE if name.endswith("weight")) ** 0.5
    scaled = line_around(MODEL, BASE, DATA, normalize_directions="filter", **towards)
    assert scaled.direction["length"] == pytest.approx(weights)
    way = sum(float((NETWORKS["n1"][name] - BASE[name]).square().sum()) for name in BASE) ** 0.5
    assert line_around(MODEL, BASE, DATA, **towards).direction["length"] == pytest.approx(way)


def test_planes_of_binary_networks_lead_to_networks_alone() -> None:
    nets = [make_binary("mlp", seed) for seed in range(3)]
    data = Split(nets[0].inputs, torch.arange(40) % 3)
    others = {str(k): net.params for k, net in enumerate(nets)}
    measured = plane_around(nets[0].model, nets[2].params, data, directions=["pca"], trajectory=others, grid=2)
    assert measured.to_dict()["binary"]
    with pytest.raises(GeometryError, match="is binary, and its signs have no such directions"):
        plane_around(nets[0].model, nets[0].params, data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"directions": ["random", "random", "random"]}, "a plane takes two directions, and 3 are named"),
        ({"directions": ["gradient"]}, "a plane takes two directions, and 1 is named; one alone"),
        ({"directions": ["gradient", "gradient"]}, "`directions=` names gradient twice"),
        ({"directions": ["pca", "random"]}, "pca gives all axes"),
        ({"directions": ["pca"], "normalize_directions": "filter"}, "leave out `normalize_directions=`"),
        ({"directions": ["pca"]}, "take at least 3 networks, and 0 are named"),
        ({"directions": ["nowhere", "random"]}, "unknown direction 'nowhere'"),
        ({"directions": "random"}, "is a list of names"),
        ({"normalize_directions": "unit"}, "unknown `normalize_directions=` 'unit'"),
        ({"limits": (1, -1)}, "`limits=` goes from lower numbers to higher ones, not 1, -1"),
        ({"limits": (1, 2, 3)}, "`limits=` is two numbers"),
        ({"limits": (-1, float("inf"))}, "`limits=`"),
        ({"growth": 0.2}, "`growth=` goes with `limits=` auto"),
        ({"growth": -0.2, "limits": "auto"}, "`growth=` must be above 0"),
        ({"growth": 1.5, "limits": "auto"}, "`growth=` is of the error, which is at most 1, and is 1.5"),
        ({"on_torus": True, "params": CASES[0].params}, "is not normalised, so its units are on no torus"),
        ({"directions": ["a", "b"], "towards": {"a": BASE, "b": NETWORKS["n1"]}}, "are zero, or two are the same"),
        ({"grid": 1}, "`grid=`"),
    ],
)
def test_what_is_no_plane(options: dict[str, Any], words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        plane_around(MODEL, options.pop("params", BASE), DATA, **options)


def test_networks_of_another_model() -> None:
    with pytest.raises(ModelError, match="b: the tensors do not fit the model"):
        line_around(MODEL, BASE, DATA, direction="b", towards={"b": make_case("mlp-one-layer").params})


def test_nodes_without_outputs_are_said() -> None:
    huge = {name: tensor.float() * (1e20 if name == "fc1.weight" else 1) for name, tensor in BASE.items()}
    data = Split(CASES[0].inputs.float(), LABELS)
    far = moved_along(huge, {"fc1.weight": torch.full_like(huge["fc1.weight"], 1e38)})
    with pytest.warns(LandscapeWarning, match="points have no error"):
        line_around(MODEL.float(), huge, data, direction="far", towards={"far": far}, limits=(-3, 3), points=3)
    MODEL.double()
