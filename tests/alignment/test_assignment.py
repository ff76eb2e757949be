"""The best assignment of units: against every permutation there is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.assignment import Array, Nesting, assign
from landscape_cli.symmetry import Symmetry, permute, random_permutations, spread, unit_rows
from tests.support.alignment_nets import Net
from tests.support.blocks import BLOCKS
from tests.support.reference import best_permutation
from tests.support.symmetry_checks import make_net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("units", range(1, 7))
def test_no_permutation_is_better(units: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(units)
    for _ in range(20):
        score = torch.randn(units, units, generator=generator, dtype=torch.float64).to(dtype)
        columns, total = assign(score.numpy())
        assert tuple(columns.tolist()) == best_permutation(score)
        assert total == pytest.approx(sum(float(score[i, j]) for i, j in enumerate(columns)), rel=1e-12)


def test_one_row_of_all_alike_is_any() -> None:
    columns, total = assign(np.full((3, 3), 2.0))
    assert sorted(columns.tolist()) == [0, 1, 2]
    assert total == 6.0


def test_assignment_with_rank_one_terms() -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(60, 60, generator=generator, dtype=torch.float64)
    plain, value = assign(score.numpy())
    tilted = score + 100 * torch.randn(60, 1, generator=generator, dtype=torch.float64) + torch.arange(60)
    again, _ = assign(tilted.numpy())
    assert plain.tolist() == again.tolist()
    assert value == pytest.approx(float(score[torch.arange(60), torch.from_numpy(plain)].sum()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["noise", "matched", "spread", "tilted", "tiny", "huge", "zero", "all alike"])
def test_assignment_is_the_best_there_is(kind: str, dtype: torch.dtype) -> None:
    """Prices of columns change what the solver sees, never what is best."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 200, generator=generator, dtype=torch.float64)
    score = {
        "noise": noise,
        "matched": 1e3 * torch.eye(200)[torch.randperm(200, generator=generator)] + 1e-3 * noise,
        "spread": noise * torch.exp(4 * noise[:, :1]),
        "tilted": noise + 1e3 * noise[:1] + 1e2 * noise[:, 1:2],
        "tiny": 1e-30 * noise,
        "huge": 1e30 * noise,
        "zero": 0 * noise,
        "all alike": 0 * noise + 7,
    }[kind].to(dtype)
    found, value = assign(score.numpy())
    exact = score.double().numpy()
    rows, columns = linear_sum_assignment(exact, maximize=True)
    size = float(abs(exact[rows, columns]).sum())
    assert sorted(found.tolist()) == list(range(200))
    assert value == pytest.approx(float(exact[rows, columns].sum()), abs=1e-11 * size)
    assert kind in {"zero", "all alike"} or float(exact.trace()) < value - 1e-3 * size


def symmetry_of_heads() -> Symmetry:
    return Net("attention", 0).symmetry


def test_blocks_are_matched_by_what_is_inside() -> None:
    nesting = Nesting(symmetry_of_heads())
    (outer,) = (name for name, inside in nesting.inside.items() if inside)
    leaf = nesting.leaves(outer)[0]
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    score[0:4, 8:12] += torch.eye(4)[[2, 0, 3, 1]] * 9
    pairs = {name: nesting.solve(outer, {}, _identity(nesting))[name] for name in nesting.groups if name != "embed"}
    found = nesting.solve(outer, {leaf: score}, _identity(nesting) | pairs)
    assert found[outer][0] == 2
    assert found[leaf][:4].tolist() == [10, 8, 11, 9]
    best = max(
        sum(
            float(score[h * 4 : h * 4 + 4, g * 4 : g * 4 + 4][range(4), assigned].sum())
            for h, g in enumerate(order)
            for assigned in [list(best_permutation(score[h * 4 : h * 4 + 4, g * 4 : g * 4 + 4]))]
        )
        for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    )
    assert float(score[range(12), found[leaf].tolist()].sum()) == pytest.approx(best)


def _identity(nesting: Nesting) -> dict[str, Array]:
    return {name: torch.arange(group.units).numpy() for name, group in nesting.groups.items()}


@pytest.mark.parametrize("name", ["attention", "grouped", "residual"])
def test_permutations_bring_units_to_those_that_they_are_matched_to(name: str) -> None:
    """Pairs say which unit is whose, blocks and all; permutations, of units within blocks and of blocks, do it."""
    net = Net(name, 0)
    nesting = Nesting(net.symmetry)
    planted = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(3))
    pairs = {}
    for group in net.symmetry.permutations:
        axis = group.axes[0]
        tensor = net.params[axis.tensor]
        numbers = spread(torch.arange(group.units, dtype=tensor.dtype), axis, tensor).expand(tensor.shape).clone()
        moved = permute({**net.params, axis.tensor: numbers}, net.symmetry, planted)
        pairs[group.name] = unit_rows(moved[axis.tensor], axis)[:, 0].long().numpy()
    permutations = nesting.permutations(pairs)
    assert permutations.keys() == planted.keys()
    assert all(torch.equal(permutations[group], planted[group]) for group in planted)
    assert all(np.array_equal(matched, pairs[group]) for group, matched in nesting.pairs(planted).items())


def test_blocks_are_matched_by_what_is_in_blocks_within_them() -> None:
    """Heads of two scales each, that hold units alone: planted elements are undone."""
    make, shape = BLOCKS["lite attention"]
    torch.manual_seed(0)
    net = make_net(make(), shape)
    (heads,) = (group for group in net.symmetry.permutations if group.inside)
    assert len(heads.inside) == 4
    for seed in range(3):
        moves = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(seed))
        found = match_networks(net.params, permute(net.params, net.symmetry, moves), net.symmetry).params
        assert all(torch.equal(found[name], tensor) for name, tensor in net.params.items())
