"""ADV learns random labels on corrupted copies first."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.data.datasets import Split
from landscape_cli.models import build_model
from landscape_cli.samplers import Adversarial, Recipe
from landscape_cli.samplers.adversarial import corrupt
from tests.support.cases import SPECS
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
