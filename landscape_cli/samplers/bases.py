"""Random bases of subspaces: d vectors of norm 1 in a space of D weights (docs/method.md: Subspaces).

A basis is drawn over the weights in the order of the `state_dict`; a vector may hold them in another one, with gaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

LARGEST = 2 << 30
"""Bytes up to which dense bases are made."""


class RandomBasis(Protocol):
    """The d columns of a matrix B."""

    @staticmethod
    def size_of(weights: int, dim: int) -> int:
        """Return how many bytes a basis takes."""

    @classmethod
    def draw(cls, dim: int, places: Tensor, size: int, source: torch.Generator) -> Self:
        """Return a random basis.

        Args:
            dim: d.
            places: for each weight, where it lies in a vector, shape (weights,), int64, on the CPU.
            size: of that vector; what is no weight's place is zero in every column.
            source: what is drawn from.
        """

    def to(self, device: torch.device) -> Self:
        """Return the basis on a device."""

    def move(self, start: Tensor, z: Tensor, out: Tensor) -> None:
        """Write θ₀ + B z into `out`, shape (size,) as `start` has, of the coordinates z, shape (d,)."""

    def project(self, vector: Tensor) -> Tensor:
        """Return Bᵀ v, shape (d,), of a vector of shape (size,)."""


class DisjointBasis:
    """Columns that share no weight, and so are exactly orthogonal: each has ⌊D/d⌋ or ⌈D/d⌉ of them, with random signs.

    12 bytes a weight, whatever d is.
    """

    def __init__(self, dim: int, columns: Tensor, entries: Tensor) -> None:
        self._dim, self._columns, self._entries = dim, columns, entries

    @staticmethod
    def size_of(weights: int, dim: int) -> int:
        """Return how many bytes a basis takes."""
        return 12 * weights

    @classmethod
    def draw(cls, dim: int, places: Tensor, size: int, source: torch.Generator) -> Self:
        """Return a random permutation of the weights, cut into d pieces, and a sign for each weight."""
        weights = len(places)
        order = torch.randperm(weights, generator=source)
        signs = torch.randint(2, (weights,), generator=source) * 2.0 - 1
        lengths = torch.full((dim,), weights // dim)
        lengths[: weights % dim] += 1
        columns, entries = torch.zeros(size, dtype=torch.int64), torch.zeros(size)
        shuffled, column = places[order], torch.arange(dim).repeat_interleave(lengths)
        columns[shuffled] = column
        entries[shuffled] = signs.mul_(lengths.double().rsqrt().float()[column])
        return cls(dim, columns, entries)

    def to(self, device: torch.device) -> Self:
        """Return the basis on a device."""
        return type(self)(self._dim, self._columns.to(device), self._entries.to(device))

    def move(self, start: Tensor, z: Tensor, out: Tensor) -> None:
        """Write θ₀ + B z."""
        torch.addcmul(start, torch.index_select(z, 0, self._columns, out=out), self._entries, out=out)

    def project(self, vector: Tensor) -> Tensor:
        """Return Bᵀ v."""
        # On vectors `scatter_add_` does what `index_add_` does, in the same order, in 0.6 of the time.
        return vector.new_zeros(self._dim).scatter_add_(0, self._columns, vector * self._entries)


class GaussianBasis:
    """Columns of independent normal numbers, each divided by its norm: 4 d bytes a weight."""

    def __init__(self, transposed: Tensor) -> None:
        self._transposed = transposed  # a column after the other: both products read it as it lies

    @staticmethod
    def size_of(weights: int, dim: int) -> int:
        """Return how many bytes a basis takes."""
        return 4 * weights * dim

    @classmethod
    def draw(cls, dim: int, places: Tensor, size: int, source: torch.Generator) -> Self:
        """Return columns drawn one after another."""
        transposed = torch.zeros(dim, size)
        for row in transposed:
            column = torch.randn(len(places), generator=source)
            row[places] = column / column.norm()
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
