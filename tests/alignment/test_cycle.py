"""Matches that are consistent around cycles: what they make large, and that they are those of one common order."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from landscape_cli import align, align_set, flip, permute, random_permutations, random_signs
from landscape_cli.alignment.align import Alignment
from landscape_cli.alignment.cycle import seen_from_first
from landscape_cli.errors import GeometryError
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from tests.alignment.test_sets import Shuffled, spread
from tests.support.alignment_nets import Net
from tests.support.binaries import make_binary
from tests.support.cases import make_case


def applied(network: Params, symmetry: Symmetry, alignment: Alignment) -> dict[str, torch.Tensor]:
    return flip(permute(network, symmetry, alignment.permutations), symmetry, alignment.signs)


def is_same(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", ["attention", "grouped", "normed", "tanh"])
def test_seen_from_the_first_it_is_the_same_order(name: str) -> None:
    """Whatever brings networks to a common order, by blocks and units and signs: bring all back as the first is."""
    case = Net(name, 0)
    source = torch.Generator().manual_seed(0)
    networks, alignments, moved = [], [], []
    for _ in range(3):
        network = {k: torch.randn(t.shape, generator=source).to(t.dtype) for k, t in case.params.items()}
        signs = {group.name: torch.ones(group.size, dtype=torch.int64) for group in case.symmetry.signs}
        signs |= random_signs(case.symmetry, generator=source)
        chosen = Alignment(network, random_permutations(case.symmetry, generator=source), signs, {}, {})
        networks.append(network)
        alignments.append(chosen)
        moved.append(applied(network, case.symmetry, chosen))
    seen = seen_from_first(networks, alignments, case.symmetry)
    assert is_same(seen[0].params, networks[0])
    for network, common, each in zip(networks, moved, seen, strict=True):
        assert is_same(applied(each.params, case.symmetry, alignments[0]), common)
        assert is_same(applied(network, case.symmetry, each), each.params)
    assert not is_same(seen[1].params, networks[1])


def test_planted_permutations_are_undone_exactly() -> None:
    case = Shuffled(3, noise=0.0)
    found = case.align(method="cycle")
    assert all(is_same(network, case.networks[0]) for network in found.networks)
    assert not is_same(case.networks[1], case.networks[0])
    assert (found.rounds, found.settled) == (1, True)
    noisy = Shuffled(3)
    assert spread(noisy.align(method="cycle").networks) == pytest.approx(spread(noisy.plain), rel=1e-9)


def test_the_objective_never_falls_and_is_what_it_says() -> None:
    cases = [make_case("mlp", seed=seed, dtype=torch.float32) for seed in range(4)]
    networks = [case.params for case in cases]
    symmetry = cases[0].symmetry
    found = align_set(cases[0].model, networks, symmetry, method="cycle", orders=1)
    star = align_set(cases[0].model, networks, symmetry, method="weight", prove=False)
    assert found.settled
    assert found.rounds == len(found.objective) - 1 > 1
    assert sorted(found.objective) == list(found.objective)
    assert found.objective[-1] == found.objective[-2] > found.objective[0]
    slow = [
        sum(
            float((a[name].double() * b[name].double()).sum())
            for a, b in combinations(result.networks, 2)
            for name in symmetry.parameters
        )
        for result in (star, found)
    ]
    assert slow[0] < slow[1] == pytest.approx(found.objective[-1], rel=1e-9)
    assert is_same(found.networks[0], networks[0])
    assert all(alignment.proof is not None for alignment in found.alignments)
    assert found.to_dict()["objective"] == list(found.objective)
    assert "objective" not in star.to_dict()


def test_around_a_cycle_nothing_is_permuted() -> None:
    """From A to B, to C and back: matched as a set, with any network first, and not where each pair is on its own."""
    case = Shuffled(3, noise=0.3)

    def around(matches: dict[tuple[int, int], Alignment]) -> dict[str, list[int]]:
        result = {}
        for group in case.symmetry.permutations:
            units = torch.arange(group.units)
            for step in ((0, 1), (1, 2), (2, 0)):
                units = matches[step].permutations[group.name][units]
            result[group.name] = units.tolist()
        return result

    together: dict[tuple[int, int], Alignment] = {}
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        found = align_set(
            case.model, [case.networks[k] for k in order], case.symmetry, method="cycle", orders=1, prove=False
        )
        together |= {(order[0], order[k]): found.alignments[k] for k in (1, 2)}
    alone = {
        (i, j): align(case.model, case.networks[i], case.networks[j], case.symmetry, method="weight", prove=False)
        for i, j in ((0, 1), (1, 2), (2, 0))
    }
    identity = {group.name: list(range(group.units)) for group in case.symmetry.permutations}
    assert around(together) == identity
    assert around(alone) != identity


def test_what_has_no_such_matches_is_refused() -> None:
    case = Shuffled(2)
    with pytest.raises(GeometryError, match="'cycle' matches a set of networks"):
        align(case.model, *case.networks, case.symmetry, method="cycle")
    binary = make_binary("mlp")
    with pytest.raises(GeometryError, match="binary networks have no mean"):
        align_set(binary.model, [binary.params, binary.moved(3)], binary.symmetry, method="cycle")
