"""Each objective gives the loss, the error and the gradient of an owner's own loop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from landscape_cli.choices import ObjectiveName
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, LandscapeError, ModelError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward import objectives
from landscape_cli.forward.custom_objective import Custom
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.objectives import CLASSIFICATION, Dense, Multilabel, Regression, objective_of_record
from landscape_cli.samplers import SGD, Recipe, train
from tests.support.objectives import KINDS, hinge, make_case

X = torch.randn(4, 5)


@pytest.mark.parametrize("name", list(KINDS))
def test_scores_are_those_of_a_plain_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over batches of any size, and blocks of decisions of any size."""
    case = make_case(name)
    loss, error = case.by_hand()
    for size in (None, 5):
        scores = Evaluator(case.model, case.split, batch_size=size).evaluate([case.params])["data"]
        assert float(scores.loss[0]) == pytest.approx(loss, rel=1e-5)
        assert float(scores.error[0]) == pytest.approx(error, nan_ok=True)
        assert scores.has_error is not math.isnan(error)
        monkeypatch.setattr(objectives, "BLOCK", 7)


def test_guessing_errs_as_the_best_constant_decisions_do() -> None:
    """Tried over all constants: one class for all decisions, one bit for each label; none for numbers."""
    y = torch.tensor([2, 0, 2, 1, 2])
    assert CLASSIFICATION.guess_error(y) == pytest.approx(min(float((y != k).float().mean()) for k in range(3)))
    places = torch.tensor([[0, 1, -100], [1, 1, -100], [-100, -100, -100]])
    assert Dense().guess_error(places) == pytest.approx(0.25)
    bits = torch.tensor([[1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]])
    constants = torch.cartesian_prod(*[torch.tensor([0, 1])] * 3)
    assert Multilabel().guess_error(bits) == pytest.approx(min(float((bits != c).float().mean()) for c in constants))
    assert Regression().guess_error(y.float()) is None


def test_what_an_evaluator_is_told_counts_more_than_what_splits_say() -> None:
    case = make_case("multilabel")
    plain = Split(*case.split)
    assert float(Evaluator(case.model, plain, objective=Multilabel()).error([case.params])) == case.by_hand()[1]
    with pytest.raises(DataError, match="one label a sample"):
        Evaluator(case.model, plain)
    with pytest.raises(DataError, match="different objectives: 'a' for multilabel, 'b' for regression"):
        Evaluator(case.model, {"a": case.split, "b": replace(plain, objective=Regression())})


def test_r2_is_the_explained_part_of_the_variance() -> None:
    case = make_case("regression")
    scores = Evaluator(case.model, case.split).evaluate([case.params])["data"]
    outputs, y = case.outputs(), case.split.y
    assert scores.r2 is not None
    by_hand = 1 - float(((outputs - y) ** 2).sum() / ((y - y.mean(dim=0)) ** 2).sum())
    assert float(scores.r2[0]) == pytest.approx(by_hand, rel=1e-5)
    assert scores.to_dict()["error"] == [None]
    assert bool((scores.measured == scores.loss).all())


@pytest.mark.parametrize("name", list(KINDS))
def test_a_step_is_one_of_the_mean_loss(name: str) -> None:
    """One step on everything is one step of PyTorch's own."""
    case = make_case(name)
    before = case.params
    recipe = Recipe(1, 0.1, momentum=0.0, schedule="constant", batch_size=len(case.split.y))
    [solution] = train(case.spec, case.split, SGD(), recipe=recipe, initial=[[before]])
    returned = case.model(case.split.x)
    case.kind.loss(returned["logits"] if isinstance(returned, dict) else returned, case.split.y).backward()
    assert solution.params is not None
    for key, parameter in case.model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(solution.params[key], before[key] - 0.1 * parameter.grad, atol=1e-6), key


