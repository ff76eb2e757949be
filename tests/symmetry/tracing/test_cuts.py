"""Pieces of parameters have units of their own, however they are taken; so have groups of weights that are made.

Pieces that read different streams have columns of their own.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.reasons import counted
from tests.support.composed import undone
from tests.support.layers import Net as Body
from tests.support.packed_nets import HEADS, TAKEN, packed
from tests.support.packed_nets import WIDTH as PACKED
from tests.support.sliced_nets import (
    EXPERTS,
    HIDDEN,
    IMAGE,
    MADE,
    SHARED,
    SLICED,
    SLICED_OTHERWISE,
    WIDTH,
    by_batch_norm,
    grouped,
    layers_of_experts,
    numbers,
    spectral_blocks,
)
from tests.support.symmetry_checks import Net, check_true, make_net, uncovered

NETS = {name: (make, (3,)) for name, make in (SLICED | SLICED_OTHERWISE).items()}
NETS |= {name: (make, IMAGE) for name, make in (MADE | SHARED).items()}


@cache
def made(name: str) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make, shape = NETS[name]
        return make_net(make(), shape)


def permuted(net: Net) -> list[tuple[int, int]]:
    """Return the blocks and the size of each group."""
    return sorted((group.blocks, group.size) for group in net.symmetry.permutations)


@pytest.mark.parametrize("name", SLICED)
def test_experts_have_units_of_their_own_and_trade_places(name: str) -> None:
    net = made(name)
    assert permuted(net) == sorted([(1, WIDTH), (1, WIDTH), (1, EXPERTS), (EXPERTS, HIDDEN)])
    assert EXPERTS * HIDDEN in {group.size for group in net.symmetry.scales}
    assert not net.symmetry.notes
    check_true(net)


def test_layers_of_experts_in_one_parameter() -> None:
    net = made("two layers")
    assert permuted(net) == sorted([(1, WIDTH), (1, WIDTH), (1, EXPERTS), (EXPERTS, WIDTH), (EXPERTS, WIDTH)])
    check_true(net)


def test_experts_that_a_loop_takes_are_parts() -> None:
    net = made("one by one")
    [group] = net.symmetry.modules
    assert group.size == EXPERTS
    assert permuted(net) == sorted([(1, WIDTH), (1, WIDTH), *[(1, HIDDEN)] * EXPERTS])
    check_true(net)


def test_experts_that_are_weighted_by_place_do_not_trade_places() -> None:
    net = made("weighted by place")
    assert (1, EXPERTS) not in permuted(net)
    assert not net.symmetry.modules
    check_true(net)


@pytest.mark.parametrize("written", [False, True])
def test_blocks_of_complex_numbers(written: bool) -> None:
    torch.manual_seed(0)
    net = make_net(spectral_blocks(written=written), (6, 2))
    assert permuted(net) == [(1, EXPERTS), (EXPERTS, 2), (EXPERTS, 4)]
    check_true(net)
    assert undone(net, 0) == ""


def test_layers_have_gates_and_experts_of_their_own() -> None:
    torch.manual_seed(0)
    net = make_net(layers_of_experts(), (3,))
    assert permuted(net) == sorted([(1, WIDTH), *[(1, EXPERTS), (EXPERTS, HIDDEN)] * 2])
    check_true(net)


@pytest.mark.parametrize("name", MADE)
def test_groups_of_weights_that_are_made(name: str) -> None:
    net = made(name)
    assert permuted(net) == [(1, 2), (2, 2), (2, 3)]
    assert counted(net.symmetry)["not_understood"] == 0
    check_true(net)
    assert not uncovered(net)


@pytest.mark.parametrize("name", SHARED)
def test_groups_that_weights_tie_keep_one_order(name: str) -> None:
    net = made(name)
    assert (2, 2) not in permuted(net)
    check_true(net)


def test_gates_of_grouped_weights_are_complete() -> None:
    torch.manual_seed(0)
    net = make_net(grouped(by_batch_norm, gate=True)(), IMAGE)
    assert permuted(net) == [(1, 2), (2, 2), (2, 3), (2, 3)]
    check_true(net)
    checked = check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(0))
    assert checked.is_complete


@pytest.mark.parametrize("name", ["experts first", "standardized"])
def test_what_was_planted_is_undone(name: str) -> None:
    assert [undone(made(name), seed) for seed in range(2)] == ["", ""]


@pytest.mark.parametrize("shape", [(6, 36), (216,)], ids=str)
def test_kernels_laid_out_flat_are_read_by_channels(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = make_net(
        Body(
            lambda m, x: m.o(F.relu(F.conv2d(F.relu(m.a(x)), m.w.view(6, 4, 3, 3))).mean((2, 3))),
            a=nn.Conv2d(2, 4, 1),
            w=numbers(*shape),
            o=nn.Linear(6, 2),
        ),
        IMAGE,
    )
    assert permuted(net) == [(1, 4), (1, 6)]
    check_true(net)


def freedom(net: Net) -> tuple[int, int]:
    """Return how many scales and signs there are."""
    return (sum(group.size for group in net.symmetry.scales), sum(group.size for group in net.symmetry.signs))


@pytest.mark.parametrize("embedded", [False, True], ids=["inputs", "embedded"])
@pytest.mark.parametrize("taken", TAKEN)
def test_norms_have_scales_against_the_pieces_that_read_them(taken: str, embedded: bool) -> None:
    torch.manual_seed(0)
    net = make_net(packed(taken, norms=2, embedded=embedded), (3, PACKED))
    pairs = units = PACKED  # of queries and keys, of values
    gains = 2 * PACKED
    assert freedom(net) == (pairs + units + gains, pairs + units + gains + embedded)
    assert sorted(group.units for group in net.symmetry.permutations) == sorted([HEADS, *[PACKED] * (2 + embedded)])
    assert not net.symmetry.notes
    check_true(net)


@pytest.mark.parametrize("taken", ["chunk", "slices", "unflatten", "columns by slices"])
def test_two_pieces_that_read_one_stream_have_it_in_common(taken: str) -> None:
    torch.manual_seed(0)
    net = make_net(packed(taken, norms=1, embedded=False), (3, PACKED))
    assert freedom(net) == (3 * PACKED, 3 * PACKED)
    check_true(net)
    assert undone(net, 0) == ""


@pytest.mark.parametrize("taken", ["chunk", "slices", "unflatten"])
def test_pieces_that_read_one_stream_are_not_cut(taken: str) -> None:
    torch.manual_seed(0)
    net = make_net(packed(taken, norms=0), (3, PACKED))
    assert freedom(net) == (3 * PACKED, 3 * PACKED)
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

    net = make_net(Body(forward, n=nn.LayerNorm(width), d=decoder, o=nn.Linear(width, 2)), (5, width))
    each = 3 * width + 2 * 2 * width + hidden  # three norms, queries and keys and values of two attentions, hidden
    assert freedom(net)[0] == width + layers * each
    [memory] = [
        group for group in net.symmetry.scales if any(scaled.axis.tensor == "n.weight" for scaled in group.axes)
    ]
    assert memory.size == width
    readers = {scaled.axis.tensor for scaled in memory.axes} - {"n.weight", "n.bias"}
    assert readers == {f"d.{k}.multihead_attn.in_proj_weight" for k in range(layers)}
    check_true(net)
