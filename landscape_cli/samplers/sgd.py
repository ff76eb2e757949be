"""SGD: the baseline of the other samplers (docs/method.md: Samplers)."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_cli.samplers.sampler import Sampler


@dataclass(frozen=True)
class SGD(Sampler):
    """Plain training by the recipe's optimiser: Nesterov SGD, or Adam."""

    summary = "Nesterov SGD"