@pytest.mark.parametrize("name", list(KINDS))
def test_nan_is_no_decision(name: str) -> None:
    case = make_case(name)
    params = {key: torch.full_like(tensor, math.nan) for key, tensor in case.params.items()}
    scores = Evaluator(case.model, case.split).evaluate([params, case.params])["data"]
    assert math.isnan(float(scores.measured[0]))
    assert not math.isnan(float(scores.measured[1]))
    assert (scores.undecided > 0).tolist() == [True, False]


@pytest.mark.parametrize("name", list(KINDS))
def test_random_targets_are_of_the_same_kind(name: str) -> None:
    case = make_case(name)
    objective, y = case.split.objective, case.split.y
    if not objective.has_error:
        with pytest.raises(ModelError, match="the objective regression has none"):
            objective.random_targets(y, 3, torch.Generator())
        return
    drawn = objective.random_targets(y, int(y[y != 255].max()) + 1, torch.Generator().manual_seed(0))
    assert drawn.shape == y.shape
    assert drawn.dtype == y.dtype
    assert not torch.equal(drawn, y)
    Evaluator(case.model, replace(case.split, y=drawn))
    if isinstance(objective, Dense):
        assert torch.equal(drawn == objective.ignore_index, y == objective.ignore_index)


@pytest.mark.parametrize("objective", [CLASSIFICATION, Multilabel(), Regression(), Dense(), Dense(-1, 255)])
def test_records_are_read_back(objective: Objective) -> None:
    kinds = {name.value: name.load() for name in ObjectiveName}
    record = objective.record()
    assert objective_of_record(record, kinds) == objective
    assert set(record) <= {"name", "class_axis", "ignore_index"}
    for bad in ({}, {"name": "none"}, record | {"nonsense": 1}, record | {"class_axis": "1"}):
        with pytest.raises(DataError, match="'objective' is malformed"):
            objective_of_record(bad, kinds)


def mean(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs - y).square().mean()


def broken(outputs: Tensor, y: Tensor) -> Tensor:
    raise KeyError("no")


@pytest.mark.parametrize(
    ("objective", "y", "outputs", "words"),
    [
        (Multilabel(), torch.tensor([0, 1, 1, 0]), 1, r"expected \(4, labels\)"),
        (Multilabel(), torch.full((4, 2), 2), 2, "other numbers than 0 and 1"),
        (Multilabel(), torch.zeros(4, 3), 2, "expected an output for each label"),
        (Regression(), torch.full((4,), math.nan), 1, "holds NaN"),
        (Regression(), torch.zeros(4), 2, "expected an output for each number"),
        (Regression(), torch.zeros(3), 1, r"shape \(3,\)"),
        (Dense(), torch.zeros(4, 2).long(), 3, "labels have shape"),
        (Dense(2), torch.zeros(4, 2).long(), 3, "no axis 2"),
        (Dense(), torch.full((4, 2), -100), 3, "no place counts"),
        (Dense(), torch.zeros(4), 3, "a class a place"),
        (Dense(), torch.zeros(4, 1), 3, "whole numbers"),
        (CLASSIFICATION, torch.zeros(4), 3, "whole numbers"),
        (Custom(mean, "a:mean"), torch.zeros(4, 1), 1, r"loss a:mean returns shape \(\), expected \(2,\)"),
        (Custom(broken, "a:broken"), torch.zeros(4), 1, "loss a:broken fails on .* KeyError"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(objective: Objective, y: Tensor, outputs: int, words: str) -> None:
    with pytest.raises(LandscapeError, match=words) as caught:
        Evaluator(torch.nn.Linear(5, outputs), Split(X, y, objective))
    assert len(str(caught.value).splitlines()) == 1


def test_functions_without_an_error_have_none() -> None:
    case = make_case("hinge")
    plain = Custom(lambda outputs, y: hinge(outputs, y), "a:hinge")
    scores = Evaluator(case.model, case.split, objective=plain).evaluate([case.params])["data"]
    assert not scores.has_error
    assert float(scores.measured[0]) == pytest.approx(case.by_hand()[0], rel=1e-5)


def test_the_axis_of_samples_has_no_classes() -> None:
    with pytest.raises(ModelError, match="axis of samples"):
        Dense(0)
