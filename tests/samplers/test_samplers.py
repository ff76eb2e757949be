"""The samplers do what SPEC 8 says, against loops that everybody would write."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.models import build_model, create_model
from landscape_cli.samplers import (
    Adversarial,
    Averaging,
    EpochRecord,
    LocalEntropy,
    Recipe,
    Replication,
    Sharpness,
    Watcher,
)
from landscape_cli.samplers.adversarial import corrupt
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.replicated import Replicated, balanced_gamma
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.support.cases import SPECS
from tests.support.training import CPU
from tests.support.training import train_adv as adv
from tests.support.training import train_rsgd as rsgd
from tests.support.training import train_sgd as sgd

SPEC = SPECS["mlp"]


def blobs(samples: int = 60, classes: int = 4, shape: tuple[int, ...] = (7,)) -> Split:
    """Separable clusters with labels."""
    source = torch.Generator().manual_seed(1)
    y = torch.arange(samples) % classes
    centres = 2 * torch.randn(classes, *shape, generator=source)
    return Split(centres[y] + 0.3 * torch.randn(samples, *shape, generator=source), y)


def records() -> tuple[list[EpochRecord], Watcher]:
    seen: list[EpochRecord] = []
    return seen, Watcher(epoch=seen.append)


@pytest.mark.parametrize("name", ["mlp", "lenet", "mlp-sign"])
def test_sgd_equals_the_plain_loop(name: str) -> None:
    spec = SPECS[name]
    data = blobs(50, max(2, spec.outputs), spec.input_shape)
    recipe = Recipe(epochs=3, learning_rate=0.05, batch_size=16)
    seen, watcher = records()
    found = sgd(spec, data, recipe, seed=4, watcher=watcher)
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


def test_rsgd_equals_the_objective_differentiated() -> None:
    """Plain SGD on the objective of SPEC 8, with the centre differentiated through by autograd."""
    data, replicas = blobs(), 3
    recipe = Recipe(epochs=2, learning_rate=0.03, momentum=0.0, batch_size=20)
    found = rsgd(SPEC, data, recipe, Replication(replicas, gamma=0.01, growth=100.0), seed=7)
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
    uncoupled = rsgd(SPEC, data, recipe, Replication(replicas, gamma=0.0), seed=7)
    assert not torch.allclose(found["fc1.weight"], uncoupled["fc1.weight"], rtol=1e-4, atol=1e-6)


def test_gamma_starts_balanced_and_grows() -> None:
    data = blobs()
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(3)], CPU, replicas=3)
    vectors = [torch.cat([t.flatten() for t in initial_params(SPEC, 0, a).values()]).double() for a in range(3)]
    centre = torch.stack(vectors).mean(0)
    spread = sum(float((vector - centre).square().sum()) for vector in vectors) / 3
    losses = [float(F.cross_entropy(network(data.x), data.y).detach()) for network in stack.networks]
    assert balanced_gamma(stack, 0, data) * spread == pytest.approx(sum(losses) / 3, rel=1e-5)
    seen, watcher = records()
    rsgd(SPEC, data, Recipe(epochs=5), Replication(growth=16.0), seed=0, watcher=watcher)
    gammas = [record.gamma for record in seen]
    assert gammas[0] == pytest.approx(balanced_gamma(stack, 0, data))
    assert [b / a for a, b in pairwise(gammas)] == pytest.approx([2.0] * 4)
    assert seen[-1].spread < seen[0].spread


def test_replicas_that_start_as_one_need_a_gamma() -> None:
    start = [initial_params(SPEC, 0, 0)] * 3
    with pytest.raises(TrainingError, match="`gamma_init=`"):
        rsgd(SPEC, blobs(), Recipe(epochs=1), Replication(), seed=0, initial=start)
    rsgd(SPEC, blobs(), Recipe(epochs=1), Replication(gamma=0.1), seed=0, initial=start)


def coupling_of(stack: Stack, *, gamma: float, rate: float) -> None:
    """Write the gradient of the coupling alone to the stack's."""
    loop = Loop(stack, [blobs()], Recipe(learning_rate=rate), Replicated(Replication(4, gamma)), seeds=[0])
    loop.method.begin(stack, loop.data, loop.recipe)
    loop.rate = rate
    loop.backward = loop.update = lambda factor=1.0: None  # type: ignore[method-assign]
    loop.method.step(loop)


def test_coupling_leaves_the_centre_alone() -> None:
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(4)], CPU, replicas=4)
    coupling_of(stack, gamma=0.5, rate=0.02)
    assert torch.allclose(stack.gradients.sum(0), torch.zeros_like(stack.gradients[0]), atol=1e-5)
    expected = (2 * 0.5 / 4) * (stack.weights - stack.weights.mean(0))
    assert torch.allclose(stack.gradients, expected, atol=1e-6)


