"""The evaluator and what is measured with it equal the slow, obvious loops."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset

from landscape_cli.data.datasets import DataSpec, Split, load_data
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.errors import DataError, ModelError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.outputs import UNDECIDED, all_outputs, decide, logits_of
from landscape_cli.forward.sizes import FEW_NETWORKS
from landscape_cli.geometry.geodesic import geodesic
from landscape_cli.geometry.linear import linear
from landscape_cli.geometry.plane import span_plane
from landscape_cli.measures.flatness import local_energy
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.rng import generator
from tests.support.cases import SPECS, Case, make_case
from tests.support.normed import NORMED, make_net
from tests.support.reference import wrong


def data_for(name: str, samples: int = 150) -> Split:
    spec = SPECS[name]
    source = torch.Generator().manual_seed(9)
    x = torch.randn(samples, *spec.input_shape, generator=source)
    return Split(x, torch.randint(0, max(2, spec.outputs), (samples,), generator=source))


def float_case(name: str, seed: int = 0) -> Case:
    return make_case(name, seed=seed, dtype=torch.float32)


@pytest.mark.parametrize("name", SPECS)
def test_error_equals_the_slow_loop(name: str) -> None:
    case, data = float_case(name), data_for(name)
    networks = [float_case(name, seed).params for seed in range(11)]
    slow = [wrong(case.model, params, *data) for params in networks]
    logits = torch.func.functional_call(case.model, networks[4], (data.x,)).double()
    expected = (
        F.binary_cross_entropy_with_logits(logits[:, 0], data.y.double())
        if logits.shape[1] == 1
        else F.cross_entropy(logits, data.y)
    )
    for batch_size in (None, 7, 1000):
        scores = Evaluator(case.model, data, batch_size=batch_size).evaluate(networks)["data"]
        assert scores.wrong.tolist() == slow
        assert scores.error.dtype == torch.float64
        assert float(scores.loss[4]) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", ["mlp", "mlp-sign"])
def test_outputs_that_are_nan_are_no_class(name: str) -> None:
    case, data = float_case(name), data_for(name)
    logits = torch.tensor([[1.0, 2.0], [float("nan"), 0.0], [0.0, float("nan")], [float("-inf"), 3.0]])
    assert decide(logits).tolist() == [1, UNDECIDED, UNDECIDED, 1]
    assert decide(logits[:, :1]).tolist() == [1, UNDECIDED, 1, 0]
    broken = case.params | {"fc1.bias": torch.full_like(case.params["fc1.bias"], float("nan"))}
    evaluator = Evaluator(case.model, data, batch_size=64)
    scores = evaluator.evaluate([case.params, broken])["data"]
    assert scores.undecided.tolist() == [0, 150]
    assert scores.error.isnan().tolist() == [False, True]
    assert scores.loss.isnan().tolist() == [False, True]
    assert evaluator.predictions(broken, "data").unique().tolist() == [UNDECIDED]
    evaluator = Evaluator(case.model, Split(data.x.clone(), data.y), batch_size=64)
    evaluator.splits["data"].x[100] = float("nan")  # which it would have refused
    scores = evaluator.evaluate([case.params])["data"]
    assert scores.undecided.tolist() == [1]
    assert scores.error.isnan().all()


def test_splits_and_no_networks() -> None:
    case, data = float_case("mlp"), data_for("mlp")
    half = Split(data.x[:50], data.y[:50])
    evaluator = Evaluator(case.model, {"train": data, "test": half})
    scores = evaluator.evaluate([case.params])
    assert (scores["train"].samples, scores["test"].samples) == (150, 50)
    assert float(evaluator.error([case.params], "test")) == float(scores["test"].error)
    assert float(evaluator.error([case.params])) == float(scores["train"].error)
    assert evaluator.evaluate([])["train"].error.shape == (0,)
    logits = torch.func.functional_call(case.model, case.params, (data.x,))
    assert torch.equal(evaluator.predictions(case.params, "train"), decide(logits))
    assert len(decide(logits).unique()) > 1


def test_few_networks_are_alive_at_once() -> None:
    case, data = float_case("mlp"), data_for("mlp")
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def networks() -> Iterator[dict[str, torch.Tensor]]:
        nonlocal most
        for k in range(60):
            params = {key: tensor * (1 + k / 100) for key, tensor in case.params.items()}
            alive.add(params["fc1.weight"])
            most = max(most, len(alive))
            yield params

    assert Evaluator(case.model, data).error(networks()).shape == (60,)
    assert most <= 2 * FEW_NETWORKS + 1  # a chunk, and the one that follows it


def test_progress_counts_every_sample() -> None:
    case, data = float_case("mlp"), data_for("mlp")
    seen: list[int] = []
    Evaluator(case.model, {"a": data, "b": data}, advance=seen.append).evaluate([case.params] * 10)
    assert sum(seen) == 2 * 10 * 150


def test_double_networks_are_evaluated_in_double() -> None:
    case, data = make_case("mlp"), data_for("mlp")
    expected = F.cross_entropy(torch.func.functional_call(case.model, case.params, (data.x.double(),)), data.y)
    assert float(Evaluator(case.model, data).evaluate([case.params])["data"].loss) == pytest.approx(
        float(expected), rel=1e-14
    )


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_path_and_plane_equal_the_slow_loop(name: str) -> None:
    case, data = float_case(name), data_for(name, 60)
    a, b, c = (normalize_params(float_case(name, seed).params, case.symmetry).params for seed in range(3))
    plane = span_plane(a, b, c)
    sets = {
        "linear": [linear(a, b, k / 6) for k in range(7)],
        "geodesic": [geodesic(a, b, k / 6, case.symmetry) for k in range(7)],
        "plane": [plane.network(x, y) for x in (-1.0, 2.0) for y in (0.5, 3.0)],
    }
    for networks in sets.values():
        found = Evaluator(case.model, data).evaluate(iter(networks))["data"].wrong.tolist()
        assert found == [wrong(case.model, params, *data) for params in networks]
    assert len({tuple(Evaluator(case.model, data).error(n).tolist()) for n in list(sets.values())[:2]}) == 2


def test_flatness_equals_the_slow_loop() -> None:
    case, data = float_case("mlp"), data_for("mlp", 80)
    sigma, samples = (0.2, 0.8), 4
    evaluator = Evaluator(case.model, data)
    found = local_energy(evaluator, case.params, weights=case.symmetry.weights, sigma=sigma, samples=samples, seed=3)
    base = wrong(case.model, case.params, *data) / 80
    assert found.error["data"] == base
    for draw in range(samples):
        source = generator(3, draw)
        noise = {key: torch.randn(case.params[key].shape, generator=source) for key in case.symmetry.weights}
        for k, strength in enumerate(sigma):
            moved = {
                key: tensor + strength * noise[key] * tensor if key in noise else tensor
                for key, tensor in case.params.items()
            }
            expected = wrong(case.model, moved, *data) / 80 - base
            assert float(found.draws["data"][k, draw]) == pytest.approx(expected, abs=1e-15)
    assert float(found.mean("data")[1]) == pytest.approx(float(found.draws["data"][1].mean()))
    spread = float(found.draws["data"][1].std()) / 2
    assert float(found.standard_error("data")[1]) == pytest.approx(spread)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_flatness_does_not_see_scale(name: str) -> None:
    case, data = make_case(name), data_for(name, 80)
    evaluator = Evaluator(case.model, data)

    def energies(params: dict[str, torch.Tensor], weights: tuple[str, ...]) -> torch.Tensor:
        return local_energy(evaluator, params, weights=weights, sigma=(0.1, 0.5), samples=5).draws["data"]

    before = energies(case.params, case.symmetry.weights)
    after = energies(normalize_params(case.params, case.symmetry).params, case.symmetry.weights)
    assert torch.equal(before, after)
    assert before.abs().sum() > 0
    other = local_energy(
        evaluator, case.params, weights=case.symmetry.weights, sigma=(0.1, 0.5), samples=5, seed=1
    ).draws["data"]
    assert not torch.equal(before, other)


@pytest.mark.parametrize("name", NORMED)
def test_flatness_of_any_network_does_not_see_scale(name: str) -> None:
    """Neither absorbed by batch-norm, nor in gains: only weights are perturbed."""
    net = make_net(name)
    assert all(net.params[key].ndim > 1 and key.endswith("weight") for key in net.symmetry.weights)
    data = Split(net.inputs, net.outputs(net.params)[:, :4].argmax(1))
    options = {"weights": net.symmetry.weights, "sigma": (0.3, 3.0), "samples": 8}
    before, after = (
        local_energy(Evaluator(net.model, data), params, **options).draws["data"]
        for params in (net.params, normalize_params(net.params, net.symmetry).params)
    )
    assert torch.equal(before, after)
    assert before.abs().sum() > 0


def test_shared_weights_share_their_noise() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)).eval()
    model[1] = model[0]
    params = dict(model.state_dict())
    assert list(params) == ["0.weight", "1.weight"]
    seen = []

    class Spy(Evaluator):
        def evaluate(self, networks):
            given = list(networks)
            seen.extend(given)
            return super().evaluate(given)

    data = Split(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(5).long())
    local_energy(Spy(model, data), params, weights=list(params), sigma=[0.3], samples=2)
    assert all(torch.equal(network["0.weight"], network["1.weight"]) for network in seen)
    assert not torch.equal(seen[1]["0.weight"], seen[0]["0.weight"])


def test_first_output_counts() -> None:
    net = make_net("two-heads")
    labels = net.outputs(net.params)[:, :4].argmax(1)
    evaluator = Evaluator(net.model, Split(net.inputs, labels))
    assert evaluator.error([net.params]).tolist() == [0.0]
    assert torch.equal(evaluator.predictions(net.params, "data"), labels)
    aside = net.outputs(net.params)[:, 4:].argmax(1)
    assert float(Evaluator(net.model, Split(net.inputs, aside)).error([net.params])[0]) > 0


@dataclass
class Heads:
    values: Tensor
    policy: Tensor


def test_outputs_in_tuples_and_lists() -> None:
    a, b, c = torch.zeros(2, 3), torch.ones(2, 1), torch.full((2, 2), 2.0)
    assert [tensor.shape[1] for tensor in all_outputs((a, [b, None, (c,)]))] == [3, 1, 2]
    assert logits_of([b, a]) is b
    assert all_outputs({"aside": b, "logits": a}) == (a,)
    assert [tensor.shape[1] for tensor in all_outputs((c, {"aside": b, "none": None}, Heads(b, a)))] == [2, 1, 1, 3]
    for wrong_kind in ({"logits": None}, {"a": 1.0}, {}, (), None, 1.0):
        with pytest.raises(ModelError, match=r"the model returns a \w+, expected a tensor"):
            all_outputs(wrong_kind)
    with pytest.raises(ModelError, match=r"logits of shape \(2,\): expected \(samples, outputs\)"):
        logits_of(a[:, 0])


def test_first_draws_do_not_depend_on_how_many() -> None:
    case, data = float_case("mlp"), data_for("mlp")
    few, many = (
        local_energy(Evaluator(case.model, data), case.params, weights=["fc1.weight"], sigma=[0.5], samples=n)
        for n in (2, 6)
    )
    assert torch.equal(few.draws["data"], many.draws["data"][:, :2])


def test_ties_go_to_the_first_and_zero_is_positive() -> None:
    assert decide(torch.tensor([[1.0, 1.0], [0.0, 1.0]])).tolist() == [0, 1]
    assert decide(torch.tensor([[0.0], [-1e-9], [2.0]])).tolist() == [1, 0, 1]


X, Y = torch.randn(12, 5), torch.arange(12) % 3
NONSENSE = {
    "labels beyond the outputs": (Split(X, Y + 4), r"labels out of range: .* 4 classes.*between 0 and 3.* from 4 to 6"),
    "negative labels": (Split(X, Y - 1), r"labels out of range: .* they go from -1 to 1"),
    "labels that are floats": (Split(X, Y.float()), r"y holds torch\.float32, expected whole numbers from 0"),
    "labels that are one-hot": (Split(X, torch.eye(3)[Y]), r"y has shape \(12, 3\), expected \(12,\)"),
    "labels that are truth": (Split(X, Y > 0), r"y holds torch\.bool"),
    "fewer labels": (Split(X, Y[:9]), r"y has shape \(9,\), expected \(12,\): one label a sample of x"),
    "inputs without a shape": (Split(X[:, 0], Y), r"x has shape \(12,\), expected \(samples, \.\.\.\)"),
    "no inputs": (Split(X[:0], Y[:0]), r"x has shape \(0, 5\), .* none empty"),
    "inputs that are NaN": (Split(X.index_fill(0, Y[:1], torch.nan), Y), "x holds NaN or Inf"),
    "complex inputs": (Split(X.to(torch.complex64), Y), r"x holds torch\.complex64"),
    "numpy": (Split(X.numpy(), Y), "x is a ndarray, expected a tensor"),
    "a loader without labels": (DataLoader(TensorDataset(X)), r"'data': batch 0 has 1 parts, expected a pair"),
    "a data set without labels": ({"train": TensorDataset(X)}, r"the split 'train': sample 0 has 1 parts"),
    "a list": ([X, Y, Y], r"'data' is a list, expected tensors \(x, y\), a Dataset or a DataLoader"),
    "text": ("mnist", "'data' is a str, expected"),
    "nothing": ({}, "no data to evaluate on"),
}


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_nonsense_is_refused(name: str, batch_size: int | None) -> None:
    model, (data, message) = torch.nn.Linear(5, 4), NONSENSE[name]
    assert Evaluator(model, Split(X, Y), batch_size=batch_size).error([model.state_dict()]).shape == (1,)
    with pytest.raises(DataError, match=message) as refused:
        Evaluator(model, data, batch_size=batch_size)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_data_of_every_kind_give_the_same() -> None:
    """Tensors, arrays, data sets and loaders of the same samples, alone, by name and in pairs."""
    model, pairs = torch.nn.Linear(5, 4), TensorDataset(X, Y)
    params = model.state_dict()
    expected = Evaluator(model, Split(X, Y)).evaluate([params])["data"]
    kinds = [(X, Y), (X.numpy(), Y.numpy()), pairs, Subset(pairs, range(12)), DataLoader(pairs, batch_size=5)]
    for data in kinds:
        assert torch.equal(Evaluator(model, data).evaluate([params])["data"].loss, expected.loss)
        assert Evaluator(model, {"a": data}).splits.keys() == {"a"}
    both = Evaluator(model, (DataLoader(pairs), (X[:6], Y[:6]))).splits
    assert {name: len(split.y) for name, split in both.items()} == {"train": 12, "test": 6}


def test_one_output_decides_between_two_classes() -> None:
    model = torch.nn.Linear(5, 1)
    for labels in (Y % 2, (Y % 2).to(torch.int32)):
        assert Evaluator(model, Split(X, labels)).evaluate([model.state_dict()])["data"].loss > 0
    for labels in (torch.full((12,), 7), Y):
        with pytest.raises(DataError, match="labels out of range: the model decides between 2 classes"):
            Evaluator(model, Split(X, labels))


def test_networks_that_do_not_fit_are_refused() -> None:
    model = torch.nn.Linear(5, 4)
    params = dict(model.state_dict())
    evaluator = Evaluator(model, Split(X, Y))
    for network, message in (
        ({"weight": params["weight"]}, r"do not fit the model \(missing: bias\)"),
        (params | {"bias": torch.zeros(3)}, r"wrong shape: bias is \(3,\), expected \(4,\)"),
        (params | {"gain": torch.zeros(3)}, r"not in the model: gain"),
        (model, "expected networks, tensors by name, not a Linear"),
    ):
        for work in (
            lambda network=network: evaluator.evaluate([params, network]),
            lambda network=network: evaluator.error([network]),
            lambda network=network: evaluator.predictions(network, "data"),
        ):
            with pytest.raises(ModelError, match=message):
                work()
    with pytest.raises(ModelError, match="put it in a list"):
        evaluator.error(params)  # type: ignore[arg-type]


def test_splits_that_there_are_not_are_refused() -> None:
    model = torch.nn.Linear(5, 4)
    data = {"train": Split(X, Y), "test": Split(X, Y)}
    with pytest.raises(DataError, match="no split 'data': choose train, test"):
        Evaluator(model, data, recompute_on="data")
    for work in (
        lambda: Evaluator(model, data).error([model.state_dict()], "valid"),
        lambda: Evaluator(model, data).predictions(model.state_dict(), "valid"),
    ):
        with pytest.raises(DataError, match="no split 'valid': choose train, test"):
            work()


def test_scores_are_json() -> None:
    case, data = float_case("mlp"), data_for("mlp")
    broken = case.params | {"fc1.bias": torch.full_like(case.params["fc1.bias"], float("nan"))}
    scores = Evaluator(case.model, data).evaluate([case.params, broken])["data"]
    values = scores.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["error"] == [float(scores.error[0]), None]
    assert values["loss"] == [float(scores.loss[0]), None]
    assert (values["undecided"], values["samples"]) == ([0, 150], 150)


def test_a_data_set_is_its_splits() -> None:
    sets = load_data(DataSpec("hmm", hmm=HiddenManifold(dim=5, latent=3, patterns=20, test_patterns=10)))
    model = torch.nn.Linear(5, 2)
    whole = Evaluator(model, sets).evaluate([model.state_dict()])
    parts = Evaluator(model, {"train": sets.train, "test": sets.test}).evaluate([model.state_dict()])
    assert {name: scores.to_dict() for name, scores in whole.items()} == {k: v.to_dict() for k, v in parts.items()}
    assert [scores.samples for scores in whole.values()] == [20, 10]
