"""Multiplicative noise on weights; nothing here imports torch before there is something to draw.

See docs/method.md: Flatness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landscape_cli.measures.perturbation import WeightPerturbation

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class MultiplicativeNoise(WeightPerturbation):
    """θ + σ z ⊙ θ with z ~ N(0, 1) for each weight; it commutes with rescaling units."""

    help = "Strengths of the noise, separated by commas."
    label = "σ"
    default = (0.1, 0.2, 0.3, 0.4, 0.5)

    def draw(self, tensor: Tensor, generator: torch.Generator) -> Tensor:
        """Return z, float32."""
        import torch

        return torch.randn(tensor.shape, generator=generator)

    def perturb(self, tensor: Tensor, drawn: Tensor, strength: float) -> Tensor:
        """Return θ + σ z ⊙ θ."""
        return tensor + strength * self.direction(tensor, drawn)

    def direction(self, tensor: Tensor, drawn: Tensor) -> Tensor:
        """Return z ⊙ θ."""
        return drawn.to(tensor.dtype) * tensor

    def misfit(self, path: str) -> str:
        """Return why binary networks are not perturbed so."""
        return f"{path} is binary, which noise on its weights makes no sense for"
