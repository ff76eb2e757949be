"""ADV: SGD from an adversarial initialisation (Liu et al., 2020), which ends in sharp minima (SPEC 8)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.records import EpochRecord


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


def warn_unless_learnt(adversarial: Adversarial, records: Sequence[EpochRecord]) -> None:
    """Warn of runs that did not learn the random labels as well as asked.

    Warns:
        UserWarning: naming their seeds.
    """
    wanted = adversarial.recipe.until_error
    last = {record.seed: record for record in records if record.phase == "adversarial"}
    missed = {
        seed: record.solution_error
        for seed, record in last.items()
        if wanted is not None and record.solution_error is not None and record.solution_error > wanted
    }
    if missed:
        worst = max(missed.values())
        seeds = ", ".join(str(seed) for seed in missed)
        warnings.warn(
            f"the random labels were learnt to an error of {worst:.3g} only, not {wanted:.3g} (seed {seeds}): "
            "give `adv_epochs=` more, or another `adv_lr=` or `adv_optimizer=`",
            stacklevel=2,
        )


def corrupt(data: Split, adversarial: Adversarial, *, classes: int, black: Tensor, generator: torch.Generator) -> Split:
    """Return copies of `data` with random labels and, in each image, a random fraction of the pixels black.

    A pixel of an image spans its channels; in a plain vector every entry is one.
    """
    copies = []
    for _ in range(adversarial.copies):
        flat = data.x.cpu().reshape(len(data.x), len(black), -1)
        places = flat.shape[2]
        zeroed = round(adversarial.zero_fraction * places)
        chosen = torch.rand(len(flat), places, generator=generator).argsort(dim=1)[:, :zeroed]
        mask = torch.zeros(len(flat), 1, places, dtype=torch.bool)
        mask[:, 0].scatter_(1, chosen, True)
        x = torch.where(mask, black.to(flat.dtype)[:, None], flat).reshape(data.x.shape)
        labels = torch.randint(classes, (len(flat),), generator=generator)
        copies.append(Split(x, labels))
    return Split(torch.cat([copy.x for copy in copies]), torch.cat([copy.y for copy in copies]))
