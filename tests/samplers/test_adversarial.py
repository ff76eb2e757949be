"""ADV learns random labels on corrupted copies first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.models import build_model
from landscape_cli.samplers import SGD, Adversarial, Recipe
from landscape_cli.samplers.adversarial import FIRST, corrupt
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.slow_training import (
    RECIPES,
    SEED,
    SlowOptimizer,
    assert_same,
    batches,
    initial_leaves,
    learnt,
    slope,
    trained,
)
from tests.support.training import blobs, records, train_adv

SPEC = SPECS["mlp"]


def test_corrupted_copies() -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, 10, 10, generator=source)
    data = Split(x, torch.arange(200) % 5)
    black = torch.tensor([-9.0, -8.0, -7.0], dtype=torch.float64)
    found = corrupt(data, Adversarial(copies=2), classes=5, black=black, generator=source)
    assert found.x.shape == (400, 3, 10, 10)
    zeroed = found.x != torch.cat([x, x])
    assert (zeroed.flatten(2).sum(2) == 10).all()
    assert torch.equal(zeroed[:, 0], zeroed[:, 1])
    assert torch.equal(zeroed[:, 0], zeroed[:, 2])
    for channel, value in enumerate(black.tolist()):
        assert (found.x[:, channel][zeroed[:, channel]] == value).all()
    assert not torch.equal(zeroed[:200], zeroed[200:])
    counts = torch.bincount(found.y, minlength=5)
    assert counts.min() > 50
    assert abs(float((found.y == torch.cat([data.y, data.y])).double().mean()) - 0.2) < 0.1


def test_entries_are_zeroed_one_by_one() -> None:
    """As the source's own code does: a tenth of all numbers of an image, each channel's for itself."""
    source = torch.Generator().manual_seed(0)
    data = Split(torch.randn(50, 3, 10, 10, generator=source), torch.arange(50) % 5)
    black = torch.tensor([-9.0, -8.0, -7.0], dtype=torch.float64)
    found = corrupt(data, Adversarial(zeroed="entries"), classes=5, black=black, generator=source)
    zeroed = found.x != data.x
    assert (zeroed.flatten(1).sum(1) == 30).all()
    assert not torch.equal(zeroed[:, 0], zeroed[:, 1])
    assert all((found.x[:, k][zeroed[:, k]] == black[k]).all() for k in range(3))


@pytest.mark.parametrize("name", RECIPES)
def test_adv_equals_its_equations(name: str) -> None:
    """Liu et al., 2020: copies with random labels are learnt to an error, and from there the true labels, by SGD.

    Each phase has an optimiser and a cosine of its own; the second's is plain unless the recipe says otherwise.
    """
    recipe, until = RECIPES[name], 0.65
    sampler = Adversarial(copies=2, adv_epochs=12, adv_lr=0.1, adv_until_error=until)
    found, _ = trained(sampler, recipe)

    def learn(leaves: list[Tensor], recipe: Recipe, split: Split, phase: int) -> int:
        data = split.x, split.y
        optimizer, epochs = SlowOptimizer(recipe, leaves), batches(recipe, phase=phase, count=len(data[1]))
        for epoch, chosen in enumerate(epochs):
            for step, batch in enumerate(chosen):
                done = (epoch * len(chosen) + step) / (len(epochs) * len(chosen))
                optimizer.step(leaves, slope(leaves, batch, data), recipe.rate(done))
            at = dict(zip(initial_params(SPEC, SEED), leaves, strict=True))
            logits = torch.func.functional_call(build_model(SPEC, at), at, (data[0],))
            if phase == 0 and float((logits.argmax(1) != data[1]).double().mean()) <= until:
                return epoch + 1
        return len(epochs)

    leaves = initial_leaves()
    first = Recipe(12, 0.1, batch_size=recipe.batch_size, momentum=0.9)
    assert 1 < learn(leaves, first, learnt(sampler, FIRST), 0) < 12
    learn(leaves, recipe.with_defaults(momentum=0.0), learnt(sampler, "train"), 1)
    assert_same(found, leaves)
    without, _ = trained(SGD(), recipe)
    assert float((without[0] - found[0]).abs().max()) > 1e-3


def test_adv_learns_random_labels_first() -> None:
    data = blobs()
    seen, observer = records()
    found = train_adv(
        SPEC,
        data,
        Recipe(epochs=40, learning_rate=0.1, momentum=0.0),
        Adversarial(adv_epochs=400, adv_lr=0.1, adv_until_error=0.15),
        seed=0,
        observer=observer,
    )
    phases = [record.phase for record in seen]
    assert phases == sorted(phases)
    assert set(phases) == {"adversarial", "train"}
    with pytest.warns(UserWarning, match="learnt to an error of"):
        train_adv(SPEC, data, Recipe(epochs=1), Adversarial(adv_epochs=1, adv_until_error=0.0), seed=0)
    assert phases.count("train") == 40
    learnt = [record for record in seen if record.phase == "adversarial"][-1]
    assert learnt.solution_error <= 0.15
    logits = torch.func.functional_call(build_model(SPEC, found), dict(found), (data.x,))
    assert (logits.argmax(1) == data.y).double().mean() > 0.9
