"""Normalising and aligning what invites silent wrongness."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.alignment.align import match_networks
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import permute, random_permutations, rescale, trace_symmetry
from tests.support.cases import random_factors
from tests.support.traps import TRAPS, outputs, trapped


@pytest.fixture
def x() -> Tensor:
    return torch.randn(64, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", TRAPS)
def test_normalising_keeps_the_function(name: str, x: Tensor) -> None:
    net = trapped(TRAPS[name])
    symmetry = trace_symmetry(net, x)
    params = net.state_dict()
    found = normalize_params(params, symmetry)
    expected = found.output_factor * outputs(net, params, x)
    assert torch.allclose(outputs(net, found.params, x), expected, rtol=1e-9, atol=1e-11)
    twice = normalize_params(found.params, symmetry).params
    assert all(torch.allclose(twice[key], found.params[key], rtol=1e-10, atol=1e-12) for key in twice)
    moved = normalize_params(rescale(params, symmetry, random_factors(symmetry, 1)), symmetry).params
    assert all(torch.allclose(moved[key], found.params[key], rtol=1e-9, atol=1e-11) for key in moved)


@pytest.mark.parametrize("name", ["one-layer blocks", "same matrix twice", "residual output", "squeezed head"])
def test_planted_permutation_is_found(name: str, x: Tensor) -> None:
    net = trapped(TRAPS[name])
    symmetry = trace_symmetry(net, x)
    params = net.state_dict()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        planted = permute(params, symmetry, random_permutations(symmetry, generator=generator))
        found = match_networks(params, planted, symmetry)
        assert all(torch.equal(found.params[key], params[key]) for key in params)
