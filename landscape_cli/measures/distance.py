"""How far apart networks are, in weights and in what they predict, as columns of a result."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Metric
from landscape_cli.errors import GeometryError, LandscapeWarning, Remark, listed
from landscape_cli.geometry.distances import MANY, AllPairs, Distance, NetworkPair, WeightDistance
from landscape_cli.geometry.linear import check_alike
from landscape_cli.io.checkpoint import Checkpoint, to_device
from landscape_cli.measures.disagreement import PredictionDistance
from landscape_cli.measures.predictions import Predictions
from landscape_cli.symmetry import burn_in
from landscape_cli.symmetry.checks import check_symmetry

if TYPE_CHECKING:
    import torch

    from landscape_cli.geometry.hamming import Latents
    from landscape_cli.measures.families import Pair
    from landscape_cli.network import Params
    from landscape_cli.symmetry import Symmetry

FEW = 16
"""Pairs that are less than this part of all are measured one by one."""


def distance(a: Params, b: Params, symmetry: Symmetry, *, all_parameters: bool = False) -> Distance:
    """Return every distance in weights between two networks, in float64 (docs/method.md: Geodesics and distances).

    Of weights alone, each counted once, as the geodesic distance of Pittorino et al. (2022) is.

    Args:
        a: one network.
        b: the other; the geodesic distance means something if both are normalised, and most if they are aligned.
        symmetry: of both.
        all_parameters: whether biases and norm layers count in `euclidean` and `cosine`, too.

    Returns:
        `geodesic` and `euclidean` (in units of the weights), `rms_angle` (in radians) and `cosine`; of binary networks
        `hamming` (how many signs differ), `hamming_fraction` (in [0, 1]) and `cosine` (of the signs).

    Raises:
        GeometryError: if the networks do not have the same tensors, the symmetry is of another model, or binary ones
            have other weights too.
        ModelError: if one is no tensors by name.
    """
    check_alike(a, b)
    check_symmetry(symmetry, a)
    a, b = burn_in(a, symmetry), burn_in(b, symmetry)
    tied = set(symmetry.latents) - set(symmetry.parameters)  # more names of latent weights that are counted
    a, b = ({name: tensor for name, tensor in network.items() if name not in tied} for network in (a, b))
    latents = {name: name for name in symmetry.latents if name not in tied}
    pair = NetworkPair(a, b, symmetry, latents, all_parameters)
    return Distance({name: kind.between(pair) for name, kind in weight_distances(binary=bool(latents)).items()})


def weight_distances(*, binary: bool) -> dict[str, WeightDistance]:
    """Return the distances in weights that networks have, by name: those of this kind alone first, then of either."""
    kinds = {metric.value: metric.load() for metric in Metric}
    made = {name: kind() for name, kind in kinds.items() if issubclass(kind, WeightDistance)}
    there = {name: kind for name, kind in made.items() if (kind.binary if binary else kind.continuous)}
    return dict(sorted(there.items(), key=lambda entry: entry[1].binary and entry[1].continuous))


def prediction_distances(*, every: bool = False) -> dict[str, PredictionDistance]:
    """Return the usual distances between predictions, or every one, by name."""
    kinds = {metric.value: metric.load() for metric in Metric}
    return {
        name: kind() for name, kind in kinds.items() if issubclass(kind, PredictionDistance) and (every or kind.usual)
    }


def needs_predictions(metric: Metric) -> bool:
    """Tell whether a distance is one between predictions, for which data is needed."""
    return issubclass(metric.load(), PredictionDistance)


def needs_distributions(metric: Metric) -> bool:
    """Tell whether a distance is one of those that are shown with ensembles, or where they are asked for."""
    return needs_predictions(metric) and not metric.load().usual


@dataclass(frozen=True)
class WeightDistances:
    """The distances in weights between networks of one model.

    Attributes:
        symmetry: of all networks; binary ones do without.
        latents: names of the latent weights of binary networks, and their owners; empty for continuous ones.
        all_parameters: whether biases and norm layers count where parameter vectors are compared.
    """

    symmetry: Symmetry | None
    latents: Latents
    all_parameters: bool = False

    @cached_property
    def kinds(self) -> dict[str, WeightDistance]:
        """The distances that there are, by name."""
        return weight_distances(binary=bool(self.latents))

    def columns(
        self,
        a: Checkpoint,
        params_a: Params,
        b: Checkpoint,
        params_b: Params,
        known: dict[Callable[..., Any], Any] | None = None,
    ) -> dict[str, float | None]:
        """Return the distances between two networks, those along geodesics only if both are normalised (else None).

        Args:
            a: one network.
            params_a: its tensors, on the device to compute on.
            b: the other.
            params_b: its tensors there.
            known: what `AllPairs` knows of the two.

        Raises:
            GeometryError: if binary networks have other weights too.
        """
        pair = NetworkPair(params_a, params_b, self.symmetry, self.latents, self.all_parameters, known or {})
        normalized = a.normalized is not None and b.normalized is not None
        return {
            name: kind.between(pair) if normalized or not kind.normalized else None for name, kind in self.kinds.items()
        }

    def check(self, metric: Metric | None, example: Checkpoint) -> None:
        """Check that such networks have a distance, if one is named.

        Raises:
            GeometryError: naming those that they have.
        """
        if metric is not None and not needs_predictions(metric) and metric.value not in self.kinds:
            raise GeometryError(
                f"{example.path} is {'' if self.latents else 'not '}a binary network, so `matrix=` {metric.value} has "
                f"no meaning: use {', '.join(self.kinds)}, or a disagreement"
            )

    def warn_of_scales(self, networks: Sequence[Checkpoint]) -> None:
        """Say which networks have no distances along geodesics, as they are not normalised.

        Warns:
            Remark: naming them.
        """
        raw = [network.path for network in networks if network.normalized is None]
        if raw and any(kind.normalized for kind in self.kinds.values()):
            verb = "is not normalised, so it has" if len(raw) == 1 else "are not normalised, so they have"
            warnings.warn(f"{listed(raw)} {verb} no geodesic distance: run landscape normalize", Remark, 2)


def warn_of_undecided(networks: Sequence[Checkpoint], predictions: Sequence[Predictions]) -> None:
    """Say which networks have no predictions.

    Warns:
        LandscapeWarning: naming one.
    """
    for network, classes in zip(networks, predictions, strict=True):
        if classes.undecided:
            warnings.warn(
                f"outputs of {network.path} are NaN, so its disagreement is missing", LandscapeWarning, stacklevel=2
            )


def measure_distances(
    networks: Sequence[Checkpoint],
    pairs: Sequence[Pair],
    distances: WeightDistances,
    *,
    some: Sequence[int] | None = None,
    predictions: Mapping[int, Predictions] | None = None,
    distributions: bool = False,
    align: Callable[[Checkpoint, Checkpoint], Checkpoint] | None = None,
    device: torch.device,
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each pair of networks, and its distances by name.

    Args:
        networks: of one model.
        pairs: which of them, by index.
        distances: those in weights.
        some: the numbers of the pairs to measure; by default all.
        predictions: of each network in these, by index; None to compare none.
        distributions: whether these compare distributions over classes, so that all distances are shown.
        align: returns the second of two networks, aligned to the first; None to compare weights as they are.
        device: where to compute.
        advance: called with 1 for every pair.

    Raises:
        GeometryError: if binary networks have other weights too.
    """
    compared = {} if predictions is None else prediction_distances(every=distributions)
    tensors = [to_device(network, device) for network in networks]
    together = None
    if align is None and len(networks) >= MANY and len(pairs) >= len(networks) * (len(networks) - 1) / FEW:
        angles = sum(network.normalized is not None for network in networks) > 1
        together = AllPairs(
            tensors,
            distances.symmetry,
            distances.latents,
            all_parameters=distances.all_parameters,
            angles=angles,
        )
    for k in range(len(pairs)) if some is None else some:
        i, j = pairs[k].start, pairs[k].end
        a, b = networks[i], networks[j]
        second = tensors[j] if align is None else to_device(align(a, b), device)
        measured = distances.columns(a, tensors[i], b, second, together.of(i, j) if together else None)
        if predictions is not None:
            measured |= {name: kind.between(predictions[i], predictions[j]) for name, kind in compared.items()}
        yield k, measured
        if advance:
            advance(1)
