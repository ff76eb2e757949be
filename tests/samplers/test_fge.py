"""FGE does what its paper says."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor

from landscape_cli.errors import LandscapeWarning, TrainingError
from landscape_cli.samplers import FGE, Recipe
from tests.support.cases import SPECS
from tests.support.training import assert_close, equal, networks_of, run, slow


def rate_at(step: int, steps: int, *, first: int, cycle: int, largest: float, least: float) -> float:
    """The rate of a step counted from 0, with so many an epoch, as formulas say."""
    if step < first * steps:
        return least + (largest - least) * (1 + math.cos(math.pi * step / (first * steps))) / 2
    inside, half = (step - first * steps) % (cycle * steps), cycle * steps // 2
    down, up = (half - inside) / half, (inside - half) / half
    return least + (largest - least) * (down if inside < half else up)


@pytest.mark.parametrize(
    ("start", "cycle", "epochs", "first", "steps"),
    [
        (0.6, 4, 100, 60, 7),
        (0.6, 4, 10, 6, 49),
        (0.5, 4, 25, 13, 3),
        (0.0, 2, 6, 0, 3),
        (0.5, 6, 25, 13, 11),
        (0.7, 2, 15, 11, 1),
    ],
)
def test_the_rate_falls_by_a_cosine_and_then_goes_up_and_down(
    start: float, cycle: int, epochs: int, first: int, steps: int
) -> None:
    sampler = FGE(start, cycle, lr_min=0.05)
    [phase] = sampler.phases(Recipe(epochs, 0.4), binary=False)
    assert sampler.first(epochs) == first
    assert phase.recipe.epochs == epochs - cycle // 2
    total = phase.recipe.epochs * steps
    for step in range(total):
        expected = rate_at(step, steps, first=first, cycle=cycle, largest=0.4, least=0.05)
        assert sampler.learning_rate(phase.recipe, step / total) == pytest.approx(expected, abs=1e-9), step
    assert sampler.learning_rate(phase.recipe, 1.0) == pytest.approx(0.05)
    by_default = FGE(start, cycle)
    assert by_default.learning_rate(phase.recipe, 1.0) == pytest.approx(0.004)


def test_snapshots_are_the_networks_of_a_plain_loop() -> None:
    spec, recipe = SPECS["mlp"], Recipe(8, 0.1, momentum=0.0, batch_size=16)
    kept: list[list[Tensor]] = []

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        rate = rate_at(k, 4, first=4, cycle=2, largest=0.1, least=0.001)
        for leaf, slope in zip(leaves, gradient(leaves), strict=True):
            leaf -= rate * slope
        if last and epoch in {4, 6}:
            kept.append([leaf.clone() for leaf in leaves])

    names = list(slow(spec, recipe, update)[0])
    [solution], taken = networks_of(spec, FGE(0.5, 2, keep_snapshots=True), recipe, [3])
    assert [(network.epoch, network.snapshot) for network in taken] == [(5, 1), (7, 2)]
    for network, leaves in zip(taken, kept, strict=True):
        assert_close(network.params, dict(zip(names, leaves, strict=True)))
    assert solution.params is not None
    assert solution.epochs == 7
    assert equal(solution.params, taken[-1].params)
    assert not torch.allclose(taken[0].params["fc1.weight"], taken[1].params["fc1.weight"], rtol=1e-4, atol=1e-6)
    with pytest.warns(LandscapeWarning, match="of 2 snapshots 1 will be thrown away"):
        [quiet] = run(spec, FGE(0.5, 2), recipe, [3])
    assert quiet.params is not None
    assert equal(quiet.params, solution.params)


@pytest.mark.parametrize(("start", "cycle"), [(0.6, 4), (0.0, 2), (0.9, 6), (0.33, 10), (0.99, 2)])
def test_epochs_that_are_no_cycles_are_refused_naming_the_nearest(start: float, cycle: int) -> None:
    sampler = FGE(start, cycle)

    def fits(epochs: int) -> bool:
        left = epochs - math.floor(start * epochs + 0.5)
        return left >= cycle and left % cycle == 0

    fitting = [epochs for epochs in range(1, 1500) if fits(epochs)]
    for epochs in range(1, 60):
        if epochs in fitting:
            [phase] = sampler.phases(Recipe(epochs), binary=False)
            assert phase.recipe.epochs == epochs - cycle // 2
            continue
        below, above = [n for n in fitting if n < epochs][-1:], [n for n in fitting if n > epochs][:1]
        with pytest.raises(TrainingError) as refused:
            sampler.phases(Recipe(epochs), binary=False)
        assert str(refused.value).endswith(f"give `epochs=` {' or '.join(map(str, below + above))}")


def test_the_least_rate_is_the_least() -> None:
    with pytest.raises(TrainingError, match=re.escape("`lr_min=` is 0.2, above the learning rate of 0.1")):
        run(SPECS["mlp"], FGE(lr_min=0.2), Recipe(10, 0.1), [3])
    with pytest.raises(TrainingError, match=r"above the learning rate of 0\.02"):
        run(SPECS["mlp"], FGE(lr_min=0.2), Recipe(10), [3])
    FGE(lr_min=0.2).phases(Recipe(10), binary=True)  # whose usual rate is 20
