"""Ensembles: of functions, which no symmetry changes, of weights, which it does, and wedges that are planted."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import (
    Ensemble,
    Evaluator,
    Split,
    align_set,
    disagreement,
    ensemble,
    normalize,
    permute,
    random_permutations,
    recompute_statistics,
    rescale,
    trace_symmetry,
)
from landscape_cli.errors import GeometryError, LandscapeWarning, ModelError, Remark
from landscape_cli.geometry.barycentre import barycentre
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from tests.support.binaries import make_binary
from tests.support.cases import random_factors


def trained(model: nn.Module, data: Split, steps: int, seed: int = 0) -> None:
    """A few steps of gradient descent with momentum, on samples of which each run drops others."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randperm(len(data.y), generator=generator)[:200]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data.x[chosen]), data.y[chosen]).backward()
        optimizer.step()


class Planted:
    """Networks of two hidden layers: two forks of one network, and a third on its own."""

    def __init__(self, norm: bool = False) -> None:
        torch.manual_seed(0)
        points = torch.randn(600, 6)
        labels = ((points[:, 0] * points[:, 1] > 0).long() + (points[:, 2] * points[:, 3] > 0)) % 3
        noisy = torch.where(torch.rand(600) < 0.1, torch.randint(3, (600,)), labels)  # so that networks err
        self.data = {"train": Split(points[:300], noisy[:300]), "test": Split(points[300:], noisy[300:])}
        self.model = self.make(norm)
        self.symmetry: Symmetry = trace_symmetry(self.model, points[:2])
        trained(self.model, self.data["train"], 300)
        common = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.forks = []
        for seed in (1, 2):
            self.model.load_state_dict(common)
            trained(self.model.train(), self.data["train"], 60, seed)
            self.forks.append(self.copy())
        torch.manual_seed(5)
        self.model = self.make(norm)
        trained(self.model, self.data["train"], 360, 3)
        self.third = self.copy()

    @staticmethod
    def make(norm: bool) -> nn.Module:
        between = [nn.BatchNorm1d(14)] if norm else []
        return nn.Sequential(
            nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 14), *between, nn.ReLU(), nn.Linear(14, 3)
        ).train()

    def copy(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def shuffled(self, network: Params, seed: int) -> dict[str, Tensor]:
        source = torch.Generator().manual_seed(seed)
        return permute(network, self.symmetry, random_permutations(self.symmetry, generator=source))

    def measure(self, networks: list[Params], **options: Any) -> Ensemble:
        return ensemble(self.model, networks, self.data, **options)

    def aligned(self, networks: list[Params]) -> list[dict[str, Tensor]]:
        return align_set(self.model, networks, self.symmetry).networks


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


def of_functions(measured: Ensemble) -> dict[str, Any]:
    weights = {"weights_error", "weights_loss"}
    return {
        split: {name: value for name, value in scores.to_dict().items() if name not in weights}
        for split, scores in measured.scores.items()
    }


def same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == pytest.approx(b, rel=1e-4, abs=1e-6)


def test_figures_follow_from_their_parts(planted: Planted) -> None:
    networks = [*planted.forks, planted.third]
    measured = planted.measure(networks)
    evaluator = Evaluator(planted.model, planted.data)
    scores = evaluator.evaluate(networks)
    mean = barycentre(networks)
    of_mean = evaluator.evaluate([mean])
    for split, found in measured.to_dict().items():
        if split not in planted.data:
            continue
        errors = scores[split].error.tolist()
        differing = [
            getattr(disagreement(evaluator, networks[i], networks[j]), f"{split}_disagreement")
            for i, j in ((0, 1), (0, 2), (1, 2))
        ]
        assert found["member_error"] == {"mean": pytest.approx(sum(errors) / 3), "least": min(errors)}
        assert found["member_loss"] == pytest.approx(float(scores[split].loss.mean()))
        assert found["gain"] == pytest.approx(sum(errors) / 3 - found["error"])
        assert found["disagreement"] == pytest.approx(sum(differing) / 3)
        assert found["normalised_disagreement"] == pytest.approx(sum(differing) / sum(errors))
        assert found["weights_error"] == float(of_mean[split].error[0])
        assert found["weights_loss"] == pytest.approx(float(of_mean[split].loss[0]))
        pairs = [planted.measure([networks[i], networks[j]]).scores[split].kl for i, j in ((0, 1), (0, 2), (1, 2))]
        assert found["kl"] == pytest.approx(sum(kl for kl in pairs if kl is not None) / 3)
        assert found["loss"] < found["member_loss"]  # the logarithm is concave
    values = measured.to_dict(["a", "b", "c"])
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert list(values) == ["networks", "geometry", "train", "test", "wedges"]
    assert values["geometry"] == "linear"


def test_forks_share_a_wedge_and_a_stranger_does_not(planted: Planted) -> None:
    networks = [planted.forks[0], planted.third, planted.forks[1]]
    measured = planted.measure(networks)
    assert measured.wedges == ((0, 2), (1,))
    assert measured.to_dict(["a", "b", "c"])["wedges"] == [["a", "c"], ["b"]]
    assert measured.scores["test"].weights_error > measured.scores["test"].member_error + 0.05
    assert planted.measure(networks, same=1.0).wedges == ((0, 1, 2),)


def test_copies_share_a_wedge_once_aligned(planted: Planted) -> None:
    networks = [planted.forks[0], planted.shuffled(planted.forks[0], 1), planted.shuffled(planted.forks[1], 2)]
    apart = planted.measure(networks)
    together = planted.measure(networks, aligned=planted.aligned(networks))
    assert len(apart.wedges or ()) == 3
    assert together.wedges == ((0, 1, 2),)
    assert same(of_functions(apart), of_functions(together))  # functions are not averaged in weights
    assert together.scores["test"].weights_error < apart.scores["test"].weights_error


def test_no_symmetry_changes_the_functions_nor_the_aligned_mean(planted: Planted) -> None:
    networks = [planted.forks[0], planted.third, planted.forks[1]]
    moved = [
        planted.shuffled(rescale(network, planted.symmetry, random_factors(planted.symmetry, seed)), seed)
        for seed, network in enumerate(networks)
    ]
    assert same(of_functions(planted.measure(networks)), of_functions(planted.measure(moved)))
    assert planted.measure(moved).scores["test"].weights_loss != pytest.approx(
        planted.measure(networks).scores["test"].weights_loss, rel=1e-2
    )
    results = []
    for several in (networks, moved):
        normal = [normalize(planted.model, network, planted.symmetry).params for network in several]
        setting = {"aligned": planted.aligned(normal), "symmetry": planted.symmetry}
        results.append(planted.measure(normal, **setting))
        assert results[-1].to_dict()["geometry"] == "spherical"
    for split in planted.data:
        first, second = (result.scores[split] for result in results)
        assert first.weights_error == second.weights_error
        assert first.weights_loss == pytest.approx(second.weights_loss, rel=1e-4)
    assert results[0].wedges == results[1].wedges


def test_the_mean_of_normalised_networks_is_spherical(planted: Planted) -> None:
    normal = [normalize(planted.model, network, planted.symmetry).params for network in planted.forks]
    evaluator = Evaluator(planted.model, planted.data)
    for symmetry in (None, planted.symmetry):
        expected = evaluator.evaluate([barycentre(normal, symmetry=symmetry)])["train"]
        measured = planted.measure(normal, symmetry=symmetry)
        assert measured.spherical == (symmetry is not None)
        assert measured.scores["train"].weights_loss == pytest.approx(float(expected.loss[0]), rel=1e-9)
    raw = planted.measure(planted.forks, symmetry=planted.symmetry)
    assert raw.spherical is False


def test_statistics_of_a_mean_are_recomputed_if_asked() -> None:
    planted = Planted(norm=True)
    networks = [planted.forks[0], planted.third]
    evaluator = Evaluator(planted.model, planted.data)
    kept, recomputed = (planted.measure(networks, bn=bn) for bn in ("keep", "recompute"))
    mean = barycentre(networks)
    fresh = recompute_statistics(planted.model, mean, planted.data["train"].x)
    for measured, network in ((kept, mean), (recomputed, fresh)):
        expected = float(evaluator.evaluate([network])["test"].loss[0])
        assert measured.scores["test"].weights_loss == pytest.approx(expected)
    assert kept.scores["test"].weights_loss != pytest.approx(recomputed.scores["test"].weights_loss)
    assert of_functions(kept) == of_functions(recomputed)


def test_a_single_split_judges_wedges_itself(planted: Planted) -> None:
    measured = ensemble(planted.model, planted.forks, planted.data["train"])
    assert list(measured.scores) == ["data"]
    assert measured.wedges == ((0, 1),)


def test_the_test_set_judges_wedges_where_there_is_one() -> None:
    """The mean of a network and its negative decides for class 0 everywhere: right on one split, wrong on the other."""
    a = {"weight": torch.tensor([[1.0], [0.0]]), "bias": torch.zeros(2)}
    b = {"weight": torch.tensor([[-1.0], [0.0]]), "bias": torch.zeros(2)}
    x, of_zero = torch.tensor([[1.0], [2.0], [-1.0], [-2.0]]), torch.zeros(4, dtype=torch.int64)
    good, bad = Split(x, of_zero), Split(x, of_zero + 1)
    model = nn.Linear(1, 2)
    assert ensemble(model, [a, b], {"train": bad, "test": good}).wedges == ((0, 1),)
    assert ensemble(model, [a, b], {"train": good, "test": bad}).wedges == ((0,), (1,))
    assert ensemble(model, [a, b], {"other": bad, "train": good}).wedges == ((0, 1),)


def test_binary_networks_have_functions_alone() -> None:
    binary = make_binary("mlp")
    data = Split(binary.inputs, torch.zeros(len(binary.inputs), dtype=torch.int64))
    with pytest.warns(Remark, match="^binary networks have no mean of weights"):
        measured = ensemble(binary.model, [binary.params, binary.moved(1), make_binary("mlp", 1).params], data)
    assert (measured.wedges, measured.spherical) == (None, None)
    values = measured.to_dict()
    assert list(values) == ["networks", "data"]
    assert "weights_error" not in values["data"]
    assert values["data"]["kl"] > 0


def test_nan_outputs_are_missing_and_told(planted: Planted) -> None:
    broken = {name: torch.full_like(tensor, math.nan) for name, tensor in planted.third.items()}
    with pytest.warns(LandscapeWarning) as caught:
        measured = planted.measure([*planted.forks, broken])
    texts = [str(warning.message) for warning in caught]
    assert texts[0] == "outputs of network 3 are NaN, so the ensemble has no error (missing)"
    assert texts[1].startswith("3 of 4 means of weights have no error (missing, null): outputs are NaN there")
    assert measured.wedges == ((0, 1), (2,))
    values = measured.to_dict()["test"]
    assert values.pop("member_error") == {"mean": None, "least": None}
    assert set(values.values()) == {None}
    assert "weights_error" in values


def test_nobody_errs_so_nothing_is_normalised() -> None:
    model = nn.Linear(2, 2)
    network = {"weight": torch.eye(2), "bias": torch.zeros(2)}
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    measured = ensemble(model, [network, network], Split(x, torch.arange(2))).to_dict()["data"]
    assert measured["disagreement"] == measured["error"] == measured["gain"] == 0
    assert measured["normalised_disagreement"] is None
    assert measured["kl"] == pytest.approx(0, abs=1e-14)


def test_nonsense_is_refused(planted: Planted) -> None:
    a, b = planted.forks
    for networks, options, message in (
        ([a], {}, "an ensemble is two networks or more, not 1"),
        (a, {}, "`networks=` is a dict"),
        ([a, b], {"aligned": [a]}, "`aligned=` holds 1 networks, of 2"),
        ([a, b], {"same": -0.1}, "`same=` must be at least 0, and is -0.1"),
        ([a, b], {"same": math.nan}, "`same=` must be a finite number"),
        ([a, b], {"bn": "magic"}, "unknown `bn=` 'magic'"),
        ([a, b], {"symmetry": "mlp"}, "`symmetry=` is a str"),
    ):
        with pytest.raises(GeometryError, match=message):
            planted.measure(networks, **options)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"^networks, 2: the tensors do not fit"):
        planted.measure([a, {}])
    with pytest.raises(ModelError, match=r"^aligned, 2: the tensors do not fit"):
        planted.measure([a, b], aligned=[a, {}])


def test_networks_that_are_no_solutions_share_no_wedge_without_a_warning() -> None:
    """Half of a network's weights decide as it does, so that its mean with the zero network errs no more."""
    model = torch.nn.Linear(2, 2, bias=False)
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    data = Split(torch.cat([x, x]), torch.cat([y, torch.arange(200) % 2]))  # errors of 0.25 and 0.5
    solution = {"weight": torch.tensor([[-1.0, 0.0], [1.0, 0.0]])}
    turned = {"weight": torch.tensor([[-1.0, 0.02], [1.0, 0.0]])}
    guessing = {"weight": torch.zeros(2, 2)}
    poor = {"weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]) / 100}
    with pytest.warns(LandscapeWarning, match="sharing a wedge says little of network 2: the error is near that of g"):
        measured = ensemble(model, [solution, guessing], data)
    assert (measured.wedges, measured.doubtful) == (((0, 1),), (1,))
    with pytest.warns(LandscapeWarning, match="sharing a wedge says little of network 1"):
        assert ensemble(model, [poor, solution], data).doubtful == (0,)
    measured = ensemble(model, [solution, turned], data)  # and no warning
    assert (measured.wedges, measured.doubtful) == (((0, 1),), ())
