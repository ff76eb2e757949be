"""Signs that tell each other's: planted ones are found, whatever tells them, and none worse than those there were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.sign_descent import SignDescent
from landscape_cli.alignment.sign_system import Evidence, _descend, _solved, _summed
from tests.support.blocks import BLOCKS
from tests.support.cases import moved
from tests.support.symmetry_checks import make_net


def system(seed: int, units: int, count: int, sides: int) -> Evidence:
    """Return equations between random units, of random weights."""
    source = np.random.default_rng(seed)
    return Evidence(*_summed(source.integers(-1, units, (count, sides)), source.normal(size=count)))


@pytest.mark.parametrize("sides", [1, 2, 3, 4])
def test_planted_signs_satisfy_every_equation(sides: int) -> None:
    for seed in range(20):
        source = np.random.default_rng(seed)
        found = system(seed, 15, 60, sides)
        planted = source.choice([-1.0, 1.0], 15)
        consistent = Evidence(found.units, np.abs(found.weights))
        flipped = Evidence(found.units, consistent.held(planted))
        signs = _solved(flipped, np.ones(15))
        assert flipped.held(signs) == pytest.approx(consistent.weights)


def test_twice_the_same_unit_says_nothing_of_it() -> None:
    units, weights = _summed(np.array([[3, 3, 1], [1, -1, -1], [2, 2, -1], [0, 1, 0]]), np.array([1.0, 2.0, 4.0, 8.0]))
    assert units.tolist() == [[-1, -1, 1]]
    assert weights.tolist() == [11.0]


def test_descents_end_where_no_flip_helps() -> None:
    for seed in range(5):
        evidence = system(seed, 8, 40, 3)
        start = np.ones(8)
        end = _descend(evidence, start)
        reached = float(evidence.held(end).sum())
        values = [float(evidence.held(np.array(s)).sum()) for s in itertools.product((-1.0, 1.0), repeat=8)]
        assert float(evidence.held(start).sum()) <= reached <= max(values) + 1e-12
        for unit in range(8):
            other = end.copy()
            other[unit] *= -1
            assert float(evidence.held(other).sum()) <= reached + 1e-9


def undone(method: str) -> bool:
    """Tell whether a relabelling of talking heads is undone, the signs of whose queries and keys tell each other's."""
    torch.manual_seed(1)
    make, shape = BLOCKS["cait talking heads"]
    net = make_net(make(), shape)
    params = {name: torch.randn_like(tensor) for name, tensor in net.params.items()}
    aligned = match_networks(params, moved(params, net.symmetry, 1), net.symmetry, method=method).params
    return all(torch.equal(aligned[key], tensor) for key, tensor in params.items())


@pytest.mark.parametrize("method", ["cosine", "weight"])
def test_entangled_signs_are_undone(method: str) -> None:
    assert undone(method)


def test_not_one_group_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: what undoes it is that signs are one system."""
    monkeypatch.setattr(SignDescent, "choose_entangled", lambda *given: False)
    assert not undone("cosine")
