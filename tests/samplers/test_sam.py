"""SAM does what its paper says."""

from __future__ import annotations

import math

import torch

from landscape_cli.samplers import SAM, SGD, Recipe
from tests.support.cases import SPECS
from tests.support.training import RESNET, SHORT, assert_close, equal, noise, slow, train_one


def test_sam_equals_its_algorithm() -> None:
    spec, recipe, rho = SPECS["mlp"], Recipe(2, 0.1, momentum=0.0, batch_size=16), 0.3

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        first = gradient(leaves)
        length = math.sqrt(sum(float(g.square().sum()) for g in first))
        second = gradient([leaf + rho * g / length for leaf, g in zip(leaves, first, strict=True)])
        for leaf, g in zip(leaves, second, strict=True):
            leaf -= recipe.rate(k / steps) * g

    expected, _ = slow(spec, recipe, update)
    assert_close(train_one(spec, noise(spec), SAM(rho), recipe, seed=3), expected)
    plain = train_one(spec, noise(spec), SGD(), recipe, seed=3)
    assert not torch.allclose(plain["fc1.weight"], expected["fc1.weight"], rtol=1e-4, atol=1e-6)


def test_sam_keeps_the_statistics_of_the_first_pass() -> None:
    stacks = []
    for sampler in (SAM(0.0), SGD()):
        stacks.append(train_one(RESNET, noise(RESNET), sampler, SHORT, seed=0))
    assert equal(*stacks)
