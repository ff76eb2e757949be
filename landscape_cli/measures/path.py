"""Measuring many paths between networks of one model, by one evaluator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landscape_cli.choices import Kind, Statistics
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator, score_columns
from landscape_cli.geometry.barrier import even_steps
from landscape_cli.geometry.geodesic import geodesic, linear
from landscape_cli.geometry.hamming import hamming, midpoint, planned_flips, random_path
from landscape_cli.measures.curve import Curve
from landscape_cli.measures.missing import samples_recomputed, warn_of_missing

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.geometry.hamming import Latents
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class Setting:
    """What all measurements of a command share.

    Attributes:
        model: the architecture.
        example: one of the networks.
        data: what to measure on.
        points: how many on a path, or on a piece of one, ends included.
        loss: whether to report the loss as well.
        bn: what becomes of batch-norm statistics.
        device: where to compute.
    """

    model: nn.Module
    example: Params
    data: DataSet
    points: int
    loss: bool
    bn: Statistics
    device: torch.device


class Meter(ABC):
    """Measures paths of one kind between networks of one model.

    Attributes:
        kind: of the paths.
        setting: what all measurements share.
        evaluator: what measures, the data on its device.
        advance: called with the number of samples done.
    """

    kind: Kind

    def __init__(self, setting: Setting) -> None:
        """Put the data on the device."""
        model, data = setting.model, setting.data
        self.setting = setting
        self._recomputed = samples_recomputed(model, setting.example, data.train, setting.bn)
        self.advance: Callable[[int], None] | None = None
        self._undecided: dict[str, list[Tensor]] = {"train": [], "test": []}
        self.evaluator = Evaluator(
            model,
            {"train": data.train, "test": data.test},
            device=setting.device,
            advance=self._done,
            recompute_on="train" if self._recomputed else None,
        )

    @abstractmethod
    def networks(self, pieces: int = 1) -> int:
        """Return how many networks are measured for a path of so many pieces."""

    @abstractmethod
    def middle(self, start: Params, end: Params) -> Params:
        """Return the network half-way between two."""

    @abstractmethod
    def curve(self, stops: Sequence[Params]) -> Curve:
        """Measure the path through these networks; those between two pieces are measured once."""

    def samples(self, networks: int) -> int:
        """Return how many samples measuring so many networks takes: what `advance` is told in all."""
        return networks * (self._recomputed + self.evaluator.samples)

    def errors(self, network: Params) -> dict[str, float]:
        """Return the errors of one network."""
        return score_columns(self.evaluator.evaluate([network]), 0, loss=False)

    def with_statistics(self, network: Params) -> Params:
        """Return the network with its batch-norm statistics recomputed, if they are to be."""
        if not self._recomputed:
            return network
        return recompute_statistics(self.setting.model, network, self.evaluator.splits["train"].x)

    def warn_of_missing(self) -> None:
        """Say how many of all points measured have no error."""
        warn_of_missing(
            [torch.cat(counts) for counts in self._undecided.values()],
            "points",
            model=self.setting.model,
            params=self.setting.example,
            train=self.setting.data.train,
            bn=self.setting.bn,
        )

    def _columns(self, networks: Iterable[Params]) -> dict[str, Tensor]:
        """Return errors and then losses of networks by name, shape (networks,); remember where outputs are NaN."""
        scores = self.evaluator.evaluate(networks)
        for split, score in scores.items():
            self._undecided[split].append(score.undecided)
        errors = {f"{split}_error": score.error for split, score in scores.items()}
        return errors | {f"{split}_loss": score.loss for split, score in scores.items()}

    def _done(self, samples: int) -> None:
        if self.advance is not None:
            self.advance(samples)


class LineMeter(Meter):
    """Measures straight lines, or with a symmetry geodesics between normalised networks."""

    def __init__(self, setting: Setting, symmetry: Symmetry | None) -> None:
        """Put the data on the device; `symmetry` is that of all networks, None for straight lines."""
        super().__init__(setting)
        self._symmetry = symmetry
        self.kind = Kind.LINEAR if symmetry is None else Kind.GEODESIC

    def networks(self, pieces: int = 1) -> int:
        """Return how many networks are measured for a path of so many pieces."""
        return pieces * (self.setting.points - 1) + 1

    def middle(self, start: Params, end: Params) -> Params:
        """Return the network half-way between two."""
        return self._at(start, end, 0.5)

    def curve(self, stops: Sequence[Params]) -> Curve:
        """Measure the path through these networks; those between two pieces are measured once."""
        columns = {name: values[None] for name, values in self._columns(self._points(stops)).items()}
        return Curve(columns, len(stops) - 1, self.setting.loss)

    def _at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        if self._symmetry is None:
            return linear(start, end, tau)
        return geodesic(start, end, tau, self._symmetry)

    def _points(self, stops: Sequence[Params]) -> Iterator[Params]:
        taus = even_steps(self.setting.points)
        for k in range(len(stops) - 1):
            for tau in taus[min(k, 1) :]:
                yield self._at(stops[k], stops[k + 1], tau)


class FlipMeter(Meter):
    """Measures random shortest paths between binary networks, each in several orders of the flips."""

    kind = Kind.SHORTEST

    def __init__(self, setting: Setting, latents: Latents, *, orders: int, seed: int) -> None:
        """Put the data on the device.

        Args:
            setting: what all measurements share.
            latents: names of the latents, and their owners.
            orders: in how many orders to walk.
            seed: of the orders.
        """
        super().__init__(setting)
        self._latents, self._orders, self._seed = latents, orders, seed

    def networks(self, pieces: int = 1) -> int:
        """Return how many networks are measured for a path of so many pieces."""
        return pieces + 1 + pieces * self._orders * (self.setting.points - 2)

    def middle(self, start: Params, end: Params) -> Params:
        """Return the network half-way between two."""
        return midpoint(start, end, self._latents, seed=self._seed)

    def curve(self, stops: Sequence[Params]) -> Curve:
        """Measure the paths through these networks, each of which is measured once, whatever the orders."""
        plans = [planned_flips(hamming(a, b, self._latents).flips, self.setting.points) for a, b in pairwise(stops)]
        columns = {}
        for name, values in self._columns(self._visited(stops, plans)).items():
            shared, between = values[: len(stops)], values[len(stops) :]
            on_the_way = between.view(len(plans), self._orders, self.setting.points - 2)
            parts = [shared[0].expand(self._orders, 1)]
            for end, inner in zip(shared[1:], on_the_way, strict=True):
                parts += [inner, end.expand(self._orders, 1)]
            columns[name] = torch.cat(parts, dim=1)
        flips = [0]
        for plan in plans:
            flips += [flips[-1] + count for count in plan[1:]]
        return Curve(columns, len(plans), self.setting.loss, flips)

    def _visited(self, stops: Sequence[Params], plans: Sequence[Sequence[int]]) -> Iterator[Params]:
        """Yield the stops, then what lies between them: piece by piece, order by order."""
        yield from stops
        for (start, end), plan in zip(pairwise(stops), plans, strict=True):
            for order in range(self._orders):
                yield from random_path(start, end, self._latents, plan[1:-1], seed=self._seed, order=order)
