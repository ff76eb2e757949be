"""The curvature of a network's loss: eigenvalues, trace and density of its Hessian (docs/method.md: Curvature)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscape_cli.choices import HessianMetric
from landscape_cli.io.results import finite
from landscape_cli.measures.spread import spread

BROADENING = 0.01
"""The deviation of the Gaussian that a node is drawn as, as a part of the spectrum's width."""


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """The density of eigenvalues as quadratures, one for each random vector: their mean is the estimate.

    Attributes:
        nodes: ascending, by vector.
        weights: of the nodes; those of a vector sum to 1.
    """

    nodes: tuple[tuple[float, ...], ...] = field(repr=False)
    weights: tuple[tuple[float, ...], ...] = field(repr=False)

    def moment(self, power: int) -> float:
        """Return the mean of a power of the eigenvalues: of 1 the trace by dimension, of 2 the mean square."""
        each = [
            math.fsum(weight * node**power for node, weight in zip(nodes, weights, strict=True))
            for nodes, weights in zip(self.nodes, self.weights, strict=True)
        ]
        return math.fsum(each) / len(each)

    def smooth(self, points: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the density with each node a Gaussian, of a deviation of 1 % of the spectrum's width.

        Args:
            points: of the grid of eigenvalues, a little wider than the nodes.

        Returns:
            The grid, and the density there, whose integral is 1, both of shape (points,); none if all nodes are equal.
        """
        nodes, weights = (np.concatenate(list(map(np.asarray, each))) for each in (self.nodes, self.weights))
        width = BROADENING * float(nodes.max() - nodes.min())
        if not width > 0:
            return np.zeros(0), np.zeros(0)
        grid = np.linspace(nodes.min() - 4 * width, nodes.max() + 4 * width, points)
        bells = np.exp(-(((grid[:, None] - nodes) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
        return grid, bells @ weights / len(self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: `nodes` and `weights`, a list for each random vector."""
        return {"nodes": [list(nodes) for nodes in self.nodes], "weights": [list(each) for each in self.weights]}


@dataclass(frozen=True, eq=False)
class Curvature:
    """The curvature of the mean cross-entropy at one network. What could not be computed is NaN.

    Attributes:
        metric: whose matrix it is: the Hessian H ("euclidean"), or D H D, D = diag(θ) ("relative").
        dimension: the number of weights differentiated by.
        loss: the mean cross-entropy, in nats.
        error: the fraction of samples misclassified, in [0, 1].
        norm: the Euclidean norm of the weights differentiated by.
        eigenvalues: the largest, descending, in nats.
        residuals: of each eigenvalue; the nearest true eigenvalue is no farther.
        eigenvalues_converged: of each, whether it is as exact as was asked for; if not, it is a Ritz value.
        smallest: the least eigenvalue; None if it was not asked for.
        smallest_residual: of that.
        smallest_converged: of that.
        trace_draws: an estimate of the trace for each random vector.
        density: of the eigenvalues; None if it was not asked for.
        products: how many products of the matrix with a vector were computed.
    """

    metric: HessianMetric
    dimension: int
    loss: float
    error: float
    norm: float
    eigenvalues: tuple[float, ...]
    residuals: tuple[float, ...]
    eigenvalues_converged: tuple[bool, ...]
    smallest: float | None
    smallest_residual: float | None
    smallest_converged: bool | None
    trace_draws: tuple[float, ...] = field(repr=False)
    density: SpectralDensity | None
    products: int

    @property
    def trace(self) -> float:
        """The mean of the estimates of the trace; NaN if there is none."""
        return spread(self.trace_draws).mean if self.trace_draws else math.nan

    @property
    def trace_standard_error(self) -> float:
        """Its standard error; NaN of fewer than two estimates."""
        draws = self.trace_draws
        return spread(draws).deviation / math.sqrt(len(draws)) if draws else math.nan

    @property
    def converged(self) -> bool:
        """Whether all eigenvalues are as exact as was asked for."""
        return all(self.eigenvalues_converged) and self.smallest_converged is not False

    @property
    def is_missing(self) -> bool:
        """Whether the curvature could not be computed, as losses or products are not finite."""
        least = () if self.smallest is None else (self.smallest,)
        firsts = (*self.eigenvalues[:1], *least, *self.trace_draws)
        return not math.isfinite(self.loss) or any(map(math.isnan, firsts)) or not (firsts or self.density)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each eigenvalue, the least one last, with what belongs to all of them."""
        ends: list[Any] = [*zip(self.eigenvalues, self.residuals, self.eigenvalues_converged, strict=True)]
        ranks: list[Any] = [*range(1, 1 + len(ends))]
        if self.smallest is not None:
            ends.append((self.smallest, self.smallest_residual, self.smallest_converged))
            ranks.append("smallest")
        whole = {"trace": self.trace, "trace_standard_error": self.trace_standard_error}
        whole |= {"loss": self.loss, "error": self.error}
        named = [
            {"rank": rank, "eigenvalue": value, "residual": residual, "converged": converged}
            for rank, (value, residual, converged) in zip(ranks, ends, strict=True)
        ]
        return [row | whole for row in named or [{}]]

    def to_dict(self) -> dict[str, Any]:
        """Return what the result of the command says of a network; None for NaN."""
        result: dict[str, Any] = {
            "metric": self.metric.value,
            "dimension": self.dimension,
            "loss": self.loss,
            "error": self.error,
            "norm": self.norm,
            "eigenvalues": list(self.eigenvalues),
            "residuals": list(self.residuals),
            "eigenvalues_converged": list(self.eigenvalues_converged),
        }
        if self.smallest is not None:
            result |= {"smallest": self.smallest, "smallest_residual": self.smallest_residual}
            result["smallest_converged"] = self.smallest_converged
        result["converged"] = self.converged
        if self.trace_draws:
            result["trace"] = {"mean": self.trace, "standard_error": self.trace_standard_error}
        if self.density is not None:
            result["density"] = self.density.to_dict()
        return dict(finite(result | {"products": self.products}))
