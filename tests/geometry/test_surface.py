"""Points around a network, straight and on its spheres: exponential map, logarithm, projection."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import geodesic, normalize, trace_symmetry
from landscape_cli.forward.combination import combine
from landscape_cli.geometry.plane import span_plane
from landscape_cli.geometry.random_direction import moved_along, normal_direction, random_direction
from landscape_cli.geometry.surface import Chart, Surface
from landscape_cli.network import Params
from landscape_cli.normalization.normalize import is_normalized
from tests.support.cases import Case, make_case

NAMES = ["mlp", "FunctionalNet", "ResidualNet", "lenet"]


def normalized(name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Case, Params]:
    case = make_case(name, seed=seed, dtype=dtype)
    return case, normalize(case.model, case.params, case.symmetry).params


def chart_of(case: Case, base: Params, *, torus: bool) -> Chart:
    surface = Surface(base, case.symmetry.spheres if torus else ())
    names = list(case.symmetry.weights)
    vectors = [surface.tangent(normal_direction(base, names, {}, seed=3, number=k)) for k in range(2)]
    return Chart(surface, vectors, names)


def test_flat_planes_are_those_of_hand_made_corners() -> None:
    case = make_case("lenet", dtype=torch.float32)
    owners = {name: name for name in case.params}
    directions = [random_direction(case.params, case.symmetry, owners, seed=0, number=k) for k in range(2)]
    chart = Chart(Surface(case.params), directions, list(case.symmetry.weights))
    corners = [moved_along(case.params, direction) for direction in directions]
    spanned = span_plane(case.params, *corners)
    (bx, _), (cx, cy) = spanned.corners[1:]
    for x, y in ((0.0, 0.0), (1.0, 0.0), (-0.7, 1.3), (0.25, -1.0)):
        by_hand, point = spanned.network(x * bx + y * cx, y * cy), chart.network(x, y)
        for name, tensor in point.items():
            torch.testing.assert_close(tensor, by_hand[name], rtol=1e-6, atol=1e-6)
    assert chart.network(0.0, 0.0).keys() == case.params.keys()
    assert all(torch.equal(tensor, case.params[name]) for name, tensor in chart.network(0.0, 0.0).items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_point_of_the_torus_is_normalised_and_others_are_not(name: str, dtype: torch.dtype) -> None:
    case, base = normalized(name, dtype=dtype)
    on, off = (chart_of(case, base, torus=torus) for torus in (True, False))
    for place in ((0.0, 0.0), (0.4, -0.2), (-2.0, 3.0)):
        assert is_normalized(on.network(*place), case.symmetry, last_layer=True)
        assert is_normalized(off.network(*place), case.symmetry, last_layer=True) == (place == (0.0, 0.0))


def test_with_batch_norm_and_gains() -> None:
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.BatchNorm2d(3), nn.ReLU())
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(27, 2)).double().eval()
    symmetry = trace_symmetry(model, torch.zeros(2, 1, 6, 6, dtype=torch.float64))
    raw = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    base = normalize(model, raw, symmetry).params
    case = Case(model, dict(base), symmetry, torch.zeros(2, 1, 6, 6))
    assert is_normalized(chart_of(case, base, torus=True).network(1.0, -0.4), symmetry, last_layer=True)
    assert not is_normalized(chart_of(case, raw, torus=True).network(1.0, -0.4), symmetry, last_layer=True)


def test_a_unit_turns_by_its_vectors_length_over_its_own() -> None:
    case, base = normalized("mlp")
    chart = chart_of(case, base, torus=True)
    moved = chart.network(0.0, 0.1)["fc1.weight"]
    for row, along, before in zip(moved, chart.vectors[1]["fc1.weight"], base["fc1.weight"], strict=True):
        turned = 0.1 * float(along.norm())
        assert math.acos(float(row @ before)) == pytest.approx(min(turned, 2 * math.pi - turned))


@pytest.mark.parametrize("name", NAMES)
def test_the_way_to_a_network_leads_there_along_the_geodesic(name: str) -> None:
    (case, base), (_, other) = normalized(name), normalized(name, seed=1)
    surface = Surface(base, case.symmetry.spheres)
    vector = {key: surface.log(other, key) for key in base}
    chart = Chart(surface, [vector], list(case.symmetry.parameters))
    for tau in (0.3, 1.0):
        expected, point = geodesic(base, other, tau, case.symmetry), chart.network(tau)
        for key in base:
            torch.testing.assert_close(point[key], expected[key], rtol=1e-6, atol=1e-7)
    (place,), distance = chart.project(other)
    assert place == pytest.approx(1)
    assert distance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("torus", [False, True])
def test_projection_is_least_squares_over_the_parameters(torus: bool) -> None:
    (case, base), (_, other) = normalized("mlp"), normalized("mlp", seed=1)
    chart = chart_of(case, base, torus=torus)
    flat = torch.stack([torch.cat([vector[name].flatten() for name in chart.names]) for vector in chart.vectors])
    step = torch.cat([chart.surface.log(other, name).flatten() for name in chart.names])
    expected = torch.linalg.lstsq(flat.T, step[:, None])
    coordinates, distance = chart.project(other)
    assert list(coordinates) == pytest.approx(expected.solution[:, 0].tolist())
    assert distance == pytest.approx(float((step - expected.solution[:, 0] @ flat).norm()))
    placed, off = chart.project(chart.network(0.3, -0.2) if not torus else chart.network(0.03, -0.02))
    assert placed == pytest.approx((0.3, -0.2) if not torus else (0.03, -0.02))
    assert off == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("torus", [False, True])
def test_networks_know_what_they_are_combinations_of(torus: bool) -> None:
    case, base = normalized("lenet")
    chart = chart_of(case, base, torus=torus)
    point = chart.network(0.02, -0.01)
    for name, tensor in point.items():
        parts = point.parts(name)
        sphere = chart.surface.spheres.get(name)
        assert bool(parts) == (sphere is None or sphere.dim == 0)
        if parts:
            torch.testing.assert_close(combine(parts), tensor)
        assert [id(part) for part, _ in parts] == [id(part) for part, _ in chart.network(1.0, 1.0).parts(name)]


def test_units_without_weights_and_other_axes() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(2, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(45, 2)).double()
    symmetry = trace_symmetry(model, torch.zeros(2, 2, 2, 2, dtype=torch.float64))
    base: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    base["0.weight"][:, 3] = 0
    vector = {"0.weight": torch.randn(2, 5, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))}
    surface = Surface(base, symmetry.spheres)
    chart = Chart(surface, [surface.tangent(vector)], ["0.weight"])
    moved = chart.network(0.7)["0.weight"]
    norms, before = (tensor.transpose(0, 1).flatten(1).norm(dim=1) for tensor in (moved, base["0.weight"]))
    torch.testing.assert_close(norms[[0, 1, 2, 4]], before[[0, 1, 2, 4]])
    torch.testing.assert_close(moved[:, 3], 0.7 * vector["0.weight"][:, 3])


def test_what_spans_nothing() -> None:
    base = {"w": torch.ones(3)}
    vector = {"w": torch.tensor([1.0, 2.0, 3.0])}
    for vectors, degenerate in (([vector], False), ([{"w": torch.zeros(3)}], True), ([vector, vector], True)):
        assert Chart(Surface(base), vectors, ["w"]).is_degenerate == degenerate
    assert not Chart(Surface(base), [vector, {"w": torch.tensor([1.0, 2.0, 3.01])}], ["w"]).is_degenerate
