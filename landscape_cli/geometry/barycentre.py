"""Weighted means of networks, straight or on their spheres (docs/method.md: Geodesics and distances)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_number
from landscape_cli.errors import GeometryError, LandscapeWarning
from landscape_cli.geometry.geodesic import SMALL_ANGLE, from_sphere_rows, geodesic, sphere_rows
from landscape_cli.geometry.linear import check_alike, linear
from landscape_cli.network import Params
from landscape_cli.symmetry import Sphere, Symmetry, burn_in
from landscape_cli.symmetry.checks import check_symmetry

ROUNDS = 50
TOLERANCE = 1e-12
SUM = 1e-9
"""How far from 1 weights may add up to."""
INDEPENDENT = 1e-6
"""The smallest eigenvalue of unit vectors' products from which on they are independent, so in an open half sphere."""


def barycentre(
    networks: Sequence[Params], weights: Sequence[float] | None = None, symmetry: Symmetry | None = None
) -> dict[str, Tensor]:
    """Return the weighted mean of networks, straight or on spheres (docs/method.md: Geodesics and distances).

    With a symmetry, every hidden unit's incoming weights, and the last layer's weights as a whole, are the weighted
    Karcher mean on their sphere, and their norm the weighted mean of the norms; all else is the weighted mean, as
    without a symmetry everything is. Of two networks it is their geodesic. Computed in float64.

    Args:
        networks: one or more of one model; with a symmetry they are normalised.
        weights: a number for each network, none negative, 1 in all; by default they are equal.
        symmetry: of the networks, for the mean on its spheres; by default the mean is straight.

    Returns:
        The network, in the dtypes and on the device of the first; one of weight 1 exactly. Tensors that hold no
        floating-point numbers are the first network's.

    Raises:
        GeometryError: if there is no network, they do not have the same tensors, the symmetry is of another model, or
            the weights are not of that kind.
        ModelError: if one is no tensors by name.

    Warns:
        LandscapeWarning: if units lie in no open half sphere, so that their mean is not unique.
    """
    means = Barycentre(networks, symmetry)
    return means.at([1 / len(networks)] * len(networks) if weights is None else weights)


def average(networks: Sequence[Params]) -> dict[str, Tensor]:
    """Return the mean of networks, as of those that `align_set` returns: of weights and running statistics alike.

    It is the straight one also of normalised networks (`barycentre` has that on spheres, and weighted ones). Computed
    in float64.

    Args:
        networks: one or more of one model.

    Returns:
        The network, in the dtypes and on the device of the first. Tensors that hold no floating-point numbers, such as
        counters of batches, are the first network's.

    Raises:
        GeometryError: if there is no network, or they do not have the same tensors.
        ModelError: if one is no tensors by name.
    """
    return barycentre(networks)


class _Start(NamedTuple):
    """What all means of some of the networks share.

    Attributes:
        gram: inner products of their unit vectors, shape (units, networks, networks), float64.
        norms: shape (units, networks), float64.
        curved: where no vector is zero, and all lie in one open half sphere, shape (units,).
        zero: where a vector is zero, shape (units,).
    """

    gram: Tensor
    norms: Tensor
    curved: Tensor
    zero: Tensor


