"""ADV: SGD from an adversarial initialisation (Liu et al., 2020), which ends in sharp minima (SPEC 8)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import torch
from torch import Tensor

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.data import Split
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.loop import Recipe, Watcher, fit
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import (
    CORRUPTED_ORDER,
    CORRUPTION,
    initial_params,
    order_generator,
)
from landscape_cli.seeds import generator


@dataclass(frozen=True)
class Adversarial:
    """The fit to random labels that comes first.

    Attributes:
        copies: R, how many corrupted copies of the training set.
        zero_fraction: the fraction of each image's pixels that are zeroed.
        recipe: how to fit them.
    """

    copies: int = 1
    zero_fraction: float = 0.1
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=200, until_error=0.01))

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise TrainingError("ADV needs at least 1 corrupted copy of the training set")
        if not 0 <= self.zero_fraction <= 1:
            raise TrainingError(f"the fraction of pixels to zero must lie in [0, 1], and is {self.zero_fraction}")


def train_adv(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    adversarial: Adversarial,
    *,
    classes: int,
    black: Tensor,
    seed: int,
    device: torch.device,
    initial: Params | None = None,
    watcher: Watcher | None = None,
) -> Params:
    """Return a network trained on `data` from one that has first learnt random labels by heart.

    Args:
        spec: the model.
        data: the training set, standardised.
        recipe: of the second phase; momentum 0 for the paper's plain SGD.
        adversarial: the first phase.
        classes: the number of classes to draw labels from.
        black: the standardised value of a zero pixel, a channel each.
        seed: of everything random.
        device: where to train.
        initial: the network to start the first phase from, instead of a new one.
        watcher: whom to tell.

    Raises:
        TrainingError: if training diverges.
        ModelError: if `initial` does not fit the model.

    Warns:
        UserWarning: if the random labels were not learnt as well as asked.
    """
    stack = Stack(spec, [initial or initial_params(spec, seed, 0)], device)
    corrupted = corrupt(data, adversarial, classes=classes, black=black, generator=generator(seed, CORRUPTION))
    orders = [generator(seed, CORRUPTED_ORDER)]
    learnt = fit(
        stack, corrupted.to(device), adversarial.recipe, generators=orders, phase="adversarial", watcher=watcher
    )
    wanted = adversarial.recipe.until_error
    if wanted is not None and learnt.solution_error is not None and learnt.solution_error > wanted:
        warnings.warn(
            f"the random labels were learnt to an error of {learnt.solution_error:.3g} only, not {wanted:.3g}: "
            "give --adv-epochs more, or another --adv-lr",
            stacklevel=2,
        )
    del corrupted
    fit(stack, data.to(device), recipe, generators=[order_generator(seed, 0)], watcher=watcher)
    return stack.params(0)


def corrupt(data: Split, adversarial: Adversarial, *, classes: int, black: Tensor, generator: torch.Generator) -> Split:
    """Return copies of `data` with random labels and, in each image, a random fraction of the pixels black.

    A pixel of an image spans its channels; in a plain vector every entry is one.
    """
    copies = []
    for _ in range(adversarial.copies):
        flat = data.x.reshape(len(data.x), len(black), -1)
        places = flat.shape[2]
        zeroed = round(adversarial.zero_fraction * places)
        chosen = torch.rand(len(flat), places, generator=generator).argsort(dim=1)[:, :zeroed]
        mask = torch.zeros(len(flat), 1, places, dtype=torch.bool)
        mask[:, 0].scatter_(1, chosen, True)
        x = torch.where(mask, black.to(flat.dtype)[:, None], flat).reshape(data.x.shape)
        labels = torch.randint(classes, (len(flat),), generator=generator)
        copies.append(Split(x, labels))
    return Split(torch.cat([copy.x for copy in copies]), torch.cat([copy.y for copy in copies]))
