"""ASAM: adaptive sharpness-aware minimisation (Kwon et al., 2021), which rescaling units leaves alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape_cli.errors import TrainingError
from landscape_cli.samplers.options import option
from landscape_cli.samplers.sam import SAM

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.samplers.stack import Stack


@dataclass(frozen=True)
class ASAM(SAM):
    """Descend along the gradient at the worst point nearby, as far as weights are large (Kwon et al., 2021).

    That point is θ + ρ T²g/|T g|, with g the gradient on the same mini-batch and T the diagonal matrix of |θ| + η for
    weights, gains of norm layers among them, and of 1 for biases and all else.

        [solution] = train(spec, data, ASAM(rho=0.5), seeds=[1])

    Attributes:
        rho: ρ, the distance to the point whose gradient is taken, in units of T.
        eta: η, which lets weights of zero climb too.

    Raises:
        TrainingError: if a setting is negative.
    """

    summary = "adaptive sharpness-aware minimization"

    rho: float = option(0.5, "ρ, how far to climb first.", name="sam_rho")
    eta: float = option(0.01, "η, added to the size of each weight.", name="asam_eta")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.eta) and self.eta >= 0):
            raise TrainingError(f"η of ASAM must not be negative, and is {self.eta}")

    def metric(self, stack: Stack) -> Tensor:
        """Return T, shape (networks, entries); as in the source, weights are what is named so."""
        metric = stack.weights.new_ones(stack.weights.shape)
        sizes = stack.views(stack.weights)
        for name, view in stack.views(metric).items():
            if "weight" in name:
                view.copy_(sizes[name].abs() + self.eta)
        return metric
