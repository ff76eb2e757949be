"""Random shortest paths between binary networks, as a kind of paths (docs/method.md: Binary networks)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor, nn

from landscape_cli.binary.layers import latent_owners
from landscape_cli.geometry.hamming import flips_at, hamming, midpoint, planned_flips, random_path
from landscape_cli.geometry.path_kind import PathKind

if TYPE_CHECKING:
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry


class ShortestPath(PathKind):
    """Random paths on which the signs that differ flip one by one, walked in several orders."""

    binary = True
    random = True

    def __init__(self, model: nn.Module, symmetry: Symmetry | None = None, *, orders: int = 1, seed: int = 0) -> None:
        """Take note of the latents."""
        super().__init__(model, symmetry, orders=orders, seed=seed)
        self._latents = latent_owners(model)

    def inner(self, start: Params, end: Params, points: int) -> Iterator[Params]:
        """Yield networks of signs, order by order."""
        flips = self.counts(start, end, points)["flips"][1:-1]
        for order in range(self.orders):
            yield from random_path(start, end, self._latents, flips, seed=self.seed, order=order)

    def at(self, start: Params, end: Params, tau: float) -> Params:
        """Return the network of signs after τ times as many flips as there are, in the first order; ends as given."""
        if tau in {0.0, 1.0}:
            return start if tau == 0.0 else end
        flips = flips_at(tau, hamming(start, end, self._latents).flips)
        return next(random_path(start, end, self._latents, [flips], seed=self.seed, order=0))

    def middle(self, start: Params, end: Params) -> dict[str, Tensor]:
        """Return a network at equal Hamming distance from both, with latents to train."""
        return midpoint(start, end, self._latents, seed=self.seed)

    def counts(self, start: Params, end: Params, points: int) -> dict[str, list[int]]:
        """Return after how many flips each point lies."""
        return {"flips": planned_flips(hamming(start, end, self._latents).flips, points)}
