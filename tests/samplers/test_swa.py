"""SWA does what its paper says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from landscape_cli.samplers import SWA, Recipe
from tests.support.cases import SPECS
from tests.support.training import assert_close, noise, slow, train_one


def test_swa_is_the_mean_of_the_last_epochs() -> None:
    spec, recipe = SPECS["mlp"], Recipe(5, 0.1, momentum=0.0, batch_size=16)
    kept: list[list[Tensor]] = []

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        fraction = k / steps
        rate = 0.02 if fraction >= 0.4 else 0.02 + 0.08 * (1 + math.cos(math.pi * fraction / 0.4)) / 2
        for leaf, g in zip(leaves, gradient(leaves), strict=True):
            leaf -= rate * g
        if last and epoch >= 2:
            kept.append([leaf.clone() for leaf in leaves])

    names = list(slow(spec, recipe, update)[0])
    assert len(kept) == 3
    means = [torch.stack(leaves).mean(0) for leaves in zip(*kept, strict=True)]
    found = train_one(spec, noise(spec), SWA(0.4, 0.02), recipe, seed=3)
    assert_close(found, dict(zip(names, means, strict=True)))
    assert not torch.allclose(found["fc1.weight"], kept[-1][0], rtol=1e-4, atol=1e-6)
