"""Measuring the profiles of networks of one model (docs/method.md: Angular width)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.defaults import ALIGN_SAMPLES
from landscape_cli.alignment.verified import align
from landscape_cli.arguments import device_of
from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Direction as DirectionName
from landscape_cli.choices import Method, Precision, Statistics
from landscape_cli.errors import GeometryError, LandscapeWarning, Remark, listed
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.equivalence import cast_like
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.splits import Data, named_splits, training_split
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.geometry.turning import tangents
from landscape_cli.measures.directions import REFERENCE, Departure, Direction, TowardsNetwork
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.measures.radial_profiles import RANDOM, RadialProfile, RadialProfiles
from landscape_cli.measures.radial_settings import RadialSettings
from landscape_cli.measures.representative import representative
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry, trace_symmetry
from landscape_cli.symmetry.checks import check_symmetry


class RadialEvaluator:
    """Measures the profiles of networks of one model."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        *,
        like: Params,
        symmetry: Symmetry | None,
        settings: RadialSettings,
        loss: bool = False,
        bn: Statistics | str = Statistics.KEEP,
        seed: int = 0,
        device: torch.device | str = "cpu",
        precision: str | Arithmetic = Precision.FLOAT32,
    ) -> None:
        """Put the data on the device; `like` is a network, `precision` the evaluator's, the rest `radial_profiles`'s.

        Raises:
            GeometryError, DataError, TraceError: as `radial_profiles` does.

        Warns:
            LandscapeWarning: naming parameters of several axes that stay as they are.
            Remark: if statistics are to be recomputed, and there are none.
        """
        settings.check()
        if latent_names(model):
            raise GeometryError("the network is binary, and signs do not turn: use flip_energy")
        splits = named_splits(data, model)
        self._train = training_split(splits)
        splits = {self._train: splits[self._train]} | splits
        inputs = splits[self._train].x
        if symmetry is not None:
            check_symmetry(symmetry, like)
        self._symmetry = symmetry or trace_symmetry(model, inputs[:2].cpu())
        if self._symmetry.tables:
            warnings.warn(
                f"not turned, as biases and gains are not: {listed(self._symmetry.tables)}",
                LandscapeWarning,
                stacklevel=2,
            )
        self._model, self._settings, self._loss, self._seed = model, settings, loss, seed
        self._device = device_of(device)
        self._statistics = statistics_of(bn)
        self._recomputed = samples_recomputed(model, like, splits[self._train], self._statistics)
        self._inputs = inputs[torch.randperm(len(inputs), generator=generator(seed))[:ALIGN_SAMPLES]]
        self._advance: Callable[[int], None] | None = None
        self._evaluator = Evaluator(
            model,
            splits,
            device=self._device,
            advance=self._done,
            recompute_on=self._train if self._recomputed else None,
            precision=precision,
        )

    def networks(self, targets: int = 0) -> int:
        """Return how many networks are evaluated to measure one, with so many others to go towards."""
        networks = 1 + targets * len(self._settings.angles)
        for direction in self._named():
            draws = len(direction.profiles()) * direction.draws(self._settings.samples)
            networks += draws * len(self._strengths(direction))
        return networks

    def samples(self, targets: int = 0) -> int:
        """Return how many samples measuring a network takes, with so many others to go towards."""
        passes = sum(direction.passes for direction in self._named())
        train = len(self._evaluator.splits[self._train].y)
        each = self._recomputed + self._evaluator.samples
        return self.networks(targets) * each + passes * (train + self._recomputed)

    def _named(self) -> list[Direction]:
        return [name.load()(name.value) for name in map(DirectionName, self._settings.directions)]

    def measure(
        self,
        params: Params,
        towards: Mapping[str, Params] | None = None,
        *,
        name: str = "the network",
        advance: Callable[[int], None] | None = None,
    ) -> RadialProfiles:
        """Measure the profiles of a network.

        Args:
            params: the network.
            towards: networks to go towards, by name.
            name: what to call it in messages.
            advance: called with the number of samples done.

        Raises:
            GeometryError, ProofError: as `radial_profiles` does.

        Warns:
            LandscapeWarning: if no direction leads to a network, or networks have no error, as outputs are NaN.
            Remark: if the error does not grow so much that there is a width.
        """
        self._advance = advance
        settings, evaluator = self._settings, self._evaluator
        stands_for = self._representative(params, name)
        directions: list[Direction] = [kind.load()(kind.value) for kind in map(DirectionName, settings.directions)]
        directions += [
            TowardsNetwork(file, self._aligned(stands_for, network, params, file))
            for file, network in (towards or {}).items()
        ]
        start = Departure(
            params={key: tensor.to(self._device) for key, tensor in stands_for.items()},
            symmetry=self._symmetry,
            evaluator=evaluator,
            train=self._train,
            owners=parameter_owners(self._model),
            samples=settings.samples,
            seed=self._seed,
            like={key: tensor.to(self._device) for key, tensor in params.items()},
        )
        first = evaluator.evaluate([params])
        profiles = [profile for direction in directions for profile in self._profiles(direction, start, name)]
        result = RadialProfiles(
            {split: float(scores.measured[0]) for split, scores in first.items()},
            {split: float(scores.loss[0]) for split, scores in first.items()},
            tuple(profiles),
            settings.growth,
            self._loss and evaluator.quantity.has_error,
            evaluator.quantity,
        )
        _remark_on_width(result, settings, name)
        return result

    def _profiles(self, direction: Direction, start: Departure, name: str) -> list[RadialProfile]:
        """Return the profiles of a direction."""
        strengths, names = self._strengths(direction), direction.profiles()
        lost: list[bool] = []
        vectors = direction.along(start)

        def networks() -> Iterator[Params]:
            for along in vectors:
                ways = tangents(start.params, along, start.symmetry) if direction.turns else along
                lost.append(not any(bool(way.any()) for way in ways.values()))
                for strength in () if lost[-1] else strengths:
                    yield cast_like(direction.move(start, ways, strength), start.like)

        scores = self._evaluator.evaluate(networks())
        if any(lost):
            warnings.warn(
                f"{direction.lost(name)}: that profile is missing (null)",
                LandscapeWarning,
                stacklevel=4,
            )
        if not all(lost):
            warn_of_missing(
                [score.undecided for score in scores.values()],
                f"networks on the {direction.name} profile of {name}",
                model=self._model,
                params=start.like,
                train=self._evaluator.splits[self._train],
                bn=self._statistics,
                quantity=self._evaluator.quantity.name,
            )

        def spread(values: Tensor) -> Tensor:
            whole = torch.full((len(lost), len(strengths)), math.nan, dtype=torch.float64)
            whole[~torch.tensor(lost)] = values.double().view(-1, len(strengths))
            return whole.view(len(names), -1, len(strengths)).transpose(1, 2)

        errors = {split: spread(score.measured) for split, score in scores.items()}
        losses = {split: spread(score.loss) for split, score in scores.items()}
        return [
            RadialProfile(
                profile,
                tuple(strengths),
                direction.turns,
                {split: draws[k] for split, draws in errors.items()},
                {split: draws[k] for split, draws in losses.items()},
                self._evaluator.quantity.name,
            )
            for k, profile in enumerate(names)
        ]

    def _strengths(self, direction: Direction) -> Sequence[float]:
        return self._settings.angles if direction.turns else self._settings.factors

    def _representative(self, params: Params, name: str) -> dict[str, Tensor]:
        source = generator(self._seed, REFERENCE)
        return representative(self._model, params, self._symmetry, source=source, device=self._device, name=name)

    def _aligned(self, reference: Params, network: Params, like: Params, name: str) -> Params:
        """Return a network to go towards, without scales and aligned to the one that is measured."""
        exact = self._representative(network, name)
        both = [cast_like(params, like) for params in (reference, exact)]
        if not all(bool(tensor.isfinite().all()) for params in both for tensor in params.values()):
            both = [dict(reference), exact]  # in float64 their numbers are not too large
        method = self._settings.align
        inputs: dict[str, Any] = {"inputs": self._inputs} if method == Method.ACTIVATION else {}
        return align(
            self._model,
            both[0],
            both[1],
            self._symmetry,
            method=method,
            seed=self._seed,
            device=self._device,
            name=name,
            **inputs,
        ).params

    def _done(self, samples: int) -> None:
        if self._advance is not None:
            self._advance(samples)


def _remark_on_width(profiles: RadialProfiles, settings: RadialSettings, name: str) -> None:
    """Say so where the error does not grow enough on the training set.

    Warns:
        Remark: if it does not, and is known everywhere.
    """
    random = next((profile for profile in profiles.profiles if profile.direction == RANDOM), None)
    if random is None:
        return
    split, width = next(iter(profiles.width.items()))
    if math.isnan(width.angle) and not bool(random.errors[split].isnan().any()):
        warnings.warn(
            f"{name}: the {profiles.quantity.name} does not grow by {settings.growth:g} up to {settings.angles[-1]:g} "
            f"degrees in the mean (in {width.reached} of {width.directions} directions it does), so there is no "
            "angular width: turn further with `angles=`, or lower `growth=`",
            Remark,
            stacklevel=3,
        )
