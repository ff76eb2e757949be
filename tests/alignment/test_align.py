"""Alignment: the function is kept, planted permutations and flips are found (docs/method.md: Align)."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.errors import GeometryError
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import (
    flip,
    permute,
    random_permutations,
    random_signs,
    rescale,
    trace_symmetry,
)
from tests.support.alignment_nets import NETS, Net, Residual
from tests.support.cases import ALL, random_factors
from tests.support.reference import best_permutation

METHODS = ["cosine", "weight", "activation"]


@pytest.mark.parametrize("name", NETS)
def test_numbers_of_parameters_have_no_part_in_the_symmetry(name: str) -> None:
    for seed in (3, 4):
        net = Net(name, seed)
        net.model.load_state_dict(net.params)
        assert trace_symmetry(net.model, net.inputs[:2]) == net.symmetry


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", [*ALL, *NETS])
def test_function_is_kept(name: str, dtype: torch.dtype, method: str) -> None:
    net, other = Net(name, 1, dtype), Net(name, 2, dtype)
    found = net.aligned(other.params, method)
    expected = net.outputs(other.params)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert (net.outputs(found.params) - expected).abs().max() <= tolerance * expected.abs().max()
    again = flip(permute(other.params, net.symmetry, found.permutations), net.symmetry, found.signs)
    assert all(torch.equal(again[key], found.params[key]) for key in again)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*ALL, *NETS])
def test_planted_permutation_is_found_every_time(name: str, method: str, request: pytest.FixtureRequest) -> None:
    if (name, method) == ("mlp-narrow", "activation"):
        pytest.skip("units that see one unit only all have the same activations, up to their sign")
    apart = False
    plantings = request.config.getoption("--plantings")
    for seed in range(plantings if method == "cosine" else min(10, plantings)):
        net = Net(name, seed, torch.float32 if seed % 2 else torch.float64)
        planted = net.moved(seed)
        found = net.aligned(planted, method)
        assert all(torch.equal(found.params[key], net.params[key]) for key in net.params), seed
        assert all(value == pytest.approx(1.0) for value in found.similarity.values())
        apart = apart or any(value < 0.99 for value in found.similarity_before.values())
    assert apart


def test_planted_permutation_of_a_deep_residual_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETS, "deep", (lambda: Residual(128, 256, 6), (10,)))
    for seed in range(5):
        net = Net("deep", seed, torch.float32)
        for method in ("cosine", "weight"):
            found = net.aligned(net.moved(seed), method)
            assert all(torch.equal(found.params[key], net.params[key]) for key in net.params)


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_units_whose_weights_point_almost_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Of 600 directions in a plane some differ by less than float32 can tell from a cosine."""
    made = nn.Sequential(nn.Linear(2, 600), nn.ReLU(), nn.Linear(600, 40), nn.ReLU(), nn.Linear(40, 3))
    monkeypatch.setitem(NETS, "plane", (lambda: made, (2,)))
    for seed in range(3):
        net = Net("plane", seed, torch.float32)
        unit = F.normalize(net.params["0.weight"], dim=1)
        assert ((unit @ unit.T).fill_diagonal_(0) >= 1 - 1e-7).any()
        found = net.aligned(net.moved(seed), method)
        assert all(torch.equal(found.params[key], net.params[key]) for key in net.params)


@pytest.mark.parametrize("name", ["mlp", "lenet", "residual", "conv blocks", "ResidualNet"])
def test_planted_permutation_and_rescaling(name: str) -> None:

    for seed in range(20):
        net = Net(name, seed)
        planted = rescale(net.moved(seed), net.symmetry, random_factors(net.symmetry, seed, 2.0))
        a, b = (normalize_params(params, net.symmetry).params for params in (net.params, planted))
        found = match_networks(a, b, net.symmetry).params
        for key, tensor in a.items():
            torch.testing.assert_close(found[key], tensor, rtol=1e-6, atol=1e-6 * float(tensor.double().abs().max()))


@pytest.mark.parametrize(
    "name", ["residual", "conv blocks", "attention", "normed", "grouped", "tanh", "recurrent, tanh"]
)
def test_a_noisy_copy_is_found(name: str) -> None:
    """Where no match is exact, so that sweeps have something to choose from."""
    net = Net(name, 0)
    generator = torch.Generator().manual_seed(1)
    perms, signs = (draw(net.symmetry, generator=generator) for draw in (random_permutations, random_signs))
    noisy = {
        key: t + 0.01 * torch.randn(t.shape, generator=generator, dtype=t.dtype) if t.is_floating_point() else t
        for key, t in net.params.items()
    }
    planted = flip(permute(noisy, net.symmetry, perms), net.symmetry, signs)
    for method in METHODS:
        found = net.aligned(planted, method).params
        assert all(torch.equal(found[key], noisy[key]) for key in noisy), method


def _far(net: Net, seed: int, noise: float) -> dict[str, Tensor]:
    """Return the network, its weights buried in noise, permuted."""
    generator = torch.Generator().manual_seed(seed)
    noisy = {
        key: t + noise * t.std() * torch.randn(t.shape, generator=generator, dtype=t.dtype) if t.ndim > 1 else t
        for key, t in net.params.items()
    }
    return permute(noisy, net.symmetry, random_permutations(net.symmetry, generator=generator))


