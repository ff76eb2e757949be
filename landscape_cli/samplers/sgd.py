"""SGD: the baseline of the other samplers (docs/method.md: Samplers)."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_cli.samplers.sampler import Sampler


@dataclass(frozen=True)
class SGD(Sampler):
    """Plain training by the recipe's optimiser: Nesterov SGD, or Adam.

    [solution] = train(spec, data, SGD(), recipe=Recipe(epochs=50), seeds=[1])
    """

    summary = "Nesterov SGD"
