"""Blocks from other zoos and from research code: every symmetry found holds, none is left out by half."""

from __future__ import annotations

import pytest
import torch

from tests.support.blocks import BLOCKS
from tests.support.symmetry_checks import check_true, make_net, uncovered

# how many units can be permuted, where what there is to find is known
UNITS = {
    "blur": 10,  # both convolutions: the blur treats all channels alike
    "space to depth": 9,
    "timm vit qk norm": 34,  # stream 8, heads 2, units of q and k 4, of v 2 x 4, hidden 12
    "cait talking heads": 8 + 8 + 2 + 8 + 2 + 2,  # heads before and after each mixing of heads
    "levit": 8 + 8 + 2 + 12,
    "swiglu ln": 14,
    "nfnet": 11,
    "repvgg": 6,
    "hrnet": 10,
    "res2net": 10,  # slices of two channels each, the middle one's own
    "cbam": 12,
    "resmlp": 18,
    "mobilevit": 6 + 6 + 2 + 6 + 12 + 5,
    "resnet20 option A": 16,
    "grouped, partly rotary": 5 + 4 + 2 + 4 + 8,  # query heads, groups of them, units that are not turned, values
    "grouped and rotary, fused": 5 + 4 + 2 + 8,
    "lite attention": 5 + 2 + 4 * 6,  # heads; units of queries and keys, and of values, at both scales
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name: str) -> None:
    torch.manual_seed(0)
    make, shape = BLOCKS[name]
    net = make_net(make(), shape)
    check_true(net, range(2))
    assert not uncovered(net)
    if name in UNITS:
        assert sum(group.units for group in net.symmetry.permutations) == UNITS[name]
