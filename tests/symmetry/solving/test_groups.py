"""The groups of heads, experts and their units, wherever in a parameter the axis of these stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.support.composed import undone
from tests.support.head_nets import EXPERTS, HEADS, HIDDEN, READ, UNITS, WIDTH, WRITE, heads, packed_heads, slots
from tests.support.symmetry_checks import Net, check_true, make_net, uncovered

SHAPE = (5, WIDTH)
SPELLED = {f"read {read}": (read, "hkd") for read in READ} | {
    f"written {write}": ("dhk", write) for write in WRITE if write != "hkd"
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "biased": lambda: heads("dhk", "hkd", biased=True),
    "units first, biased": lambda: heads("dkh", "khd", biased=True),
    "packed": packed_heads,
    "packed, units first": lambda: packed_heads(units_last=False),
}


def permuted(net: Net) -> list[tuple[int, int]]:
    """Return the blocks and the size of each group."""
    return sorted((group.blocks, group.size) for group in net.symmetry.permutations)


def check_heads(net: Net) -> None:
    """Check that heads trade places, and that those of each have units, scales and signs of their own."""
    assert permuted(net) == [(1, HEADS), (HEADS, UNITS), (HEADS, UNITS)]
    assert sum(group.size for group in net.symmetry.scales) == 2 * HEADS * UNITS
    assert sum(group.size for group in net.symmetry.signs) == 2 * HEADS * UNITS
    assert not net.symmetry.notes
    assert not uncovered(net)
    check_true(net)


@pytest.mark.parametrize("spelled", SPELLED)
def test_units_of_heads_are_their_own_wherever_the_axis_of_heads_stands(spelled: str) -> None:
    torch.manual_seed(0)
    check_heads(make_net(heads(*SPELLED[spelled]), SHAPE))


@pytest.mark.parametrize("name", OTHERS)
def test_units_of_heads_with_biases_or_in_one_parameter(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(OTHERS[name](), SHAPE)
    check_heads(net)
    assert undone(net, 0) == ""


def test_experts_have_slots_of_their_own_behind_the_axis_that_these_read() -> None:
    torch.manual_seed(0)
    net = make_net(slots(), SHAPE)
    assert permuted(net) == sorted([(1, WIDTH), (1, EXPERTS), (EXPERTS, UNITS), (EXPERTS, HIDDEN)])
    check_true(net)
    assert undone(net, 0) == ""