@pytest.mark.parametrize("method", ["cosine", "weight"])
@pytest.mark.parametrize("name", ["attention", "normed", "tanh"])
def test_the_signs_that_a_network_comes_with_do_not_matter(name: str, method: str) -> None:
    """Also where no match is exact: one sign that many units have in common is chosen by how all of them match."""
    for seed in range(5):
        net = Net(name, seed)
        far = _far(net, seed, 2.5)
        signs = random_signs(net.symmetry, generator=torch.Generator().manual_seed(seed))
        assert any(bool((sign < 0).any()) for sign in signs.values())
        one, other = (net.aligned(params, method).params for params in (far, flip(far, net.symmetry, signs)))
        assert all(torch.equal(one[key], other[key]) for key in one), seed


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_a_sign_in_common_costs_no_matches(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Each of several groups has one, which its gains tell: units match as if no sign were free, or better."""
    torch.manual_seed(0)
    layers = [nn.Linear(40, 48), nn.GroupNorm(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.GroupNorm(1, 48), nn.ReLU()]
    monkeypatch.setitem(NETS, "groups", (lambda: nn.Sequential(*layers, nn.Linear(48, 4)), (40,)))
    for seed in range(8):
        net = Net("groups", seed)
        for gain in ("1.weight", "4.weight"):
            net.params[gain].abs_()
        far, none = _far(net, seed, 2.5), dataclasses.replace(net.symmetry, signs=())
        assert [group.size for group in net.symmetry.signs] == [4, 1]
        one, other = (
            match_networks(net.params, far, symmetry, method=method).params for symmetry in (net.symmetry, none)
        )
        if method == "cosine":
            assert all(torch.equal(one[key], other[key]) for key in one), seed
        reached, plain = (sum(float((found[key] * t).sum()) for key, t in net.params.items()) for found in (one, other))
        assert reached >= plain, seed


def test_the_first_group_is_matched_best() -> None:
    """Against every permutation there is, for a group whose inputs are settled."""
    net, other = Net("FunctionalNet", 3), Net("FunctionalNet", 4)
    rows = [params["kernel"].flatten(1) for params in (net.params, other.params)]
    units = [r / r.norm(dim=1, keepdim=True) for r in rows]
    found = match_networks(net.params, other.params, net.symmetry)
    assert tuple(found.permutations["kernel"].tolist()) == best_permutation(units[0] @ units[1].T)


@pytest.mark.parametrize("name", ["mlp", "lenet", "conv blocks", "attention"])
def test_weights_end_where_no_group_can_do_better(name: str) -> None:
    net, other = Net(name, 1), Net(name, 2)

    def product(params: dict[str, Tensor]) -> float:
        return sum(float((net.params[key].double() * params[key].double()).sum()) for key in net.params)

    found = net.aligned(other.params, "weight")
    reached = product(found.params)
    assert reached >= product(net.aligned(other.params, "cosine").params)
    assert reached > product(other.params)
    if name == "conv blocks":  # a group on both sides of a tensor is matched with one side held still
        return
    generator = torch.Generator().manual_seed(0)
    for group in net.symmetry.permutations:
        for _ in range(20):
            swap = torch.arange(group.units)
            block = int(torch.randint(group.blocks, (), generator=generator)) * group.size
            i, j = (block + torch.randperm(group.size, generator=generator)[:2]).tolist()
            swap[i], swap[j] = j, i
            assert product(permute(found.params, net.symmetry, {group.name: swap})) <= reached + 1e-9


def test_seeds_and_orders_of_descent() -> None:
    net, other = Net("lenet", 1), Net("lenet", 2)
    one, two = (match_networks(net.params, other.params, net.symmetry, method="weight", seed=5) for _ in range(2))
    assert all(torch.equal(one.permutations[name], two.permutations[name]) for name in one.permutations)
    values = []
    for orders in (1, 2, 8):
        found = match_networks(net.params, other.params, net.symmetry, method="weight", orders=orders)
        values.append(sum(float((net.params[key] * found.params[key]).sum()) for key in net.params))
    assert values == sorted(values)


def test_similarity_never_falls_in_the_first_group() -> None:
    net, other = Net("mlp", 1), Net("mlp", 2)
    found = match_networks(net.params, other.params, net.symmetry)
    assert found.similarity["fc1"] > found.similarity_before["fc1"]
    again = match_networks(net.params, found.params, net.symmetry)
    assert again.similarity_before == pytest.approx(found.similarity)
    assert all(torch.equal(p, torch.arange(len(p))) for p in again.permutations.values())


def test_zero_gains_tell_no_sign() -> None:
    net = Net("conv blocks", 0)
    net.params["norm2.weight"].zero_()
    found = match_networks(net.params, net.moved(1), net.symmetry)
    assert all(torch.equal(found.params[key], net.params[key]) for key in net.params)


def test_dead_units_do_not_disturb() -> None:
    net = Net("residual", 0)
    net.params["up.0.weight"][:3] = 0
    net.params["up.0.bias"][:3] = -1
    found = match_networks(net.params, net.moved(1), net.symmetry)
    alive = found.permutations["up.0"][3:]
    assert torch.equal(found.params["up.0.weight"], net.params["up.0.weight"])
    assert len(alive.unique()) == 47


def test_values_that_are_not_numbers() -> None:
    net = Net("mlp", 0)
    net.params["fc1.weight"][0, 0] = float("nan")
    with pytest.raises(GeometryError, match="NaN"):
        match_networks(net.params, net.params, net.symmetry)


def test_unknown_method() -> None:
    net = Net("mlp", 0)
    with pytest.raises(GeometryError, match="unknown alignment method"):
        match_networks(net.params, net.params, net.symmetry, method="magic")
    with pytest.raises(GeometryError, match="correlations"):
        match_networks(net.params, net.params, net.symmetry, method="activation")
