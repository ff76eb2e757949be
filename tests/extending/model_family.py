"""A network of maxima, registered in `models/registry.py`: `"maxout": "tests.extending.model_family:maxout"`."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from landscape_cli.errors import ModelError


class Maxout(nn.Module):
    """One hidden layer of units that take the largest of several sums (Goodfellow et al., 2013)."""

    def __init__(self, inputs: int, outputs: int, hidden: int, pieces: int) -> None:
        super().__init__()
        self.pieces = nn.ModuleList(nn.Linear(inputs, hidden) for _ in range(pieces))
        self.out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (n, outputs)."""
        largest = self.pieces[0](x.flatten(1))
        for piece in self.pieces[1:]:
            largest = largest.maximum(piece(x.flatten(1)))
        return self.out(largest)


def maxout(input_shape: tuple[int, ...], outputs: int, *, hidden: int = 16, pieces: int = 2) -> nn.Module:
    """Return a network of so many hidden units, for inputs of any shape.

    Raises:
        ModelError: if there is no unit, or nothing to take the largest of.
    """
    if min(hidden, pieces) < 1:
        raise ModelError(f"maxout needs positive numbers of units and pieces, not {hidden} and {pieces}")
    return Maxout(prod(input_shape), outputs, hidden, pieces)
