"""Training networks, as tests of samplers do: on small data, and by the plain loop that everybody would write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.models import build_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.samplers import (
    ASAM,
    FGE,
    RSGD,
    SAM,
    SGD,
    SWA,
    Adversarial,
    EntropySGD,
    EpochNetwork,
    EpochRecord,
    Recipe,
    Sampler,
    SnapshotEnsemble,
    Solution,
    TrainingObserver,
    train,
)
from landscape_cli.samplers.streams import epoch_order, initial_params
from tests.support.cases import SPECS

CPU = torch.device("cpu")
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
FIRST = {"adv_epochs": 3, "adv_lr": 0.05, "adv_optimizer": "sgd", "adv_until_error": 0.7}
ADAM = Recipe(2, 1e-3, batch_size=16, optimizer="adam", weight_decay=0.1, clip_norm=0.5, schedule="step")
SAMPLERS: dict[str, tuple[Sampler, Recipe]] = {
    "sgd": (SGD(), SHORT),
    "adam": (SGD(), ADAM),
    "augmented": (SGD(), Recipe(2, 0.05, batch_size=16, augment="crop+flip")),
    "until": (SGD(), Recipe(4, 0.05, batch_size=16, until_error=0.62)),
    "rsgd": (RSGD(gamma_growth=10.0, keep_replicas=True), Recipe(2, 0.05, batch_size=48)),
    "adv": (Adversarial(**FIRST), SHORT),  # type: ignore[arg-type]
    "sam": (SAM(), SHORT),
    "asam": (ASAM(), SHORT),
    "swa": (SWA(start=0.3), SHORT),
    "esgd": (EntropySGD(steps=3), SHORT),
    "snapshot": (SnapshotEnsemble(2, keep_snapshots=True), SHORT),
    "fge": (FGE(start=0.5, cycle_epochs=2, keep_snapshots=True), Recipe(4, 0.05, batch_size=16)),
}
SEEDS = (3, 4, 5)


def train_one(
    spec: ModelSpec,
    data: Split,
    sampler: Sampler,
    recipe: Recipe,
    *,
    seed: int,
    initial: Sequence[Params] | None = None,
    observer: TrainingObserver | None = None,
) -> Params:
    """Train a run on the CPU, labels drawn from as many classes as there are outputs, black pixels -1."""
    channels = data.x.shape[1] if data.x.ndim == 4 else 1
    [solution] = train(
        spec,
        data,
        sampler,
        recipe=recipe,
        seeds=[seed],
        device=CPU,
        classes=max(2, spec.outputs),
        black=-torch.ones(channels),
        initial=None if initial is None else [initial],
        observer=observer,
    )
    assert solution.params is not None
    return solution.params


def train_sgd(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    initial: Params | None = None,
    observer: TrainingObserver | None = None,
) -> Params:
    starts = None if initial is None else [initial]
    return train_one(spec, data, SGD(), recipe, seed=seed, initial=starts, observer=observer)


def train_rsgd(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    sampler: RSGD,
    *,
    seed: int,
    initial: Sequence[Params] | None = None,
    observer: TrainingObserver | None = None,
) -> Params:
    return train_one(spec, data, sampler, recipe, seed=seed, initial=initial, observer=observer)


def train_adv(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    sampler: Adversarial,
    *,
    seed: int,
    observer: TrainingObserver | None = None,
) -> Params:
    return train_one(spec, data, sampler, recipe, seed=seed, observer=observer)


def blobs(samples: int = 60, classes: int = 4, shape: tuple[int, ...] = (7,)) -> Split:
    """Separable clusters with labels."""
    source = torch.Generator().manual_seed(1)
    y = torch.arange(samples) % classes
    centres = 2 * torch.randn(classes, *shape, generator=source)
    return Split(centres[y] + 0.3 * torch.randn(samples, *shape, generator=source), y)


def images(samples: int) -> Split:
    """Random images with labels, for `RESNET`."""
    generator = torch.Generator().manual_seed(0)
    return Split(torch.randn(samples, 1, 8, 8, generator=generator), torch.arange(samples) % 3)


def noise(spec: ModelSpec, samples: int = 57) -> Split:
    """Random inputs and labels."""
    source = torch.Generator().manual_seed(0)
    return Split(
        torch.randn(samples, *spec.input_shape, generator=source), torch.arange(samples) % max(2, spec.outputs)
    )


def records() -> tuple[list[EpochRecord], TrainingObserver]:
    seen: list[EpochRecord] = []
    return seen, TrainingObserver(epoch=seen.append)


def run(spec: ModelSpec, sampler: Sampler, recipe: Recipe, seeds: Sequence[int] = SEEDS, **more: Any) -> list[Solution]:
    """Train runs on noise."""
    black = torch.zeros(spec.input_shape[0] if len(spec.input_shape) == 3 else 1)
    return train(spec, noise(spec), sampler, recipe=recipe, seeds=seeds, black=black, **more)


def networks_of(
    spec: ModelSpec,
    sampler: Sampler,
    recipe: Recipe,
    seeds: Sequence[int] = SEEDS,
    *,
    keep_epochs: Sequence[int] = (),
    **more: Any,
) -> tuple[list[Solution], list[EpochNetwork]]:
    """Train runs on noise; return their solutions, and the networks that were taken on the way."""
    taken: list[EpochNetwork] = []
    observer = TrainingObserver(network=taken.append, keep_epochs=keep_epochs)
    return run(spec, sampler, recipe, seeds, observer=observer, **more), taken


def equal(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def steps_of(recipe: Recipe, data: Split, seed: int) -> list[tuple[int, Tensor]]:
    """Every mini-batch of a training, with the number of its epoch."""
    steps = []
    for epoch in range(recipe.epochs):
        order = epoch_order(len(data.y), seed, epoch=epoch)
        steps += [(epoch, chosen) for chosen in order.split(recipe.batch_size)]
    return steps


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
