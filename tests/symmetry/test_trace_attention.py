"""Attention with keys and values beside those of its inputs, learned or zeros: heads and their units as without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

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


def biased(slopes: tuple[float, ...], keys: int) -> Net:
    """Attention of four heads, each with a constant of its own against distance (ALiBi), of which some share keys."""

    def forward(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        q, k, v = (part(h).unflatten(-1, (-1, 3)).transpose(1, 2) for part in (m.q, m.k, m.v))
        k, v = (each.repeat_interleave(4 // keys, 1) for each in (k, v))
        places = torch.arange(x.shape[1], dtype=x.dtype)
        distances = (places[:, None] - places).abs() * torch.tensor(slopes, dtype=x.dtype)[:, None, None]
        return m.o(((q @ k.mT - distances).softmax(-1) @ v).transpose(1, 2).flatten(2).mean(1))

    sizes = {"i": (3, 5), "q": (5, 12), "k": (5, 3 * keys), "v": (5, 3 * keys), "o": (12, 2)}
    return Net(forward, **{name: nn.Linear(*size) for name, size in sizes.items()})


@pytest.mark.parametrize(
    ("slopes", "keys", "found"),
    [
        ((1.0, 0.5, 0.25, 0.125), 4, [(4, 3), (4, 3)]),
        ((1.0, 0.5, 1.0, 0.5), 4, [(2, 2), (4, 3), (4, 3)]),
        ((1.0, 0.5, 0.25, 0.125), 2, [(1, 3)] * 4),
        ((1.0, 1.0, 0.5, 0.5), 2, [(2, 2), (2, 3), (2, 3)]),
        ((1.0, 0.5, 1.0, 0.5), 2, [(1, 2), (2, 3), (2, 3)]),
        ((1.0, 1.0, 1.0, 1.0), 2, [(1, 2), (2, 2), (2, 3), (2, 3)]),
    ],
)
def test_heads_with_equal_constants_trade_places(
    slopes: tuple[float, ...], keys: int, found: list[tuple[int, int]]
) -> None:
    torch.manual_seed(0)
    net = make_net(biased(slopes, keys), (3, 3))
    assert sorted((group.blocks, group.size) for group in net.symmetry.permutations) == sorted([(1, 5), *found])
    check_true(net)
