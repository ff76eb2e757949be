"""Networks in one set of kernels give the outputs and scores that each gives alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.evaluation.runners import Batch, OneByOne
from landscape_cli.evaluation.scores import SplitFacts, Tally
from landscape_cli.evaluation.stacked import Stacked
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.objectives import CLASSIFICATION, Dense, Multilabel, Regression
from landscape_cli.models import create_model
from tests.support.training import MODELS

NAMES = ("mlp", "lenet", "resnet")
ROWS: dict[str, tuple[Objective, Callable[[Tensor], Tensor]]] = {
    "classification": (CLASSIFICATION, lambda y: y),
    "multilabel": (Multilabel(), lambda y: torch.nn.functional.one_hot(y, 3)),
    "regression": (Regression(), lambda y: torch.nn.functional.one_hot(y, 3).double()),
}


def networks_of(name: str, dtype: torch.dtype) -> list[dict[str, Tensor]]:
    states = [create_model(MODELS[name], seed=seed).state_dict() for seed in range(3)]
    return [{k: t.to(dtype) if t.is_floating_point() else t for k, t in state.items()} for state in states]


def batch_of(name: str, samples: int = 7) -> Batch:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(samples, *MODELS[name].input_shape, generator=source)
    return Batch("data", 0, x, torch.randint(3, (samples,), generator=source))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_each_alone(name: str, dtype: torch.dtype) -> None:
    model, batch, chunk = create_model(MODELS[name], seed=9).eval(), batch_of(name), networks_of(name, dtype)
    stacked = Stacked(model, CLASSIFICATION, batch.x[:2]).load(chunk)
    assert stacked is not None
    outputs = stacked(batch)
    assert isinstance(outputs, Tensor)
    alone = torch.stack(list(OneByOne(model, CLASSIFICATION).load(chunk)(batch)))
    assert outputs.dtype == dtype
    assert torch.allclose(outputs, alone, rtol=0, atol=1e-12 if dtype is torch.float64 else 1e-5)


@pytest.mark.parametrize("objective", [*ROWS, "dense"])
def test_scores_of_a_stack_are_those_of_each(objective: str) -> None:
    """Ties and NaN among the outputs too, after networks that were counted before."""
    source = torch.Generator().manual_seed(0)
    y = torch.randint(3, (11,), generator=source)
    if objective == "dense":
        against: Objective = Dense()
        outputs, y = torch.randn(4, 11, 3, 5, generator=source).round(), torch.randint(3, (11, 5), generator=source)
        y[0, 0] = -100
    else:
        against, targets = ROWS[objective]
        outputs, y = torch.randn(4, 11, 3, generator=source).round(), targets(y)
    outputs[2, 5].fill_(torch.nan)
    together, apart = (Tally(against, torch.device("cpu")) for _ in range(2))
    for tally in (together, apart):
        tally.extend(2)
        tally.extend(4)
    assert sum(together.add(outputs, y)) == sum(apart.add(iter(outputs), y)) == 4 * 11
    found, expected = together.scores(SplitFacts(11)), apart.scores(SplitFacts(11))
    assert found.wrong.tolist() == expected.wrong.tolist()
    assert found.undecided.tolist() == expected.undecided.tolist()
    assert torch.allclose(found.loss, expected.loss, rtol=1e-6, equal_nan=True)
    assert found.wrong.dtype == expected.wrong.dtype
    assert found.loss[:2].tolist() == [0, 0]


class Reading(nn.Module):
    """A layer whose code reads a number from a tensor, which a stack has several of."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if float(self.layer.weight.sum()) > -1e9 else x


class Drawing(Reading):
    """A layer that draws at random."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.rand(3)


@pytest.mark.parametrize("model", [Reading(), Drawing()])
def test_what_cannot_be_stacked_is_not(model: nn.Module) -> None:
    stacked = Stacked(model, CLASSIFICATION, torch.randn(2, 5))
    assert [stacked.load([dict(model.state_dict())] * 2) for _ in range(2)] == [None, None]


def test_one_network_and_networks_of_two_types_are_not_stacked() -> None:
    [a, b], [c, _] = networks_of("mlp", torch.float32)[:2], networks_of("mlp", torch.float64)[:2]
    model = create_model(MODELS["mlp"], seed=9).eval()
    stacked = Stacked(model, CLASSIFICATION, batch_of("mlp").x[:2])
    assert stacked.load([a]) is None
    assert stacked.load([a, c]) is None
    assert stacked.load([a, b]) is not None
