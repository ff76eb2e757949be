"""The optimised path's middle: a network between two others, trained on (SPEC 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.forward.functional import cast_floats
from landscape_cli.io.checkpoint import ModelSpec, Params
from landscape_cli.samplers import Recipe, Watcher, sgd, train


def train_midpoint(
    spec: ModelSpec,
    middle: Params,
    data: Split,
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
        data: the training set.
        recipe: how long and how fast.
        seed: of everything random.
        device: where to train.
        watcher: whom to tell.
        phase: what to call the training to the watcher.

    Raises:
        TrainingError: if training diverges.
    """
    told = watcher or Watcher()
    start: Callable[[str, int, int, int], None] = lambda _, *numbers: told.start(phase, *numbers)  # noqa: E731
    [found] = train(
        spec,
        data,
        sgd(recipe),
        seeds=[seed],
        device=device,
        initial=[[cast_floats(middle, torch.float32, device)]],
        watcher=replace(told, start=start),
    )
    if found.params is None:
        raise TrainingError(
            f"training the midpoint diverged in epoch {found.epochs} (weights or loss are not finite): lower --lr, "
            f"now {recipe.learning_rate}"
        )
    return {name: found.params[name].to(tensor.dtype) for name, tensor in middle.items()}, found.epochs
