"""What several networks predict together, what the mean of their weights does, and which of them share a wedge."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import torch

from landscape_cli.arguments import check_kind, check_number
from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Precision, Statistics
from landscape_cli.errors import GeometryError, LandscapeWarning, Remark, listed
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.evaluator import Evaluator, evaluator_of
from landscape_cli.evaluation.splits import training_split
from landscape_cli.geometry.barycentre import Barycentre
from landscape_cli.measures.disagreement import divergence, fraction_differing
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.ensemble_result import Ensemble, EnsembleScores
from landscape_cli.measures.missing import samples_recomputed, statistics_of, warn_of_missing
from landscape_cli.measures.predictions import predict_distributions, samples_predicted
from landscape_cli.models.fitting import check_networks
from landscape_cli.normalization.normalize import is_normalized
from landscape_cli.symmetry.checks import check_symmetry

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.evaluation.scores import Scores
    from landscape_cli.evaluation.splits import Data
    from landscape_cli.measures.predictions import Mixture, Predictions
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry

SAME = 0.01
CHANCE = 0.9
"""The part of the error of always guessing the commonest class from which on a network is no solution."""
JUDGED = "test"
"""The split on which networks share a wedge or not, where there is one of that name."""


def ensemble(
    model: nn.Module | Evaluator,
    networks: Sequence[Params],
    data: Data | None = None,
    *,
    aligned: Sequence[Params] | None = None,
    symmetry: Symmetry | None = None,
    bn: Statistics | str = Statistics.KEEP,
    same: float = SAME,
    device: torch.device | str = "cpu",
    precision: Precision | str = Precision.FLOAT32,
    advance: Callable[[int], None] | None = None,
) -> Ensemble:
    """Measure what networks predict together, and what the mean of their weights does (docs/method.md: Ensembles).

    Networks share a wedge if the mean of their weights, two by two, has an error not above the mean error of both, plus
    `same`, on the split called "test", or else the training set; wedges are what that relation connects.

    Args:
        model: the architecture, put in evaluation mode; or an `Evaluator`, which has its data and device.
        networks: two or more of one model, whose predictions are compared and mixed.
        data: what to measure on, with a model: a data set, a split, or several by name.
        aligned: the same networks with their units permuted, as `align_set` returns them, whose weights are averaged;
            by default the networks as they are.
        symmetry: of the networks: if all are normalised, their mean is then taken on its spheres.
        bn: batch-norm statistics of a mean of weights: "keep" the mean of the networks', or "recompute" them over the
            training set.
        same: by how much more a mean may err than its networks where these share a wedge.
        device: where to compute, with a model.
        precision: in which numbers networks in float32 are evaluated, with a model: "float32", "tf32" (on a CPU the
            same) or "bf16".
        advance: called with the number of samples done.

    Returns:
        Errors (fractions of samples), losses and divergences (in nats) by split, and the wedges, lists of indices. NaN
        outputs make what depends on them missing. Of binary networks there is no mean of weights.

    Raises:
        GeometryError: if there are fewer than two networks, `aligned` are others, the symmetry is of another model, or
            `same` or `bn` is none that there is, or means of weights are meant that there are not.
        ModelError: if a network does not fit the model, or is not for such a precision.
        DataError: if there is no data, or it is malformed.

    Warns:
        LandscapeWarning: if outputs are NaN, or networks share a wedge that are no solutions.
        Remark: if the networks are binary, or there are no statistics to recompute; how many decisions another
            precision than float32 changes on a sample.
    """
    check_same(same)
    kept = statistics_of(bn)
    evaluator = evaluator_of(model, data, device=device, precision=precision)
    kind = "give networks, one after another, as a list does"
    for name, several in (("networks", networks), ("aligned", networks if aligned is None else aligned)):
        check_kind(name, several, Sequence, kind, GeometryError)
        check_networks(evaluator.model, {f"{name}, {k + 1}": network for k, network in enumerate(several)})
    if len(networks) < 2:
        raise GeometryError(f"an ensemble is two networks or more, not {len(networks)}")
    if aligned is not None and len(aligned) != len(networks):
        raise GeometryError(f"`aligned=` holds {len(aligned)} networks, of {len(networks)}: give one for each")
    if symmetry is not None:
        check_symmetry(symmetry, networks[0])
    count, example = len(networks), next(iter(evaluator.splits.values())).x
    evaluator, every, symmetry = in_effect(evaluator, [*networks, *(aligned or ())], symmetry, example)
    networks, averaged = every[:count], every[:count] if aligned is None else every[count:]
    spherical = symmetry is not None and all(is_normalized(network, symmetry) for network in averaged)
    predictions, [mixture] = predict_distributions(networks, evaluator, [range(len(networks))], advance=advance)
    for k, of_network in enumerate(predictions):
        if of_network.undecided:
            warnings.warn(
                f"outputs of network {k + 1} are NaN, so the ensemble has no error (missing)", LandscapeWarning, 2
            )
    means = WeightMeans(evaluator, networks[0], bn=kept, same=same)
    measured = means.measure(predictions, mixture, averaged, symmetry=symmetry if spherical else None, advance=advance)
    means.warn_of_missing()
    warn_of_doubtful(measured, [f"network {k + 1}" for k in range(len(networks))])
    evaluator.arithmetic.tell()
    return measured


class WeightMeans:
    """Measures means of weights, of several ensembles of one model by one evaluator."""

    def __init__(self, evaluator: Evaluator, like: Params, *, bn: Statistics, same: float) -> None:
        """Find out what is to be measured; `like` is one of the networks, all else is what `ensemble` says.

        Raises:
            GeometryError: if statistics are to be recomputed for binary networks.

        Warns:
            Remark: if the networks are binary, or there are no statistics to recompute.
        """
        self._evaluator, self._like, self._bn, self._same = evaluator, like, bn, same
        self._train = evaluator.splits[training_split(evaluator.splits)]
        self.there_are = not latent_names(evaluator.model)
        if not self.there_are:
            if bn is Statistics.RECOMPUTE:
                raise GeometryError("`bn=` recompute is of a mean of weights, which binary networks do not have")
            warnings.warn(
                "binary networks have no mean of weights, so the result says nothing of one, nor of wedges", Remark, 2
            )
        recomputed = samples_recomputed(evaluator.model, like, self._train, bn) if self.there_are else 0
        self._recompute = bool(recomputed)
        self._undecided: list[dict[str, torch.Tensor]] = []

    def count(self, networks: int) -> int:
        """Return of how many means errors are measured: of all networks, and of every two."""
        if not self.there_are:
            return 0
        return 1 if networks == 2 else 1 + math.comb(networks, 2)

    def samples(self, networks: int) -> int:
        """Return what `advance` is called with in all."""
        return samples_predicted(self.count(networks), self._evaluator)

    def measure(
        self,
        predictions: Sequence[Predictions],
        mixture: Mixture,
        averaged: Sequence[Params],
        *,
        symmetry: Symmetry | None,
        advance: Callable[[int], None] | None = None,
    ) -> Ensemble:
        """Measure one ensemble.

        Args:
            predictions: of its networks, which compare distributions.
            mixture: the mean of these.
            averaged: its networks, as their weights are averaged.
            symmetry: of the networks, for means on spheres; None for straight ones.
            advance: called with the number of samples done.
        """
        scores = self._scores(averaged, symmetry, advance) if self.there_are else None
        of_splits = {split: _scores_on(split, predictions, mixture, scores) for split in self._evaluator.splits}
        if scores is None:
            return Ensemble(len(predictions), of_splits, None, None)
        judged = JUDGED if JUDGED in scores else training_split(self._evaluator.splits)
        pairs = list(combinations(range(len(averaged)), 2))
        means = dict(zip(pairs, scores[judged].error.tolist()[-len(pairs) :], strict=True))
        members = [of_network.errors[judged] for of_network in predictions]
        joined = [(i, j) for (i, j), error in means.items() if error <= (members[i] + members[j]) / 2 + self._same]
        labels = self._evaluator.objective.labels(self._evaluator.splits[judged].y)
        chance = 1 - float(torch.bincount(labels).max()) / len(labels)
        doubtful = {
            max(i, j, key=members.__getitem__)
            for i, j in joined
            if max(members[i], members[j]) >= CHANCE * chance > 0
            or means[i, j] > min(members[i], members[j]) + 2 * self._same
        }
        return Ensemble(
            len(predictions),
            of_splits,
            _components(len(averaged), joined),
            symmetry is not None,
            tuple(sorted(doubtful)),
        )

    def warn_of_missing(self) -> None:
        """Say how many of all means measured so far have no error.

        Warns:
            LandscapeWarning: if there are any.
        """
        if self._undecided:
            splits = self._evaluator.splits
            warn_of_missing(
                [torch.cat([counts[split] for counts in self._undecided]) for split in splits],
                "means of weights",
                model=self._evaluator.model,
                params=self._like,
                train=self._train,
                bn=self._bn,
            )

    def _scores(
        self, networks: Sequence[Params], symmetry: Symmetry | None, advance: Callable[[int], None] | None
    ) -> dict[str, Scores]:
        """Return the scores of the mean of all networks, then, of more than two, of every two."""
        scores = self._evaluator.evaluate(self._means(networks, symmetry, advance))
        self._undecided.append({split: score.undecided for split, score in scores.items()})
        return scores

    def _means(
        self, networks: Sequence[Params], symmetry: Symmetry | None, advance: Callable[[int], None] | None
    ) -> Iterator[Params]:
        count = len(networks)
        groups = [tuple(range(count)), *(combinations(range(count), 2) if count > 2 else ())]
        means = Barycentre(networks, symmetry)
        for group in groups:
            mean: Params = means.at([1 / len(group) if k in group else 0.0 for k in range(count)])
            if self._recompute:
                mean = recompute_statistics(self._evaluator.model, _on_device(mean, self._evaluator), self._train.x)
            yield mean
            if advance is not None:
                advance(self._evaluator.samples)


def warn_of_doubtful(measured: Ensemble, names: Sequence[str]) -> None:
    """Say which networks share a wedge by the rule, but may be in none.

    Args:
        measured: the ensemble.
        names: of its networks.

    Warns:
        LandscapeWarning: naming them.
    """
    if measured.doubtful:
        warnings.warn(
            f"sharing a wedge says little of {listed(names[k] for k in measured.doubtful)}: the error is near that of "
            "guessing, or far above that of the other network, and the mean of both is what the mean of their weights "
            "is held against",
            LandscapeWarning,
            stacklevel=2,
        )


def check_same(same: float) -> None:
    """Check how much more a mean of weights may err where networks share a wedge.

    Raises:
        GeometryError: if it is no number of at least 0.
    """
    check_number("same", same, GeometryError)
    if same < 0:
        raise GeometryError(f"`same=` must be at least 0, and is {same:g}")


def _on_device(network: Params, evaluator: Evaluator) -> Params:
    return {name: tensor.to(evaluator.device) for name, tensor in network.items()}


def _scores_on(
    split: str, predictions: Sequence[Predictions], mixture: Mixture, weights: Mapping[str, Scores] | None
) -> EnsembleScores:
    pairs = list(combinations(predictions, 2))
    return EnsembleScores(
        mixture.errors[split],
        mixture.losses[split],
        tuple(of_network.errors[split] for of_network in predictions),
        tuple(of_network.losses[split] for of_network in predictions),
        _mean([fraction_differing(a[split], b[split]) for a, b in pairs]),
        _mean([divergence(a, b, split) for a, b in pairs]),
        None if weights is None else float(weights[split].error[0]),
        None if weights is None else float(weights[split].loss[0]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where one is missing."""
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if len(numbers) == len(values) else None


def _components(count: int, joined: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Return the connected components of a relation, by their first indices."""
    component = list(range(count))
    for i, j in joined:
        old, new = component[j], component[i]
        component = [new if of == old else of for of in component]
    return tuple(tuple(k for k in range(count) if component[k] == first) for first in dict.fromkeys(component))
