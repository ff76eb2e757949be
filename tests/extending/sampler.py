"""A sampler: in the package it would be `landscape_cli/samplers/signum.py`, and this line of `Algorithm`.

SIGNUM = "signum", "landscape_cli.samplers.signum:Signum"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.sampler import Sampler

if TYPE_CHECKING:  # torch is imported in function bodies only: --help does without
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.recipe import Recipe
    from landscape_cli.samplers.stack import Stack


@dataclass(frozen=True)
class Signum(Sampler):
    """Every weight moves by the learning rate, against the sign of its mean gradient (Bernstein et al., 2018).

    Attributes:
        memory: the weight of the past in the mean.

    Raises:
        TrainingError: if it lies outside [0, 1).
    """

    summary = "steps of the sign of the mean gradient"  # for --help
    momentum = 0.0  # of the optimiser, where the recipe says nothing
    uses_gradients = True

    memory: float = option(0.9, "Weight of past gradients in the mean.", name="signum_memory")

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise TrainingError(f"the memory of Signum must be at least 0 and below 1, and is {self.memory}")

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Begin with means of zero; what is returned here is saved and restored with the state of training."""
        return {"mean": stack.weights * 0}

    def step(self, context: StepContext) -> None:
        """Put the sign of the mean in the place of the gradient, and let the optimiser move."""
        context.clear()
        context.backward()
        gradients, mean = context.stack.gradients, context.state["mean"]
        mean.lerp_(gradients, 1 - self.memory)
        gradients.copy_(mean.sign())
        context.update()
