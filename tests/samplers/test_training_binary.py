"""BinaryNet training, against its equations written down."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import SGD, Recipe
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.support.training import train_one

SPEC = ModelSpec("binary-mlp", {"hidden": [9]}, (11,), 3)
RECIPE = Recipe(epochs=6, learning_rate=20.0, momentum=0.0, batch_size=16)


def noise() -> Split:
    source = torch.Generator().manual_seed(0)
    return Split(torch.randn(80, 11, generator=source), torch.randint(3, (80,), generator=source))


def odd_numbers(x: Tensor) -> Tensor:
    """The odd number nearest to 31 x, one by one, in plain Python."""
    near = [[min(range(-127, 128, 2), key=lambda q, v=v: abs(q - 31 * v)) for v in row] for row in x.tolist()]
    return torch.tensor(near, dtype=torch.float64)


def plus_minus(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).double()


def by_hand(*, clip: bool = True, window: float = 1.0) -> dict[str, Tensor]:
    """Train with gradients worked out on paper (Hubara et al., 2016, algorithm 1; docs/method.md: Binary networks)."""
    data = noise()
    inputs = odd_numbers(data.x)
    first, second = (initial_params(SPEC, 3)[f"fc{k}.weight"].double() for k in (1, 2))
    steps = RECIPE.epochs * math.ceil(80 / 16)
    k = 0
    for epoch in range(RECIPE.epochs):
        for chosen in epoch_order(80, 3, epoch=epoch).split(16):
            x, y = inputs[chosen], data.y[chosen]
            before = x @ plus_minus(first).T / (31 * math.sqrt(11))
            hidden = plus_minus(before)
            logits = hidden @ plus_minus(second).T / 3
            slope = (logits.softmax(1) - torch.nn.functional.one_hot(y, 3)) / len(y)
            back = slope @ plus_minus(second) / 3 * (before.abs() <= window)
            rate = 20.0 * (1 + math.cos(math.pi * k / steps)) / 2
            second -= rate * slope.T @ hidden / 3
            first -= rate * back.T @ x / (31 * math.sqrt(11))
            if clip:
                first.clamp_(-1, 1)
                second.clamp_(-1, 1)
            k += 1
    return {"fc1.weight": first, "fc2.weight": second}


def test_training_equals_its_equations() -> None:
    found = train_one(SPEC, noise(), SGD(), RECIPE, seed=3)
    expected = by_hand()
    for name, tensor in expected.items():
        assert torch.allclose(found[name].double(), tensor, atol=1e-4), name
        assert bool(((tensor >= 0) == (found[name] >= 0)).all())


@pytest.mark.parametrize("wrong", [{"clip": False}, {"window": 2.0}])
def test_other_equations_give_other_weights(wrong: dict[str, float]) -> None:
    found = train_one(SPEC, noise(), SGD(), RECIPE, seed=3)
    assert not torch.allclose(found["fc1.weight"].double(), by_hand(**wrong)["fc1.weight"], atol=1e-2)
