"""Measuring lines and planes through one network (docs/method.md: Surroundings)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.arguments import device_of
from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import LineDirection, Precision, Statistics, check_choice
from landscape_cli.errors import GeometryError, Remark
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import Quantity, Scores, score_columns
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.forward.functional import float_type, parameter_owners
from landscape_cli.geometry.filter_norm import normalized_direction
from landscape_cli.geometry.surface import Chart, Surface
from landscape_cli.measures.flatness import perturbed_names
from landscape_cli.measures.line_directions import Center, Direction, TowardsNetwork
from landscape_cli.measures.line_result import LineResult
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.measures.plane import PlaneResult
from landscape_cli.measures.reach import find_reach, usual_limits
from landscape_cli.measures.surroundings_settings import AUTO, GROWTH, SurroundingsSettings
from landscape_cli.measures.surroundings_warnings import say_what_depends, say_what_stays
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry, trace_symmetry
from landscape_cli.symmetry.checks import check_symmetry

ASKEW = 0.1
"""The cosine of two directions from which on it is said that they are not at right angles."""
SEARCHED = 30
"""About how many networks it takes to find an automatic range."""


class SurroundingsEvaluator:
    """Measures what lies along one or two directions from a network.

    Attributes:
        chart: the networks there, by coordinates.
        ways: the directions, as they were found.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        base: Params,
        settings: SurroundingsSettings,
        *,
        name: str = "a",
        targets: Mapping[str, Params] | None = None,
        trajectory: Mapping[str, Params] | None = None,
        symmetry: Symmetry | None = None,
        loss: bool = False,
        bn: Statistics | str = Statistics.KEEP,
        seed: int = 0,
        device: torch.device | str = "cpu",
        precision: str | Arithmetic = Precision.FLOAT32,
    ) -> None:
        """Put the data on the device; arguments are those of `plane_around`.

        Raises:
            GeometryError, DataError, TraceError: as that does.

        Warns:
            LandscapeWarning, Remark: likewise.
        """
        self._model, self._settings, self._name, self._loss = model, settings, name, loss
        self._seed, self._device = seed, device_of(device)
        splits, self._statistics = named_splits(data, model), statistics_of(bn)
        self._train = training_split(splits)
        inputs = splits[self._train].x
        if symmetry is not None:
            check_symmetry(symmetry, base)
        self._directions = self._load(targets or {})
        if latent_names(model) and (settings.needs_symmetry or any(d.of_slopes for d in self._directions.values())):
            raise GeometryError(
                f"{name} is binary, and its signs have no such directions: name networks, or `third=` random"
            )
        if settings.needs_symmetry:
            example = inputs[:2].cpu()
            example = example.to(float_type(base)) if example.is_floating_point() else example
            symmetry = symmetry or trace_symmetry(model, example)
        self._symmetry = symmetry
        self._base = self._on_device(base)
        self._trajectory = {key: self._on_device(network) for key, network in (trajectory or {}).items()}
        self._inputs = splits[self._train]
        self._recomputed = samples_recomputed(model, base, self._inputs, self._statistics)
        self._advance: Callable[[int], None] | None = None
        self._evaluator = Evaluator(
            model,
            splits,
            device=self._device,
            advance=self._done,
            recompute_on=self._train if self._recomputed else None,
            precision=precision,
        )
        if self._quantity.has_error and (settings.growth or 0.0) > 1:
            raise GeometryError(f"`growth=` is of the error, which is at most 1, and is {settings.growth:g}")
        if symmetry is not None:
            stays = not self._recomputed and any(settings.moves_weights(key) for key in settings.counts)
            say_what_depends(model, base, symmetry, name=name, on_torus=settings.on_torus)
            if stays:
                say_what_stays(model, base, self._inputs.x[:2])

    def samples(self, networks: int) -> int:
        """Return how many samples it takes to find the directions and to measure so many networks."""
        searched = (SEARCHED if self._settings.limits == AUTO else 0) + networks + 1 + len(self._trajectory)
        counts = self._settings.counts
        passes = sum(direction.passes(counts[name]) for name, direction in self._directions.items())
        train = len(self._inputs.y)
        return searched * (self._recomputed + self._evaluator.samples) + passes * train

    def plane(
        self,
        *,
        grid: int,
        margin: float,
        project: Mapping[str, Params] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> PlaneResult:
        """Measure a plane, the network, and those that are shown in it."""
        self._advance = advance
        chart, facts = self._find()
        shown = {"trajectory": self._trajectory, "projected": project or {}}
        places = {
            kind: [_place(chart, self._on_device(network)) for network in networks.values()]
            for kind, networks in shown.items()
        }
        limits = self._limits(chart, margin, [place for of_kind in places.values() for place in of_kind])
        xs, ys = ([low + (high - low) * k / (grid - 1) for k in range(grid)] for low, high in limits)
        nodes = [(x, y) for y in ys for x in xs]
        scores = self._evaluate(chart.network(x, y) for x, y in nodes)
        own = score_columns(self._evaluate([self._base]), 0, loss=self._loss)
        self._warn_of_missing(scores, "nodes")
        return PlaneResult(
            names=(self._name,),
            corners=((0.0, 0.0),),
            xs=tuple(xs),
            ys=tuple(ys),
            points=tuple({"x": x, "y": y} | self._columns(scores, k) for k, (x, y) in enumerate(nodes)),
            corner_scores=(own,),
            binary=bool(latent_names(self._model)),
            given=1,
            quantity=self._quantity,
            directions=tuple(facts),
            on_torus=self._settings.on_torus,
            trajectory=self._marked(self._trajectory, places["trajectory"]),
            projected=self._marked(project or {}, places["projected"]),
        )

    def line(self, *, points: int, margin: float, advance: Callable[[int], None] | None = None) -> LineResult:
        """Measure so many points of a line, evenly spaced, and the network."""
        self._advance = advance
        chart, facts = self._find()
        places = [_place(chart, network) for network in self._trajectory.values()]
        [(low, high)] = self._limits(chart, margin, places)
        xs = [low + (high - low) * k / (points - 1) for k in range(points)]
        scores = self._evaluate(chart.network(x) for x in xs)
        own = score_columns(self._evaluate([self._base]), 0, loss=self._loss)
        self._warn_of_missing(scores, "points")
        return LineResult(
            network=self._name,
            direction=facts[0],
            points=tuple({"x": x} | self._columns(scores, k) for k, x in enumerate(xs)),
            scores=own,
            trajectory=self._marked(self._trajectory, places),
            on_torus=self._settings.on_torus,
            quantity=self._quantity,
        )

    @property
    def _quantity(self) -> Quantity:
        return self._evaluator.quantity

    def _load(self, targets: Mapping[str, Params]) -> dict[str, Direction]:
        directions: dict[str, Direction] = {}
        for name in self._settings.counts:
            if name in targets:
                directions[name] = TowardsNetwork(self._on_device(targets[name]))
            else:
                check_choice("direction", name, LineDirection, GeometryError)
                directions[name] = LineDirection(name).load()()
        return directions

    def _find(self) -> tuple[Chart, list[dict[str, Any]]]:
        """Return the networks along the directions, and what results say of these."""
        settings, base = self._settings, self._base
        owners = parameter_owners(self._model)
        learned = [name for name in dict.fromkeys(owners.values()) if base[name].is_floating_point()]
        moving: Sequence[str] = learned
        if settings.needs_symmetry and not settings.all_parameters:
            moving = list(dict.fromkeys(owners.get(n, n) for n in perturbed_names(self._model, self._symmetry)))
        if self._recomputed:
            base = recompute_statistics(self._model, base, self._evaluator.splits[self._train].x)
        spheres = self._symmetry.spheres if self._symmetry is not None else ()
        surface = Surface(base, spheres if settings.on_torus else ())
        center = Center(
            surface, moving, learned, self._evaluator, self._train, self._seed, list(self._trajectory.values())
        )
        facts: list[dict[str, Any]] = []
        vectors: list[dict[str, Tensor]] = []
        of_tensor = {sphere.tensor: sphere for sphere in spheres}
        for name, direction in self._directions.items():
            how = settings.asked(name)
            for way in direction.ways(center, settings.counts[name]):
                vector: Params = way.vector
                if how is not None:
                    vector = {key: vector[key] for key in moving if key in vector}
                    vector = normalized_direction(vector, base, of_tensor, how)
                vectors.append(dict(vector) | {n: vector[owner] for n, owner in owners.items() if owner in vector})
                lengths = {} if how is None else {"normalize": how.value}
                facts.append({"direction": name} | lengths | dict(way.facts))
        chart = Chart(surface, vectors, learned)
        if chart.is_degenerate:
            raise GeometryError(
                f"the directions {', '.join(settings.counts)} from {self._name} are zero, or two are the same"
            )
        for fact, length in zip(facts, chart.lengths, strict=True):
            fact["length"] = length
        if len(facts) > 1:
            facts[1]["cosine"] = chart.cosine
            if abs(chart.cosine) > ASKEW:
                warnings.warn(
                    f"the two directions are not at right angles: the cosine between them is {chart.cosine:.3g}",
                    Remark,
                    stacklevel=3,
                )
        return chart, facts

    def _limits(self, chart: Chart, margin: float, places: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
        """Return from where to where each axis goes."""
        settings = self._settings
        axes = len(chart.vectors)
        if settings.limits == AUTO:
            return self._reach(chart)
        names = [name for name, count in settings.counts.items() for _ in range(count)]
        if settings.limits is None:
            return usual_limits(names, places, margin)
        low, high, *others = (float(limit) for limit in settings.limits)
        return [(low, high), *([(others[0], others[1])] if others else [(low, high)])][:axes]

    def _reach(self, chart: Chart) -> list[tuple[float, float]]:
        """Return the range within which the training error has grown by less than is asked for."""
        growth = GROWTH if self._settings.growth is None else self._settings.growth
        axes = len(chart.vectors)

        def measured(places: Sequence[tuple[int, float]]) -> Tensor:
            networks = (chart.network(*(x if k == axis else 0.0 for k in range(axes))) for axis, x in places)
            return self._evaluate(networks)[self._train].measured

        start = float(self._evaluate([self._base])[self._train].measured[0])
        rays = find_reach(measured, axes, start + growth)
        if not all(reached for _, reached in rays):
            warnings.warn(
                f"the {self._quantity.name} does not grow by {growth:g} everywhere: the range ends at {rays[0][0]:g}",
                Remark,
                stacklevel=4,
            )
        return [(-rays[2 * k][0], rays[2 * k + 1][0]) for k in range(axes)]

    def _marked(
        self, networks: Mapping[str, Params], places: Sequence[Mapping[str, float]]
    ) -> tuple[dict[str, Any], ...]:
        """Return what is known of networks that are shown in a plane."""
        if not networks:
            return ()
        scores = self._evaluate([self._on_device(network) for network in networks.values()])
        rows = zip(networks, places, strict=True)
        return tuple({"network": name} | dict(place) | self._columns(scores, k) for k, (name, place) in enumerate(rows))

    def _columns(self, scores: Mapping[str, Scores], k: int) -> dict[str, float]:
        return score_columns(scores, k, loss=self._loss)

    def _evaluate(self, networks: Iterable[Params]) -> dict[str, Scores]:
        return self._evaluator.evaluate(networks)

    def _on_device(self, network: Params) -> dict[str, Tensor]:
        return {name: tensor.to(self._device) for name, tensor in network.items()}

    def _warn_of_missing(self, scores: Mapping[str, Scores], what: str) -> None:
        warn_of_missing(
            [of_split.undecided for of_split in scores.values()],
            what,
            model=self._model,
            params=self._base,
            train=self._inputs,
            bn=self._statistics,
            quantity=self._quantity.name,
        )

    def _done(self, samples: int) -> None:
        if self._advance is not None:
            self._advance(samples)


def _place(chart: Chart, network: Params) -> dict[str, float]:
    coordinates, distance = chart.project(network)
    return dict(zip("xy", coordinates, strict=False)) | {"distance": distance}
