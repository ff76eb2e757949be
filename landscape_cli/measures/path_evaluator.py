"""The evaluator of paths: many paths of one kind, between networks of one model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.arguments import check_number, check_whole, device_of
from landscape_cli.choices import Precision, Statistics
from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.scores import score_columns
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.forward.combination import alone
from landscape_cli.geometry.barrier import even_steps, piece_at
from landscape_cli.io.results import finite
from landscape_cli.measures.known_ends import KnownEnds
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.measures.path_kinds import suitable_kind
from landscape_cli.measures.path_result import PathResult
from landscape_cli.measures.path_shape import PathShape
from landscape_cli.measures.path_walk import PathWalk, taus_beyond
from landscape_cli.measures.repair import Repair
from landscape_cli.normalization.normalize import is_normalized
from landscape_cli.normalization.verified import claim_of
from landscape_cli.rng import derive_seed
from landscape_cli.symmetry.checks import check_symmetry

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.evaluation.scores import Scores
    from landscape_cli.geometry.path_kind import PathKind
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry


class PathEvaluator:
    """Measures paths of one kind between networks of one model, many pairs of them by one evaluator.

    Attributes:
        model: the architecture.
        kind: of the paths, by its name.
        paths: the same as what makes them.
        points: how many there are on a path, or on a piece of one, ends included.
        loss: whether results show the loss as well.
        device: where to compute.
        train: the name of the split that is trained on.
        evaluator: what measures, the data on its device.
        repair: what corrects the units of networks between others; None if they stay as they are.
        shape: what there is to measure on each path.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        *,
        like: Params,
        kind: str | None = None,
        symmetry: Symmetry | None = None,
        points: int = 21,
        orders: int = 10,
        loss: bool = False,
        bn: Statistics | str = Statistics.KEEP,
        repair: bool = False,
        beyond: Sequence[float] = (0.0, 1.0),
        seed: int = 0,
        device: torch.device | str = "cpu",
        precision: str | Arithmetic = Precision.FLOAT32,
    ) -> None:
        """Put the data on the device; `like` is a network, `precision` is for the evaluator, all else for `path`.

        Raises:
            GeometryError, DataError: as `path` does.

        Warns:
            Remark: if statistics are to be recomputed, and there are none.
        """
        even_steps(points)  # which refuses too few
        check_whole("orders", orders, GeometryError)
        if orders < 1:
            raise GeometryError(f"signs flip in at least 1 order, not {orders}")
        splits, self._statistics = named_splits(data, model), statistics_of(bn)
        self.model, self.points, self.loss = model, points, loss
        self.device, self.seed = device_of(device), seed
        self.kind = suitable_kind(model, kind)
        if symmetry is not None:
            check_symmetry(symmetry, like)
        self._symmetry = symmetry
        self.paths: PathKind = self.kind.load()(model, symmetry, orders=orders, seed=seed)
        before_and_behind = taus_beyond(self.paths, points, beyond, kind=self.kind.value, repair=repair)
        self.train = training_split(splits)
        self._like, self._inputs = like, splits[self.train]
        self._recomputed = samples_recomputed(model, like, self._inputs, self._statistics)
        self._undecided: list[dict[str, Tensor]] = []
        self._ends = KnownEnds()
        self._advance: Callable[[int], None] | None = None
        self.evaluator = Evaluator(
            model,
            splits,
            device=self.device,
            advance=self._done,
            recompute_on=self.train if self._recomputed else None,
            precision=precision,
        )
        self.repair = self._repair() if repair else None
        self._walk = PathWalk(self.paths, points, before_and_behind, self.repair)
        self.shape = PathShape(
            self.kind.value,
            self.evaluator.facts,
            points=points,
            orders=self.paths.orders,
            random=self.paths.random,
            loss=loss,
            repaired=() if self.repair is None else tuple(self.repair.modules),
            beyond=(len(before_and_behind[0]), len(before_and_behind[1])),
        )

    def check_scales(self, networks: Mapping[str, Params]) -> None:
        """Check that networks, by the parameters that they are, have the scales that paths of this kind need.

        Raises:
            GeometryError: naming one that has not.
        """
        for name, network in networks.items() if self.paths.needs_normalized else ():
            assert self._symmetry is not None
            if not is_normalized(network, self._symmetry):
                raise GeometryError(
                    f"`{name}=` is not normalised, so no {self.kind.value} path leads there: "
                    "see landscape_cli.normalize"
                )

    def networks(self, pieces: int = 1) -> int:
        """Return how many networks are measured for a path of so many pieces."""
        return self.shape.networks(pieces)

    def samples(self, networks: int) -> int:
        """Return how many samples measuring so many networks takes: what `advance` is called with in all."""
        repaired = 0 if self.repair is None else self.repair.samples
        return networks * (self._recomputed + repaired + self.evaluator.samples)

    def on_device(self, network: Params) -> dict[str, Tensor]:
        """Return a network on the device, where what is made of it then happens."""
        return {name: tensor.to(self.device) for name, tensor in network.items()}

    def middle(self, start: Params, end: Params, number: int = 0) -> Params:
        """Return the network half-way between two, its statistics recomputed if they are to be.

        Of random paths each `number` is one of its own.
        """
        paths = self.paths
        if number:
            paths = self.kind.load()(
                self.model, self._symmetry, orders=paths.orders, seed=derive_seed(self.seed, number)
            )
        return self.with_statistics(paths.middle(self.on_device(start), self.on_device(end)))

    def errors(self, network: Params) -> dict[str, float]:
        """Return the errors of one network, by name (`train_error`, …), and losses where there are none."""
        return score_columns(self.evaluator.evaluate([network]), 0, loss=False)

    def with_statistics(self, network: Params) -> Params:
        """Return the network with its batch-norm statistics recomputed, if they are to be."""
        if not self._recomputed:
            return network
        return recompute_statistics(self.model, network, self.evaluator.splits[self.train].x)

    def evaluate(
        self, networks: Iterable[Params], *, advance: Callable[[int], None] | None = None
    ) -> dict[str, Scores]:
        """Return the scores of networks, which count as measured points; they are read once, a few at a time.

        Args:
            networks: on the device.
            advance: called with the number of samples done.
        """
        self._advance = advance
        scores = self.evaluator.evaluate(networks)
        self._advance = None
        self._counted(scores)
        return scores

    def measure(self, stops: Sequence[Params], *, advance: Callable[[int], None] | None = None) -> PathResult:
        """Measure the path through two networks or more, each of which is measured once, also for several paths.

        Args:
            stops: the networks, in order.
            advance: called with the number of samples done.

        Raises:
            GeometryError: if there is no path between them.
        """
        given, stops = stops, [self.on_device(network) for network in stops]
        new = self._ends.unknown(given)
        self._advance = advance
        places = [*new, *range(len(stops), self.networks(len(stops) - 1))]
        measured = self.evaluator.evaluate(self._walk.networks(stops, places))
        self._done((len(stops) - len(new)) * (self._recomputed + self.evaluator.samples))
        self._advance = None
        scores = self._counted(self._ends.complete(given, new, measured))
        return self.shape.result(scores, self._walk.counts(stops), pieces=len(stops) - 1)

    def measure_some(
        self, stops: Sequence[Params], places: Sequence[int], *, advance: Callable[[int], None] | None = None
    ) -> Iterator[tuple[list[int], dict[str, Scores]]]:
        """Measure some of the networks of a path between two, which takes several processes or attempts.

        Args:
            stops: both ends.
            places: which networks, rising: 0 and 1 for the ends, then order by order, then beyond the ends.
            advance: called with the number of samples done.

        Yields:
            The places of a few networks, and their scores.
        """
        given, stops = stops, [self.on_device(network) for network in stops]
        between = self._walk.networks(stops, [place for place in places if place >= len(stops)])
        size = self.evaluator.together(stops[0])
        for _, some in groupby(places, key=lambda place: place // size):
            taken = list(some)
            ends = [place for place in taken if place < len(stops)]
            here = [given[place] for place in ends]
            new = self._ends.unknown(here)
            self._advance = advance
            unknown = [alone(stops[ends[k]]) for k in new]
            measured = self.evaluator.evaluate(chain(unknown, islice(between, len(taken) - len(ends))))
            self._done((len(ends) - len(new)) * (self._recomputed + self.evaluator.samples))
            self._advance = None
            yield taken, self._ends.complete(here, new, measured)

    def counts(self, stops: Sequence[Params]) -> dict[str, list[int]]:
        """Return what is counted from the start to every point of a path, by name, such as flips of signs."""
        return self._walk.counts([self.on_device(network) for network in stops])

    def network_at(self, stops: Sequence[Params], tau: float) -> dict[str, Tensor]:
        """Return the network at τ of the path through two networks or more, as it is measured there, on the CPU.

        Its statistics are recomputed, or its units repaired, where they are for every point; of random paths it is on
        the first.

        Args:
            stops: the networks, in order.
            tau: from 0 at the first to 1 at the last.

        Raises:
            GeometryError: if τ is no number from 0 to 1, or there is no path between them.
        """
        check_number("tau", tau, GeometryError)
        if not 0 <= tau <= 1:
            raise GeometryError(f"`tau=` is a number from 0 to 1, not {tau}")
        piece, along = piece_at(tau, len(stops) - 1)
        start, end = (self.on_device(network) for network in stops[piece : piece + 2])
        network = self.with_statistics(self.paths.at(start, end, along))
        if self.repair is not None:
            [network] = self.repair.along(start, end, [along], [network])
        return {name: tensor.cpu() for name, tensor in network.items()}

    def metrics(self, network: Params, *, advance: Callable[[int], None] | None = None) -> dict[str, Any]:
        """Return the errors and losses of a network as checkpoints keep them, by name (`train_error`, …)."""
        self._advance = advance
        scores = self.evaluator.evaluate([self.on_device(network)])
        self._advance = None
        return dict(finite(score_columns(scores, 0, loss=True)))

    def claim_of(self, network: Params, ends: Sequence[Checkpoint]) -> Mapping[str, Any] | None:
        """Return how a network of a path is normalised, as checkpoints keep it: if both ends and it are; else None."""
        if self._symmetry is None or any(end.normalized is None for end in ends):
            return None
        keep = any(bool((end.normalized or {}).get("keep_last_layer")) for end in ends)
        return claim_of(network, self._symmetry, keep_last_layer=keep)

    def warn_of_missing(self, scores: Mapping[str, Scores] | None = None) -> None:
        """Say how many points have no error: of those with these scores, or else of all that were measured so far.

        Warns:
            LandscapeWarning: if there are any.
        """
        if scores is not None:
            self._counted(scores)
        if not self._undecided:
            return
        warn_of_missing(
            [torch.cat([counts[split] for counts in self._undecided]) for split in self.evaluator.splits],
            "points",
            model=self.model,
            params=self._like,
            train=self._inputs,
            bn=self._statistics,
            quantity=self.evaluator.quantity.name,
        )

    def _counted(self, scores: Mapping[str, Scores]) -> Mapping[str, Scores]:
        """Return the scores of points, whose missing ones are counted."""
        self._undecided.append({split: score.undecided for split, score in scores.items()})
        return scores

    def _repair(self) -> Repair:
        """Return what corrects units between networks, by the inputs of the training set."""
        if self.paths.binary:
            raise GeometryError("`repair=` is not for binary networks, whose weights are signs: leave it out")
        if self._symmetry is None:
            raise GeometryError("which units are hidden follows from the symmetry of the networks: give `symmetry=`")
        x = self.evaluator.splits[self.train].x
        return Repair(self.model, self._symmetry, self._like, x, advance=self._done)

    def _done(self, samples: int) -> None:
        if self._advance is not None:
            self._advance(samples)
