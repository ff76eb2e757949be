"""The optimised path's middle: a network between two others, trained on (SPEC 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.data import Split
from landscape_cli.errors import TrainingError
from landscape_cli.functional import cast_floats
from landscape_cli.samplers import EpochRecord, Recipe, Watcher, sgd
from landscape_cli.samplers import train as train_stack


def train_midpoint(
    spec: ModelSpec,
    middle: Params,
    train: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    watcher: Watcher | None = None,
    phase: str = "midpoint",
) -> tuple[dict[str, Tensor], int]:
    """Return the network that SGD makes of another, and for how many epochs it ran.

    It trains in float32, whatever the network's dtypes, which the result has again.

    Args:
        spec: the model.
        middle: the network to start from.
        train: the training set.
        recipe: how long and how fast.
        seed: of everything random.
        device: where to train.
        watcher: whom to tell.
        phase: what to call the training to the watcher.

    Raises:
        TrainingError: if training diverges.
    """
    told = watcher or Watcher()
    epochs = 0

    def epoch(record: EpochRecord) -> None:
        nonlocal epochs
        epochs = record.epoch
        told.epoch(record)

    start: Callable[[str, int, int, int], None] = lambda _, *rest: told.start(phase, *rest)  # noqa: E731
    (found,) = train_stack(
        spec,
        train,
        sgd(recipe),
        seeds=[seed],
        device=device,
        initial=[[cast_floats(middle, torch.float32, device)]],
        watcher=replace(told, start=start, epoch=epoch),
    )
    if found.params is None:
        raise TrainingError("training the midpoint diverged: lower --lr")
    params = found.params
    return {name: params[name].to(tensor.dtype) for name, tensor in middle.items()}, epochs
