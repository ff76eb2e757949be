"""Distances in weights between two networks, one class each; `choices.Metric` registers them.

See docs/method.md: Geodesics and distances.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from landscape_cli.geometry.geodesic import AngularDistance, angular_distance
from landscape_cli.geometry.gram import gram, sign_products
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
        computed: what functions of the pair return, as far as it is known.
    """

    a: Params
    b: Params
    symmetry: Symmetry | None
    latents: Latents
    all_parameters: bool = False
    computed: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, compute: Callable[[NetworkPair], T]) -> T:
        """Return what a function of this pair returns, calling it for the first of several distances alone."""
        if compute not in self.computed:
            self.computed[compute] = compute(self)
        result: T = self.computed[compute]
        return result

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all that is learned by continuous networks, each tensor once."""
        assert self.symmetry is not None
        return self.symmetry.parameters

    @property
    def compared(self) -> tuple[str, ...]:
        """The names of the weights of continuous networks, or of all that is learned, each tensor once."""
        assert self.symmetry is not None
        return _counted(self.symmetry, all_parameters=self.all_parameters)


def _counted(symmetry: Symmetry, *, all_parameters: bool) -> tuple[str, ...]:
    weights = set(symmetry.weights)
    return tuple(name for name in symmetry.parameters if all_parameters or not weights or name in weights)


MANY = 4
"""From so many networks on, what the distances of all pairs follow from is computed at once."""


class AllPairs:
    """What distances in weights follow from, of all pairs of many networks at once."""

    def __init__(
        self,
        networks: Sequence[Params],
        symmetry: Symmetry | None,
        latents: Latents,
        *,
        all_parameters: bool = False,
        angles: bool,
    ) -> None:
        """Compute it: of binary networks products of signs, of others those of weights, and with `angles` angles.

        The rest is as `NetworkPair` has it.

        Raises:
            GeometryError: if the networks do not have the same tensors, or binary ones have other weights too.
        """
        self._binary = bool(latents)
        if latents:
            for network in networks[1:]:
                hamming(networks[0], network, latents)  # which checks them
            products, self._weights = sign_products(networks, list(dict.fromkeys(latents.values())))
            self._flips = ((self._weights - products) / 2).long().tolist()
            return
        assert symmetry is not None
        spheres = [sphere for sphere in symmetry.spheres if angles and sphere.tensor in set(symmetry.parameters)]
        table = gram(networks, _counted(symmetry, all_parameters=all_parameters), spheres)
        self._dots, self._differences = table.dots.tolist(), table.differences.tolist()
        self._squared, self._angles = table.squared.tolist(), table.angles.tolist()
        self._told = table.askew.tolist() if angles else None

    def of(self, i: int, j: int) -> dict[Callable[..., Any], Any]:
        """Return what two networks' distances need not compute; what is too small to follow from products is left out.

        Args:
            i: which network is the first.
            j: which is the second.
        """
        if self._binary:
            return {_signs: Hamming(self._flips[i][j], self._weights)}
        known: dict[Callable[..., Any], Any] = {}
        difference = self._differences[i][j]
        if not math.isnan(difference):
            known[_products] = _Products(difference, self._dots[i][j], self._dots[i][i], self._dots[j][j])
        if self._told is not None and self._told[i][j]:
            known[_angular] = AngularDistance(math.sqrt(self._squared[i][j]), math.sqrt(self._angles[i][j]))
        return known


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
    for name in pair.compared:
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
