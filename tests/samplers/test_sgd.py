"""SGD and Adam do what everybody's loop does."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from landscape_cli.models import build_model, create_model
from landscape_cli.samplers import RSGD, SGD, Recipe
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.support.cases import SPECS
from tests.support.training import assert_close, blobs, noise, records, steps_of, train_one, train_rsgd, train_sgd

SPEC = SPECS["mlp"]


@pytest.mark.parametrize("name", ["mlp", "lenet", "mlp-sign"])
def test_sgd_equals_the_plain_loop(name: str) -> None:
    spec = SPECS[name]
    data = blobs(50, max(2, spec.outputs), spec.input_shape)
    recipe = Recipe(epochs=3, learning_rate=0.05, batch_size=16)
    seen, observer = records()
    found = train_sgd(spec, data, recipe, seed=4, observer=observer)
    model = (
        build_model(spec, {k: t.clone() for k, t in initial_params(spec, 4, 0).items()}).train().requires_grad_(True)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    step = 0
    for epoch in range(3):
        shuffled = epoch_order(50, 4, epoch=epoch)
        losses, wrong = 0.0, 0
        for k in range(0, 50, 16):
            x, y = data.x[shuffled[k : k + 16]], data.y[shuffled[k : k + 16]]
            optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * step / 12)) / 2
            optimizer.zero_grad()
            logits = model(x)
            if spec.outputs == 1:
                loss = F.binary_cross_entropy_with_logits(logits[:, 0], y.float())
                decided = (logits[:, 0] >= 0).long()
            else:
                loss = F.cross_entropy(logits, y)
                decided = logits.argmax(1)
            loss.backward()
            losses, wrong = losses + float(loss.detach()) * len(y), wrong + int((decided != y).sum())
            optimizer.step()
            step += 1
        assert seen[epoch].loss == pytest.approx(losses / 50, rel=1e-4)
        assert seen[epoch].error == pytest.approx(wrong / 50)
    for key, tensor in model.state_dict().items():
        assert torch.allclose(found[key], tensor, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(found[key], initial_params(spec, 4, 0)[key], rtol=1e-4, atol=1e-6)


def test_adam_and_decay_equal_pytorch() -> None:
    spec = SPECS["mlp"]
    recipe = Recipe(
        3, 0.01, batch_size=16, optimizer="adam", weight_decay=0.1, schedule="step", milestones=(0.5,), decay=0.3
    )
    data = noise(spec)
    model = build_model(spec, {k: t.clone() for k, t in initial_params(spec, 3).items()}).train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
    steps = steps_of(recipe, data, 3)
    for k, (_, chosen) in enumerate(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * (0.3 if k / len(steps) >= 0.5 else 1.0)
        optimizer.zero_grad()
        F.cross_entropy(model(data.x[chosen]), data.y[chosen]).backward()
        optimizer.step()
    assert_close(train_one(spec, data, SGD(), recipe, seed=3), model.state_dict())


def test_seed_is_everything() -> None:
    train = {
        "sgd": lambda seed: train_sgd(SPEC, blobs(), Recipe(epochs=2), seed=seed),
        "rsgd": lambda seed: train_rsgd(SPEC, blobs(), Recipe(epochs=2), RSGD(gamma_growth=10.0), seed=seed),
    }
    for run in train.values():
        torch.manual_seed(1)
        a = run(5)
        torch.manual_seed(2)
        b, c = run(5), run(6)
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert not any(torch.equal(a[key], c[key]) for key in a)


def test_start_is_not_touched() -> None:
    start = create_model(SPEC, seed=0).state_dict()
    kept = {key: tensor.clone() for key, tensor in start.items()}
    found = train_sgd(SPEC, blobs(), Recipe(epochs=1), seed=0, initial=start)
    assert all(torch.equal(start[key], kept[key]) for key in start)
    assert not any(torch.equal(found[key], kept[key]) for key in found)
