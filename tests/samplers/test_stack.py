"""Stacks train as their networks would alone, stop and go on without a trace; methods do what their papers say."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.models import build_model, factories
from landscape_cli.network import ModelSpec, Params
from landscape_cli.samplers import (
    Adversarial,
    Averaging,
    EpochRecord,
    LocalEntropy,
    Recipe,
    Replication,
    Sampler,
    Sharpness,
    Solution,
    State,
    Watcher,
    adv,
    esgd,
    gradients,
    rsgd,
    sam,
    sgd,
    swa,
    train,
)
from landscape_cli.samplers.augment import augment
from landscape_cli.samplers.gradients import draws_at_random
from landscape_cli.samplers.stack import ALIGNMENT, Stack
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.support.cases import SPECS
from tests.support.training import CPU, train_one

RESNET = ModelSpec("resnet20", {"width": 2, "blocks": 1}, (1, 8, 8), 3)
BINARY = ModelSpec("binary-mlp", {"hidden": [9, 6]}, (7,), 4)
MODELS = {
    "mlp": SPECS["mlp"],
    "sign": SPECS["mlp-sign"],
    "lenet": SPECS["lenet"],
    "resnet": RESNET,
    "binary": BINARY,
    "binary-conv": ModelSpec("binary-conv", {"filters": [3, 5], "kernel": 3, "hidden": [7]}, (1, 12, 12), 3),
}
SHORT = Recipe(epochs=2, learning_rate=0.05, batch_size=16)
FIRST = Recipe(epochs=3, learning_rate=0.05, batch_size=16, until_error=0.7)
SAMPLERS = {
    "sgd": sgd(SHORT),
    "adam": sgd(Recipe(2, 1e-3, batch_size=16, optimizer="adam", weight_decay=0.1, clip_norm=0.5, schedule="step")),
    "augmented": sgd(Recipe(2, 0.05, batch_size=16, augment=frozenset({"crop", "flip"}))),
    "until": sgd(Recipe(4, 0.05, batch_size=16, until_error=0.62)),
    "rsgd": rsgd(SHORT, Replication()),
    "adv": adv(SHORT, Adversarial(recipe=FIRST)),
    "sam": sam(SHORT, Sharpness()),
    "swa": swa(SHORT, Averaging(start=0.3)),
    "esgd": esgd(SHORT, LocalEntropy(steps=3)),
}
SEEDS = [3, 4, 5]


def noise(spec: ModelSpec, samples: int = 57) -> Split:
    """Random inputs and labels."""
    source = torch.Generator().manual_seed(0)
    return Split(
        torch.randn(samples, *spec.input_shape, generator=source), torch.arange(samples) % max(2, spec.outputs)
    )


def run(spec: ModelSpec, sampler: Sampler, seeds: list[int] = SEEDS, **more: object) -> list[Solution]:
    black = torch.zeros(spec.input_shape[0] if len(spec.input_shape) == 3 else 1)
    return train(spec, noise(spec), sampler, seeds=seeds, device=CPU, classes=max(2, spec.outputs), black=black, **more)


def equal(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def cases() -> list[tuple[str, str]]:
    found = [("mlp", name) for name in SAMPLERS if name != "augmented"]
    found += [("lenet", "augmented"), ("lenet", "rsgd"), ("resnet", "sam"), ("resnet", "swa"), ("sign", "sgd")]
    return [*found, ("binary", "rsgd"), ("binary", "adv"), ("binary", "adam"), ("binary-conv", "sgd")]


@pytest.mark.filterwarnings("ignore:the random labels")
@pytest.mark.parametrize(("model", "name"), cases())
def test_a_run_in_a_stack_is_the_run_alone(model: str, name: str) -> None:
    spec = MODELS[model]
    many = run(spec, SAMPLERS[name])
    for seed, found in zip(SEEDS, many, strict=True):
        [alone] = run(spec, SAMPLERS[name], [seed])
        assert found.params is not None
        assert alone.params is not None
        assert equal(found.params, alone.params)
        assert (found.seed, found.epochs) == (seed, alone.epochs)
    first, second = many[0].params, many[1].params
    assert first is not None
    assert second is not None
    assert not equal(first, second)


def test_runs_that_have_learnt_enough_stop_alone() -> None:
    epochs = [found.epochs for found in run(MODELS["mlp"], sgd(Recipe(60, 0.2, batch_size=16, until_error=0.3)))]
    assert len(set(epochs)) > 1


@pytest.mark.filterwarnings("ignore:the random labels")
@pytest.mark.parametrize(("model", "name"), cases())
def test_resumed_training_gives_the_same_bytes(model: str, name: str) -> None:
    spec, sampler = MODELS[model], SAMPLERS[name]
    states: list[State] = []
    seen: list[EpochRecord] = []
    whole = run(
        spec,
        sampler,
        [3, 4],
        pause=lambda ended, state: states.append(state()),
        watcher=Watcher(epoch=seen.append, thorough=True),
    )
    assert len(states) > 4
    for state in [*states[::3], states[-1]]:
        again: list[EpochRecord] = []
        resumed = run(spec, sampler, [3, 4], resume=state, watcher=Watcher(epoch=again.append, thorough=True))
        assert again == seen
        for a, b in zip(whole, resumed, strict=True):
            assert a.params is not None
            assert b.params is not None
            assert equal(a.params, b.params)
            assert len(a.replicas) == len(b.replicas) == (3 if name == "rsgd" else 0)
            assert all(equal(x, y) for x, y in zip(a.replicas, b.replicas, strict=True))


def test_a_state_of_another_training_is_refused() -> None:
    states: list[State] = []
    run(SPECS["mlp"], sgd(SHORT), pause=lambda ended, state: states.append(state()))
    with pytest.raises(TrainingError, match="does not fit"):
        run(SPECS["mlp"], sgd(SHORT), [1], resume=states[0])
    for facts in ({}, {"phase": 7}, {"phase": 0, "records": [1]}, {"phase": 0, "records": [], "epoch": "x"}):
        with pytest.raises(TrainingError, match="malformed"):
            run(SPECS["mlp"], sgd(SHORT), resume=State(states[0].tensors, facts))


@pytest.mark.parametrize("name", ["sgd", "rsgd", "sam", "until"])
@pytest.mark.parametrize("model", list(MODELS))
def test_networks_together_are_networks_one_by_one(model: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels that a GPU shares between networks give, up to rounding, what each network gives alone."""
    found = []
    for way in (gradients.one_by_one, gradients.together):
        monkeypatch.setattr(gradients, "choose", lambda stack, x, size, precision, way=way: (way(precision), True))
        found.append(run(MODELS[model], SAMPLERS[name]))
    for a, b in zip(*found, strict=True):
        assert a.params is not None
        assert b.params is not None
        for key, tensor in a.params.items():
            assert torch.allclose(tensor, b.params[key], rtol=1e-3, atol=1e-4), key


