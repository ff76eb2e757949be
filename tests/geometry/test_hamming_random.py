"""Random signs at a Hamming distance (docs/method.md: Planes)."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.binary.layers import latent_owners
from landscape_cli.errors import GeometryError
from landscape_cli.geometry.hamming import flip_at_random, hamming
from tests.support.binaries import make_binary


def test_so_many_signs_differ_and_nothing_else() -> None:
    net = make_binary("mlp")
    latents, size = latent_owners(net.model), sum(tensor.numel() for tensor in net.params.values())
    for flips in (0, 1, 7, size):
        flipped = flip_at_random(net.params, latents, flips, seed=1)
        assert hamming(net.params, flipped, latents).flips == flips
        for name, tensor in net.params.items():
            assert torch.equal(flipped[name].abs(), tensor.abs())
    first, again = (flip_at_random(net.params, latents, 9, seed=1) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    for which in ({"seed": 2}, {"seed": 1, "number": 1}):
        assert hamming(first, flip_at_random(net.params, latents, 9, **which), latents).flips > 0


def test_zeros_flip_too() -> None:
    net = make_binary("mlp")
    latents = latent_owners(net.model)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in net.params.items()}
    assert hamming(zeros, flip_at_random(zeros, latents, 5, seed=0), latents).flips == 5
    with pytest.raises(GeometryError, match="have no signs to flip"):
        flip_at_random(net.params | {"bias": torch.ones(2)}, latents, 1, seed=0)
