"""SWA does what its paper and its authors' code say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from landscape_cli.samplers import SWA, Recipe
from tests.support.slow_training import RECIPES, SlowOptimizer, assert_same, batches, initial_leaves, slope, trained


@pytest.mark.parametrize("name", RECIPES)
def test_swa_is_the_mean_of_the_last_epochs(name: str) -> None:
    recipe = replace(RECIPES[name], epochs=5)
    first, last = recipe.initial_rate, recipe.initial_rate / 4
    leaves, kept = initial_leaves(), list[list[Tensor]]()
    optimizer = SlowOptimizer(recipe, leaves)
    for epoch, chosen in enumerate(batches(recipe)):
        done = epoch / (0.6 * 5)  # of what comes before averaging
        rate = first if done <= 0.5 else first - (first - last) * (done - 0.5) / 0.4 if done <= 0.9 else last
        for batch in chosen:
            optimizer.step(leaves, slope(leaves, batch), rate)
        if epoch >= 3:
            kept.append([leaf.clone() for leaf in leaves])
    found, _ = trained(SWA(0.6, last), recipe)
    assert_same(found, [torch.stack(tensors).mean(0) for tensors in zip(*kept, strict=True)])
    assert float((kept[-1][0] - found[0]).abs().max()) > 1e-4


def test_its_constant_rate_is_half_of_the_first() -> None:
    recipe = Recipe(200, 0.1)
    rates = [SWA(0.8).learning_rate(recipe, epoch / 200) for epoch in range(200)]
    assert rates[:81] == [0.1] * 81
    assert rates[112] == pytest.approx(0.075)
    assert rates[144:] == pytest.approx([0.05] * 56)