def test_one_run_diverges_and_the_others_go_on() -> None:
    spec = SPECS["mlp"]
    starts = [[initial_params(spec, seed)] for seed in SEEDS]
    starts[1] = [{key: tensor * 1e25 for key, tensor in starts[1][0].items()}]
    told: list[tuple[int, str]] = []
    found = run(
        spec, sgd(SHORT), initial=starts, watcher=Watcher(diverged=lambda seed, line: told.append((seed, line)))
    )
    assert [solution.params is None for solution in found] == [False, True, False]
    [(seed, line)] = told
    assert seed == 4
    assert "diverged in epoch 1" in line
    assert "`learning_rate=`" in line
    for k in (0, 2):
        alone = run(spec, sgd(SHORT), [SEEDS[k]])[0]
        assert alone.params is not None
        assert found[k].params is not None
        assert equal(alone.params, found[k].params)


def test_rows_and_parameters_are_aligned() -> None:
    stack = Stack(SPECS["lenet"], [initial_params(SPECS["lenet"], seed) for seed in SEEDS], CPU)
    for network in stack.networks:
        for parameter in network.parameters():
            assert parameter.data_ptr() % (4 * ALIGNMENT) == 0
    views = stack.views(stack.weights)
    for k, network in enumerate(stack.networks):
        for name, parameter in network.named_parameters():
            assert torch.equal(views[name][k], parameter)
            assert views[name][k].data_ptr() == parameter.data_ptr()


def test_a_row_with_the_buffers_of_a_network() -> None:
    stack = Stack(RESNET, [initial_params(RESNET, seed) for seed in (0, 1)], CPU)
    stack.networks[1].norm1.running_mean.fill_(7.0)
    found = stack.params(1, stack.weights[0])
    assert torch.equal(found["conv1.weight"], stack.params(0)["conv1.weight"])
    assert not torch.equal(found["conv1.weight"], stack.params(1)["conv1.weight"])
    assert bool((found["norm1.running_mean"] == 7.0).all())


def steps_of(recipe: Recipe, data: Split, seed: int) -> list[tuple[int, Tensor]]:
    """Every mini-batch of a training, with the number of its epoch."""
    found = []
    for epoch in range(recipe.epochs):
        order = epoch_order(len(data.y), seed, epoch=epoch)
        found += [(epoch, chosen) for chosen in order.split(recipe.batch_size)]
    return found


