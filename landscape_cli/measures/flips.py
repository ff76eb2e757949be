"""Signs of binary weights flipped at random; nothing here imports torch before there is something to draw.

See docs/method.md: Flatness.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from landscape_cli.measures.perturbation import WeightPerturbation, listed_numbers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from landscape_cli.network import Params


class SignFlips(WeightPerturbation):
    """Every sign flipped with probability p: what a smaller p flips, a larger one flips too."""

    help = "Binary networks: probabilities with which each sign is flipped, separated by commas."
    label = "probability of a flip"
    default = (0.01, 0.02, 0.05, 0.1)
    binary = True

    def draw(self, tensor: Tensor, generator: torch.Generator) -> Tensor:
        """Return uniform numbers in [0, 1), float32."""
        import torch

        return torch.rand(tensor.shape, generator=generator)

    def perturb(self, tensor: Tensor, drawn: Tensor, strength: float) -> Tensor:
        """Return latent weights whose sign is flipped where the number drawn is less than the probability."""
        import torch

        return torch.where(drawn < strength, -tensor, tensor)

    def misfit(self, path: str) -> str:
        """Return why continuous networks are not perturbed so."""
        return f"`{self.name}=` is for binary networks, and {path} is not"

    def prepare(self, params: Params, names: Iterable[str]) -> Params:
        """Return the network without latent weights of zero, whose negative would be the same."""
        from landscape_cli.binary.layers import without_zeros

        return without_zeros(params, names)

    def is_strength(self, strength: float) -> bool:
        """Tell whether a number is a probability."""
        return 0 <= strength <= 1

    @property
    def strengths_in_words(self) -> str:
        """What its strengths must be."""
        return f"probabilities from 0 to 1, as in {listed_numbers(self.default)}"


class ExactFlips(SignFlips):
    """A fraction p of all signs flipped, to the nearest whole number: what a smaller p flips, a larger one does too."""

    help = "Binary networks: fractions of all signs, that many of which are flipped."
    label = "fraction of signs flipped"

    def draw_all(self, tensors: Params, generator: torch.Generator) -> Params:
        """Return each weight's place in one random order of all, as a number in (0, 1), float64."""
        import torch

        sizes = [tensor.numel() for tensor in tensors.values()]
        places = (torch.randperm(sum(sizes), generator=generator).double() + 0.5) / sum(sizes)
        parts = places.split(sizes)
        return {name: part.view(t.shape) for part, (name, t) in zip(parts, tensors.items(), strict=True)}
