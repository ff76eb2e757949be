"""Additive noise in units of a tensor's own size: `ADD = "add", "tests.extending.flatness_measure:AdditiveNoise"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape_cli.measures.perturbation import WeightPerturbation

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class AdditiveNoise(WeightPerturbation):
    """θ + α r z with z ~ N(0, 1) for each weight, r the root mean square of its tensor."""

    help = "Strengths of additive noise, relative to each tensor's root mean square, separated by commas."
    label = "α"
    default = (0.05, 0.1, 0.2)

    def draw(self, tensor: Tensor, generator: torch.Generator) -> Tensor:
        """Return z, float32."""
        import torch  # not above: `--help` reads this file, and is to be quick

        return torch.randn(tensor.shape, generator=generator)

    def perturb(self, tensor: Tensor, drawn: Tensor, strength: float) -> Tensor:
        """Return θ + α r z."""
        return tensor + strength * tensor.square().mean().sqrt() * drawn.to(tensor.dtype)

    def misfit(self, path: str) -> str:
        """Return why binary networks are not perturbed so."""
        return f"{path} is binary, and noise moves no signs"
