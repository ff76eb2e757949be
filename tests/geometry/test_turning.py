"""Turning all units by one angle on their spheres (docs/method.md: Angular width)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from landscape_cli.geometry.geodesic import geodesic, sphere_rows
from landscape_cli.geometry.turning import tangents, turn
from tests.support.cases import ALL, WIDE, make_case
from tests.support.reference import angle as slow_angle


def random_vectors(params: dict[str, Tensor]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return {name: torch.randn(tensor.shape, generator=generator) for name, tensor in params.items()}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("degrees", [1e-5, 30.0, 90.0, 180.0])
def test_every_unit_turns_by_the_angle_and_keeps_its_norm(name: str, degrees: float) -> None:
    case = make_case(name)
    ways = tangents(case.params, random_vectors(case.params), case.symmetry)
    turned = turn(case.params, ways, math.radians(degrees), case.symmetry)
    for sphere in case.symmetry.spheres:
        before, after = (sphere_rows(network[sphere.tensor], sphere) for network in (case.params, turned))
        assert torch.allclose(before.norm(dim=1), after.norm(dim=1), rtol=1e-12)
        for u, v in zip(before, after, strict=True):
            expected = math.radians(degrees) if len(u) > 1 else 0.0  # a single weight has nowhere to turn
            assert slow_angle(u, v) == pytest.approx(expected, abs=1e-12, rel=1e-9)
    weights = set(case.symmetry.weights)
    assert all(turned[key] is case.params[key] for key in case.params if key not in weights)


@pytest.mark.parametrize("name", WIDE)
def test_a_turn_towards_a_network_is_the_geodesic(name: str) -> None:
    """Unit by unit: at its own angle each is where the geodesic ends."""
    case, other = make_case(name, seed=1), make_case(name, seed=2)
    ways = tangents(case.params, other.params, case.symmetry)
    half = geodesic(case.params, other.params, 0.5, case.symmetry)
    for sphere in case.symmetry.spheres:
        start, end, middle = (
            sphere_rows(network[sphere.tensor], sphere) for network in (case.params, other.params, half)
        )
        for k, (u, v, m) in enumerate(zip(start, end, middle, strict=True)):
            theta = slow_angle(u, v)
            for tau, goal in ((1.0, v), (0.5, m)):
                reached = sphere_rows(turn(case.params, ways, tau * theta, case.symmetry)[sphere.tensor], sphere)[k]
                assert torch.allclose(reached / reached.norm(), goal / goal.norm(), atol=1e-9)
            break  # one unit of each layer is enough


def test_what_has_no_direction_stays() -> None:
    case = make_case("mlp")
    params = dict(case.params)
    params["fc1.weight"] = params["fc1.weight"].clone()
    params["fc1.weight"][2] = 0.0
    along = random_vectors(params)
    along["fc1.weight"][3] = -2.0 * params["fc1.weight"][3]
    along["fc1.weight"][4] = 0.0
    del along["fc2.weight"]
    turned = turn(params, tangents(params, along, case.symmetry), 0.3, case.symmetry)
    stays = (turned["fc1.weight"] == params["fc1.weight"]).all(dim=1)
    assert stays.nonzero().flatten().tolist() == [2, 3, 4]
    assert turned["fc2.weight"] is params["fc2.weight"]
    assert not torch.equal(turned["fc3.weight"], params["fc3.weight"])


def test_types_are_kept() -> None:
    case = make_case("mlp", dtype=torch.float32)
    ways = tangents(case.params, random_vectors(case.params), case.symmetry)
    assert all(way.dtype == torch.float64 for way in ways.values())
    turned = turn(case.params, ways, 0.3, case.symmetry)
    assert {tensor.dtype for tensor in turned.values()} == {torch.float32}
