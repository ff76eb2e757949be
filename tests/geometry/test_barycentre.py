"""Means of networks: of two the geodesic, of more where the pulls of all cancel."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import flip, permute, random_permutations, random_signs, trace_symmetry
from landscape_cli.errors import GeometryError, LandscapeWarning, ModelError
from landscape_cli.geometry.barycentre import Barycentre, barycentre
from landscape_cli.geometry.geodesic import geodesic
from landscape_cli.geometry.linear import linear
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Symmetry
from tests.support.cases import CHAINS, make_case

WEIGHTS = [0.2, 0.5, 0.3]


def several(name: str, count: int = 3, dtype: torch.dtype = torch.float64) -> tuple[list[dict[str, Tensor]], Symmetry]:
    cases = [make_case(name, seed=seed, dtype=dtype) for seed in range(1, count + 1)]
    return [normalize_params(case.params, case.symmetry).params for case in cases], cases[0].symmetry


def rows(params: dict[str, Tensor], symmetry: Symmetry) -> dict[str, Tensor]:
    tensors = {sphere.tensor: sphere.dim for sphere in symmetry.spheres}
    return {
        name: params[name].reshape(1, -1) if dim is None else params[name].movedim(dim, 0).flatten(1)
        for name, dim in tensors.items()
    }


def slow_mean(points: list[list[float]], weights: list[float]) -> list[float]:
    """The weighted mean of unit vectors, by small steps downhill on the mean squared angle, in plain numbers."""
    mean = [sum(w * p[k] for w, p in zip(weights, points, strict=True)) for k in range(len(points[0]))]
    for _ in range(2000):
        norm = math.sqrt(math.fsum(c * c for c in mean))
        mean = [c / norm for c in mean]
        step = [0.0] * len(mean)
        for w, p in zip(weights, points, strict=True):
            cosine = math.fsum(c * x for c, x in zip(mean, p, strict=True))
            across = [x - cosine * c for c, x in zip(mean, p, strict=True)]
            sine = math.sqrt(math.fsum(x * x for x in across))
            pull = math.atan2(sine, cosine) / sine if sine else 1.0
            step = [s + 0.3 * w * pull * x for s, x in zip(step, across, strict=True)]
        mean = [c + s for c, s in zip(mean, step, strict=True)]
    return mean


def same(a: dict[str, Tensor], b: dict[str, Tensor], tolerance: float) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], rtol=0, atol=tolerance) for k in a)


@pytest.mark.filterwarnings("ignore:.*antipodes", "ignore:.*half sphere")  # of units with one input
@pytest.mark.parametrize("name", CHAINS)
def test_of_two_networks_it_is_their_geodesic(name: str) -> None:
    (a, b, _), symmetry = several(name)
    for tau in (0.0, 0.13, 0.5, 0.9, 1.0):
        expected = geodesic(a, b, tau, symmetry)
        assert same(barycentre([a, b], [1 - tau, tau], symmetry), expected, 0.0)
        split = barycentre([a, b, b, a], [(1 - tau) / 4, tau / 3, tau * 2 / 3, (1 - tau) * 3 / 4], symmetry)
        if all(row.shape[1] > 1 for row in rows(a, symmetry).values()):
            assert same(split, expected, 1e-12)
        assert same(barycentre([a, b], [1 - tau, tau]), linear(a, b, tau), 1e-15)
    assert not same(geodesic(a, b, 0.5, symmetry), linear(a, b, 0.5), 1e-3)


def test_equals_the_slow_way() -> None:
    networks, symmetry = several("mlp")
    mean = barycentre(networks, WEIGHTS, symmetry)
    for name in ("fc1.weight", "fc2.weight", "fc3.weight"):
        of_all = [rows(network, symmetry)[name] for network in networks]
        for k, row in enumerate(rows(mean, symmetry)[name]):
            vectors = [of[k] for of in of_all]
            expected = slow_mean([(v / v.norm()).tolist() for v in vectors], WEIGHTS)
            norm = sum(w * float(v.norm()) for w, v in zip(WEIGHTS, vectors, strict=True))
            assert row.tolist() == pytest.approx([norm * x for x in expected], abs=1e-9)
    straight = sum(w * network["fc2.bias"] for w, network in zip(WEIGHTS, networks, strict=True))
    assert torch.allclose(mean["fc2.bias"], straight, rtol=1e-14)


@pytest.mark.parametrize("name", ["mlp", "lenet", "SequentialNet"])
def test_the_pulls_of_all_networks_cancel(name: str) -> None:
    networks, symmetry = several(name, 5)
    weights = [0.1, 0.3, 0.2, 0.15, 0.25]
    mean = rows(barycentre(networks, weights, symmetry), symmetry)
    for key, centre in mean.items():
        unit = centre / centre.norm(dim=1, keepdim=True)
        pull = torch.zeros_like(unit)
        for w, network in zip(weights, networks, strict=True):
            v = rows(network, symmetry)[key]
            v = v / v.norm(dim=1, keepdim=True)
            cosine = (unit * v).sum(dim=1, keepdim=True)
            across = v - cosine * unit
            sine = across.norm(dim=1, keepdim=True)
            pull += w * torch.atan2(sine, cosine) / sine * across
        left = pull.norm(dim=1)
        assert float(left.max()) < 1e-8  # 50 rounds, where units lie almost all around their sphere
        assert float(left.quantile(0.6)) < 1e-11


@pytest.mark.parametrize("name", ["mlp-sign", "lenet", "mlp-tanh"])
def test_it_moves_with_a_symmetry_of_all(name: str) -> None:
    if name == "mlp-tanh":
        torch.manual_seed(0)
        models = [nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double() for _ in range(3)]
        symmetry = trace_symmetry(models[0], torch.zeros(2, 5, dtype=torch.float64))
        networks = [dict(model.state_dict()) for model in models]
    else:
        networks, symmetry = several(name)
    source = torch.Generator().manual_seed(3)
    permutations, signs = (draw(symmetry, generator=source) for draw in (random_permutations, random_signs))

    def moved(network: dict[str, Tensor]) -> dict[str, Tensor]:
        return flip(permute(network, symmetry, permutations), symmetry, signs)

    mean = barycentre(networks, WEIGHTS, symmetry)
    assert same(barycentre([moved(n) for n in networks], WEIGHTS, symmetry), moved(mean), 1e-13)
    shuffled = barycentre([networks[k] for k in (2, 0, 1)], [WEIGHTS[k] for k in (2, 0, 1)], symmetry)
    assert same(shuffled, mean, 1e-13)
    assert not same(moved(mean), mean, 1e-3)


def test_near_networks_and_weights_of_zero_and_one() -> None:
    networks, symmetry = several("lenet")
    a, b, c = networks
    close = [geodesic(a, other, 1e-6, symmetry) for other in networks]
    assert same(barycentre(close, WEIGHTS, symmetry), barycentre(close, WEIGHTS), 1e-10)
    means = Barycentre(networks, symmetry)
    assert all(torch.equal(means.at([0.0, 1.0, 0.0])[key], b[key]) for key in b)
    assert same(means.at([0.25, 0.0, 0.75]), geodesic(a, c, 0.75, symmetry), 0.0)
    limit = means.at([0.25 - 5e-10, 1e-9, 0.75 - 5e-10])
    assert same(limit, geodesic(a, c, 0.75, symmetry), 1e-7)
    assert same(barycentre(networks, symmetry=symmetry), means.at([1 / 3, 1 / 3, 1 / 3]), 0.0)
    assert same(barycentre([a]), a, 0.0)


def test_types_and_whole_numbers_are_the_firsts() -> None:
    networks, symmetry = several("mlp", dtype=torch.float32)
    networks = [network | {"count": torch.tensor(k)} for k, network in enumerate(networks)]
    for mean in (barycentre(networks, WEIGHTS, symmetry), barycentre(networks, WEIGHTS)):
        assert all(mean[key].dtype == networks[0][key].dtype for key in mean)
        assert int(mean["count"]) == 0


def on_circle(*degrees: float) -> tuple[list[dict[str, Tensor]], Symmetry]:
    """Networks of two units of two inputs each, the first at these angles, the second at half of them."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 3, bias=False)).double()
    last = torch.ones(3, 2, dtype=torch.float64)
    networks = []
    for angle in degrees:
        turned = [math.radians(angle), math.radians(angle / 8)]
        first = torch.tensor([[math.cos(t), math.sin(t)] for t in turned], dtype=torch.float64)
        networks.append({"0.weight": first, "2.weight": last})
    return networks, trace_symmetry(model, torch.zeros(2, 2, dtype=torch.float64))


