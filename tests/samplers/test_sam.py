"""SAM and ASAM do what their papers say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.samplers import ASAM, SAM, SGD
from landscape_cli.samplers.streams import initial_params
from tests.support import slow_training
from tests.support.slow_training import RECIPES, SlowOptimizer, assert_same, batches, initial_leaves, slope, trained
from tests.support.training import RESNET, SHORT, equal, noise, train_one


def climbed(leaves: list[Tensor], gradient: list[Tensor], scales: list[Tensor], rho: float) -> list[Tensor]:
    """Kwon et al., 2021, equation 8: w + ρ T²g/|T g|; SAM has T = 1."""
    length = torch.cat([(t * g).flatten() for t, g in zip(scales, gradient, strict=True)]).norm()
    return [w + rho * t**2 * g / length for w, t, g in zip(leaves, scales, gradient, strict=True)]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("eta", [None, 0.01])
def test_sam_equals_its_equations(eta: float | None, name: str) -> None:
    recipe, rho = RECIPES[name], 0.3
    leaves, names = initial_leaves(), list(initial_params(slow_training.SPEC, 0))
    optimizer, epochs = SlowOptimizer(recipe, leaves), batches(recipe)
    chosen = [batch for epoch in epochs for batch in epoch]
    for step, batch in enumerate(chosen):
        scales = [
            w.abs() + eta if eta is not None and key.endswith("weight") else torch.ones_like(w)
            for key, w in zip(names, leaves, strict=True)
        ]
        worst = climbed(leaves, slope(leaves, batch), scales, rho)
        optimizer.step(leaves, slope(worst, batch), recipe.rate(step / len(chosen)))
    found, _ = trained(SAM(rho) if eta is None else ASAM(rho, eta), recipe)
    assert_same(found, leaves)
    assert float((trained(SGD(), recipe)[0][0] - found[0]).abs().max()) > 1e-5


def test_sam_keeps_the_statistics_of_the_first_pass() -> None:
    stacks = []
    for sampler in (SAM(0.0), SGD()):
        stacks.append(train_one(RESNET, noise(RESNET), sampler, SHORT, seed=0))
    assert equal(*stacks)
