"""Connectors of networks of one model: where vertices start, their training, and measuring what lies between them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from landscape_cli.choices import Geometry, Target
from landscape_cli.errors import LandscapeWarning, TrainingError
from landscape_cli.forward.combination import Combination, Part
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.geometry.barycentre import Barycentre
from landscape_cli.geometry.simplicial import Grid, SimplicialComplex, coarsened, flat_simplex
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.connector_result import ConnectorResult, ConnectorVertex, PointScores
from landscape_cli.measures.connector_training import spheres_of, train_simplices, train_vertex
from landscape_cli.measures.distance import WeightDistances
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.samplers import Recipe, TrainingObserver
from landscape_cli.samplers.simplices import OrthogonalSGD
from landscape_cli.symmetry import Symmetry

Advance = Callable[[int], None]
NOISE = 0.1
"""Of the mean distance to the barycentre: by how much several centres begin apart from it."""
Trained = tuple[list[Params | None], list[int], list[str | None]]
"""Vertices, for how many epochs each was trained, and why it is missing."""


@dataclass(frozen=True)
class ConnectorOptimizer:
    """Trains the vertices of a connector, and measures it.

    Attributes:
        paths: what measures, and knows what becomes of batch-norm statistics.
        symmetry: of all networks.
        complex: the vertices and facets.
        grid: the points to measure.
        geometry: of the simplices.
        target: what is trained.
        orthogonal: whether each step of a vertex stays orthogonal to the lines between its networks.
        recipe: how each vertex is trained; where they are trained together, the epochs are those of each as well.
        seed: of everything random, the same for every vertex.
    """

    paths: PathEvaluator
    symmetry: Symmetry
    complex: SimplicialComplex
    grid: Grid
    geometry: Geometry
    target: Target
    orthogonal: bool
    recipe: Recipe
    seed: int

    def optimize(
        self,
        networks: Sequence[Checkpoint],
        *,
        watching: Callable[[], AbstractContextManager[TrainingObserver]] = lambda: nullcontext(TrainingObserver()),
        measuring: Callable[[int], AbstractContextManager[Advance | None]] = lambda samples: nullcontext(),
    ) -> ConnectorResult:
        """Train the vertices, and measure what lies between them, before and after.

        Args:
            networks: what is connected.
            watching: makes whom to tell of the training, for as long as it lasts.
            measuring: makes what is called with the samples done, for as long as so many are measured.

        Raises:
            TrainingError: if every vertex diverges.

        Warns:
            LandscapeWarning: naming a vertex that diverged, where others did not.
        """
        ends: list[Params] = [self.paths.on_device(network.params) for network in networks]
        starts = self._starts(ends)
        simplex = self._simplex_points(len(ends))
        with measuring(self.paths.samples(len(self.grid.points) + len(simplex))) as advance:
            flat = self._measure(ends, simplex, advance)
            before = self._measure([*ends, *starts], self._all_weights(), advance)
        with watching() as observer:
            trained, epochs, failures = self._train(networks[0], ends, starts, observer)
        del starts
        with measuring(self.paths.samples(len(self.grid.points))) as advance:
            after = self._measure([*ends, *trained], self._all_weights(), advance)
        vertices = [
            ConnectorVertex(
                None if network is None else {name: tensor.cpu() for name, tensor in network.items()},
                count,
                [] if network is None else self._distances(networks, ends, known, network),
                failure,
            )
            for known, network, count, failure in zip(
                [*networks, *([None] * len(trained))],
                [*ends, *trained],
                [0] * len(ends) + epochs,
                [None] * len(ends) + failures,
                strict=True,
            )
        ]
        return ConnectorResult(
            self.complex,
            self.geometry.value,
            tuple(network.path for network in networks),
            tuple(vertices),
            self.grid,
            after,
            before,
            flat,
            loss=self.paths.loss,
        )

    @cached_property
    def _sphered(self) -> Symmetry | None:
        return self.symmetry if self.geometry is Geometry.SPHERICAL else None

    def _starts(self, ends: Sequence[Params]) -> list[Params]:
        """Return where the trained vertices begin: at barycentres; several centres a little apart."""
        means = Barycentre(ends, self._sphered)
        vertices = [self.complex.vertices[k] for k in self.complex.trained]
        same = len({vertex.of for vertex in vertices}) < len(vertices)
        starts = []
        for number, vertex in enumerate(vertices):
            start: Params = means.at([(k in vertex.of) / len(vertex.of) for k in range(len(ends))])
            if same:
                start = self._apart(start, ends, number)
            starts.append(self.paths.with_statistics(start))
        return starts

    def _apart(self, mean: Params, ends: Sequence[Params], number: int) -> Params:
        """Return the barycentre plus noise, parameters alone."""
        owners = parameter_owners(self.paths.model)
        names = list(dict.fromkeys(owners.values()))
        distances = [
            math.sqrt(sum(float((end[name].double() - mean[name].double()).square().sum()) for name in names))
            for end in ends
        ]
        source = generator(self.seed, number)
        noise = {name: torch.randn(mean[name].shape, generator=source, dtype=torch.float64) for name in names}
        length = math.sqrt(sum(float(drawn.square().sum()) for drawn in noise.values()))
        size = NOISE * sum(distances) / len(distances) / length
        moved = {name: (mean[name].double() + size * noise[name].to(mean[name].device)) for name in names}
        return {
            name: moved[owners[name]].to(tensor.dtype) if name in owners else tensor for name, tensor in mean.items()
        }

    def _train(
        self, like: Checkpoint, ends: Sequence[Params], starts: list[Params], observer: TrainingObserver
    ) -> Trained:
        """Return the trained vertices on the device, their statistics recomputed if they are to be.

        Raises:
            TrainingError: if every vertex diverges.
        """
        if self.target is Target.CONNECTOR:
            trained, epochs = self._train_together(like, ends, starts, observer)
            count = len(starts)
            return [self.paths.with_statistics(network) for network in trained], [epochs] * count, [None] * count
        vertices: list[Params | None] = []
        counts: list[int] = []
        failures: list[str | None] = []
        names = [self.complex.vertices[k].name for k in self.complex.trained]
        for number, start in enumerate(starts):
            network: Params | None = None
            epochs, failure = 0, None
            try:
                network, epochs = self._train_alone(like, ends, start, number, observer)
            except TrainingError as error:
                failure = str(error)
            vertices.append(network)
            counts.append(epochs)
            failures.append(failure)
        lost = [failure for failure in failures if failure is not None]
        if len(lost) == len(names):
            several = f"every vertex is missing ({', '.join(names)}): " * (len(names) > 1)
            raise TrainingError(f"{several}{lost[-1]}")
        for name, failure in zip(names, failures, strict=True):
            if failure is not None:
                warnings.warn(f"the vertex {name} is missing: {failure}", LandscapeWarning, 4)
        return vertices, counts, failures

    @property
    def _recipe(self) -> Recipe:
        return self.recipe.suited(has_error=self.paths.evaluator.quantity.has_error)

    def _train_alone(
        self, like: Checkpoint, ends: Sequence[Params], start: Params, number: int, observer: TrainingObserver
    ) -> tuple[Params, int]:
        """Return a vertex trained as the midpoint of a path is, and for how many epochs."""
        paths, until = self.paths, self._recipe.until_error
        if until is not None and paths.errors(start)[f"{paths.train}_error"] <= until:
            return start, 0
        vertex = self.complex.vertices[self.complex.trained[number]]
        trained, epochs = train_vertex(
            like.model,
            start,
            paths.evaluator.splits[paths.train],
            self._recipe,
            seed=self.seed,
            device=paths.device,
            sampler=OrthogonalSGD([ends[k] for k in vertex.of]) if self.orthogonal else None,
            observer=observer,
            name=f"vertex {vertex.name}",
            phase=f"vertex {vertex.name}, {number + 1} of {len(self.complex.trained)}",
        )
        return paths.with_statistics(trained), epochs

    def _train_together(
        self, like: Checkpoint, ends: Sequence[Params], starts: Sequence[Params], observer: TrainingObserver
    ) -> tuple[Sequence[Params], int]:
        """Return all vertices trained on points of the connector, and for how many epochs in all."""
        paths, until = self.paths, self._recipe.until_error
        if until is not None:
            every = range(len(ends) + len(starts))
            middles = ([(k in facet) / len(facet) for k in every] for facet in self.complex.facets)
            means = Barycentre([*ends, *starts], self._sphered)
            if float(paths.evaluator.error((means.at(weights) for weights in middles), paths.train).mean()) <= until:
                return starts, 0
        return train_simplices(
            paths.model,
            like.model,
            ends,
            starts,
            self.complex.facets,
            paths.evaluator.splits[paths.train],
            replace(self._recipe, epochs=self.recipe.epochs * len(starts)),
            seed=self.seed,
            device=paths.device,
            spheres={} if self._sphered is None else spheres_of(self._sphered),
            observer=observer,
        )

    def _all_weights(self) -> list[list[float]]:
        """Return the weights of every vertex at every point of the grid."""
        vertices = range(len(self.complex.vertices))
        return [self.grid.weights(point, vertices) for point in range(len(self.grid.points))]

    def _simplex_points(self, networks: int) -> list[list[float]]:
        """Return the weights of points on the simplex of the networks alone: a grid, and the barycentre."""
        simplex = flat_simplex(networks)
        grid = simplex.grid(coarsened(simplex, self.grid.steps + 1))
        points = [grid.weights(point, range(networks)) for point in range(len(grid.points))]
        return points if grid.steps % networks == 0 else [*points, [1 / networks] * networks]

    def _measure(
        self, vertices: Sequence[Params | None], weights: Sequence[Sequence[float]], advance: Advance | None
    ) -> PointScores:
        """Return what points between vertices score; those that a missing vertex has a part in score nothing."""
        there = [k for k, vertex in enumerate(vertices) if vertex is not None]
        known_vertices = [vertex for vertex in vertices if vertex is not None]
        means = Barycentre(known_vertices, self._sphered)
        gone = [k for k, vertex in enumerate(vertices) if vertex is None]
        known = [k for k, row in enumerate(weights) if not any(row[vertex] for vertex in gone)]

        def networks() -> Iterator[Params]:
            for k in known:
                row = [weights[k][vertex] for vertex in there]
                network = means.at(row)
                straight = self._sphered is None
                yield Combination(network, partial(_parts, known_vertices, row)) if straight else network

        scores = self.paths.evaluate(networks(), advance=advance)

        def every(values: Tensor) -> Tensor:
            whole = torch.full((len(weights),), math.nan, dtype=torch.float64)
            whole[torch.tensor(known)] = values
            return whole

        return PointScores(
            {split: every(score.error) for split, score in scores.items()},
            {split: every(score.loss) for split, score in scores.items()},
            self.paths.evaluator.quantity,
        )

    def _distances(
        self, networks: Sequence[Checkpoint], ends: Sequence[Params], known: Checkpoint | None, vertex: Params
    ) -> list[dict[str, float | None]]:
        """Return the distances of a vertex, a network itself or a new one, to all networks."""
        distances = WeightDistances(self.symmetry, {})
        checkpoint = known or Checkpoint(vertex, networks[0].model, {})
        return [
            distances.columns(network, end, checkpoint, vertex) for network, end in zip(networks, ends, strict=True)
        ]


def _parts(vertices: Sequence[Params], weights: Sequence[float], name: str) -> list[Part]:
    """Return what a tensor of a straight mean is the sum of."""
    return [(vertex[name], weight) for vertex, weight in zip(vertices, weights, strict=True) if weight]