def test_units_that_surround_their_sphere_are_counted_and_left() -> None:
    networks, symmetry = on_circle(0, 120, 240)
    means = Barycentre(networks, symmetry)
    with pytest.warns(LandscapeWarning, match="^1 units of 3 networks lie in no open half sphere"):
        mean = means.at([0.5, 0.25, 0.25])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        means.at([0.4, 0.3, 0.3])  # once for these networks
        means.at([0.4, 0.6, 0.0])
    assert mean["0.weight"][0].tolist() == pytest.approx([1.0, 0.0], abs=1e-12)
    turned = math.radians(0.25 * 15 + 0.25 * 30)
    assert mean["0.weight"][1].tolist() == pytest.approx([math.cos(turned), math.sin(turned)], abs=1e-12)


def test_wide_but_in_a_half_sphere_there_is_a_mean() -> None:
    """Three angles within 170 degrees, of which the sum leaves one behind: the mean on a circle is that of angles."""
    networks, symmetry = on_circle(0, 5, 170)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = barycentre(networks, [0.45, 0.45, 0.1], symmetry)
    turned = math.radians(0.45 * 5 + 17)
    assert mean["0.weight"][0].tolist() == pytest.approx([math.cos(turned), math.sin(turned)], abs=1e-11)


def test_a_zero_unit_is_averaged_straight() -> None:
    networks, symmetry = on_circle(0, 30, 60)
    networks[1]["0.weight"] = networks[1]["0.weight"] * torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    mean = barycentre(networks, WEIGHTS, symmetry)
    assert torch.allclose(mean["0.weight"][0], barycentre(networks, WEIGHTS)["0.weight"][0], rtol=1e-14)
    assert float(mean["0.weight"][1].norm()) == pytest.approx(1.0, rel=1e-14)


