"""Geodesics, straight lines and distances (docs/method.md: Geodesics and distances)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import GeometryError
from landscape_cli.geometry.geodesic import angle, geodesic
from landscape_cli.geometry.linear import linear
from landscape_cli.measures.distance import distance
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import rescale, trace_symmetry
from tests.support.cases import CHAINS, WIDE, make_case
from tests.support.normed import NORMED, WITH_BATCH_NORM, make_net
from tests.support.reference import angle as slow_angle
from tests.support.reference import rotate


def pair(name: str, dtype: torch.dtype = torch.float64):
    case, other = (make_case(name, seed=seed, dtype=dtype) for seed in (1, 2))
    return (
        case,
        normalize_params(case.params, case.symmetry).params,
        normalize_params(other.params, case.symmetry).params,
    )


def nearby(params: dict[str, Tensor], symmetry, size: float) -> dict[str, Tensor]:
    """A normalised network at a small angle on every sphere."""
    generator = torch.Generator().manual_seed(5)
    moved = {
        key: t + size * t.norm() / t.numel() ** 0.5 * torch.randn(t.shape, generator=generator, dtype=t.dtype)
        for key, t in params.items()
    }
    return normalize_params(moved, symmetry).params


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ends_are_exact(name: str, dtype: torch.dtype) -> None:
    case, a, b = pair(name, dtype)
    for tau, end in ((0.0, a), (1.0, b)):
        for found in (geodesic(a, b, tau, case.symmetry), linear(a, b, tau)):
            assert all(torch.equal(found[key], end[key]) for key in end)


@pytest.mark.parametrize("name", WIDE)
def test_points_stay_on_the_spheres(name: str) -> None:
    case, a, b = pair(name)
    for tau in (0.1, 0.5, 0.77):
        point, chord = geodesic(a, b, tau, case.symmetry), linear(a, b, tau)
        for sphere in case.symmetry.spheres:
            if a[sphere.tensor].shape[0] == a[sphere.tensor].numel():
                continue  # a sphere of dimension zero has no way across
            norms, shrunk, at_a = (
                p[sphere.tensor].flatten() if sphere.dim is None else p[sphere.tensor].movedim(sphere.dim, 0).flatten(1)
                for p in (point, chord, a)
            )
            assert torch.allclose(norms.norm(dim=-1), at_a.norm(dim=-1), rtol=1e-12)
            if at_a.shape[-1] > 1:
                assert not torch.allclose(shrunk.norm(dim=-1), at_a.norm(dim=-1), rtol=1e-3)


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-6])
@pytest.mark.parametrize("name", ["mlp", "mlp-no-bias", "mlp-sign", "lenet", "SequentialNet"])
def test_distance_grows_with_tau(name: str, size: float) -> None:
    """Constant speed, also for angles of 1e-6."""
    case, a, far = pair(name)
    b = far if size == 1.0 else nearby(a, case.symmetry, size)
    whole = distance(a, b, case.symmetry)
    assert whole.rms_angle == pytest.approx(size, rel=0.9)
    for tau in (0.05, 0.25, 0.5, 0.9):
        point = geodesic(a, b, tau, case.symmetry)
        assert distance(a, point, case.symmetry).geodesic == pytest.approx(tau * whole.geodesic, rel=1e-6)
        assert distance(point, b, case.symmetry).geodesic == pytest.approx((1 - tau) * whole.geodesic, rel=1e-6)
    if size == 1.0:
        chord = distance(a, linear(a, b, 0.25), case.symmetry).geodesic
        assert chord != pytest.approx(0.25 * whole.geodesic, rel=1e-3)


LAYERS = ("conv1", "conv2", "fc1", "fc2")


def test_distance_equals_the_slow_way() -> None:
    case, a, b = pair("lenet")
    squares, angles = [], []
    for key in ("conv1.weight", "conv2.weight", "fc1.weight"):
        for u, v in zip(a[key].flatten(1), b[key].flatten(1), strict=True):
            angles.append(slow_angle(u, v))
            squares.append(angles[-1] ** 2)
    angles.append(slow_angle(a["fc2.weight"].flatten(), b["fc2.weight"].flatten()))
    squares.append(10 * angles[-1] ** 2)
    found = distance(a, b, case.symmetry)
    assert found.geodesic == pytest.approx(math.sqrt(sum(squares)), rel=1e-12)
    assert found.rms_angle == pytest.approx(math.sqrt(sum(t**2 for t in angles) / len(angles)), rel=1e-12)
    weights = [torch.cat([p[f"{layer}.weight"].flatten() for layer in LAYERS]) for p in (a, b)]
    assert found.euclidean == pytest.approx(float((weights[0] - weights[1]).norm()), rel=1e-12)
    found = distance(a, b, case.symmetry, all_parameters=True)
    flat = [torch.cat([t.flatten() for t in p.values()]) for p in (a, b)]
    assert found.euclidean == pytest.approx(float((flat[0] - flat[1]).norm()), rel=1e-12)
    assert found.cosine == pytest.approx(float(flat[0] @ flat[1] / flat[0].norm() / flat[1].norm()), rel=1e-12)
    assert distance(a, a, case.symmetry).geodesic == 0
    assert distance(b, a, case.symmetry).geodesic == pytest.approx(found.geodesic, rel=1e-14)


def test_geodesic_equals_a_rotation() -> None:
    case, a, b = pair("mlp")
    point = geodesic(a, b, 0.3, case.symmetry)
    for key in ("fc1.weight", "fc2.weight"):
        for u, v, found in zip(a[key].tolist(), b[key].tolist(), point[key].tolist(), strict=True):
            assert found == pytest.approx(rotate(u, v, 0.3), rel=1e-9, abs=1e-12)
    whole = rotate(a["fc3.weight"].flatten().tolist(), b["fc3.weight"].flatten().tolist(), 0.3)
    assert point["fc3.weight"].flatten().tolist() == pytest.approx(whole, rel=1e-9, abs=1e-12)
    assert torch.allclose(point["fc2.bias"], 0.7 * a["fc2.bias"] + 0.3 * b["fc2.bias"])


def test_small_angles_are_not_lost() -> None:
    u = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    for theta in (1e-12, 1e-6, 1.0, 3.1, math.pi):
        v = torch.tensor([[math.cos(theta), math.sin(theta)]], dtype=torch.float64)
        assert float(angle(u, 5 * v)) == pytest.approx(theta, rel=1e-9)
    assert float(angle(u, 0 * u)) == 0


def test_antipodes_take_one_great_circle_and_say_so() -> None:
    case, a, _ = pair("mlp")
    b = a | {"fc1.weight": -a["fc1.weight"]}
    with pytest.warns(UserWarning, match="12 units are antipodes"):
        middle = geodesic(a, b, 0.5, case.symmetry)
    assert torch.allclose(middle["fc1.weight"].norm(dim=1), torch.ones(12).double())
    with pytest.warns(UserWarning, match="antipodes"):
        assert all(torch.equal(middle[k], v) for k, v in geodesic(a, b, 0.5, case.symmetry).items())
    with pytest.warns(UserWarning, match="antipodes"):
        quarter = geodesic(a, b, 0.25, case.symmetry)
    assert torch.allclose(angle(a["fc1.weight"], quarter["fc1.weight"]), torch.full((12,), math.pi / 4).double())


def test_degenerate_units_move_straight() -> None:
    case, a, b = pair("mlp")
    a["fc1.weight"][0] = 0
    point = geodesic(a, b, 0.5, case.symmetry)
    assert torch.allclose(point["fc1.weight"][0], b["fc1.weight"][0] / 2)
    assert all(torch.isfinite(tensor).all() for tensor in point.values())


def test_raw_networks_move_in_direction_and_norm() -> None:
    case, other = make_case("mlp", seed=1), make_case("mlp", seed=2)
    point = geodesic(case.params, other.params, 0.25, case.symmetry)
    norms = [p["fc1.weight"].norm(dim=1) for p in (case.params, other.params, point)]
    assert torch.allclose(norms[2], 0.75 * norms[0] + 0.25 * norms[1])


# Networks with weights whose rows share no sphere: a stream's later writers, convolutions that no batch-norm follows.
OFF_SPHERES = {"pre-activation", "layer-scale", "no-statistics", "excited", "attention", "recurrent", "two-heads"}


def normed_pair(name: str):
    net, other = (make_net(name, seed=seed) for seed in (1, 2))
    return net, normalize_params(net.params, net.symmetry).params, normalize_params(other.params, net.symmetry).params


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_batch_norm_moves_straight(name: str) -> None:
    """Gains, shifts and statistics linearly, counts of batches stay the first network's; the weights on spheres."""
    net, a, b = normed_pair(name)
    tau = 0.3
    point = geodesic(a, b, tau, net.symmetry)
    spheres = {sphere.tensor: sphere.dim for sphere in net.symmetry.spheres}
    for key, found in point.items():
        if not found.is_floating_point():
            assert torch.equal(found, a[key])
            assert not torch.equal(found, b[key])
        elif key not in spheres:
            assert torch.allclose(found, (1 - tau) * a[key] + tau * b[key], rtol=1e-12, atol=1e-14)
    assert not any(".running_" in key or a[key].ndim < 2 for key in spheres)
    assert torch.isfinite(net.outputs(point)).all()


