"""The distances of all pairs of networks against a loop over pairs: python -m benchmarks distance.

The loop takes two distances of each pair, the Euclidean one and the mean cosine of units; ours all that there are of
normalised networks, geodesics among them, as `landscape distance --no-functions` shows them. "One pair at a time" is
the library's `distance` for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import OURS, Row, interleaved
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.distance import WeightDistances, distance, measure_distances
from landscape_cli.measures.families import Pair
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Symmetry, trace_symmetry

SPEC = ModelSpec("mlp", {"hidden": [100]}, (1, 10, 10), 10)
NETWORKS = 60


def some_networks(count: int) -> tuple[list[Checkpoint], Symmetry]:
    """Return so many random networks of 11 000 parameters, normalised, and their symmetry."""
    models = [create_model(SPEC, seed=seed) for seed in range(count)]
    symmetry = trace_symmetry(models[0], torch.zeros(2, *SPEC.input_shape))
    networks = [normalize_params(model.state_dict(), symmetry).params for model in models]
    return [Checkpoint(params, SPEC, {}, normalized={}) for params in networks], symmetry


def all_pairs(networks: Sequence[Checkpoint], symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return the distances of all pairs."""
    pairs = [Pair(i, j) for i, j in combinations(range(len(networks)), 2)]
    measured = measure_distances(networks, pairs, WeightDistances(symmetry, {}), device=torch.device("cpu"))
    return [distances for _, distances in measured]


def one_by_one(networks: Sequence[Checkpoint], symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return the same, one pair at a time."""
    return [distance(a.params, b.params, symmetry).to_dict() for a, b in combinations(networks, 2)]


def loop(networks: Sequence[Checkpoint]) -> list[tuple[float, float]]:
    """Return the Euclidean distance and the mean cosine of each pair, as scripts compute them."""

    def of_pair(a: dict[str, Tensor], b: dict[str, Tensor]) -> tuple[float, float]:
        weights = [name for name in a if a[name].ndim > 1]
        squares = sum(float((a[name].double() - b[name].double()).square().sum()) for name in weights)
        cosines = torch.cat([torch.cosine_similarity(a[name].double(), b[name].double(), dim=1) for name in weights])
        return squares**0.5, float(cosines.mean())

    return [of_pair(dict(a.params), dict(b.params)) for a, b in combinations(networks, 2)]


def rows(repeats: int) -> Iterator[Row]:
    """Measure all pairs of one number of networks."""
    networks, symmetry = some_networks(NETWORKS)
    ways = {
        "loop": partial(loop, networks),
        "one pair at a time": partial(one_by_one, networks, symmetry),
        OURS: partial(all_pairs, networks, symmetry),
    }
    seconds, results = interleaved(ways, repeats)
    apart = max(
        abs(ours["euclidean"] / expected - 1)
        for ours, (expected, _) in zip(results[OURS], results["loop"], strict=True)
    )
    size = f"{len(results[OURS])} pairs of {NETWORKS}"
    yield Row("distances", size, seconds, {"largest relative difference": f"{apart:.0e}"})
