"""Distances in weights between two networks, one class each; `choices.Metric` registers them.

See docs/method.md: Geodesics and distances.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from landscape_cli.geometry.geodesic import AngularDistance, angular_distance
from landscape_cli.geometry.hamming import Hamming, Latents, hamming
from landscape_cli.geometry.linear import check_alike
from landscape_cli.io.results import finite
from landscape_cli.network import Params

if TYPE_CHECKING:
    from landscape_cli.symmetry import Symmetry

T = TypeVar("T")


@dataclass(frozen=True)
class Distance:
    """How far apart two networks are, in several ways; each is an attribute as well: `distance(...).geodesic`.

    Attributes:
        values: the distances by the names in `choices.Metric`; None where there is none.
    """

    values: Mapping[str, float | None]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "values":  # while it is being copied
            raise AttributeError(name)
        if name not in self.values:
            raise AttributeError(f"there is no distance {name!r} between these networks: use {', '.join(self.values)}")
        return self.values[name]

    def to_dict(self) -> dict[str, float | None]:
        """Return the distances as JSON values; None for what is not a number."""
        return dict(finite(self.values))


@dataclass(frozen=True)
class NetworkPair:
    """Two networks of one model, and what distances computed together share.

    Attributes:
        a: one network.
        b: the other.
        symmetry: of both; binary networks do without.
        latents: of binary networks, the names of their latent weights, and their owners; empty for continuous ones.
        all_parameters: whether biases, gains and all else that is learned counts, where parameter vectors are compared.
    """

    a: Params
    b: Params
    symmetry: Symmetry | None
    latents: Latents
    all_parameters: bool = False
    _computed: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, compute: Callable[[NetworkPair], T]) -> T:
        """Return what a function of this pair returns, calling it for the first of several distances alone."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        result: T = self._computed[compute]
        return result

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the weights of continuous networks, or of all that is learned, each tensor once."""
        assert self.symmetry is not None
        learned = self.symmetry.parameters
        weights = set(self.symmetry.weights)
        return tuple(name for name in learned if self.all_parameters or not weights or name in weights)


class WeightDistance(ABC):
    """A distance in weights: between which networks it is defined, and what it is.

    Attributes:
        continuous: whether continuous networks have it.
        binary: whether binary networks have it.
        normalized: whether networks must be normalised.
        itself: the distance of a network to itself.
    """

    continuous: ClassVar[bool] = True
    binary: ClassVar[bool] = False
    normalized: ClassVar[bool] = False
    itself: ClassVar[float] = 0.0

    @abstractmethod
    def between(self, pair: NetworkPair) -> float:
        """Return the distance, computed in float64."""


class Geodesic(WeightDistance):
    """The length of the geodesic, the root of the sum over spheres of (radius × angle)²."""

    normalized = True

    def between(self, pair: NetworkPair) -> float:
        """Return the distance."""
        return pair.once(_angular).geodesic


class RmsAngle(WeightDistance):
    """The root mean square over spheres of the angle, in radians."""

    normalized = True

    def between(self, pair: NetworkPair) -> float:
        """Return the angle."""
        return pair.once(_angular).rms_angle


class Euclidean(WeightDistance):
    """The Euclidean distance of the vectors of weights."""

    def between(self, pair: NetworkPair) -> float:
        """Return the distance."""
        return math.sqrt(pair.once(_products).difference)


class Cosine(WeightDistance):
    """The cosine between the vectors of weights; of binary networks between the vectors of signs."""

    binary = True
    itself = 1.0

    def between(self, pair: NetworkPair) -> float:
        """Return the cosine, in [-1, 1]; 0 where a network is zero."""
        if pair.latents:
            return pair.once(_signs).cosine
        products = pair.once(_products)
        norm = math.sqrt(products.square_a) * math.sqrt(products.square_b)
        return max(-1.0, min(1.0, products.dot / norm)) if norm > 0 else 0.0


class HammingDistance(WeightDistance):
    """The Hamming distance: how many signs differ."""

    continuous, binary = False, True
    itself = 0

    def between(self, pair: NetworkPair) -> float:
        """Return the number of signs."""
        return pair.once(_signs).flips


class HammingFraction(WeightDistance):
    """The fraction of the signs that differ."""

    continuous, binary = False, True

    def between(self, pair: NetworkPair) -> float:
        """Return the fraction."""
        return pair.once(_signs).fraction


class _Products(NamedTuple):
    """The inner products of two parameter vectors, and of their difference with itself."""

    difference: float
    dot: float
    square_a: float
    square_b: float


def _products(pair: NetworkPair) -> _Products:
    check_alike(pair.a, pair.b)
    difference = dot = square_a = square_b = 0.0
    for name in pair.parameters:
        x, y = pair.a[name].double(), pair.b[name].double()
        difference += float((x - y).square().sum())
        dot += float((x * y).sum())
        square_a += float(x.square().sum())
        square_b += float(y.square().sum())
    return _Products(difference, dot, square_a, square_b)


def _angular(pair: NetworkPair) -> AngularDistance:
    assert pair.symmetry is not None
    return angular_distance(pair.a, pair.b, pair.symmetry)


def _signs(pair: NetworkPair) -> Hamming:
    return hamming(pair.a, pair.b, pair.latents)
