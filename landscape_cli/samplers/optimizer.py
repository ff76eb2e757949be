"""The optimiser of a stack, as its recipe says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from landscape_cli.choices import Optimizer, Precision
from landscape_cli.forward.uncompiled import uncompiled
from landscape_cli.samplers.recipe import MOMENTUM, Recipe

DTYPES: dict[str, torch.dtype] = {
    Precision.FLOAT32: torch.float32,
    Precision.TF32: torch.float32,
    Precision.BF16: torch.bfloat16,
}
"""In which type the forward and backward pass compute, by `Recipe.precision`."""


def make_optimizer(recipe: Recipe, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return an optimiser of the parameters of a stack; one without a gradient stays as it is."""
    # One kernel for the whole step: 2.3 times faster than the default for three replicas.
    if recipe.optimizer == Optimizer.ADAM:
        return uncompiled(torch.optim.Adam)(
            parameters, lr=recipe.initial_rate, weight_decay=recipe.weight_decay, fused=True
        )
    momentum = MOMENTUM if recipe.momentum is None else recipe.momentum
    return uncompiled(torch.optim.SGD)(
        parameters,
        lr=recipe.initial_rate,
        momentum=momentum,
        nesterov=momentum > 0,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
