"""Snapshot ensembles do what their paper says."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor

from landscape_cli.errors import LandscapeWarning, TrainingError
from landscape_cli.samplers import SGD, Recipe, SnapshotEnsemble
from tests.support.cases import SPECS
from tests.support.training import MODELS, assert_close, equal, networks_of, run, slow


@pytest.mark.parametrize(
    ("cycles", "epochs", "steps"), [(1, 3, 4), (3, 6, 4), (7, 21, 13), (5, 100, 49), (11, 11, 1), (22, 44, 3)]
)
def test_every_cycle_is_a_cosine_from_the_rate_to_zero(cycles: int, epochs: int, steps: int) -> None:
    sampler, recipe = SnapshotEnsemble(cycles), Recipe(epochs, 0.4)
    length = epochs * steps // cycles
    for done in range(epochs * steps):
        expected = 0.2 * (1 + math.cos(math.pi * (done % length) / length))
        assert sampler.learning_rate(recipe, done / (epochs * steps)) == pytest.approx(expected, abs=1e-9), done


@pytest.mark.parametrize("model", ["mlp", "resnet"])
def test_one_cycle_is_sgd_with_a_cosine(model: str) -> None:
    recipe = Recipe(3, 0.05, batch_size=16)
    [plain] = run(MODELS[model], SGD(), recipe, [3])
    [solution] = run(MODELS[model], SnapshotEnsemble(1), recipe, [3])
    assert plain.params is not None
    assert solution.params is not None
    assert equal(plain.params, solution.params)


def test_snapshots_are_the_networks_of_a_plain_loop() -> None:
    """The rate starts anew with every cycle; the momentum goes on."""
    spec, recipe = SPECS["mlp"], Recipe(6, 0.1, momentum=0.8, batch_size=16)
    kept: list[list[Tensor]] = []
    velocities: list[Tensor] = []

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        rate = 0.05 * (1 + math.cos(math.pi * (k % (steps // 3)) / (steps // 3)))
        slopes = gradient(leaves)
        if not velocities:
            velocities.extend(torch.zeros_like(slope) for slope in slopes)
        for leaf, velocity, slope in zip(leaves, velocities, slopes, strict=True):
            velocity.mul_(0.8).add_(slope)
            leaf -= rate * (slope + 0.8 * velocity)
        if last and epoch % 2 == 1:
            kept.append([leaf.clone() for leaf in leaves])

    names = list(slow(spec, recipe, update)[0])
    [solution], taken = networks_of(spec, SnapshotEnsemble(3, keep_snapshots=True), recipe, [3])
    assert [(network.epoch, network.snapshot) for network in taken] == [(2, 1), (4, 2), (6, 3)]
    for network, leaves in zip(taken, kept, strict=True):
        assert_close(network.params, dict(zip(names, leaves, strict=True)))
    assert solution.params is not None
    assert equal(solution.params, taken[-1].params)
    assert not torch.allclose(taken[0].params["fc1.weight"], taken[1].params["fc1.weight"], rtol=1e-4, atol=1e-6)


def test_snapshots_that_nobody_gets_are_warned_of() -> None:
    recipe = Recipe(4, 0.05, batch_size=16)
    with pytest.warns(LandscapeWarning, match="of 4 snapshots 3 will be thrown away, all but the last"):
        [quiet], taken = networks_of(SPECS["mlp"], SnapshotEnsemble(4), recipe, [3])
    assert not taken
    [solution], taken = networks_of(SPECS["mlp"], SnapshotEnsemble(4, keep_snapshots=True), recipe, [3])
    assert len(taken) == 4
    assert quiet.params is not None
    assert solution.params is not None
    assert equal(quiet.params, solution.params)


@pytest.mark.parametrize(
    ("cycles", "epochs", "fitting"),
    [(5, 12, "10 or 15"), (5, 3, "5, or other"), (4, 9, "8 or 12"), (7, 20, "14 or 21")],
)
def test_epochs_that_are_no_cycles_are_refused(cycles: int, epochs: int, fitting: str) -> None:
    with pytest.raises(TrainingError, match=re.escape(f"give `epochs=` {fitting}")):
        run(SPECS["mlp"], SnapshotEnsemble(cycles), Recipe(epochs), [3])
    for fits in re.findall(r"\d+", fitting):
        SnapshotEnsemble(cycles).phases(Recipe(int(fits)), binary=False)
