"""What was measured on a connector: errors and losses point by point, and what they come to by facet and in all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.evaluation.scores import ERROR, Quantity
from landscape_cli.io.results import finite

if TYPE_CHECKING:
    from landscape_cli.geometry.simplicial import Grid, SimplicialComplex
    from landscape_cli.network import Params


@dataclass(frozen=True, eq=False)
class PointScores:
    """Errors and losses at points of a set.

    Attributes:
        error: by split, shape (points,), float64; NaN where outputs are, or a vertex is missing.
        loss: the mean loss (cross-entropy in nats, …), likewise.
        quantity: what figures are of: the error, or the loss where there is no error.
    """

    error: Mapping[str, Tensor] = field(repr=False)
    loss: Mapping[str, Tensor] = field(repr=False)
    quantity: Quantity = ERROR

    def columns(self, *, loss: bool) -> dict[str, Tensor]:
        """Return them by the names of the columns of a result."""
        return self.quantity.columns(self.error, self.loss, loss=loss)

    @property
    def measured(self) -> Mapping[str, Tensor]:
        """What figures are of."""
        return self.quantity.choose(self.error, self.loss)

    def at(self, points: Sequence[int]) -> PointScores:
        """Return those of some of the points."""
        index = torch.tensor(points)
        error, loss = ({s: v[index] for s, v in values.items()} for values in (self.error, self.loss))
        return PointScores(error, loss, self.quantity)

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(next(iter(self.error.values())))


@dataclass(frozen=True, eq=False)
class ConnectorVertex:
    """A vertex of a connector as it came out.

    Attributes:
        params: the network, on the CPU; None where its training diverged.
        epochs: how long it was trained; 0 of the networks themselves, and where the start was good enough.
        distances: to each of the networks, by name.
        failure: why there is no network.
    """

    params: Params | None = field(repr=False)
    epochs: int = 0
    distances: Sequence[Mapping[str, float | None]] = ()
    failure: str | None = None


@dataclass(frozen=True, eq=False)
class ConnectorResult:
    """A low-loss set through several networks, and what was measured on it.

    Attributes:
        complex: its vertices and facets.
        geometry: "linear" or "spherical".
        names: of the networks.
        vertices: as they came out, in the order of `complex.vertices`.
        grid: the points measured.
        after: what they score.
        before: the same between vertices that are not trained.
        simplex: what points of the simplex on the networks alone score.
        loss: whether results show the loss as well.
    """

    complex: SimplicialComplex
    geometry: str
    names: tuple[str, ...]
    vertices: tuple[ConnectorVertex, ...] = field(repr=False)
    grid: Grid = field(repr=False)
    after: PointScores
    before: PointScores
    simplex: PointScores
    loss: bool = False

    @property
    def trained(self) -> dict[str, Params]:
        """The trained vertices that there are, by name."""
        pairs = zip(self.complex.vertices, self.vertices, strict=True)
        return {about.name: vertex.params for about, vertex in pairs if about.trained and vertex.params is not None}

    @property
    def missing(self) -> list[str]:
        """The names of the vertices whose training diverged."""
        pairs = zip(self.complex.vertices, self.vertices, strict=True)
        return [about.name for about, vertex in pairs if vertex.params is None]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for every point: a facet that it is in, its weights there, and scores, also before training."""
        columns = self.after.columns(loss=self.loss)
        columns |= {f"before_{name}": values for name, values in self.before.columns(loss=self.loss).items()}
        scores = {name: values.tolist() for name, values in columns.items()}
        rows = []
        for k, number in enumerate(self.grid.first):
            facet = self.complex.facets[number]
            weights = self.grid.weights(k, facet)
            rows.append(
                {"facet": "-".join(self._name(vertex) for vertex in facet)}
                | {f"weight_{position}": weight for position, weight in enumerate(weights, 1)}
                | {name: values[k] for name, values in scores.items()}
            )
        return rows

    def metrics(self, vertex: int) -> dict[str, float]:
        """Return errors and losses of a vertex, as its checkpoint keeps them."""
        point = self.grid.at_vertex(vertex)
        return {name: float(values[point]) for name, values in self.after.columns(loss=True).items()}

    def to_dict(self) -> dict[str, Any]:
        """Return what the command `path` writes of a connector, as JSON values."""
        body = {
            "kind": "connector",
            "shape": self.complex.shape,
            "geometry": self.geometry,
            **self.after.quantity.about(),
            "networks": list(self.names),
            "vertices": [self._vertex(k) for k in range(len(self.vertices))],
            "facets": [self._facet(k) for k in range(len(self.complex.facets))],
            "connector": self._whole(self.after),
            "before": self._whole(self.before),
            "simplex": self._whole(self.simplex),
        }
        return dict(finite(body))

    def _vertex(self, k: int) -> dict[str, Any]:
        about, vertex = self.complex.vertices[k], self.vertices[k]
        point = self.grid.at_vertex(k)
        scores = {name: float(values[point]) for name, values in self.after.columns(loss=self.loss).items()}
        failure = {} if vertex.failure is None else {"failure": vertex.failure}
        return (
            {"name": about.name, "of": list(about.of), "trained": about.trained}
            | scores
            | {"epochs": vertex.epochs, "distances": [dict(row) for row in vertex.distances]}
            | failure
        )

    def _facet(self, k: int) -> dict[str, Any]:
        vertices, points = self.complex.facets[k], self.grid.facets[k]

        def figures(values: Tensor, ends: Tensor) -> dict[str, Any]:
            top = float(values.max())
            at = None if math.isnan(top) else self.grid.weights(points[int(values.argmax())], vertices)
            return {"max": top, "mean": float(values.mean()), "at": at}

        names = [self._name(vertex) for vertex in vertices]
        return {"vertices": names} | self._by_split(self.after.at(points), figures)

    def _whole(self, scores: PointScores) -> dict[str, Any]:
        def figures(values: Tensor, ends: Tensor) -> dict[str, Any]:
            top = float(values.max())
            return {"max": top, "mean": float(values.mean()), "above_ends": top - float(ends.max())}

        return self._by_split(scores, figures) | {"points": scores.points}

    def _by_split(self, scores: PointScores, figures: Callable[[Tensor, Tensor], dict[str, Any]]) -> dict[str, Any]:
        """Return figures of values at points, and of those of the networks, by split."""
        ends = self.after.at([self.grid.at_vertex(k) for k in range(self.complex.networks)])
        body: dict[str, Any] = {s: figures(values, ends.measured[s]) for s, values in scores.measured.items()}
        if self.loss and scores.quantity.has_error:
            body["loss"] = {split: figures(values, ends.loss[split]) for split, values in scores.loss.items()}
        return body

    def _name(self, vertex: int) -> str:
        return self.complex.vertices[vertex].name
