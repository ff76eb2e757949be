"""Training in float64 by slow loops, written from the equations of each sampler's source and of the optimisers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.models import build_model
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.samplers import Recipe, Sampler
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import epoch_order, initial_params
from landscape_cli.samplers.training import CORRUPTION
from tests.support.cases import SPECS
from tests.support.training import CPU, noise

SPEC = SPECS["mlp"]
SEED = 3
SHORT = Recipe(2, 0.05, batch_size=16)
RECIPES = {
    "sgd": replace(SHORT, momentum=0.0),
    "momentum": SHORT,
    "decay": replace(SHORT, weight_decay=0.1),
    "clip": replace(SHORT, clip_norm=0.3),
    "adam": replace(SHORT, learning_rate=1e-3, optimizer="adam", weight_decay=0.1, clip_norm=0.3),
}
"""Every optimiser, decay and clipping: each sampler is held against its loop with all of them."""


def double(params: Params) -> dict[str, Tensor]:
    return {name: tensor.double() for name, tensor in params.items()}


@cache
def samples() -> tuple[Tensor, Tensor]:
    data = noise(SPEC)
    return data.x.double(), data.y


def trained(sampler: Sampler, recipe: Recipe) -> tuple[list[Tensor], Loop]:
    """Train by the package, in float64; return the solution's tensors, and the loop at its end."""
    recipe = recipe.with_defaults(momentum=sampler.momentum)
    starts = [double(initial_params(SPEC, SEED, a)) for a in range(sampler.networks)]
    stack = Stack(SPEC, starts, CPU, replicas=sampler.networks, dtype=torch.float64)
    for number, phase in enumerate(sampler.phases(recipe, binary=False)):
        loop = Loop(stack, [learnt(sampler, phase.name)], sampler, phase, seeds=[SEED], number=number)
        loop.begin()
        loop.run()
    return list(loop.solution(0).values()), loop


def learnt(sampler: Sampler, phase: str) -> Split:
    """What a phase of a sampler is trained on, black pixels -1."""
    x, y = samples()
    draws, black = generator(SEED, CORRUPTION), -torch.ones(1)
    return sampler.training_set(
        phase, replace(noise(SPEC), x=x, y=y), classes=SPEC.outputs, black=black, generator=draws
    )


class SlowOptimizer:
    """One network's optimiser, one tensor at a time: clipping, decay in the gradient, Nesterov's momentum or Adam."""

    def __init__(self, recipe: Recipe, leaves: Sequence[Tensor]) -> None:
        self.recipe, self.count = recipe, 0
        self.first = [torch.zeros_like(leaf) for leaf in leaves]
        self.second = [torch.zeros_like(leaf) for leaf in leaves]

    def step(self, leaves: Sequence[Tensor], gradient: Sequence[Tensor], rate: float) -> None:
        recipe, momentum = self.recipe, 0.9 if self.recipe.momentum is None else self.recipe.momentum
        self.count += 1
        if recipe.clip_norm is not None:
            length = math.sqrt(sum(float(g.square().sum()) for g in gradient))
            gradient = [g * min(1.0, recipe.clip_norm / length) for g in gradient]
        for leaf, g, m, v in zip(leaves, gradient, self.first, self.second, strict=True):
            g = g + recipe.weight_decay * leaf
            if recipe.optimizer == "adam":
                m.copy_(0.9 * m + 0.1 * g)
                v.copy_(0.999 * v + 0.001 * g**2)
                mean, square = m / (1 - 0.9**self.count), v / (1 - 0.999**self.count)
                leaf -= rate * mean / (square.sqrt() + 1e-8)
            else:
                m.copy_(momentum * m + g)
                leaf -= rate * (g + momentum * m)


def initial_leaves(replica: int = 0) -> list[Tensor]:
    return [tensor.double().clone() for tensor in initial_params(SPEC, SEED, replica).values()]


@cache
def model() -> torch.nn.Module:
    """The network, to be called with weights of any step."""
    return build_model(SPEC, double(initial_params(SPEC, SEED)))


def slope(leaves: Sequence[Tensor], chosen: Tensor, data: tuple[Tensor, Tensor] | None = None) -> list[Tensor]:
    """The gradient of the mean loss on a mini-batch, of the samples that all learn or of others."""
    x, y = data or samples()
    names = [name for name, _ in model().named_parameters()]
    at = dict(zip(names, [leaf.detach().clone().requires_grad_(True) for leaf in leaves], strict=True))
    logits = torch.func.functional_call(model(), at, (x[chosen],))
    return list(torch.autograd.grad(F.cross_entropy(logits, y[chosen]), list(at.values())))


def batches(recipe: Recipe, replica: int = 0, *, phase: int = 0, count: int | None = None) -> list[list[Tensor]]:
    """The mini-batches of each epoch, of all samples or of so many others."""
    count = count or len(samples()[1])
    orders = [epoch_order(count, SEED, replica, phase, epoch) for epoch in range(recipe.epochs)]
    return [list(order.split(recipe.batch_size)) for order in orders]


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor], bound: float = 1e-6) -> None:
    """Check that all numbers agree to 1e-6, relative to the largest of their tensor."""
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).abs().max()) <= bound * float(b.abs().max())
