"""Distributions over classes, compared in one pass: against loops over samples in numpy."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.measures import predictions as module
from landscape_cli.measures.predictions import log_probabilities, predict, predict_distributions, samples_predicted
from landscape_cli.network import Params
from tests.support.binaries import make_binary
from tests.support.cases import Case, make_case

GROUPS = [[0, 1, 2], [2, 0]]


def several(name: str, count: int = 3) -> tuple[Case, list[Params], Evaluator]:
    cases = [make_case(name, seed=seed) for seed in range(count)]
    outputs = cases[0].outputs(dict(cases[0].params)).shape[1]
    labels = torch.arange(16) % max(2, outputs)
    train = Split((0.02 if name == "lenet" else 3) * cases[0].inputs, labels)
    return (
        cases[0],
        [case.params for case in cases],
        Evaluator(cases[0].model, {"train": train, "test": Split(train.x[:7], labels[:7])}, batch_size=5),
    )


def slow(logits: np.ndarray) -> np.ndarray:
    """The probabilities of one sample's classes."""
    if len(logits) == 1:
        positive = 1 / (1 + math.exp(-logits[0]))
        return np.array([1 - positive, positive])
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


@pytest.mark.parametrize("block", [1, 4096, 64 << 20])
@pytest.mark.parametrize("name", ["mlp", "mlp-sign", "lenet"])
def test_equals_a_loop_over_samples(monkeypatch: pytest.MonkeyPatch, name: str, block: int) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    case, networks, evaluator = several(name)
    steps: list[int] = []
    found, mixtures = predict_distributions(networks, evaluator, GROUPS, advance=steps.append)
    assert sum(steps) == samples_predicted(3, evaluator) == 3 * 23
    for split, (x, y) in evaluator.splits.items():
        with torch.no_grad():
            logits = [torch.func.functional_call(case.model, dict(n), (x,)).double().numpy() for n in networks]
        shares = [[slow(row) for row in of] for of in logits]
        labels = y.tolist()
        for a, b in product(range(3), repeat=2):
            divergence = np.mean([(p * np.log(p / q)).sum() for p, q in zip(shares[a], shares[b], strict=True)])
            assert float(found[a].divergences[split][b]) == pytest.approx(divergence, rel=1e-9, abs=1e-14)
        for k, of in enumerate(shares):
            classes = [int(p.argmax()) for p in of]
            assert found[k][split].tolist() == classes
            assert found[k].errors[split] == np.mean([c != label for c, label in zip(classes, labels, strict=True)])
            assert found[k].losses[split] == pytest.approx(
                -np.mean([math.log(p[label]) for p, label in zip(of, labels, strict=True)]), rel=1e-9
            )
        for group, mixture in zip(GROUPS, mixtures, strict=True):
            mixed = [np.mean([shares[k][i] for k in group], axis=0) for i in range(len(labels))]
            wrong = [int(p.argmax()) != label for p, label in zip(mixed, labels, strict=True)]
            assert mixture.errors[split] == np.mean(wrong)
            loss = -np.mean([math.log(p[label]) for p, label in zip(mixed, labels, strict=True)])
            assert mixture.losses[split] == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("name", ["mlp", "mlp-sign"])
def test_decisions_and_losses_are_the_evaluators(name: str) -> None:
    _, networks, evaluator = several(name)
    found, [mixture] = predict_distributions([*networks, networks[0]], evaluator, [[0, 3, 0]])
    plain, scores = predict(networks, evaluator), evaluator.evaluate(networks)
    for k, of_network in enumerate(plain):
        for split in evaluator.splits:
            assert torch.equal(found[k][split], of_network[split])
            assert found[k].errors[split] == of_network.errors[split] == float(scores[split].error[k])
            assert found[k].losses[split] == pytest.approx(float(scores[split].loss[k]), rel=1e-12)
    assert mixture.errors == pytest.approx(found[0].errors)  # of copies: the network's own
    assert mixture.losses == pytest.approx(found[0].losses)
    assert max(float(found[0].divergences[split][3]) for split in evaluator.splits) < 1e-14


def test_divergences_are_finite_where_probabilities_vanish() -> None:
    _, networks, evaluator = several("mlp", 2)
    far = {name: tensor * 1e6 for name, tensor in networks[1].items()}
    found, [mixture] = predict_distributions([networks[0], far], evaluator, [[0, 1]])
    assert all(bool(torch.isfinite(row).all()) for of in found for row in of.divergences.values())
    assert all(map(math.isfinite, mixture.losses.values()))
    assert float(found[0].divergences["train"][1]) > 1e3
    logs = log_probabilities(torch.tensor([[900.0], [-900.0]]))
    assert logs.tolist() == [[-900.0, 0.0], [0.0, -900.0]]


def test_one_output_at_zero_decides_for_class_one() -> None:
    model = torch.nn.Linear(1, 1)
    networks = [{"weight": torch.tensor([[w]]), "bias": torch.zeros(1)} for w in (1.0, -1.0)]
    evaluator = Evaluator(model, Split(torch.tensor([[0.0], [2.0], [3.0]]), torch.tensor([1, 1, 0])))
    found, [mixture] = predict_distributions(networks, evaluator, [[0, 1]])
    assert [of["data"].tolist() for of in found] == [[1, 1, 1], [1, 0, 0]]
    assert mixture.errors["data"] == pytest.approx(1 / 3)  # both halves of every mixture are equal: all class 1


def test_outputs_that_are_nan_are_missing() -> None:
    _, networks, evaluator = several("mlp")
    broken = {name: torch.full_like(tensor, math.nan) for name, tensor in networks[1].items()}
    found, mixtures = predict_distributions([networks[0], broken, networks[2]], evaluator, GROUPS)
    assert [of.undecided for of in found] == [False, True, False]
    assert math.isnan(found[1].errors["train"])
    assert math.isnan(mixtures[0].errors["test"])
    assert not math.isnan(mixtures[1].errors["test"])
    divergences = torch.stack([of.divergences["train"] for of in found])
    assert divergences.isnan().tolist() == [[False, True, False], [True, True, True], [False, True, False]]


def test_binary_networks_and_lookups() -> None:
    binary = make_binary("mlp")
    inputs: Tensor = binary.inputs
    evaluator = Evaluator(binary.model, Split(inputs, torch.zeros(len(inputs), dtype=torch.int64)))
    [first, second], _ = predict_distributions([binary.params, binary.moved(1)], evaluator)
    assert list(first) == ["data"]
    assert len(first) == 1
    assert torch.equal(first["data"], second["data"])
    assert float(first.divergences["data"][1]) < 1e-14
