"""Distances in weights and disagreements, against slow ones; what is registered decides what there is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from landscape_cli.binary.layers import latent_owners
from landscape_cli.choices import Metric
from landscape_cli.data.datasets import Split
from landscape_cli.errors import GeometryError, ModelError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry import geodesic as angles
from landscape_cli.geometry.distances import NetworkPair
from landscape_cli.geometry.hamming import hamming
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.measures.disagreement import disagreement, fraction_differing
from landscape_cli.measures.distance import (
    WeightDistances,
    distance,
    needs_distributions,
    needs_predictions,
    prediction_distances,
    weight_distances,
)
from landscape_cli.network import ModelSpec, Params
from landscape_cli.normalization.normalize import normalize_params
from tests.support.binaries import make_binary
from tests.support.cases import Case, make_case

SPEC = ModelSpec("mlp", {"hidden": [12, 9]}, (7,), 4)


def pair(name: str = "mlp") -> tuple[Case, Params, Params]:
    case, second = (make_case(name, seed=seed) for seed in (1, 2))
    return (
        case,
        normalize_params(case.params, case.symmetry).params,
        normalize_params(second.params, case.symmetry).params,
    )


def test_what_is_registered_decides_which_distances_there_are() -> None:
    assert list(weight_distances(binary=False)) == ["geodesic", "rms_angle", "euclidean", "cosine"]
    assert list(weight_distances(binary=True)) == ["hamming", "hamming_fraction", "cosine"]
    assert list(prediction_distances()) == ["train_disagreement", "test_disagreement"]
    assert [metric.value for metric in Metric if needs_predictions(metric)] == [*prediction_distances(every=True)]
    others = [metric.value for metric in Metric if needs_distributions(metric)]
    assert others == ["train_normalised_disagreement", "test_normalised_disagreement", "train_kl", "test_kl"]
    assert {metric.value: metric.load().itself for metric in Metric if metric.load().itself} == {"cosine": 1.0}


def test_distances_in_weights_equal_the_slow_way() -> None:
    case, a, b = pair()
    every = distance(a, b, case.symmetry, all_parameters=True)
    whole = [[x for name in case.params for x in network[name].flatten().tolist()] for network in (a, b)]
    assert every.euclidean == pytest.approx(math.dist(*whole), rel=1e-12)
    weights = [name for name in case.params if name.endswith("weight")]
    flat = [[x for name in weights for x in network[name].flatten().tolist()] for network in (a, b)]
    assert every.euclidean > math.dist(*flat)
    dot = sum(x * y for x, y in zip(*flat, strict=True))
    norms = [math.sqrt(sum(x * x for x in row)) for row in flat]
    measured = distance(a, b, case.symmetry)
    assert measured.euclidean == pytest.approx(math.dist(*flat), rel=1e-12)
    assert measured.cosine == pytest.approx(dot / norms[0] / norms[1], rel=1e-12)
    assert measured.to_dict() == {
        name: getattr(measured, name) for name in ("geodesic", "rms_angle", "euclidean", "cosine")
    }
    itself = distance(a, a, case.symmetry)
    assert (itself.geodesic, itself.rms_angle, itself.euclidean) == (0, 0, 0)
    assert itself.cosine == pytest.approx(1, abs=1e-15)
    with pytest.raises(AttributeError, match="no distance 'hamming' between these networks: use geodesic, rms_angle"):
        _ = measured.hamming


def test_distances_computed_together_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    case, a, b = pair()
    calls = []
    monkeypatch.setattr(angles, "angle", lambda u, v, angle=angles.angle: calls.append(len(u)) or angle(u, v))
    distance(a, b, case.symmetry)
    assert calls == [12, 9, 1]
    together = NetworkPair(a, b, case.symmetry, {})
    assert together.once(len_of) is together.once(len_of)


def len_of(networks: NetworkPair) -> list[int]:
    return [len(networks.a)]


@pytest.mark.parametrize("name", ["perceptron", "committee", "mlp", "conv, 28"])
def test_distance_of_binary_networks(name: str) -> None:
    first, second = (make_binary(name, seed) for seed in (0, 1))
    measured = distance(first.params, second.params, first.symmetry)
    flips = hamming(first.params, second.params, latent_owners(first.model))
    expected = {"hamming": flips.flips, "hamming_fraction": flips.fraction, "cosine": flips.cosine}
    assert measured.to_dict() == expected
    assert isinstance(measured.hamming, int)
    assert list(measured.to_dict()) == list(expected)
    assert distance(first.params, first.params, first.symmetry).to_dict() == dict.fromkeys(expected, 0) | {"cosine": 1}
    with pytest.raises(GeometryError, match="binary weights alone"):
        distance(*({**net.params, "extra": torch.ones(2)} for net in (first, second)), first.symmetry)


def test_columns_of_networks_that_are_not_normalised_are_missing() -> None:
    case, a, b = pair()
    distances = WeightDistances(case.symmetry, {})
    normalised, raw = (Checkpoint(a, SPEC, {}, normalized=kind, path="x.st") for kind in ({}, None))
    columns = distances.columns(normalised, a, normalised, b)
    assert columns == distance(a, b, case.symmetry).to_dict()
    assert distances.columns(normalised, a, raw, b) == columns | {"geodesic": None, "rms_angle": None}
    with pytest.raises(GeometryError, match=r"x.st is not a binary network, so `matrix=` hamming has no meaning: use "):
        distances.check(Metric.HAMMING, raw)
    for metric in (None, Metric.COSINE, Metric.TEST_DISAGREEMENT):
        distances.check(metric, raw)


def classes_of(case: Case, params: Params) -> list[int]:
    return [row.index(max(row)) for row in case.outputs(dict(params)).tolist()]


def test_disagreement_equals_the_slow_way() -> None:
    case, a, b = pair()
    data = Split(case.inputs, torch.zeros(16, dtype=torch.int64))
    evaluator = Evaluator(case.model, {"train": data, "test": Split(data.x[:5], data.y[:5])})
    differ = [x != y for x, y in zip(classes_of(case, a), classes_of(case, b), strict=True)]
    measured = disagreement(evaluator, a, b)
    assert 0 < sum(differ) < 16
    assert measured.to_dict() == {"train_disagreement": sum(differ) / 16, "test_disagreement": sum(differ[:5]) / 5}
    assert disagreement(evaluator, a, a).train_disagreement == 0
    broken = {name: torch.full_like(tensor, math.nan) for name, tensor in a.items()}
    assert disagreement(evaluator, a, broken).to_dict() == dict.fromkeys(measured.to_dict())
    with pytest.raises(ModelError, match=r"the second network: .*missing: fc1\.bias"):
        disagreement(evaluator, a, {name: tensor for name, tensor in b.items() if name != "fc1.bias"})


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([0, 1, 2], [0, 2, 1], 2 / 3), ([0, 1], [0, 1], 0.0), ([0, -1], [0, 1], None), ([-1, 1], [-1, 1], None)],
)
def test_missing_predictions_have_no_disagreement(first: list[int], second: list[int], expected: float | None) -> None:
    a, b = (Tensor(classes).long() for classes in (first, second))
    assert fraction_differing(a, b) == expected