class Barycentre:
    """Weighted means of the same networks for many weights: what they share is computed once.

    A mean on a sphere lies in the span of the networks' unit vectors, so that the iteration runs on as many numbers a
    unit as there are networks, whatever the dimension of the sphere; only its end is a sum over all weights.
    """

    def __init__(self, networks: Sequence[Params], symmetry: Symmetry | None = None) -> None:
        """Check the networks and take the inner products of their units.

        Args:
            networks: as for `barycentre`; their tensors are not copied.
            symmetry: as for `barycentre`.

        Raises:
            GeometryError, ModelError: as `barycentre` does.
        """
        check_kind("networks", networks, Sequence, "give networks, one after another, as a list does", GeometryError)
        if not networks:
            raise GeometryError("`networks=` is empty: a mean needs at least one network")
        for network in networks:
            check_alike(networks[0], network)
        if symmetry is not None:
            check_symmetry(symmetry, networks[0])
        self._ends, self._symmetry = list(networks), symmetry
        self._networks = [network if symmetry is None else burn_in(network, symmetry) for network in networks]
        self._spheres = [] if symmetry is None else _distinct(symmetry.spheres)
        self._units = [1 if s.dim is None else networks[0][s.tensor].shape[s.dim] for s in self._spheres]
        self._products: tuple[Tensor, Tensor] | None = None
        self._starts: dict[tuple[int, ...], _Start] = {}

    def at(self, weights: Sequence[float]) -> dict[str, Tensor]:
        """Return the mean with these weights.

        Raises:
            GeometryError: if they are not as many as networks, one is negative or not finite, or their sum is not 1.

        Warns:
            LandscapeWarning: as `barycentre` does, once for the same networks of positive weight.
        """
        values = _checked(weights, len(self._networks))
        support = tuple(k for k, weight in enumerate(values) if weight > 0)
        chosen = [values[k] for k in support]
        if len(support) == 1:
            return dict(self._ends[support[0]])
        if len(support) == 2:
            start, end = (self._networks[k] for k in support)
            if self._symmetry is None:
                return linear(start, end, chosen[1])
            return geodesic(start, end, chosen[1], self._symmetry)
        coefficients = self._coefficients(support, chosen) if self._spheres else {}
        result: dict[str, Tensor] = {}
        for name, first in self._networks[0].items():
            if not first.is_floating_point():
                result[name] = first
                continue
            tensors = [self._networks[k][name] for k in support]
            if name in coefficients:
                sphere, of_units = coefficients[name]
                rows = sphere_rows(tensors[0], sphere).double() * of_units[:, :1]
                for k, tensor in enumerate(tensors[1:], start=1):
                    rows.addcmul_(sphere_rows(tensor, sphere).double(), of_units[:, k : k + 1])
                mean = from_sphere_rows(rows, first.shape, sphere)
            else:
                mean = weighted_sum(tensors, chosen)
            result[name] = mean.to(first.dtype)
        return result

    def _coefficients(self, support: tuple[int, ...], weights: Sequence[float]) -> dict[str, tuple[Sphere, Tensor]]:
        """Return by tensor what each unit's vectors of some networks are multiplied by, shape (units, networks)."""
        if support not in self._starts:
            self._starts[support] = self._start(support)
        start = self._starts[support]
        w = torch.tensor(weights, dtype=torch.float64, device=start.gram.device)
        of_units = _mean_of(start.gram, w * start.norms, w, start.curved)
        norm = (start.norms @ w)[:, None]
        scaled = torch.where(start.zero[:, None], w, norm * of_units / start.norms.where(start.norms > 0, 1.0))
        parts = scaled.split(self._units)
        return {sphere.tensor: (sphere, part) for sphere, part in zip(self._spheres, parts, strict=True)}

    def _start(self, support: tuple[int, ...]) -> _Start:
        """Return what means of these networks start from.

        Warns:
            LandscapeWarning: if units lie in no open half sphere.
        """
        if self._products is None:
            self._products = self._measure()
        index = torch.tensor(support, device=self._products[0].device)
        gram = self._products[0].index_select(1, index).index_select(2, index)
        norms = self._products[1].index_select(1, index)
        zero = (norms == 0).any(dim=1)
        curved = ~zero & self._in_half_sphere(gram, support)
        apart = int((~zero & ~curved).sum())
        if apart:
            warnings.warn(
                f"{apart} units of {len(support)} networks lie in no open half sphere, so that their mean on the "
                "sphere is not unique: the straight mean's direction is taken",
                LandscapeWarning,
                stacklevel=5,
            )
        return _Start(gram, norms, curved, zero)

    def _measure(self) -> tuple[Tensor, Tensor]:
        """Return the inner products of all units' vectors, and their norms, as in `_Start`."""
        grams, norms = [], []
        for sphere in self._spheres:
            rows = [sphere_rows(network[sphere.tensor].double(), sphere) for network in self._networks]
            lengths = torch.stack([vector.norm(dim=1) for vector in rows], dim=1)
            units = [row / length.where(length > 0, 1.0)[:, None] for row, length in zip(rows, lengths.T, strict=True)]
            del rows
            products = [[(u * v).sum(dim=1) for v in units[: i + 1]] for i, u in enumerate(units)]
            count = len(units)
            grams.append(
                torch.stack([products[max(i, j)][min(i, j)] for i in range(count) for j in range(count)], dim=1).view(
                    -1, count, count
                )
            )
            norms.append(lengths)
        return torch.cat(grams), torch.cat(norms)

    def _in_half_sphere(self, gram: Tensor, support: tuple[int, ...]) -> Tensor:
        """Tell of each unit whether some direction has a positive product with all its vectors, shape (units,).

        Those that their sum has, or that are linearly independent, need no search; they are all but few.
        """
        inside = (gram.sum(dim=2) > 0).all(dim=1)
        rest = (~inside).nonzero()[:, 0]
        if len(rest):
            inside[rest] = torch.linalg.eigvalsh(gram[rest])[:, 0] > INDEPENDENT
        for unit in (~inside).nonzero()[:, 0].tolist():
            inside[unit] = _distance_of_hull(self._unit(unit, support)) > SMALL_ANGLE / 2
        return inside

    def _unit(self, unit: int, support: tuple[int, ...]) -> Tensor:
        """Return the unit vectors that one unit has in some networks, shape (networks, dimension), float64."""
        for sphere, units in zip(self._spheres, self._units, strict=True):
            if unit < units:
                rows = [sphere_rows(self._networks[k][sphere.tensor].double(), sphere)[unit] for k in support]
                return torch.stack([row / (row.norm() if row.norm() > 0 else 1.0) for row in rows])
            unit -= units
        raise AssertionError(unit)


