"""Heads whose attention is a difference of two trade places, each with all that is its own."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.symmetry import permute
from landscape_cli.symmetry.reasons import counted
from tests.support.composed import undone
from tests.support.differential_nets import DIFFERENTIAL, HALF, HEADS, STREAM
from tests.support.symmetry_checks import EXACT, check_true, make_net


@pytest.mark.parametrize("name", DIFFERENTIAL)
def test_heads_trade_places_with_both_of_their_halves(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(DIFFERENTIAL[name](), (4, 2), batch=4)
    found = {(group.blocks, group.size) for group in net.symmetry.permutations}
    assert {(1, STREAM), (1, HEADS), (HEADS, HALF)} <= found
    [heads] = [group for group in net.symmetry.permutations if (group.blocks, group.size) == (1, HEADS)]
    own = {"q.weight", "k.weight", "v.weight", "o.weight"} | {
        name for name, tensor in net.params.items() if tensor.shape[0] == HEADS
    }
    assert {axis.tensor for axis in heads.axes} == own
    inside = [group for group in net.symmetry.permutations if (group.blocks, group.size) == (HEADS, HALF)]
    assert sum({axis.tensor for axis in group.axes} == {"q.weight", "k.weight"} for group in inside) == 2
    assert counted(net.symmetry)["not_understood"] == 0
    check_true(net)
    assert undone(net, 0) == ""


def test_the_halves_of_a_head_do_not() -> None:
    """Negative control: where the second counts by a weight, both halves of a head, exchanged, say something else."""
    torch.manual_seed(0)
    net = make_net(DIFFERENTIAL["viewed, one weight"](), (4, 2), batch=4)
    order = torch.arange(2 * HEADS * HALF).view(HEADS, 2, HALF).flip(1).flatten()
    exchanged = {name: t[order] if name in {"q.weight", "k.weight"} else t for name, t in net.params.items()}
    assert net.deviation(exchanged) > 1e-3
    [heads] = [group for group in net.symmetry.permutations if (group.blocks, group.size) == (1, HEADS)]
    moved = permute(net.params, net.symmetry, {heads.name: torch.tensor([1, 2, 0])})
    assert net.deviation(moved) < EXACT
