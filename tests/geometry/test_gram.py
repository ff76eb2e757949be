"""Distances of all pairs at once are those of each pair alone, also of networks that are close together."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import trace_symmetry
from landscape_cli.errors import GeometryError
from landscape_cli.geometry import gram as module
from landscape_cli.geometry.distances import AllPairs, NetworkPair
from landscape_cli.geometry.gram import gram
from landscape_cli.measures.distance import weight_distances
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Symmetry
from tests.support.binaries import make_binary

SEVERAL = 5


def networks(dtype: torch.dtype = torch.float32) -> tuple[list[dict[str, Tensor]], Symmetry]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 9), nn.ReLU(), nn.Linear(9, 3))
    model = model.to(dtype)
    symmetry = trace_symmetry(model, torch.zeros(2, 2, 4, 4, dtype=dtype))
    made = [
        normalize_params({k: torch.randn_like(v) for k, v in model.state_dict().items()}, symmetry).params
        for _ in range(SEVERAL)
    ]
    return made, symmetry


def moved(params: dict[str, Tensor], by: float) -> dict[str, Tensor]:
    return {name: tensor + by * torch.randn_like(tensor) for name, tensor in params.items()}


@pytest.mark.parametrize(("bytes_at_once", "biases"), [(module.BYTES, True), (2000, False), (1, True)])
def test_all_pairs_are_as_each_alone(bytes_at_once: int, biases: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES", bytes_at_once)
    made, symmetry = networks()
    dead = {name: tensor.clone() for name, tensor in made[0].items()}
    dead["0.weight"][2] = 0  # has no direction
    opposite = {name: -tensor for name, tensor in made[1].items()}
    every = [*made, dead, opposite, dict(made[2]), moved(made[3], 1e-2), moved(made[3], 1e-5), moved(made[3], 1e-9)]
    together = AllPairs(every, symmetry, {}, all_parameters=biases, angles=True)
    told = 0
    for i, a in enumerate(every):
        for j, b in enumerate(every):
            known = together.of(i, j)
            told += len(known)
            for name, kind in weight_distances(binary=False).items():
                alone = kind.between(NetworkPair(a, b, symmetry, {}, biases))
                at_once = kind.between(NetworkPair(a, b, symmetry, {}, biases, dict(known)))
                assert at_once == pytest.approx(alone, rel=1e-10, abs=1e-13), (name, i, j)
    assert 2 * SEVERAL * (SEVERAL - 1) <= told < 2 * len(every) ** 2 - 2 * len(every)


def test_what_is_close_is_not_told_by_products() -> None:
    """The square root of a rounded number would lose half the digits; the arc cosine every angle below 1e-8."""
    made, symmetry = networks(torch.float64)
    near = moved(made[0], 1e-9)
    table = gram([made[0], near, made[1]], symmetry.parameters, symmetry.spheres)
    assert math.isnan(table.differences[0, 1])
    assert not math.isnan(table.differences[0, 2])
    assert (bool(table.askew[0, 1]), bool(table.askew[0, 2])) == (False, True)
    assert AllPairs([made[0], near], symmetry, {}, angles=True).of(0, 1) == {}


def test_signs() -> None:
    net = make_binary("mlp")
    every = [net.moved(seed) for seed in range(3)] + [net.params]
    latents = {name: name for name in net.symmetry.latents}
    together = AllPairs(every, None, latents, angles=False)
    for i, a in enumerate(every):
        for j, b in enumerate(every):
            for name, kind in weight_distances(binary=True).items():
                pair = NetworkPair(a, b, None, latents, computed=together.of(i, j))
                assert kind.between(pair) == kind.between(NetworkPair(a, b, None, latents)), name
    with pytest.raises(GeometryError, match="have no signs to flip"):
        AllPairs([each | {"x": torch.zeros(2)} for each in every], None, latents, angles=False)


def test_others_are_refused() -> None:
    made, symmetry = networks()
    with pytest.raises(GeometryError, match="do not have the same tensors"):
        gram([*made, {"x": torch.zeros(2)}], symmetry.parameters, symmetry.spheres)
