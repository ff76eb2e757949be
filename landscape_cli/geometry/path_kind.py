"""What a kind of paths says of itself: each is a class in a file of its own, which `choices.Kind` names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from landscape_cli.errors import GeometryError
from landscape_cli.geometry.barrier import even_steps

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry


class PathKind(ABC):
    """Paths of one kind between networks of one model.

    Attributes:
        binary: whether they lead between binary networks; others lead between continuous ones.
        needs_symmetry: whether the symmetry of the networks goes into them.
        needs_normalized: whether both ends must be normalised, and what is trained between them again.
        random: whether they are drawn at random, and walked in several orders.
        model: the architecture.
        symmetry: of all networks, if it is known.
        orders: how many paths there are between two networks; 1 where they are not random.
        seed: of what is random.
    """

    binary: ClassVar[bool] = False
    needs_symmetry: ClassVar[bool] = False
    needs_normalized: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def __init__(self, model: nn.Module, symmetry: Symmetry | None = None, *, orders: int = 1, seed: int = 0) -> None:
        """Take note of what the paths are made from.

        Raises:
            GeometryError: if they are made from a symmetry, and none is given.
        """
        if self.needs_symmetry and symmetry is None:
            raise GeometryError("this path follows from the symmetry of the networks: give it as `symmetry=`")
        self.model, self.symmetry, self.seed = model, symmetry, seed
        self.orders = orders if self.random else 1

    @abstractmethod
    def inner(self, start: Params, end: Params, points: int) -> Iterator[Params]:
        """Yield the networks between two that are measured on paths of so many points, order by order."""

    @abstractmethod
    def at(self, start: Params, end: Params, tau: float) -> Params:
        """Return the network at τ, from 0 at the start to 1 at the end; of random paths, on the first."""

    @abstractmethod
    def middle(self, start: Params, end: Params) -> Params:
        """Return the network half-way between two, from which a midpoint is trained."""

    def counts(self, start: Params, end: Params, points: int) -> dict[str, list[int]]:
        """Return what else is reported of every point, by name: counts from the start, such as flips of signs."""
        return {}


class ParametricPath(PathKind):
    """Paths that are a function of τ, beyond their ends, too: one between two networks, its points evenly spaced."""

    def inner(self, start: Params, end: Params, points: int) -> Iterator[Params]:
        """Yield the networks at all τ but 0 and 1."""
        yield from self.along(start, end, even_steps(points)[1:-1])

    def along(self, start: Params, end: Params, taus: Sequence[float]) -> Iterator[Params]:
        """Yield the networks at some τ."""
        for tau in taus:
            yield self.at(start, end, tau)

    def middle(self, start: Params, end: Params) -> Params:
        """Return the network at τ = 1/2."""
        return self.at(start, end, 0.5)
