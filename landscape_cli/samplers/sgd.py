"""SGD: the baseline of the other samplers (SPEC 8)."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_cli.samplers.sampler import Sampler


@dataclass(frozen=True)
class SGD(Sampler):
    """Plain training by the recipe's optimiser: Nesterov SGD, or Adam."""

    summary = "Nesterov SGD"
