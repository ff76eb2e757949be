"""Whole numbers as inputs: tokens and categories, which reach a model as they are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import Evaluator, Split, recompute_statistics
from landscape_cli.evaluation.gradient import loss_gradient
from landscape_cli.measures.path import path

TOKENS = torch.randint(0, 30_000, (64, 7), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
LABELS = torch.arange(64) % 3


class Bag(nn.Module):
    """Means of the vectors of tokens; which of 30 000 it is, float16 could not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Embedding(30_000, 4)
        self.norm = nn.BatchNorm1d(4)
        self.out = nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        assert tokens.dtype == torch.int64
        out: Tensor = self.out(self.norm(self.vectors(tokens).mean(1)))
        return out


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tokens_reach_the_model_as_they_are(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    model = Bag().to(dtype).eval()
    with torch.no_grad():
        logits = model(TOKENS.long()).double()
    evaluator = Evaluator(model, Split(TOKENS, LABELS), batch_size=13)
    scores = evaluator.evaluate([model.state_dict()])["data"]
    assert float(scores.error) == pytest.approx(float((logits.argmax(1) != LABELS).double().mean()))
    assert float(scores.loss) == pytest.approx(float(F.cross_entropy(logits, LABELS)), rel=1e-6)


def test_statistics_gradients_and_paths_on_tokens() -> None:
    torch.manual_seed(2)
    model, other = Bag(), Bag()
    data = Split(TOKENS, LABELS)
    recomputed = recompute_statistics(model, model.state_dict(), TOKENS)
    means = model.vectors(TOKENS.long()).mean(1)
    assert torch.allclose(recomputed["norm.running_mean"], means.mean(0), atol=1e-6)
    name = "vectors.weight"
    gradient = loss_gradient(Evaluator(model, data), model.state_dict(), [name], "data")[name]
    F.cross_entropy(model.eval()(TOKENS.long()), LABELS).backward()
    assert torch.allclose(gradient.float(), model.vectors.weight.grad, atol=1e-7)
    measured = path(model, model.state_dict(), other.state_dict(), data, points=3, bn="recompute")
    assert measured.errors["data"].shape == (1, 3)


def test_a_model_that_calculates_with_whole_numbers_gets_them_as_such() -> None:
    """An integer table handed to a plain network is one of numbers, not of names."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(7, 3))
    x = TOKENS % 100
    with torch.no_grad():
        expected = F.cross_entropy(model(x.float()), LABELS)
    scores = Evaluator(model, Split(x, LABELS)).evaluate([model.state_dict()])["data"]
    assert float(scores.loss) == pytest.approx(float(expected), rel=1e-6)
