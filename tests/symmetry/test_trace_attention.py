"""Attention with keys and values beside those of its inputs, learned or zeros: heads and their units as without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.composed import undone
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net


@pytest.mark.parametrize("bias", [False, True], ids=["", "learned"])
@pytest.mark.parametrize("zero", [False, True], ids=["", "zeros"])
def test_heads_and_units_beside_others(bias: bool, zero: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=bias, add_zero_attn=zero)
    body = Net(
        lambda m, x: m.o(m.a(*[m.f(x)] * 3, need_weights=False)[0]), f=nn.Linear(3, 8), a=attention, o=nn.Linear(8, 2)
    )
    net = make_net(body, (4, 3))
    assert [group.units for group in net.symmetry.permutations] == [8, 8, 2, 8, 8]
    assert not net.symmetry.notes
    check_true(net)
    assert undone(net, 0) == ""
