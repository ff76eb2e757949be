"""Entropy-SGD does what its paper says."""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.samplers import EntropySGD, Recipe
from tests.support.cases import SPECS
from tests.support.training import assert_close, noise, slow, train_one


def test_entropy_sgd_equals_its_algorithm() -> None:
    spec, recipe = SPECS["mlp"], Recipe(3, 0.1, momentum=0.0, batch_size=16)
    settings = EntropySGD(steps=5, gamma_init=0.4, gamma_growth=4.0, noise=0.0, memory=0.6)
    state: dict[str, list[Tensor]] = {}

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        if not state:
            state["home"] = [leaf.clone() for leaf in leaves]
            state["mean"] = [leaf.clone() for leaf in leaves]
        gamma = 0.4 * 4.0 ** (epoch / 2)
        rate = recipe.rate(k / steps)
        for leaf, g, home, mean in zip(leaves, gradient(leaves), state["home"], state["mean"], strict=True):
            leaf -= rate * (g + gamma * (leaf - home))
            mean.copy_(0.6 * mean + 0.4 * leaf)
            if (k + 1) % 5 == 0 or k + 1 == steps:
                home += rate / 0.1 * (mean - home)
                leaf.copy_(home)
                mean.copy_(home)

    expected, _ = slow(spec, recipe, update)
    assert_close(train_one(spec, noise(spec), settings, recipe, seed=3), expected)
    noisy = EntropySGD(steps=5, gamma_init=0.4, gamma_growth=4.0, noise=0.1, memory=0.6)
    found = train_one(spec, noise(spec), noisy, recipe, seed=3)
    assert not torch.allclose(found["fc1.weight"], expected["fc1.weight"], rtol=1e-3, atol=1e-4)
