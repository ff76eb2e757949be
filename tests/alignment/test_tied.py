"""Groups that wait for each other, such as heads and the units that all heads have in common."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.alignment import tied
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind
from tests.support.cases import moved
from tests.support.tied_nets import NETS, make


@pytest.mark.parametrize("method", ["cosine", "weight"])
@pytest.mark.parametrize("name", NETS)
def test_a_planted_relabelling_is_undone(name: str, method: str) -> None:
    for seed in (2, 9):
        params, symmetry = make(name, seed)
        aligned = match_networks(params, moved(params, symmetry, seed), symmetry, method=method).params
        for key, tensor in params.items():
            assert torch.equal(aligned[key], tensor), (seed, key)


def test_not_by_matching_them_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    branches = tied._branches
    monkeypatch.setattr(tied, "_branches", lambda *given: [next(branches(*given))])
    params, symmetry = make("vector", 2)
    aligned = match_networks(params, moved(params, symmetry, 2), symmetry).params
    assert not all(torch.equal(aligned[key], tensor) for key, tensor in params.items())


@pytest.mark.parametrize("name", ["vector", "capsules"])
def test_what_tells_units_depends_on_no_match_of_others(name: str) -> None:
    params, symmetry = make(name, 0)
    table = AxisTable(symmetry)
    for group in symmetry.permutations:
        others = moved(params, symmetry, 3)
        back = UnitMatching(table)
        descent = Descent(Similarity(params, others, table, {}, Kind.COSINE), back)
        distances = tied._distances(group, descent)
        matched = distances.argmin(1)
        assert sorted(matched) == list(range(group.units))
        assert distances.min(1) == pytest.approx(0, abs=1e-12)
        assert (distances > 1e-6).sum() == group.units * (group.units - 1)
