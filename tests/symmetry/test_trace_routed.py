"""Experts that samples are routed to trade places with their gate's outputs, however that is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry import permute, random_permutations, trace
from landscape_cli.symmetry.reasons import counted
from landscape_cli.symmetry.trace import _derived as derived
from landscape_cli.symmetry.trace import _symmetry_of
from landscape_cli.symmetry.tracing.branches import Branches
from landscape_cli.symmetry.tracing.record import counts_of
from landscape_cli.symmetry.tracing.tensors import HIDDEN, TIED
from tests.support.composed import undone
from tests.support.layers import Net as Body
from tests.support.parted_nets import PARTS
from tests.support.routed_nets import (
    ASIDE,
    GROUPS,
    IN_GROUP,
    LIMITED,
    LIMITED_MODULES,
    MASKS,
    ROUTED,
    STACKED,
    by_place,
    limited,
    multiplied,
    spread,
)
from tests.support.symmetry_checks import EXACT, Net, check_true, make_net


@cache
def made(name: str) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net((ROUTED | ASIDE)[name](), (3,), batch=24)


@pytest.mark.parametrize("name", ROUTED)
def test_experts_trade_places(name: str) -> None:
    net = made(name)
    [group] = net.symmetry.modules
    assert group.size == PARTS
    assert {(axis.tensor, axis.dims) for axis in group.axes} == {("gate.weight", (0,)), ("gate.bias", (0,))}
    assert not net.symmetry.notes
    assert counted(net.symmetry)["not_understood"] == 0
    assert {axis.reason for axis in net.symmetry.fixed} == {"input", "output"}
    for seed in range(4):
        labels = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(seed))
        assert net.deviation(permute(net.params, net.symmetry, labels)) < EXACT


@pytest.mark.parametrize("name", ["outputs gathered", "a mask for each choice, if any"])
def test_planted_exchanges_are_undone(name: str) -> None:
    net = made(name)
    assert [undone(net, seed) for seed in range(2)] == ["", ""]


@pytest.mark.parametrize("name", ASIDE)
def test_experts_that_are_told_by_numbers_do_not(name: str) -> None:
    net = made(name)
    assert not net.symmetry.modules
    check_true(net)


@pytest.mark.parametrize("name", ["to the next", "to all up to it"])
def test_numbers_that_are_not_followed_are_told(name: str) -> None:
    [note] = made(name).symmetry.notes
    assert "told by their numbers" in note
    assert "gate.weight[0]" in note


@pytest.mark.parametrize("name", LIMITED)
def test_experts_trade_places_within_their_group_and_groups_as_wholes(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(LIMITED[name](), (3,), batch=24)
    found = sorted((group.blocks, group.size) for group in net.symmetry.permutations)
    assert found == [(1, GROUPS), (1, 4), (1, 4), (GROUPS, IN_GROUP), (GROUPS * IN_GROUP, 3)]
    assert GROUPS * IN_GROUP * 3 in {group.size for group in net.symmetry.scales}
    assert not net.symmetry.notes
    check_true(net)
    assert undone(net, 0) == ""


@pytest.mark.parametrize("name", LIMITED_MODULES)
def test_so_do_experts_that_are_modules(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(LIMITED_MODULES[name](), (3,), batch=24)
    assert [group.size for group in net.symmetry.modules] == [GROUPS, *[IN_GROUP] * GROUPS]
    assert not net.symmetry.notes
    check_true(net)
    assert undone(net, 0) == ""


@pytest.mark.parametrize("modules", [False, True])
def test_experts_in_groups_that_are_told_by_their_place_do_not(modules: bool) -> None:
    torch.manual_seed(0)
    net = make_net(limited(by_place, modules=modules)(), (3,), batch=24)
    assert not net.symmetry.modules
    axes = {(axis.tensor, axis.dims) for group in net.symmetry.permutations for axis in group.axes}
    assert ("gate.weight", (0,)) not in axes
    check_true(net)


@pytest.mark.parametrize("mask", [partial(spread, number=0.0), multiplied, lambda scores: scores.relu()])
def test_zeros_that_may_be_best_are_told_by_their_place(mask: Callable[[Tensor], Tensor]) -> None:
    """A score may fall below the zeros put for others, of which the first counts: that is fixed, with a warning."""
    torch.manual_seed(0)
    net = make_net(limited(mask, bias=True)(), (3,), batch=24)
    assert not net.symmetry.modules
    assert sorted(group.size for group in net.symmetry.permutations) == [*[3] * GROUPS * IN_GROUP, 4, 4]
    [note] = net.symmetry.notes
    assert "gate.weight[0]" in note
    assert TIED in note
    assert counted(net.symmetry)["not_understood"] == 2
    check_true(net)


@pytest.mark.parametrize("mask", [spread, *MASKS.values()])
@pytest.mark.parametrize("modules", [False, True])
def test_more_than_a_mask_leaves_are_told_by_their_place(mask: Callable[[Tensor], Tensor], modules: bool) -> None:
    """Of experts that are hidden the first are taken: they are fixed, with a warning; the order does matter."""
    torch.manual_seed(0)
    net = make_net(limited(mask, many=2 * IN_GROUP + 1, modules=modules)(), (3,), batch=24)
    assert not net.symmetry.modules
    axes = {(axis.tensor, axis.dims) for group in net.symmetry.permutations for axis in group.axes}
    assert ("gate.weight", (0,)) not in axes
    [note] = net.symmetry.notes
    assert "gate.weight[0]" in note
    assert HIDDEN in note
    assert counted(net.symmetry)["not_understood"] == 1
    check_true(net)


@pytest.mark.parametrize("many", [2 * IN_GROUP, 2 * IN_GROUP + 1])
def test_what_is_found_of_as_many_as_a_mask_leaves_is_false_of_one_more(many: int) -> None:
    torch.manual_seed(0)
    fits, net = (make_net(limited(spread, many=each)(), (3,), batch=24) for each in (2 * IN_GROUP, many))
    labels = random_permutations(fits.symmetry, generator=torch.Generator().manual_seed(1))
    kept = net.deviation(permute(net.params, fits.symmetry, labels)) < EXACT
    assert kept == (many == 2 * IN_GROUP)


@pytest.mark.parametrize("name", STACKED)
def test_experts_of_modules_and_of_matrices_in_a_stack_trade_places(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(STACKED[name](), (3,))
    [group] = net.symmetry.modules
    assert group.size == PARTS
    assert sorted(inner.size for inner in net.symmetry.permutations) == [3, 3, 3, 4, 4]
    assert not net.symmetry.notes
    check_true(net)
    assert undone(net, 0) == ""


def test_what_gains_nothing_is_not_cut_along_with_experts() -> None:
    """A table of decay rates, a row a channel as in state space models, is no stack beside those of experts."""

    def forward(m: Body, x: Tensor) -> Tensor:
        u = m.i(x)
        states = torch.exp(m.a * F.softplus(m.t(u))[..., None]) * u[..., None]
        h = (states * m.b(u)[:, None]).sum(2)
        outputs = torch.stack([F.linear(F.relu(F.linear(h, m.w1[e])), m.w2[e]) for e in range(3)], 1)
        return m.o((outputs * m.g(h).softmax(1)[..., None]).sum(1))

    linear = {"i": (3, 5), "t": (5, 5), "b": (5, 2), "g": (5, 3), "o": (5, 2)}
    tables = {"a": (5, 2), "w1": (3, 4, 5), "w2": (3, 5, 4)}
    torch.manual_seed(0)
    parts = {name: nn.Linear(*sizes) for name, sizes in linear.items()}
    parts |= {name: nn.Parameter(torch.randn(*sizes)) for name, sizes in tables.items()}
    _, symmetry, known = _symmetry_of(Body(forward, **parts).eval(), torch.zeros(2, 3), False, Branches())
    assert known.stacks.keys() == {"w1", "w2"}
    assert [group.size for group in symmetry.modules] == [3]


def test_what_changes_nothing_together_is_not_cut_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tables of decay rates, for different numbers of channels: the model is run twice, not once more for each."""

    def decayed(u: Tensor, rates: Tensor, steps: nn.Module, mixing: nn.Module) -> Tensor:
        states = torch.exp(rates * F.softplus(steps(u))[..., None]) * u[..., None]
        return (states * mixing(u)[:, None]).sum(2)

    def forward(m: Body, x: Tensor) -> Tensor:
        return m.o(decayed(m.i2(decayed(m.i1(x), m.a1, m.t1, m.b1)), m.a2, m.t2, m.b2))

    sizes = {"i1": (3, 5), "t1": (5, 5), "b1": (5, 2), "i2": (5, 7), "t2": (7, 7), "b2": (7, 2), "o": (7, 2)}
    parts = {name: nn.Linear(*size) for name, size in sizes.items()}
    parts |= {"a1": nn.Parameter(torch.randn(5, 2)), "a2": nn.Parameter(torch.randn(7, 2))}
    runs: list[int] = []
    monkeypatch.setattr(trace, "_derived", lambda *given: runs.append(1) or derived(*given))
    traced, _, known = _symmetry_of(Body(forward, **parts).eval(), torch.zeros(2, 3), False, Branches())
    assert {counts_of(cuts) for cuts in traced.stacks.values()} == {(5,), (7,)}
    assert not known.stacks
    assert len(runs) == 2
