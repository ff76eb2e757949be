"""Aligning binary networks: their signs are matched, and what is permuted computes the same, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from landscape_cli.alignment.activations import unit_correlations
from landscape_cli.alignment.align import Alignment, match_networks
from landscape_cli.alignment.descent import Descent
from landscape_cli.binary.layers import to_signs, without_zeros
from landscape_cli.network import ModelSpec
from landscape_cli.symmetry import flip, permute
from tests.support.binaries import SPECS, Binary, make_binary, same_signs

METHODS = ["cosine", "weight", "activation"]
HIDDEN = [name for name in SPECS if not name.startswith("perceptron")]


def aligned(net: Binary, params: dict[str, torch.Tensor], method: str) -> Alignment:
    correlations = None
    if method == "activation":
        correlations = unit_correlations(net.model, net.params, params, net.symmetry, net.inputs)
    return match_networks(net.params, params, net.symmetry, method=method, correlations=correlations)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", HIDDEN)
def test_planted_permutation_with_flips_is_undone(name: str, method: str) -> None:
    for seed in range(20 if method == "cosine" else 6):
        net = make_binary(name, seed, torch.float32 if seed % 2 else torch.float64)
        planted = net.moved(seed)
        assert not same_signs(planted, net.params)
        found = aligned(net, planted, method)
        assert same_signs(found.params, net.params), seed
        assert torch.equal(net.outputs(found.params), net.outputs(planted))
        assert all(value == pytest.approx(1) for value in found.similarity.values())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SPECS)
def test_no_bit_of_the_outputs_changes(name: str, method: str) -> None:
    for seed, dtype in enumerate((torch.float32, torch.float64)):
        net, other = make_binary(name, 10 + seed, dtype), make_binary(name, 20 + seed, dtype)
        params = {key: torch.where(tensor.abs() < 0.2, 0.0, tensor) for key, tensor in other.params.items()}
        found = aligned(net, params, method)
        assert torch.equal(net.outputs(found.params), net.outputs(params))
        again = permute(without_zeros(params, net.symmetry.latents), net.symmetry, found.permutations)
        again = flip(again, net.symmetry, found.signs)
        assert all(torch.equal(again[key], found.params[key]) for key in again)
        assert all(
            found.similarity[key] >= value for key, value in found.similarity_before.items() if method == "cosine"
        )


def test_zeros_would_make_flips_fail() -> None:
    """Why latent weights of zero are first made tiny: a flip leaves the sign of zero what it is."""
    net = make_binary("mlp", 0)
    params = {key: torch.where(tensor.abs() < 0.2, 0.0, tensor) for key, tensor in net.params.items()}
    signs = {group.name: -torch.ones(group.size) for group in net.symmetry.signs}
    assert torch.equal(net.outputs(flip(params, net.symmetry, signs)), net.outputs(params))
    naive = replace(net.symmetry, latents=())
    assert not torch.equal(net.outputs(flip(params, naive, signs)), net.outputs(params))


@pytest.mark.parametrize("method", METHODS)
def test_only_signs_are_matched(method: str) -> None:
    """Sizes of latent weights, drawn anew, change no label; without the names of latents they would."""
    net, other = make_binary("mlp", 1), make_binary("mlp", 2)
    source = torch.Generator().manual_seed(0)
    resized = {
        key: tensor.sign() * torch.rand(tensor.shape, generator=source).clamp(min=1e-3) ** 4
        for key, tensor in other.params.items()
    }
    signs = to_signs(other.params, net.symmetry.latents)
    labels = [aligned(net, dict(params), method) for params in (other.params, resized, signs)]
    for found in labels[1:]:
        assert all(torch.equal(found.permutations[k], p) for k, p in labels[0].permutations.items())
        assert all(torch.equal(found.signs[k], s) for k, s in labels[0].signs.items())
        assert found.similarity == labels[0].similarity
    if method != "activation":
        naive = replace(net.symmetry, latents=())
        one, two = (match_networks(net.params, params, naive, method=method) for params in (other.params, resized))
        assert any(not torch.equal(one.permutations[k], two.permutations[k]) for k in one.permutations)


@pytest.mark.parametrize("method", METHODS)
def test_units_that_their_weights_do_not_tell_apart(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Of 9 units with 5 inputs several have the same weights up to their sign: readers tell them apart."""
    monkeypatch.setitem(SPECS, "twins", ModelSpec("binary-mlp", {"hidden": [9, 9]}, (5,), 3))
    monkeypatch.setitem(SPECS, "twin filters", ModelSpec("binary-conv", {"hidden": [9], "kernel": 3}, (1, 18, 18), 3))
    twins = 0
    for name, seeds in (("twins", 12), ("twin filters", 4)):
        for seed in range(seeds):
            net = make_binary(name, seed, samples=200)
            rows = next(iter(net.params.values())).sign().flatten(1)
            twins += bool(((rows @ rows.T).abs().fill_diagonal_(0) == rows.shape[1]).any())
            found = aligned(net, net.moved(seed), method)
            assert same_signs(found.params, net.params), (name, seed)
            again = aligned(net, net.moved(seed), method)
            assert all(torch.equal(found.params[key], again.params[key]) for key in found.params)
    assert twins > 8


def test_by_their_weights_alone_twins_are_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "twins", ModelSpec("binary-mlp", {"hidden": [9, 9]}, (5,), 3))
    monkeypatch.setattr(Descent, "finish", lambda self: None)
    monkeypatch.setattr(Descent, "_break_ties", lambda self, terms: None)
    nets = [make_binary("twins", seed) for seed in range(12)]
    assert not all(same_signs(aligned(net, net.moved(1), "cosine").params, net.params) for net in nets)


def test_units_that_are_the_same_on_all_data() -> None:
    """Correlations of units that never change are 0: their weights then tell labels and signs."""
    net = make_binary("mlp", 4, samples=3)
    found = aligned(net, net.moved(4), "activation")
    assert same_signs(found.params, net.params)


def test_committee_has_no_signs_to_flip() -> None:
    net, other = make_binary("committee", 1), make_binary("committee", 2)
    against = {key: -tensor for key, tensor in net.params.items()}
    assert not match_networks(net.params, other.params, net.symmetry).signs
    found = match_networks(net.params, against, net.symmetry)
    assert torch.equal(net.outputs(found.params), net.outputs(against))
    assert not same_signs(found.params, net.params)