@pytest.mark.parametrize("name", NORMED)
def test_rows_off_their_spheres_move_in_direction_and_norm(name: str) -> None:
    """Rows that something else sets the scale of, as a stream's later writers: slerp, and the norm linearly."""
    net, a, b = normed_pair(name)
    tau, off = 0.25, 0
    point = geodesic(a, b, tau, net.symmetry)
    for sphere in net.symmetry.spheres:
        rows = [
            p[sphere.tensor].flatten()[None]
            if sphere.dim is None
            else p[sphere.tensor].movedim(sphere.dim, 0).flatten(1)
            for p in (a, b, point)
        ]
        if rows[0].shape[1] == 1:
            continue
        norms = [u.norm(dim=1) for u in rows]
        assert torch.allclose(norms[2], (1 - tau) * norms[0] + tau * norms[1], rtol=1e-10)
        assert torch.allclose(angle(rows[0], rows[2]), tau * angle(rows[0], rows[1]), rtol=1e-8)
        off += int((abs(norms[0] - norms[1]) > 1e-3).sum())
    found = distance(a, b, net.symmetry)
    assert found.geodesic > 0
    assert distance(b, a, net.symmetry).geodesic == pytest.approx(found.geodesic, rel=1e-12)
    assert distance(a, a, net.symmetry).geodesic == 0
    assert (off > 0) == (name in OFF_SPHERES)


