"""ADV: SGD from an adversarial initialisation (Liu et al., 2020), which ends in sharp minima.

See docs/method.md: Samplers.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_memory, check_settings
from landscape_cli.choices import Optimizer, Zeroed, check_choice
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.sampler import Phase, Sampler

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.records import EpochRecord

FIRST = "adversarial"
"""The phase that learns random labels."""


@dataclass(frozen=True)
class Adversarial(Sampler):
    """Random labels are learnt first, the true ones from there, by plain SGD without momentum (Liu et al., 2020).

    The first phase trains on batches of the recipe's size, in its precision.

        [solution] = train(spec, data, Adversarial(adv_epochs=100), seeds=[1])  # data: a DataSet, or pass `black=`

    Attributes:
        copies: R, how many corrupted copies of the training set.
        zero_fraction: the fraction of each image's pixels that are zeroed.
        zeroed: what these are: "pixels", which span the channels, or "entries", each channel's for itself.
        adv_epochs: of the first phase, at most.
        adv_optimizer: of the first phase; None for SGD, or Adam for binary networks.
        adv_lr: the learning rate of the first phase; None for its optimiser's usual one.
        adv_until_error: the training error at which random labels are learnt.

    Raises:
        TrainingError: if a setting is impossible.
    """

    summary = "from random labels (sharp minima)"
    momentum = 0.0

    copies: int = option(1, "Copies of the data with random labels.", name="adv_copies")
    zero_fraction: float = option(0.1, "Pixels zeroed in a copy.", name="adv_zero_fraction")
    zeroed: str = option(
        Zeroed.PIXELS,
        "What is zeroed: pixels in all channels, or entries one by one.",
        name="adv_zeroed",
        choices=Zeroed,
    )
    adv_epochs: int = option(200, "Epochs on random labels, at most.")
    adv_optimizer: str | None = option(
        None, "Optimiser on random labels.", shown="sgd; binary: adam", choices=Optimizer
    )
    adv_lr: float | None = option(
        None, "Learning rate on random labels.", shown="0.02, adam 0.001; binary: 0.05, sgd 20"
    )
    adv_until_error: float = option(1e-4, "Error at which random labels are learnt.")

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if self.copies < 1:
            raise TrainingError("ADV needs at least 1 corrupted copy of the training set")
        if not 0 <= self.zero_fraction <= 1:
            raise TrainingError(f"the fraction of pixels to zero must lie in [0, 1], and is {self.zero_fraction}")
        check_choice("`adv_zeroed=`", self.zeroed, Zeroed, TrainingError)
        self.first_recipe(Recipe(), binary=False)

    def first_recipe(self, recipe: Recipe, *, binary: bool) -> Recipe:
        """Return how random labels are learnt, where true ones are by `recipe`.

        Raises:
            TrainingError: if a setting is impossible.
        """
        usual = Optimizer.ADAM if binary else Optimizer.SGD  # by SGD binary networks hardly learn random labels
        first = Recipe(
            self.adv_epochs,
            self.adv_lr,
            batch_size=recipe.batch_size,
            until_error=self.adv_until_error,
            optimizer=self.adv_optimizer or usual,
            precision=recipe.precision,
        )
        return first.with_defaults(binary=binary)

    def phases(self, recipe: Recipe, *, binary: bool) -> tuple[Phase, ...]:
        """Return the fit to random labels, and the training proper."""
        return Phase(FIRST, self.first_recipe(recipe, binary=binary)), Phase("train", recipe)

    def training_set(
        self, phase: str, data: Split, *, classes: int, black: Tensor | None, generator: torch.Generator
    ) -> Split:
        """Return what a run trains on: corrupted copies first.

        Raises:
            TrainingError: if it is not known what a black pixel is.
        """
        if phase != FIRST:
            return data
        if black is None:
            raise TrainingError("zeroed pixels need their standardised value: pass `black=`, or a DataSet")
        return corrupt(data, self, classes=classes, black=black, generator=generator)

    def end_phase(self, phase: Phase, records: Sequence[EpochRecord], context: StepContext) -> None:
        """Warn of runs that did not learn the random labels as well as asked.

        Warns:
            UserWarning: naming their seeds.
        """
        if phase.name != FIRST:
            return
        wanted = self.adv_until_error
        last = {record.seed: record for record in records if record.phase == FIRST}
        missed = {
            seed: record.solution_error
            for seed, record in last.items()
            if record.solution_error is not None and record.solution_error > wanted
        }
        if missed:
            worst = max(missed.values())
            seeds = ", ".join(str(seed) for seed in missed)
            warnings.warn(
                f"the random labels were learnt to an error of {worst:.3g} only, not {wanted:.3g} (seed {seeds}): "
                "give `adv_epochs=` more, or another `adv_lr=` or `adv_optimizer=`",
                stacklevel=2,
            )


def corrupt(data: Split, settings: Adversarial, *, classes: int, black: Tensor, generator: torch.Generator) -> Split:
    """Return copies of `data` with random targets and, in each image, a random fraction of the pixels black.

    A pixel of an image spans its channels, if entries are not zeroed one by one; in a plain vector every entry is one.
    """
    import torch

    size = settings.copies * data.x.numel() * data.x.element_size() * 2  # twice: as parts, and put together
    check_memory(f"{settings.copies:,} copies of the data: lower `adv_copies=`", size, TrainingError)
    is_table = data.x.ndim == 2
    levels = (black[None] if is_table else black[:, None]).to(data.x.dtype)
    channels = 1 if is_table else data.x.shape[1]
    masks = channels if settings.zeroed == Zeroed.ENTRIES else 1
    inputs, targets = [], []
    for _ in range(settings.copies):
        flat = data.x.cpu().reshape(len(data.x), channels, -1)
        places = masks * flat.shape[2]
        zeroed = round(settings.zero_fraction * places)
        chosen = torch.rand(len(flat), places, generator=generator).argsort(dim=1)[:, :zeroed]
        mask = torch.zeros(len(flat), places, dtype=torch.bool).scatter_(1, chosen, True)
        inputs.append(torch.where(mask.view(len(flat), masks, -1), levels, flat).reshape(data.x.shape))
        targets.append(data.objective.random_targets(data.y, classes, generator))
    return replace(data, x=torch.cat(inputs), y=torch.cat(targets))
