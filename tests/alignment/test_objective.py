"""No labelling is returned that is worse than the networks as they are, by what its method makes large."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.alignment.activations import unit_correlations
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.sets import align_set
from tests.support.traced import symmetry_of


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.RNN(3, 10, batch_first=True), nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0][:, -1])


def make(seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(seed)
    model = Recurrent().eval()
    return model, {key: tensor.detach() for key, tensor in model.state_dict().items()}


def value(method: str, reference: dict[str, Tensor], network: dict[str, Tensor]) -> float:
    """Return what is made large of this network, number by number."""
    if method == "weight":
        return sum(float((reference[key].double() * network[key].double()).sum()) for key in reference)
    pairs = [(reference[key], network[key]) for key in ("rnn.weight_ih_l0", "rnn.weight_hh_l0")]
    return sum(float(torch.cosine_similarity(a[i], b[i], dim=0)) for a, b in pairs for i in range(len(a)))


def pairs_of_networks(count: int):  # type: ignore[no-untyped-def]
    for seed in range(count):
        model, a = make(seed)
        other = make(100 + seed)[1]
        mixed = {key: 0.3 * a[key] + 0.7 * other[key] for key in a}
        yield model, symmetry_of("objective rnn", model, torch.zeros(2, 4, 3)), a, mixed


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_it_never_falls(method: str) -> None:
    for _, symmetry, a, b in pairs_of_networks(6):
        aligned = match_networks(a, b, symmetry, method=method).params
        assert value(method, a, aligned) >= value(method, a, b) - 1e-5


@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_not_even_from_a_bad_match(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: Descent) -> None:
        for name, pairs in self.matching.pairs.items():
            self.matching.pair({name: pairs[::-1].copy()})

    monkeypatch.setattr(Descent, "settle", lost)
    sweep = Descent.sweep
    monkeypatch.setattr(Descent, "sweep", lambda self, *orders: None)
    model, symmetry, a, _ = next(pairs_of_networks(1))
    correlations = unit_correlations(model, a, a, symmetry, torch.randn(20, 4, 3)) if method == "activation" else None
    aligned = match_networks(a, a, symmetry, method=method, correlations=correlations)
    assert aligned.similarity == pytest.approx(aligned.similarity_before)
    monkeypatch.setattr(Descent, "sweep", sweep)


@pytest.mark.parametrize("method", ["weight", "cycle"])
def test_nor_that_of_a_set(method: str) -> None:
    model, symmetry, a, b = next(pairs_of_networks(1))
    networks = [a, b, {key: 0.5 * (a[key] + b[key]) for key in a}]
    aligned = align_set(model, networks, symmetry, method=method, rounds=2, orders=1, prove=False).networks
    sums = [sum(value("weight", p, q) for p in nets for q in nets) for nets in (networks, aligned)]
    squares = [sum(value("weight", p, p) for p in nets) for nets in (networks, aligned)]
    assert sums[1] - squares[1] >= sums[0] - squares[0] - 1e-5