@pytest.mark.parametrize("name", sorted(set(NORMED) - OFF_SPHERES))
def test_speed_is_constant_on_spheres(name: str) -> None:
    net, a, b = normed_pair(name)
    whole = distance(a, b, net.symmetry).geodesic
    point = geodesic(a, b, 0.25, net.symmetry)
    assert distance(a, point, net.symmetry).geodesic == pytest.approx(0.25 * whole, rel=1e-9)


def test_distance_of_normalised_networks_does_not_see_scale() -> None:
    net, a, b = normed_pair("residual")
    factors = {group.name: torch.linspace(0.1, 9, group.size).double() for group in net.symmetry.scales}
    moved = rescale(make_net("residual", seed=2).params, net.symmetry, factors, output=3.0)
    assert distance(a, moved, net.symmetry).geodesic != pytest.approx(distance(a, b, net.symmetry).geodesic, rel=0.1)
    found, expected = (
        distance(a, normalize_params(moved, net.symmetry).params, net.symmetry),
        distance(a, b, net.symmetry),
    )
    assert found.geodesic == pytest.approx(expected.geodesic, rel=1e-11)
    assert found.euclidean == pytest.approx(expected.euclidean, rel=1e-11)


def test_variances_below_zero_stay_above_epsilon() -> None:
    """Without a gain, a normalised variance may be negative: between two such networks the function is a number."""
    net = make_net("no-affine")
    ends = []
    for seed in (1, 2):
        params = make_net("no-affine", seed=seed).params
        ends.append(normalize_params(params | {"0.weight": 300 * params["0.weight"]}, net.symmetry).params)
    assert all(float(end["1.running_var"].max()) < 0 for end in ends)
    for tau in (0.2, 0.5, 0.9):
        point = geodesic(ends[0], ends[1], tau, net.symmetry)
        assert float(point["1.running_var"].min()) > -1e-5
        assert torch.isfinite(net.outputs(point)).all()


def test_different_models_have_no_distance() -> None:
    case, other = make_case("mlp"), make_case("mlp-sign")
    with pytest.raises(GeometryError, match="different models"):
        distance(case.params, other.params, case.symmetry)


class Twice(nn.Module):
    """One matrix under two names, and a batch-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.norm, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.b(self.a(x).relu())).relu())


def test_distance_counts_each_parameter_once_and_no_statistics() -> None:
    net, other = Twice().double(), Twice().double()
    symmetry = trace_symmetry(net, torch.zeros(2, 4, dtype=torch.float64))
    a, b = net.state_dict(), dict(other.state_dict())
    assert set(symmetry.parameters) == {name for name, _ in net.named_parameters()}
    found = distance(a, b, symmetry, all_parameters=True)
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    assert found.euclidean == pytest.approx(math.sqrt(sum((u - v).detach().square().sum().item() for u, v in pairs)))
    moved = distance(a, b | {"norm.running_mean": torch.full((4,), 1e3).double()}, symmetry, all_parameters=True)
    assert moved == found
    gains = b | {"norm.weight": torch.full((4,), 1e3).double()}
    assert distance(a, gains, symmetry, all_parameters=True) != found
    assert distance(a, gains, symmetry) == distance(a, b, symmetry)
