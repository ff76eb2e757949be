"""Pieces of one parameter that read different streams have columns of their own, however they are cut."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.composed import undone
from tests.support.layers import Net as Body
from tests.support.packed_nets import HEADS, TAKEN, WIDTH, packed
from tests.support.symmetry_checks import Net, check_true, make_net


def net_of(model: nn.Module, shape: tuple[int, ...] = (3, WIDTH)) -> Net:
    return make_net(model, shape)


def freedom(net: Net) -> tuple[int, int]:
    """Return how many scales and signs there are."""
    return (sum(group.size for group in net.symmetry.scales), sum(group.size for group in net.symmetry.signs))


@pytest.mark.parametrize("embedded", [False, True], ids=["inputs", "embedded"])
@pytest.mark.parametrize("taken", TAKEN)
def test_norms_have_scales_against_the_pieces_that_read_them(taken: str, embedded: bool) -> None:
    torch.manual_seed(0)
    net = net_of(packed(taken, norms=2, embedded=embedded))
    pairs = units = WIDTH  # of queries and keys, of values
    gains = 2 * WIDTH
    assert freedom(net) == (pairs + units + gains, pairs + units + gains + embedded)
    assert sorted(group.units for group in net.symmetry.permutations) == sorted([HEADS, *[WIDTH] * (2 + embedded)])
    assert not net.symmetry.notes
    check_true(net)


@pytest.mark.parametrize("taken", ["chunk", "slices", "unflatten", "columns by slices"])
def test_two_pieces_that_read_one_stream_have_it_in_common(taken: str) -> None:
    torch.manual_seed(0)
    net = net_of(packed(taken, norms=1, embedded=False))
    assert freedom(net) == (3 * WIDTH, 3 * WIDTH)
    check_true(net)
    assert undone(net, 0) == ""


@pytest.mark.parametrize("taken", ["chunk", "slices", "unflatten"])
def test_pieces_that_read_one_stream_are_not_cut(taken: str) -> None:
    torch.manual_seed(0)
    net = net_of(packed(taken, norms=0))
    assert freedom(net) == (3 * WIDTH, 3 * WIDTH)
    assert (1,) in {axis.dims for group in net.symmetry.permutations for axis in group.axes if axis.tensor == "w"}


@pytest.mark.parametrize("layers", [1, 2])
def test_the_norm_of_a_memory_has_scales_against_all_that_read_it(layers: int) -> None:
    torch.manual_seed(0)
    width, hidden = 6, 4
    decoder = nn.ModuleList(
        nn.TransformerDecoderLayer(width, 2, hidden, 0.0, batch_first=True, norm_first=True) for _ in range(layers)
    )

    def forward(m: Body, x: torch.Tensor) -> torch.Tensor:
        memory, y = m.n(x), x
        for layer in m.d:
            y = layer(y, memory)
        return m.o(y)

    net = net_of(Body(forward, n=nn.LayerNorm(width), d=decoder, o=nn.Linear(width, 2)), (5, width))
    each = 3 * width + 2 * 2 * width + hidden  # three norms, queries and keys and values of two attentions, hidden
    assert freedom(net)[0] == width + layers * each
    [memory] = [
        group for group in net.symmetry.scales if any(scaled.axis.tensor == "n.weight" for scaled in group.axes)
    ]
    assert memory.size == width
    readers = {scaled.axis.tensor for scaled in memory.axes} - {"n.weight", "n.bias"}
    assert readers == {f"d.{k}.multihead_attn.in_proj_weight" for k in range(layers)}
    check_true(net)
