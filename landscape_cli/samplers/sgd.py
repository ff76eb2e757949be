"""SGD: stochastic gradient descent with Nesterov momentum (SPEC 8)."""

from __future__ import annotations

import torch

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.data import Split
from landscape_cli.samplers.loop import Recipe, Watcher, fit
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import initial_params, order_generator


def train_sgd(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    initial: Params | None = None,
    watcher: Watcher | None = None,
) -> Params:
    """Return a network trained on `data` from `initial`, or from a new one.

    Raises:
        TrainingError: if training diverges.
        ModelError: if `initial` does not fit the model.
    """
    stack = Stack(spec, [initial or initial_params(spec, seed, 0)], device)
    fit(stack, data.to(device), recipe, generators=[order_generator(seed, 0)], watcher=watcher)
    return stack.params(0)
