"""The directions in which a network is moved away from itself (docs/method.md: Angular width).

`choices.Direction` registers those that have names; a network to go towards is one more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.equivalence import cast_like
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.gradient import loss_gradient
from landscape_cli.geometry.turning import turn
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry

DRAWS, REFERENCE = 0, 1
"""Streams of random numbers: directions; the random network that says in which order units are."""


@dataclass(frozen=True, eq=False)
class Departure:
    """Where a network is moved from, and what directions may need to know.

    Attributes:
        params: the network, a representative in float64, on the evaluator's device.
        symmetry: of the network.
        evaluator: of the model.
        train: the split that the loss is of.
        owners: for every name of a parameter the first one it has.
        samples: how many directions are drawn.
        seed: of the draws.
        like: the network as given, on the same device: its types are those that networks are evaluated in.
    """

    params: Params
    symmetry: Symmetry
    evaluator: Evaluator
    train: str
    owners: Mapping[str, str]
    samples: int
    seed: int
    like: Params


class Direction(ABC):
    """A way to move a network away from itself: one profile of the error, or several.

    Attributes:
        turns: whether units turn, by angles; or else all weights are multiplied, by factors.
        passes: how many passes over the training set it takes to find it.
    """

    turns: ClassVar[bool] = True
    passes: ClassVar[int] = 0

    def __init__(self, name: str) -> None:
        """Keep the name that it is registered by, or the file that the network is of."""
        self.name = name

    def profiles(self) -> Sequence[str]:
        """Return the names of its profiles."""
        return [self.name]

    def draws(self, samples: int) -> int:
        """Return in how many directions each profile goes, where `samples` are asked for."""
        return 1

    @abstractmethod
    def along(self, start: Departure) -> Iterator[Mapping[str, Tensor]]:
        """Yield vectors along which to go, by tensor of weights, profile by profile and draw by draw."""

    def lost(self, network: str) -> str:
        """Return what is wrong where nothing can be moved, of a network that is called so."""
        return f"no unit of {network} has a {self.name} direction to turn in"

    def move(self, start: Departure, directions: Mapping[str, Tensor], strength: float) -> Mapping[str, Tensor]:
        """Return the network moved along the tangents of such vectors, by an angle in degrees, or by a factor."""
        return turn(start.params, directions, math.radians(strength), start.symmetry)


class RandomDirections(Direction):
    """For each sphere a uniform tangent direction, drawn anew for each draw, the same for every network of a model."""

    def draws(self, samples: int) -> int:
        """Return how many are asked for."""
        return samples

    def along(self, start: Departure) -> Iterator[Mapping[str, Tensor]]:
        """Yield standard normal numbers: draw k is the same however many are asked for."""
        names = [(name, start.owners.get(name, name)) for name in start.symmetry.weights]
        for k in range(start.samples):
            source = generator(start.seed, DRAWS, k)
            drawn = {
                owner: torch.randn(start.params[owner].shape, generator=source)
                for owner in dict.fromkeys(owner for _, owner in names)
            }
            yield {name: drawn[owner] for name, owner in names}


class GradientDirections(Direction):
    """Minus and plus the gradient of the training loss."""

    passes = 1

    def profiles(self) -> Sequence[str]:
        """Return their names."""
        return [f"-{self.name}", f"+{self.name}"]

    def along(self, start: Departure) -> Iterator[Mapping[str, Tensor]]:
        """Return both, found now: where networks are evaluated there are no gradients."""
        evaluator, network = start.evaluator, cast_like(start.params, start.like)
        if evaluator.recompute_on is not None:
            inputs = evaluator.splits[evaluator.recompute_on].x
            network = recompute_statistics(evaluator.model, network, inputs, advance=evaluator.advance)
        gradient = loss_gradient(evaluator, network, start.symmetry.weights, start.train)
        return iter([{name: sign * slope for name, slope in gradient.items()} for sign in (-1.0, 1.0)])


class Radius(Direction):
    """Towards the origin, and away from it: all weights are multiplied by a factor."""

    turns = False

    def along(self, start: Departure) -> Iterator[Mapping[str, Tensor]]:
        """Yield the weights."""
        yield {name: start.params[name] for name in start.symmetry.weights}

    def lost(self, network: str) -> str:
        """Say that there is nothing to multiply."""
        return f"all weights of {network} are 0"

    def move(self, start: Departure, directions: Mapping[str, Tensor], strength: float) -> Mapping[str, Tensor]:
        """Return the network with its weights multiplied."""
        return dict(start.params) | {name: strength * weight for name, weight in directions.items()}


class TowardsNetwork(Direction):
    """Towards another network, on the great circles that lead there."""

    def __init__(self, name: str, network: Params) -> None:
        """Keep the network, which has been aligned."""
        super().__init__(name)
        self._network = network

    def along(self, start: Departure) -> Iterator[Mapping[str, Tensor]]:
        """Yield the other network's weights."""
        yield {name: self._network[name] for name in start.symmetry.weights}

    def lost(self, network: str) -> str:
        """Say that the other network lies in no direction, as where it is the same."""
        return f"no direction leads from {network} to {self.name}"