def weighted_sum(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the weighted sum of tensors of one shape, in float64."""
    total = tensors[0].double() * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor.double(), alpha=weight)
    return total


def _mean_of(gram: Tensor, straight: Tensor, weights: Tensor, curved: Tensor) -> Tensor:
    """Return weighted Karcher means of unit vectors as sums of these, the iteration c ← exp_c(Σ w_i log_c v_i).

    Args:
        gram: inner products of the vectors, shape (units, networks, networks).
        straight: where to start from, as a sum of them, shape (units, networks), of any norm.
        weights: shape (networks,).
        curved: where to iterate, shape (units,); elsewhere the start is returned.
    """
    mean = _to_unit(straight, gram)
    active = curved.nonzero()[:, 0]
    for _ in range(ROUNDS):
        if not len(active):
            break
        products, a = gram[active], mean[active]
        cosines = torch.einsum("uij,uj->ui", products, a).clamp(-1.0, 1.0)
        sines = ((1 - cosines) * (1 + cosines)).sqrt()
        pulls = weights * torch.where(sines > SMALL_ANGLE, cosines.acos() / sines, 1.0)
        tangent = pulls - (pulls * cosines).sum(dim=1, keepdim=True) * a
        length = torch.einsum("ui,uij,uj->u", tangent, products, tangent).clamp(min=0).sqrt()[:, None]
        # sinc of the angle in units of π, so that nothing is divided by a small one
        mean[active] = _to_unit(length.cos() * a + torch.sinc(length / math.pi) * tangent, products)
        active = active[tangent.abs().sum(dim=1) > TOLERANCE]
    return mean


def _to_unit(sums: Tensor, gram: Tensor) -> Tensor:
    """Return sums of vectors, shape (units, networks), scaled to norm 1, those of norm zero as they are."""
    norms = torch.einsum("ui,uij,uj->u", sums, gram, sums).clamp(min=0).sqrt()[:, None]
    return sums / norms.where(norms > SMALL_ANGLE * sums.abs().sum(dim=1, keepdim=True), 1.0)


def _distance_of_hull(vectors_of_unit: Tensor) -> float:
    """Return the distance from 0 to the convex hull of vectors, which is positive only in an open half sphere.

    As non-negative least squares (Lawson and Hanson, 1974): the point of the hull where the weights' sum is 1.
    """
    from scipy.optimize import nnls

    rows = vectors_of_unit.T.cpu()
    system = torch.cat([rows, torch.ones(1, rows.shape[1], dtype=rows.dtype)]).numpy()
    target = torch.zeros(len(rows) + 1, dtype=rows.dtype)
    target[-1] = 1.0
    shares = torch.from_numpy(nnls(system, target.numpy())[0])
    total = float(shares.sum())
    return float((rows @ (shares / total)).norm()) if total > 0 else 1.0


def _distinct(spheres: Sequence[Sphere]) -> list[Sphere]:
    return list({sphere.tensor: sphere for sphere in spheres}.values())


def _checked(weights: Sequence[float], count: int) -> list[float]:
    """Return weights as numbers of sum 1, having checked them.

    Raises:
        GeometryError: if they are not as many as networks, one is negative or not finite, or their sum is not 1.
    """
    check_kind("weights", weights, (list, tuple), "give a list of numbers, one for each network", GeometryError)
    if len(weights) != count:
        raise GeometryError(f"`weights=` holds {len(weights)} numbers for {count} networks: give one for each")
    for weight in weights:
        check_number("weights", weight, GeometryError)
        if weight < 0:
            raise GeometryError(f"`weights=` holds {weight}: a mean takes none below 0")
    total = math.fsum(weights)
    if abs(total - 1) > SUM:
        raise GeometryError(f"`weights=` must add up to 1, and make {total:g}")
    return [weight / total for weight in weights]