def test_nonsense_is_refused() -> None:
    networks, symmetry = several("mlp")
    model = nn.Linear(2, 2)
    cases: list[tuple[Any, str]] = [
        (([], None), "`networks=` is empty"),
        ((networks, [0.5, 0.5]), "`weights=` holds 2 numbers for 3 networks"),
        ((networks, [0.5, 0.7, -0.2]), "`weights=` holds -0.2: a mean takes none below 0"),
        ((networks, [0.5, 0.5, 0.5]), "`weights=` must add up to 1, and make 1.5"),
        ((networks, [math.nan, 0.5, 0.5]), "`weights=` must be a finite number, and is nan"),
        ((networks, [True, 0.0, 0.0]), "`weights=` must be a finite number, and is True"),
        ((networks, torch.ones(3)), "`weights=` is a Tensor"),
        (({"a": 1}, None), "`networks=` is a dict"),
        (([*networks[:1], {}], None), "do not have the same tensors"),
        ((networks, None, "mlp"), "`symmetry=` is a str"),
        (([{"a": torch.zeros(1)}], None, symmetry), "the symmetry is of another model"),
    ]
    for arguments, message in cases:
        with pytest.raises(GeometryError, match=message):
            barycentre(*arguments)
    with pytest.raises(ModelError, match="expected tensors by name, not a Linear"):
        barycentre([model])  # type: ignore[list-item]


def test_many_points_are_cheap() -> None:
    """A point costs little more than the straight mean: the iteration runs on a number a network and unit."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
    symmetry = trace_symmetry(model, torch.zeros(2, 784))
    networks = [{k: torch.randn_like(t) for k, t in model.state_dict().items()} for _ in range(3)]
    times = []
    for means in (Barycentre(networks), Barycentre(networks, symmetry)):
        means.at(WEIGHTS)
        start = time.process_time()
        for _ in range(10):
            means.at(WEIGHTS)
        times.append(time.process_time() - start)
    assert times[1] < 12 * times[0]
