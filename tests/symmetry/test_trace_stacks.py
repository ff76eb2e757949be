"""Experts in stacks of matrices trade places, whichever half of them is read at once and whichever one by one."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.symmetry.reasons import counted
from tests.support.composed import undone
from tests.support.expert_stacks import EXPERTS, HIDDEN, MADE_AND_READ, MADE_TWICE, MORE, experts, weighted_by_number
from tests.support.symmetry_checks import check_true, make_net


@pytest.mark.parametrize("name", MADE_AND_READ | MADE_TWICE)
def test_experts_and_their_hidden_units_trade_places(name: str) -> None:
    torch.manual_seed(0)
    net = make_net((MADE_AND_READ | MADE_TWICE)[name](), (3,), batch=24)
    [group] = net.symmetry.modules
    assert group.size == EXPERTS
    assert {axis.tensor for axis in group.axes} == net.params.keys() - {"i.weight", "i.bias", "o.weight", "o.bias"}
    hidden = [HIDDEN, MORE] if name in MADE_TWICE else [HIDDEN]
    expected = sorted([4, 4] + EXPERTS * hidden)
    assert sorted(inner.size for inner in net.symmetry.permutations) == expected
    assert sorted(inner.size for inner in net.symmetry.scales) == expected
    assert not net.symmetry.notes
    assert counted(net.symmetry)["not_understood"] == 0
    check_true(net)
    assert undone(net, 0) == ""


def test_experts_that_are_weighted_by_their_numbers_do_not() -> None:
    torch.manual_seed(0)
    net = make_net(experts(weighted_by_number)(), (3,), batch=24)
    assert not net.symmetry.modules
    assert sorted(group.size for group in net.symmetry.permutations) == [4, 4, *[HIDDEN] * EXPERTS]
    check_true(net)
