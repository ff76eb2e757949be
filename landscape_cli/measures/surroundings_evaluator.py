"""Measuring lines and planes through one network (docs/method.md: Surroundings)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from landscape_cli.evaluation.scores import Quantity, Scores
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.forward.functional import float_type, parameter_owners
from landscape_cli.geometry.filter_norm import normalized_direction
from landscape_cli.geometry.surface import Chart, Surface
from landscape_cli.measures.flatness import perturbed_names
from landscape_cli.measures.items import compared, measure_items
from landscape_cli.measures.line_directions import Center, Direction, TowardsNetwork
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.measures.reach import find_reach, usual_limits
from landscape_cli.measures.surroundings_frame import NETWORK, SurroundingsFrame
from landscape_cli.measures.surroundings_settings import AUTO, GROWTH, SurroundingsSettings
from landscape_cli.measures.surroundings_warnings import say_what_depends, say_what_stays
from landscape_cli.network import Params
from landscape_cli.sharing.share import ALONE, Share
from landscape_cli.symmetry import Symmetry, trace_symmetry
from landscape_cli.symmetry.checks import check_symmetry

ASKEW = 0.1
"""The cosine of two directions from which on it is said that they are not at right angles."""
SEARCHED = 30
"""About how many networks it takes to find an automatic range."""


class SurroundingsEvaluator:
    """Measures what lies along one or two directions from a network, which `lay_out` finds first."""

    _chart: Chart
    _projected: Mapping[str, Params]
    _searched: dict[str, Any]

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

    def lay_out(
        self,
        *,
        points: int,
        margin: float,
        project: Mapping[str, Params] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> SurroundingsFrame:
        """Find the directions, and return what there is to measure: so many points along each axis, evenly spaced.

        Args:
            points: how many.
            margin: round networks that are shown.
            project: further networks that are shown in a plane, by name.
            advance: called with the number of samples done, until all is measured.
        """
        self._advance = advance
        self._chart, facts = self._find()
        self._projected = {name: self._on_device(network) for name, network in (project or {}).items()}
        shown = [
            tuple((name, _place(self._chart, network)) for name, network in networks.items())
            for networks in (self._trajectory, self._projected)
        ]
        limits = self._limits(self._chart, margin, [place for networks in shown for _, place in networks])
        self._searched = compared("range", self._evaluator.arithmetic)
        xs, *ys = (tuple(low + (high - low) * k / (points - 1) for k in range(points)) for low, high in limits)
        return SurroundingsFrame(
            name=self._name,
            xs=xs,
            ys=ys[0] if ys else (),
            splits=self._evaluator.facts,
            loss=self._loss,
            binary=bool(latent_names(self._model)),
            on_torus=self._settings.on_torus,
            directions=tuple(facts),
            trajectory=shown[0],
            projected=shown[1],
        )

    def measure(self, frame: SurroundingsFrame, share: Share = ALONE) -> dict[str, Any]:
        """Measure a share of what was laid out last; return what is known of all by then.

        Warns:
            LandscapeWarning: if that is all, and there are points without outputs.
        """
        wanted = share.wanted(frame.groups, block=self._evaluator.block(self._base))
        values = share.collect(self._measured(frame, set(wanted)))
        if share.is_whole:
            self._warn_of_missing(frame.scores(values), "nodes" if frame.ys else "points")
        return values

    def _measured(self, frame: SurroundingsFrame, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
        nodes = frame.nodes
        shown = ([self._base], [*self._trajectory.values()], [*self._projected.values()])
        makers: list[Callable[[int], Params]] = [networks.__getitem__ for networks in shown]
        makers.append(lambda k: self._chart.network(*nodes[k]))
        if self._searched and NETWORK in wanted:
            yield self._searched
        for group, make in zip(frame.groups, makers, strict=True):
            yield from self._of_group({key: k for k, key in enumerate(group) if key in wanted}, make)

    def _of_group(self, places: Mapping[str, int], make: Callable[[int], Params]) -> Iterator[dict[str, Any]]:
        """Yield what is measured of networks, each made of its place in a group, by key."""

        def networks(some: Sequence[str]) -> Iterator[Params]:
            return (make(places[key]) for key in some)

        return measure_items(self._evaluator, [*places], networks, self._base)

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
