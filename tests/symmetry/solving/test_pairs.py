"""Factors of what two units own at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry import ScaleGroup
from tests.support.composed import undone
from tests.support.layers import EPS, Net, parameter, shuffled
from tests.support.symmetry_checks import check_true, make_net


def shuffle(m: Net, x: Tensor) -> Tensor:
    """Two grouped layers with a shuffle between, a gain and a norm for each channel on its way."""
    h = F.relu(m.first(F.gelu(m.a(x)))) * m.gain
    return m.o(F.gelu(m.second(shuffled(h))).mean(2))


def scales_of(group: ScaleGroup) -> dict[str, int]:
    """Return the power of each tensor that a group multiplies."""
    return {scaled.axis.tensor: int(scaled.power) for scaled in group.axes}


def test_each_channel_between_two_grouped_layers_has_scales_of_its_own() -> None:
    torch.manual_seed(0)
    parts = {
        "a": nn.Conv1d(2, 4, 1),
        "first": nn.Conv1d(4, 4, 1, groups=2),
        "gain": parameter(4, 1),
        "second": nn.Conv1d(4, 4, 1, groups=2),
        "o": nn.Linear(4, 3),
    }
    net = make_net(Net(shuffle, **parts), (2, 5))
    check_true(net)
    found = [group for group in net.symmetry.scales if scales_of(group).keys() & {"first.bias", "gain"}]
    assert [group.size for group in found] == [4, 4]  # of what the gain multiplies, and its own
    assert {frozenset(scales_of(group).values()) for group in found} == {frozenset((1, -1))}
    assert [group.size for group in net.symmetry.signs] == [4]  # of the gain


def test_places_of_a_group_are_told_apart() -> None:
    """Each factor multiplies places of its own, all together every place."""
    torch.manual_seed(0)
    net = make_net(
        Net(
            lambda m, x: m.o(F.gelu(m.d(shuffled(F.relu(m.c(x)))))).mean(2),
            c=nn.Conv1d(2, 8, 1, groups=2),
            d=nn.Conv1d(8, 4, 1, groups=4),
            o=nn.Conv1d(4, 3, 1),
        ),
        (2, 5),
    )
    check_true(net)
    groups = [group for group in net.symmetry.scales if "c.weight" in scales_of(group)]
    for group in groups:
        for scaled in group.axes:
            places = scaled.axis.places.table
            assert len(set(places.ravel().tolist())) == places.size
    assert sum(group.size for group in groups) == 8


def halves(y: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys and values one after the other, each of two heads."""
    return tuple(t.unflatten(-1, (2, 2)).transpose(1, 2) for t in y.chunk(3, -1))


def by_head(y: Tensor) -> tuple[Tensor, ...]:
    """Those of a head one after the other, head by head."""
    return tuple(t.transpose(1, 2) for t in y.unflatten(-1, (2, 3, 2)).unbind(3))


@pytest.mark.parametrize("apart", [halves, by_head])
def test_queries_and_keys_in_one_tensor_flip_in_pairs(apart: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
    torch.manual_seed(0)

    def body(m: Net, x: Tensor) -> Tensor:
        q, k, v = apart(m.qkv(x))
        y = F.scaled_dot_product_attention(m.q(q), m.k(k), v)
        return m.o(y.transpose(1, 2).flatten(2))

    net = make_net(
        Net(body, qkv=nn.Linear(3, 12), q=nn.RMSNorm(2, eps=EPS), k=nn.RMSNorm(2, eps=EPS), o=nn.Linear(4, 2)), (3, 3)
    )
    check_true(net)
    flipped = [{axis.tensor for axis in group.axes} for group in net.symmetry.signs]
    pairs = next(
        group for group, of in zip(net.symmetry.signs, flipped, strict=True) if of == {"qkv.weight", "qkv.bias"}
    )
    assert pairs.size == 4
    assert pairs.axes[0].places.table.shape == (4, 2)
    assert sum(group.size for group in net.symmetry.signs) == 4 + 2 + 2 + 4  # values, gains of either, pairs
    assert undone(net, 0) == ""