def test_stiff_coupling_merges_replicas_instead_of_throwing_them_apart() -> None:
    seen, watcher = records()
    rsgd(SPEC, blobs(), Recipe(epochs=4), Replication(gamma=1e3), seed=0, watcher=watcher)
    assert all(later.spread < earlier.spread for earlier, later in pairwise(seen))
    assert seen[-1].spread < 0.1
    stack = Stack(SPEC, [initial_params(SPEC, 0, a) for a in range(4)], CPU, replicas=4)
    coupling_of(stack, gamma=1e9, rate=0.02)
    merged = stack.weights - 4 * 0.02 * stack.gradients
    assert torch.allclose(merged, stack.weights.mean(0).expand_as(merged), atol=1e-5)


def test_stack_is_one_matrix() -> None:
    starts = [initial_params(SPECS["lenet"], 0, a) for a in range(2)]
    stack = Stack(SPECS["lenet"], starts, CPU, replicas=2)
    assert float(stack.weights.double().sum()) == pytest.approx(
        float(sum(t.double().sum() for start in starts for t in start.values()))
    )
    assert all(torch.equal(stack.params(1)[key], starts[1][key]) for key in starts[1])
    stack.weights[1] *= 2
    assert all(torch.equal(stack.params(1)[key], 2 * starts[1][key]) for key in starts[1])
    assert all(torch.equal(stack.params(0)[key], starts[0][key]) for key in starts[0])
    for k in (0, 1):
        stack.collect(k)
    stack.networks[0](torch.randn(3, *SPECS["lenet"].input_shape)).sum().backward()
    assert stack.gradients[0].abs().sum() > 0
    assert stack.gradients[1].abs().sum() == 0
    mean = {key: (starts[0][key] + 2 * starts[1][key]) / 2 for key in starts[0]}
    assert all(torch.allclose(stack.centre()[key], mean[key], atol=1e-7) for key in mean)
    assert Stack(SPEC, [initial_params(SPEC, 0, 0)], CPU).spread() == 0


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


def test_adv_learns_random_labels_first() -> None:
    data = blobs()
    seen, watcher = records()
    first = Recipe(epochs=400, learning_rate=0.1, until_error=0.15)
    found = adv(
        SPEC,
        data,
        Recipe(epochs=40, learning_rate=0.1, momentum=0.0),
        Adversarial(recipe=first),
        seed=0,
        watcher=watcher,
    )
    phases = [record.phase for record in seen]
    assert phases == sorted(phases)
    assert set(phases) == {"adversarial", "train"}
    with pytest.warns(UserWarning, match="learnt to an error of"):
        adv(
            SPEC,
            data,
            Recipe(epochs=1),
            Adversarial(recipe=Recipe(epochs=1, until_error=0.0)),
            seed=0,
        )
    assert phases.count("train") == 40
    learnt = [record for record in seen if record.phase == "adversarial"][-1]
    assert learnt.solution_error <= 0.15
    logits = torch.func.functional_call(build_model(SPEC, found), dict(found), (data.x,))
    assert (logits.argmax(1) == data.y).double().mean() > 0.9


def test_stopping_early() -> None:
    seen, watcher = records()
    sgd(SPEC, blobs(), Recipe(epochs=200, until_error=0.0), seed=0, watcher=watcher)
    assert len(seen) < 200
    assert seen[-1].solution_error == 0.0
    assert all(record.solution_error > 0 for record in seen[:-1])


def test_schedule_ends_at_zero() -> None:
    recipe = Recipe(learning_rate=0.4)
    assert recipe.rate(0.0) == 0.4
    assert recipe.rate(0.5) == pytest.approx(0.2)
    assert recipe.rate(1.0) == pytest.approx(0.0)


def test_seed_is_everything() -> None:
    train = {
        "sgd": lambda seed: sgd(SPEC, blobs(), Recipe(epochs=2), seed=seed),
        "rsgd": lambda seed: rsgd(SPEC, blobs(), Recipe(epochs=2), Replication(), seed=seed),
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
    found = sgd(SPEC, blobs(), Recipe(epochs=1), seed=0, initial=start)
    assert all(torch.equal(start[key], kept[key]) for key in start)
    assert not any(torch.equal(found[key], kept[key]) for key in found)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recipe(epochs=0),
        lambda: Recipe(batch_size=0),
        lambda: Recipe(learning_rate=-1.0),
        lambda: Recipe(learning_rate=math.nan),
        lambda: Recipe(momentum=1.0),
        lambda: Replication(replicas=1),
        lambda: Replication(gamma=-1.0),
        lambda: Replication(growth=0.0),
        lambda: Replication(schedule="jump"),
        lambda: Recipe(optimizer="adagrad"),
        lambda: Recipe(schedule="jump"),
        lambda: Recipe(precision="int4"),
        lambda: Recipe(milestones=(1.5,)),
        lambda: Recipe(decay=0.0),
        lambda: Recipe(weight_decay=-1.0),
        lambda: Recipe(clip_norm=0.0),
        lambda: Sharpness(-1.0),
        lambda: Averaging(start=1.0),
        lambda: Averaging(rate=0.0),
        lambda: LocalEntropy(steps=0),
        lambda: LocalEntropy(memory=1.0),
        lambda: LocalEntropy(growth=math.inf),
        lambda: Adversarial(copies=0),
        lambda: Adversarial(zero_fraction=1.5),
    ],
)
def test_impossible_settings(make) -> None:
    with pytest.raises(TrainingError):
        make()
