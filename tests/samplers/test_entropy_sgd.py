"""Entropy-SGD does what its paper and its authors' code say."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from landscape_cli.models import build_model
from landscape_cli.rng import generator
from landscape_cli.samplers import EntropySGD
from landscape_cli.samplers.streams import NOISE, initial_params
from tests.support.slow_training import (
    RECIPES,
    SEED,
    SPEC,
    SlowOptimizer,
    assert_same,
    batches,
    initial_leaves,
    samples,
    slope,
    trained,
)

STEPS, GROWTH, EPSILON, MEMORY = 3, 4.0, 0.01, 0.6


@pytest.mark.parametrize("gamma", [0.4, None])
@pytest.mark.parametrize("name", RECIPES)
def test_entropy_sgd_equals_its_algorithm(name: str, gamma: float | None) -> None:
    recipe = RECIPES[name]
    momentum = 0.9 if recipe.momentum is None else recipe.momentum
    inner = 0.001 if recipe.optimizer == "adam" else 0.1
    homes = initial_leaves()
    copies, means = ([leaf.clone() for leaf in homes] for _ in range(2))
    velocities = [torch.zeros_like(leaf) for leaf in homes]
    optimizer, epochs = SlowOptimizer(recipe, copies), batches(recipe)
    chosen = [(epoch, step, batch) for epoch, each in enumerate(epochs) for step, batch in enumerate(each)]
    moves, moved = math.ceil(len(chosen) / STEPS), 0
    start = gamma or 0.0
    for k, (epoch, step, batch) in enumerate(chosen):
        now = start * GROWTH ** (moved / moves)
        ties = [min(now * inner, 1.0) * (x - copy) for x, copy in zip(homes, copies, strict=True)]
        before = [copy.clone() for copy in copies]
        optimizer.step(copies, slope(copies, batch), inner)
        for tie, copy, xi, mean in zip(ties, copies, noise(copies, epoch, step), means, strict=True):
            copy += tie + EPSILON * math.sqrt(2 * inner) * xi
            mean.copy_(MEMORY * mean + (1 - MEMORY) * copy)
        if (k + 1) % STEPS and k + 1 < len(chosen):
            continue
        if gamma is None and not start:
            distance = sum(float((a - b).square().sum()) for a, b in zip(copies, homes, strict=True))
            start = 2 * loss(before, batch) / distance
        for x, copy, mean, velocity in zip(homes, copies, means, velocities, strict=True):
            gradient = x - mean + recipe.weight_decay * x
            velocity.copy_(momentum * velocity + gradient)
            x -= 0.7 * (1 + math.cos(math.pi * k / len(chosen))) / 2 * (gradient + momentum * velocity)
            copy.copy_(x)
            mean.copy_(x)
        optimizer, moved = SlowOptimizer(recipe, copies), moved + 1
    found, loop = trained(EntropySGD(gamma, GROWTH, STEPS, EPSILON, memory=MEMORY), at_rate(recipe, 0.7))
    assert_same(found, homes)
    assert float(loop.context.state["gamma"][0]) == pytest.approx(start)


def test_the_network_moves_at_a_rate_of_a_tenth() -> None:
    recipe = at_rate(RECIPES["sgd"], None).with_defaults(usual_rate=EntropySGD.usual_rate)
    assert recipe.learning_rate == 0.1


def at_rate(recipe, rate):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(recipe, learning_rate=rate)


def noise(leaves, epoch, step):  # type: ignore[no-untyped-def]
    """What the package draws in this step: rows begin at multiples of 16 entries."""
    sizes = [-(-leaf.numel() // 16) * 16 for leaf in leaves]
    drawn = torch.randn(sum(sizes), generator=generator(SEED, NOISE, 0, 0, epoch, step)).double().split(sizes)
    return [part[: leaf.numel()].view(leaf.shape) for part, leaf in zip(drawn, leaves, strict=True)]


def loss(leaves, batch):  # type: ignore[no-untyped-def]
    x, y = samples()
    at = dict(zip(initial_params(SPEC, SEED), leaves, strict=True))
    with torch.no_grad():
        return float(F.cross_entropy(torch.func.functional_call(build_model(SPEC, at), at, (x[batch],)), y[batch]))
