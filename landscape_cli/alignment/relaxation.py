"""What a relaxation of permutations says of itself: each is a class in a file of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.signs import Gains
from landscape_cli.network import Params


class PermutationRelaxation(ABC):
    """Permutations of a network that can be learned by gradients, from a matching on.

    Attributes:
        reference: the network on the other end of the path.
        network: the one that is permuted, as it was; both in the type and on the device to compute in.
        start: the matching to start from.
        gains: the signs of both networks' gains.
        learning: how to learn.
    """

    def __init__(
        self, reference: Params, network: Params, start: UnitMatching, gains: Gains, learning: Learning
    ) -> None:
        """Take note of where to start."""
        self.reference, self.network, self.start = reference, network, start
        self.gains, self.learning = gains, learning

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """Return what is learned: leaves that require gradients."""

    @abstractmethod
    def permuted(self) -> Params:
        """Return the network permuted as it is learned so far, differentiable by the parameters."""

    @abstractmethod
    def matching(self) -> UnitMatching:
        """Return the permutations, and signs, that are closest to what is learned so far."""
