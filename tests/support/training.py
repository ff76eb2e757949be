"""Training one network, as most tests do."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from landscape_cli.data.datasets import Split
from landscape_cli.network import ModelSpec, Params
from landscape_cli.samplers import Adversarial, Recipe, Replication, Sampler, Watcher, adv, rsgd, sgd, train

CPU = torch.device("cpu")


def train_one(
    spec: ModelSpec,
    data: Split,
    sampler: Sampler,
    *,
    seed: int,
    initial: Sequence[Params] | None = None,
    watcher: Watcher | None = None,
) -> Params:
    """Train a run on the CPU, labels drawn from as many classes as there are outputs, black pixels -1."""
    channels = data.x.shape[1] if data.x.ndim == 4 else 1
    [solution] = train(
        spec,
        data,
        sampler,
        seeds=[seed],
        device=CPU,
        classes=max(2, spec.outputs),
        black=-torch.ones(channels),
        initial=None if initial is None else [initial],
        watcher=watcher,
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
    watcher: Watcher | None = None,
) -> Params:
    return train_one(
        spec, data, sgd(recipe), seed=seed, initial=None if initial is None else [initial], watcher=watcher
    )


def train_rsgd(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    settings: Replication,
    *,
    seed: int,
    initial: Sequence[Params] | None = None,
    watcher: Watcher | None = None,
) -> Params:
    return train_one(spec, data, rsgd(recipe, settings), seed=seed, initial=initial, watcher=watcher)


def train_adv(
    spec: ModelSpec, data: Split, recipe: Recipe, settings: Adversarial, *, seed: int, watcher: Watcher | None = None
) -> Params:
    return train_one(spec, data, adv(recipe, settings), seed=seed, watcher=watcher)
