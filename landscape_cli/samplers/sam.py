"""SAM: sharpness-aware minimisation (Foret et al., 2021), which seeks flat minima."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_settings
from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.stack import Stack


@dataclass(frozen=True)
class SAM(Sampler):
    """Descend along the gradient at the worst point nearby (Foret et al., 2021, algorithm 1).

    That point is θ + ρ g/|g|, with g the gradient on the same mini-batch. Running statistics are those at θ.

        [solution] = train(spec, data, SAM(rho=0.05), seeds=[1])

    Attributes:
        rho: ρ, the distance to the point whose gradient is taken.

    Raises:
        TrainingError: if ρ is negative.
    """

    summary = "sharpness-aware minimization"
    uses_gradients = True

    rho: float = option(0.05, "ρ, how far to climb first.", name="sam_rho")

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        if not (math.isfinite(self.rho) and self.rho >= 0):
            raise TrainingError(f"ρ of SAM must not be negative, and is {self.rho}")

    def metric(self, stack: Stack) -> Tensor:
        """Return by what each weight's climb is measured, so that it broadcasts to the stack's weights."""
        return stack.weights.new_ones(len(stack.networks), 1)

    def step(self, context: StepContext) -> None:
        """Climb, take the gradient, come back, descend."""
        import torch

        context.clear()
        context.backward()
        weights = context.stack.weights
        home = weights.clone()
        metric = self.metric(context.stack)
        for k in context.indices:  # a row at a time, whose sum does not depend on how many there are
            gradient = context.stack.gradients[k] * metric[k]
            length = gradient.norm().clamp_min_(torch.finfo(torch.float32).tiny)
            weights[k].addcmul_(gradient * metric[k], self.rho / length)
        context.clear()
        context.backward(again=True)
        weights.copy_(home)
        context.update()