def slow(spec: ModelSpec, recipe: Recipe, update: Callable[..., None]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """A plain loop on leaves: `update(leaves, gradient of the loss on this batch, step, steps, last in the epoch)`."""
    data = noise(spec)
    names = list(initial_params(spec, 3))
    leaves = [initial_params(spec, 3)[name].clone() for name in names]

    def gradient(at: list[Tensor], chosen: Tensor) -> list[Tensor]:
        at = [leaf.detach().clone().requires_grad_(True) for leaf in at]
        model = build_model(spec, dict(zip(names, at, strict=True)))
        logits = torch.func.functional_call(model, dict(zip(names, at, strict=True)), (data.x[chosen],))
        return list(torch.autograd.grad(F.cross_entropy(logits, data.y[chosen]), at))

    steps = steps_of(recipe, data, 3)
    for k, (epoch, chosen) in enumerate(steps):
        last = k + 1 == len(steps) or steps[k + 1][0] != epoch
        update(leaves, lambda at, chosen=chosen: gradient(at, chosen), k, len(steps), epoch, last)
    return dict(zip(names, leaves, strict=True)), leaves


def assert_close(found: Params, expected: Params) -> None:
    for key, tensor in expected.items():
        assert torch.allclose(found[key], tensor, rtol=1e-4, atol=1e-6), key


def test_sam_equals_its_algorithm() -> None:
    spec, recipe, rho = SPECS["mlp"], Recipe(2, 0.1, momentum=0.0, batch_size=16), 0.3

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        first = gradient(leaves)
        length = math.sqrt(sum(float(g.square().sum()) for g in first))
        second = gradient([leaf + rho * g / length for leaf, g in zip(leaves, first, strict=True)])
        for leaf, g in zip(leaves, second, strict=True):
            leaf -= recipe.rate(k / steps) * g

    expected, _ = slow(spec, recipe, update)
    assert_close(train_one(spec, noise(spec), sam(recipe, Sharpness(rho)), seed=3), expected)
    plain = train_one(spec, noise(spec), sgd(recipe), seed=3)
    assert not torch.allclose(plain["fc1.weight"], expected["fc1.weight"], rtol=1e-4, atol=1e-6)


def test_sam_keeps_the_statistics_of_the_first_pass() -> None:
    stacks = []
    for sampler in (sam(SHORT, Sharpness(0.0)), sgd(SHORT)):
        stacks.append(train_one(RESNET, noise(RESNET), sampler, seed=0))
    assert equal(*stacks)


def test_swa_is_the_mean_of_the_last_epochs() -> None:
    spec, recipe = SPECS["mlp"], Recipe(5, 0.1, momentum=0.0, batch_size=16)
    kept: list[list[Tensor]] = []

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        fraction = k / steps
        rate = 0.02 if fraction >= 0.4 else 0.02 + 0.08 * (1 + math.cos(math.pi * fraction / 0.4)) / 2
        for leaf, g in zip(leaves, gradient(leaves), strict=True):
            leaf -= rate * g
        if last and epoch >= 2:
            kept.append([leaf.clone() for leaf in leaves])

    names = list(slow(spec, recipe, update)[0])
    assert len(kept) == 3
    means = [torch.stack(leaves).mean(0) for leaves in zip(*kept, strict=True)]
    found = train_one(spec, noise(spec), swa(recipe, Averaging(0.4, 0.02)), seed=3)
    assert_close(found, dict(zip(names, means, strict=True)))
    assert not torch.allclose(found["fc1.weight"], kept[-1][0], rtol=1e-4, atol=1e-6)


def test_entropy_sgd_equals_its_algorithm() -> None:
    spec, recipe = SPECS["mlp"], Recipe(3, 0.1, momentum=0.0, batch_size=16)
    settings = LocalEntropy(steps=5, gamma=0.4, growth=4.0, noise=0.0, memory=0.6)
    state: dict[str, list[Tensor]] = {}

    def update(leaves, gradient, k, steps, epoch, last):  # type: ignore[no-untyped-def]
        if not state:
            state["home"] = [leaf.clone() for leaf in leaves]
            state["mean"] = [leaf.clone() for leaf in leaves]
        gamma = 0.4 * 4.0 ** (epoch / 2)
        rate = recipe.rate(k / steps)
        for leaf, g, home, mean in zip(leaves, gradient(leaves), state["home"], state["mean"], strict=True):
            leaf -= rate * (g + gamma * (leaf - home))
            mean.copy_(0.6 * mean + 0.4 * leaf)
            if (k + 1) % 5 == 0 or k + 1 == steps:
                home += rate / 0.1 * (mean - home)
                leaf.copy_(home)
                mean.copy_(home)

    expected, _ = slow(spec, recipe, update)
    assert_close(train_one(spec, noise(spec), esgd(recipe, settings), seed=3), expected)
    noisy = LocalEntropy(steps=5, gamma=0.4, growth=4.0, noise=0.1, memory=0.6)
    found = train_one(spec, noise(spec), esgd(recipe, noisy), seed=3)
    assert not torch.allclose(found["fc1.weight"], expected["fc1.weight"], rtol=1e-3, atol=1e-4)


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
    assert_close(train_one(spec, data, sgd(recipe), seed=3), model.state_dict())


def test_long_gradients_are_cut() -> None:
    spec = SPECS["mlp"]
    recipe = Recipe(1, 0.1, momentum=0.0, batch_size=57, clip_norm=1e-3, schedule="constant")
    start = initial_params(spec, 3)
    found = train_one(spec, noise(spec), sgd(recipe), seed=3)
    moved = math.sqrt(sum(float((found[key] - start[key]).square().sum()) for key in start))
    assert moved == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_linear_growth_of_the_coupling() -> None:
    seen: list[EpochRecord] = []
    settings = Replication(gamma=0.1, growth=9.0, schedule="linear")
    train_one(SPECS["mlp"], noise(SPECS["mlp"]), rsgd(Recipe(5), settings), seed=0, watcher=Watcher(epoch=seen.append))
    assert [record.gamma for record in seen] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert all(len(record.replica_errors) == len(record.replica_distances) == 3 for record in seen)
    for record in seen:
        assert sum(record.replica_errors) / 3 == pytest.approx(record.error)
        assert sum(d**2 for d in record.replica_distances) / 3 == pytest.approx(record.spread)


def test_augmented_images() -> None:
    x = torch.arange(2.0 * 3 * 9 * 7).view(2, 3, 9, 7).repeat(50, 1, 1, 1)
    black = torch.tensor([-1.0, -2.0, -3.0])
    draw = lambda kinds: augment(x, kinds, black=black, generator=torch.Generator().manual_seed(0))  # noqa: E731
    assert draw(()) is x
    flipped = draw({"flip"})
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert ((flipped == x).flatten(1).all(1) ^ mirrored).all()
    assert 20 < int(mirrored.sum()) < 80
    cropped = draw({"crop"})
    shifts = set()
    for image, old in zip(cropped, x, strict=True):
        padded = black.view(3, 1, 1).expand(3, 17, 15).clone()
        padded[:, 4:13, 4:11] = old
        matches = [(i, j) for i in range(9) for j in range(9) if torch.equal(padded[:, i : i + 9, j : j + 7], image)]
        assert matches
        shifts.add(matches[0])
    assert len(shifts) > 20
    with pytest.raises(TrainingError, match="only images"):
        augment(x.flatten(1), {"flip"}, black=black, generator=torch.Generator())


def test_random_modules_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for rate, expected in ((0.5, True), (0.0, False)):
        make = lambda rate=rate: torch.nn.Sequential(torch.nn.Linear(7, 4), torch.nn.Dropout(rate))  # noqa: E731
        monkeypatch.setattr(factories, "_allowed", {"own:net": make})
        spec = ModelSpec("own:net", {}, (7,), 4)
        stack = Stack(spec, [initial_params(spec, 0)], CPU)
        assert draws_at_random(stack, noise(spec).x) is expected
    many = run(spec := ModelSpec("own:net", {}, (7,), 4), sgd(SHORT))
    alone = run(spec, sgd(SHORT), [4])[0]
    assert many[1].params is not None
    assert alone.params is not None
    assert equal(many[1].params, alone.params)


@pytest.mark.parametrize("way", [gradients.one_by_one, gradients.together])
def test_half_precision_is_of_the_passes_alone(way: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "choose", lambda stack, x, size, precision: (way(precision), True))
    spec = SPECS["lenet"]
    found = {}
    for precision in ("float32", "bf16"):
        seen: list[EpochRecord] = []
        recipe = Recipe(4, 0.05, batch_size=16, precision=precision)
        [solution, _] = run(spec, sgd(recipe), [0, 1], watcher=Watcher(epoch=seen.append))
        assert solution.params is not None
        assert {tensor.dtype for tensor in solution.params.values()} == {torch.float32}
        found[precision] = solution.params["fc1.weight"], seen[-1].loss
    (full, full_loss), (half, half_loss) = found["float32"], found["bf16"]
    assert not torch.equal(full, half)
    assert torch.allclose(full, half, atol=0.02)
    assert half_loss == pytest.approx(full_loss, rel=0.02)
