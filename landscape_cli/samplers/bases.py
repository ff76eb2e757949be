"""Random bases of subspaces: d vectors of norm 1 in a space of D weights (docs/method.md: Subspaces).

A basis is drawn over the weights in the order of the `state_dict`; a vector may hold them in another one, with gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

LARGEST = 2 << 30
"""Bytes up to which dense bases are made."""
Layout = Callable[[Tensor, float], Tensor]
"""Returns a vector with one number a weight as vectors hold them, the gaps filled with a number."""


class RandomBasis(Protocol):
    """The d columns of a matrix B."""

    @staticmethod
    def size_of(weights: int, dim: int) -> int:
        """Return how many bytes a basis takes."""

    @classmethod
    def draw(cls, weights: int, dim: int, source: torch.Generator, layout: Layout) -> Self:
        """Return a random basis.

        Args:
            weights: D.
            dim: d.
            source: what is drawn from.
            layout: how vectors hold the weights; columns are zero in the gaps.
        """

    def to(self, device: torch.device) -> Self:
        """Return the basis on a device."""

    def move(self, start: Tensor, z: Tensor, out: Tensor) -> None:
        """Write θ₀ + B z into `out`, of the shape of `start`, given the coordinates z, shape (d,)."""

    def project(self, vector: Tensor) -> Tensor:
        """Return Bᵀ v, shape (d,)."""


class DisjointBasis:
    """Columns that share no weight, and so are exactly orthogonal: each has ⌊D/d⌋ or ⌈D/d⌉ of them, with random signs.

    Kept is one whole number a weight: which of the 2 d numbers ±z/√size is added to it (in gaps one more, zero).
    """

    def __init__(self, places: Tensor, scales: Tensor) -> None:
        self._places, self._scales = places, scales

    @staticmethod
    def size_of(weights: int, dim: int) -> int:
        """Return how many bytes a basis takes."""
        return 8 * weights + 4 * dim

    @classmethod
    def draw(cls, weights: int, dim: int, source: torch.Generator, layout: Layout) -> Self:
        """Return a random permutation of the weights, cut into d pieces, and a sign for each weight."""
        size, larger = divmod(weights, dim)  # of pieces, the first of which have one weight more
        rank = torch.randperm(weights, generator=source)
        within = rank - larger * (size + 1)
        column = torch.where(within < 0, rank // (size + 1), larger + within // size)
        negative = torch.randint(2, (weights,), generator=source)
        sizes = torch.full((dim,), size, dtype=torch.float64)
        sizes[:larger] += 1
        return cls(layout(column + dim * negative, 2 * dim), sizes.rsqrt().float())

    def to(self, device: torch.device) -> Self:
        """Return the basis on a device."""
        return type(self)(self._places.to(device), self._scales.to(device))

    def move(self, start: Tensor, z: Tensor, out: Tensor) -> None:
        """Write θ₀ + B z."""
        change = z * self._scales
        table = torch.cat([change, -change, change.new_zeros(1)])
        torch.add(start, torch.index_select(table, 0, self._places, out=out), out=out)

    def project(self, vector: Tensor) -> Tensor:
        """Return Bᵀ v."""
        dim = len(self._scales)
        # On vectors `scatter_add_` does what `index_add_` does, in the same order, in 0.6 of the time.
        sums = vector.new_zeros(2 * dim + 1).scatter_add_(0, self._places, vector)
        return (sums[:dim] - sums[dim : 2 * dim]).mul_(self._scales)


class GaussianBasis:
    """Columns of independent normal numbers, each divided by its norm: 4 d bytes a weight."""

    def __init__(self, transposed: Tensor) -> None:
        self._transposed = transposed  # a column after the other: both products read it as it lies

    @staticmethod
    def size_of(weights: int, dim: int) -> int:
        """Return how many bytes a basis takes."""
        return 4 * weights * dim

    @classmethod
    def draw(cls, weights: int, dim: int, source: torch.Generator, layout: Layout) -> Self:
        """Return columns drawn one after another."""
        transposed = None
        for k in range(dim):
            drawn = torch.randn(weights, generator=source)
            column = layout(drawn.div_(drawn.norm()), 0.0)
            if transposed is None:
                transposed = column.new_empty(dim, len(column))
            transposed[k] = column
        assert transposed is not None
        return cls(transposed)

    def to(self, device: torch.device) -> Self:
        """Return the basis on a device."""
        return type(self)(self._transposed.to(device))

    def move(self, start: Tensor, z: Tensor, out: Tensor) -> None:
        """Write θ₀ + B z."""
        torch.add(start, z @ self._transposed, out=out)

    def project(self, vector: Tensor) -> Tensor:
        """Return Bᵀ v."""
        return self._transposed @ vector
