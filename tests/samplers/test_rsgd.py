"""RSGD does what docs/method.md: Samplers says, against a loop that differentiates its objective."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from landscape_cli.errors import TrainingError
from landscape_cli.models import build_model
from landscape_cli.samplers import RSGD, EpochRecord, Recipe, TrainingObserver
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.rsgd import balanced_gamma
from landscape_cli.samplers.sampler import Phase
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.support.cases import SPECS
from tests.support.training import CPU, RESNET, blobs, images, noise, records, train_rsgd

SPEC = SPECS["mlp"]


def test_rsgd_equals_the_objective_differentiated() -> None:
    """Plain SGD on the objective of docs/method.md: Samplers, with the centre differentiated through by autograd."""
    data, replicas = blobs(), 3
    recipe = Recipe(epochs=2, learning_rate=0.03, momentum=0.0, batch_size=20)
    found = train_rsgd(SPEC, data, recipe, RSGD(replicas, gamma_init=0.01, gamma_growth=100.0), seed=7)
    networks = [
        build_model(SPEC, {k: t.clone() for k, t in initial_params(SPEC, 7, a).items()}).train().requires_grad_(True)
        for a in range(replicas)
    ]
    step = 0
    for epoch, gamma in enumerate((0.01, 1.0)):
        shuffled = [epoch_order(60, 7, a, epoch=epoch) for a in range(replicas)]
        for k in range(0, 60, 20):
            vectors = [torch.nn.utils.parameters_to_vector(network.parameters()) for network in networks]
            centre = torch.stack(vectors).mean(0)
            coupling = sum((vector - centre).square().sum() for vector in vectors) / replicas
            loss = sum(
                F.cross_entropy(network(data.x[chosen[k : k + 20]]), data.y[chosen[k : k + 20]])
                for network, chosen in zip(networks, shuffled, strict=True)
            )
            rate = replicas * 0.03 * (1 + math.cos(math.pi * step / 6)) / 2
            parameters = [p for network in networks for p in network.parameters()]
            gradients = torch.autograd.grad(loss / replicas + gamma * coupling, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= rate * gradient
            step += 1
    for key in found:
        mean = torch.stack([network.state_dict()[key] for network in networks]).mean(0)
        assert torch.allclose(found[key], mean, rtol=1e-4, atol=1e-6)
    uncoupled = train_rsgd(SPEC, data, recipe, RSGD(replicas, gamma_init=0.0), seed=7)
    assert not torch.allclose(found["fc1.weight"], uncoupled["fc1.weight"], rtol=1e-4, atol=1e-6)


def test_gamma_starts_balanced_and_grows() -> None:
    data = blobs()
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(3)], CPU, replicas=3)
    vectors = [torch.cat([t.flatten() for t in initial_params(SPEC, 0, a).values()]).double() for a in range(3)]
    centre = torch.stack(vectors).mean(0)
    spread = sum(float((vector - centre).square().sum()) for vector in vectors) / 3
    losses = [float(F.cross_entropy(network(data.x), data.y).detach()) for network in stack.networks]
    assert balanced_gamma(stack, 0, data) * spread == pytest.approx(sum(losses) / 3, rel=1e-5)
    seen, observer = records()
    train_rsgd(SPEC, data, Recipe(epochs=5), RSGD(gamma_growth=16.0), seed=0, observer=observer)
    gammas = [record.gamma for record in seen]
    assert gammas[0] == pytest.approx(balanced_gamma(stack, 0, data))
    assert [b / a for a, b in pairwise(gammas)] == pytest.approx([2.0] * 4)
    assert seen[-1].spread < seen[0].spread


def test_linear_growth_of_the_coupling() -> None:
    seen: list[EpochRecord] = []
    settings = RSGD(gamma_init=0.1, gamma_growth=9.0, gamma_schedule="linear")
    train_rsgd(SPEC, noise(SPEC), Recipe(5), settings, seed=0, observer=TrainingObserver(epoch=seen.append))
    assert [record.gamma for record in seen] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert all(len(record.replica_errors) == len(record.replica_distances) == 3 for record in seen)
    for record in seen:
        assert sum(record.replica_errors) / 3 == pytest.approx(record.error)
        assert sum(d**2 for d in record.replica_distances) / 3 == pytest.approx(record.spread)


def test_replicas_that_start_as_one_need_a_gamma() -> None:
    start = [initial_params(SPEC, 0, 0)] * 3
    with pytest.raises(TrainingError, match="`gamma_init=`"):
        train_rsgd(SPEC, blobs(), Recipe(epochs=1), RSGD(), seed=0, initial=start)
    train_rsgd(SPEC, blobs(), Recipe(epochs=1), RSGD(gamma_init=0.1), seed=0, initial=start)


def coupling_of(stack: Stack, *, gamma: float, rate: float) -> None:
    """Write the gradient of the coupling alone to the stack's."""
    loop = Loop(stack, [blobs()], RSGD(4, gamma), Phase("train", Recipe(learning_rate=rate)), seeds=[0])
    loop.begin()
    loop.context.rate = rate
    loop.context.backward = loop.context.update = lambda factor=1.0: None  # type: ignore[method-assign]
    loop.sampler.step(loop.context)


def test_coupling_leaves_the_centre_alone() -> None:
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(4)], CPU, replicas=4)
    coupling_of(stack, gamma=0.5, rate=0.02)
    assert torch.allclose(stack.gradients.sum(0), torch.zeros_like(stack.gradients[0]), atol=1e-5)
    expected = (2 * 0.5 / 4) * (stack.weights - stack.weights.mean(0))
    assert torch.allclose(stack.gradients, expected, atol=1e-6)


def test_stiff_coupling_merges_replicas_instead_of_throwing_them_apart() -> None:
    seen, observer = records()
    train_rsgd(SPEC, blobs(), Recipe(epochs=4), RSGD(gamma_init=1e3), seed=0, observer=observer)
    assert all(later.spread < earlier.spread for earlier, later in pairwise(seen))
    assert seen[-1].spread < 0.1
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(4)], CPU, replicas=4)
    coupling_of(stack, gamma=1e9, rate=0.02)
    merged = stack.weights - 4 * 0.02 * stack.gradients
    assert torch.allclose(merged, stack.weights.mean(0).expand_as(merged), atol=1e-5)


def test_rsgd_with_batch_norm() -> None:
    params = train_rsgd(RESNET, images(9), Recipe(epochs=2, batch_size=4), RSGD(), seed=0)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in params.values())
    assert build_model(RESNET, params)(images(9).x).shape == (9, 3)
