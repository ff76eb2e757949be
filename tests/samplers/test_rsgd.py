"""RSGD does what docs/method.md: Samplers says, against a loop that differentiates its objective."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.errors import LandscapeWarning, TrainingError
from landscape_cli.models import build_model
from landscape_cli.samplers import RSGD, EpochRecord, Recipe, TrainingObserver, TrainingState
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.rsgd import balanced_gamma
from landscape_cli.samplers.sampler import Phase
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.slow_training import (
    RECIPES,
    SlowOptimizer,
    assert_same,
    batches,
    initial_leaves,
    model,
    samples,
    slope,
    trained,
)
from tests.support.training import CPU, RESNET, SHORT, blobs, images, noise, records, run, train_rsgd

SPEC = SPECS["mlp"]


def balanced() -> float:
    """The mean loss of three replicas where they start, over their mean squared distance from their centre."""
    x, y = samples()
    starts = [initial_leaves(a) for a in range(3)]
    names = [name for name, _ in model().named_parameters()]
    networks = [dict(zip(names, leaves, strict=True)) for leaves in starts]
    logits = [torch.func.functional_call(model(), own, (x,)) for own in networks]
    vectors = torch.stack([torch.cat([leaf.flatten() for leaf in leaves]) for leaves in starts])
    spread = (vectors - vectors.mean(0)).square().sum() / 3
    return float(sum(F.cross_entropy(own, y) for own in logits) / 3 / spread)


def coupled(sampler: RSGD, recipe: Recipe, *, cut: bool = True) -> list[Tensor]:
    """The centre that the objective of docs/samplers.md leads to, differentiated through, at y times the rate of SGD.

    Each replica's part of that is y times its gradient of the objective, which clipping, decay and Adam see. A step of
    SGD brings replicas at most to the centre: its γ is cut where that would be more.
    """
    gamma, growth = balanced() if sampler.gamma_init is None else sampler.gamma_init, sampler.gamma_growth
    each = replace(recipe, batch_size=sampler.replica_batch_size or 5)  # a third of 16
    replicas = [initial_leaves(a) for a in range(3)]
    optimizers = [SlowOptimizer(each, leaves) for leaves in replicas]
    by_replica = [batches(each, a) for a in range(3)]
    steps = len(by_replica[0][0])
    for epoch in range(2):
        for step in range(steps):
            done = (epoch * steps + step) / (2 * steps)
            grown = done if sampler.gamma_every == "step" else epoch / 2
            now = gamma * (growth**grown if sampler.gamma_schedule == "exp" else 1 + grown * (growth - 1))
            if cut and recipe.optimizer != "adam":
                now = min(now, 1 / (2 * each.rate(done)))
            leaves = [[leaf.clone().requires_grad_(True) for leaf in network] for network in replicas]
            centre = [sum(tensors) / 3 for tensors in zip(*leaves, strict=True)]
            coupling = sum((w - c).square().sum() for network in leaves for w, c in zip(network, centre, strict=True))
            (now * coupling / 3).backward()
            for a, network in enumerate(leaves):
                losses = slope(network, by_replica[a][epoch][step])
                objective = [g / 3 + w.grad for g, w in zip(losses, network, strict=True)]
                optimizers[a].step(replicas[a], [3 * g for g in objective], each.rate(done))
    return [torch.stack(tensors).mean(0) for tensors in zip(*replicas, strict=True)]


@pytest.mark.parametrize("every", ["epoch", "step"])
@pytest.mark.parametrize("name", RECIPES)
def test_rsgd_equals_the_objective_differentiated(name: str, every: str) -> None:
    recipe = RECIPES[name]
    sampler = RSGD(3, 0.05, 100.0, gamma_every=every, replica_batch_size=None if every == "epoch" else 20)
    found, _ = trained(sampler, recipe)
    assert_same(found, coupled(sampler, recipe))
    uncoupled, _ = trained(replace(sampler, gamma_init=0.0), recipe)
    assert float((uncoupled[0] - found[0]).abs().max()) > 1e-4


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_linear_growth_equals_the_objective_differentiated(every: str) -> None:
    recipe = RECIPES["momentum"]
    sampler = RSGD(3, 0.05, 100.0, "linear", every)
    found, _ = trained(sampler, recipe)
    assert_same(found, coupled(sampler, recipe), 1e-9)
    with pytest.raises(AssertionError):
        assert_same(found, coupled(replace(sampler, gamma_schedule="exp"), recipe))


@pytest.mark.parametrize("name", ["momentum", "clip", "adam"])
def test_a_stiff_spring_is_cut_at_the_centre(name: str) -> None:
    """From below where it is cut to far above."""
    recipe = RECIPES[name]
    sampler = RSGD(3, 5.0, 1e4, gamma_every="step")
    found, _ = trained(sampler, recipe)
    assert_same(found, coupled(sampler, recipe))
    if recipe.optimizer != "adam":
        with pytest.raises(AssertionError):
            assert_same(found, coupled(sampler, recipe, cut=False))


def test_the_balanced_gamma_equals_the_objective_differentiated() -> None:
    recipe = RECIPES["momentum"]
    sampler = RSGD(3)
    found, loop = trained(sampler, recipe)
    assert float(loop.context.state["gamma"][0]) == pytest.approx(balanced(), rel=1e-9)
    assert_same(found, coupled(sampler, recipe), 1e-9)
    with pytest.raises(AssertionError):
        assert_same(found, coupled(replace(sampler, gamma_init=1.001 * balanced()), recipe))


def test_a_replica_has_its_share_of_the_batch() -> None:
    for sampler, size in ((RSGD(), 43), (RSGD(5), 26), (RSGD(replica_batch_size=100), 100), (RSGD(200), 1)):
        [phase] = sampler.phases(Recipe(), binary=False)
        assert phase.recipe.batch_size == size


def test_a_state_of_the_earlier_rsgd_is_refused() -> None:
    states: list[TrainingState] = []
    sampler = RSGD(gamma_init=1e-6)
    run(SPEC, sampler, SHORT, [0], pause=lambda ended, state: states.append(state()))
    run(SPEC, sampler, SHORT, [0], resume=states[-1])
    earlier = {key: value for key, value in states[0].facts.items() if key != "revision"}
    with pytest.raises(TrainingError, match="RSGD trains otherwise"):
        run(SPEC, sampler, SHORT, [0], resume=TrainingState(states[0].tensors, earlier))


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
    assert [b / a for a, b in pairwise(gammas)] == pytest.approx([16 ** (1 / 5)] * 4)
    assert seen[-1].spread < seen[0].spread


def test_linear_growth_of_the_coupling() -> None:
    seen: list[EpochRecord] = []
    settings = RSGD(gamma_init=0.1, gamma_growth=9.0, gamma_schedule="linear")
    train_rsgd(SPEC, noise(SPEC), Recipe(5), settings, seed=0, observer=TrainingObserver(epoch=seen.append))
    assert [record.gamma for record in seen] == pytest.approx([0.1, 0.26, 0.42, 0.58, 0.74])
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
    loop.context.backward = loop.context.update = lambda rate=None: None  # type: ignore[method-assign]
    loop.sampler.step(loop.context)


def test_coupling_leaves_the_centre_alone() -> None:
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(4)], CPU, replicas=4)
    coupling_of(stack, gamma=0.5, rate=0.02)
    assert torch.allclose(stack.gradients.sum(0), torch.zeros_like(stack.gradients[0]), atol=1e-5)
    expected = 2 * 0.5 * (stack.weights - stack.weights.mean(0))
    assert torch.allclose(stack.gradients, expected, atol=1e-6)


def test_stiff_coupling_merges_replicas_instead_of_throwing_them_apart() -> None:
    seen, observer = records()
    with pytest.warns(LandscapeWarning, match="merged in epoch 2"):
        train_rsgd(SPEC, blobs(), Recipe(epochs=4), RSGD(gamma_init=1e3), seed=0, observer=observer)
    assert all(later.spread < earlier.spread for earlier, later in pairwise(seen))
    assert seen[-1].spread < 0.1
    assert {record.merge_epoch for record in seen} == {None, 2}
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(4)], CPU, replicas=4)
    coupling_of(stack, gamma=1e9, rate=0.02)
    merged = stack.weights - 0.02 * stack.gradients
    assert torch.allclose(merged, stack.weights.mean(0).expand_as(merged), atol=1e-5)


def test_replicas_that_merge_untrained_are_warned_of() -> None:
    """Noise is not learnt in four epochs; replicas that stay apart have not merged."""
    data, recipe = noise(SPEC), Recipe(epochs=4)
    with pytest.warns(LandscapeWarning, match=r"merged in epoch 2 of 4, at a training error of 0\.\d+.*seed 0"):
        train_rsgd(SPEC, data, recipe, RSGD(gamma_init=1e3), seed=0)
    seen, observer = records()
    train_rsgd(SPEC, data, recipe, RSGD(gamma_init=1e-6), seed=0, observer=observer)
    together = [initial_params(SPEC, 0, 0)] * 3  # never apart, they do not merge
    train_rsgd(SPEC, data, recipe, RSGD(gamma_init=1e3), seed=0, initial=together, observer=observer)
    assert {record.merge_epoch for record in seen} == {None}


def test_replicas_that_learn_and_stay_apart_are_warned_of() -> None:
    weak, recipe = RSGD(gamma_init=1e-9, gamma_growth=1.0), Recipe(epochs=40, learning_rate=0.05)
    with pytest.warns(LandscapeWarning, match=r"had not merged in 40 epochs.*seed 0.*`epochs=`"):
        train_rsgd(SPEC, blobs(), recipe, weak, seed=0)
    together = [initial_params(SPEC, 0, 0)] * 3
    train_rsgd(SPEC, blobs(), recipe, weak, seed=0, initial=together)


def test_rsgd_with_batch_norm() -> None:
    params = train_rsgd(RESNET, images(9), Recipe(epochs=2, batch_size=12), RSGD(gamma_growth=10.0), seed=0)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in params.values())
    assert build_model(RESNET, params)(images(9).x).shape == (9, 3)
