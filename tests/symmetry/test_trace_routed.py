"""Experts that samples are routed to trade places with their gate's outputs, however that is written."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from landscape_cli.symmetry import permute, random_permutations
from landscape_cli.symmetry.reasons import counted
from tests.support.composed import undone
from tests.support.parted_nets import PARTS
from tests.support.routed_nets import ASIDE, ROUTED
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
