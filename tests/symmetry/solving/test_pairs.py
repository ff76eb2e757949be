"""Factors of what two units own at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry import ScaleGroup
from tests.support.composed import undone
from tests.support.layers import EPS, Net, parameter, shuffled
from tests.support.symmetry_checks import check_true, make_net

Parts = Callable[[Net, Tensor], Iterable[Tensor]]


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


def heads(y: Tensor, width: int) -> Tensor:
    return y.unflatten(-1, (-1, width)).transpose(1, 2)


def halves(m: Net, x: Tensor) -> Iterable[Tensor]:
    """Queries, keys and values one after the other, each of two heads."""
    return (heads(t, 2) for t in m.qkv(x).chunk(3, -1))


def by_head(m: Net, x: Tensor) -> Iterable[Tensor]:
    """Those of a head one after the other, head by head."""
    return (t.transpose(1, 2) for t in m.qkv(x).unflatten(-1, (2, 3, 2)).unbind(3))


def by_weights(m: Net, x: Tensor) -> Iterable[Tensor]:
    """Products with parts of one weight."""
    return (heads(F.linear(x, w), 2) for w in m.qkv.weight.chunk(3))


def one_key(m: Net, x: Tensor) -> Iterable[Tensor]:
    """One key and one value for four queries."""
    return (heads(t, 2) for t in m.qkv(x).split([8, 2, 2], -1))


def turned(x: Tensor) -> Tensor:
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * 0.4
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


@pytest.mark.parametrize(
    ("apart", "normed", "signs"),
    [
        (halves, "qk", [2, 2, 4, 4]),  # of the gains of either, of values, of pairs
        (by_head, "qk", [2, 2, 4, 4]),
        (by_weights, "qk", [1, 2, 2, 4, 4]),
        (halves, "q", [2, 4, 4]),
        (one_key, "qk", [2, 2, 2, 2]),  # a key's, with those of all queries
        (by_head, "turned", [1, 1, 1, 1, 2, 4]),  # each gain, pairs that turn together, values
    ],
)
def test_queries_and_keys_in_one_tensor_flip_in_pairs(apart: Parts, normed: str, signs: list[int]) -> None:
    torch.manual_seed(0)

    def body(m: Net, x: Tensor) -> Tensor:
        q, k, v = apart(m, x)
        q, k = m.nq(q), k if normed == "q" else m.nk(k)
        if normed == "turned":
            q, k = turned(q), turned(k)
        return m.o(F.scaled_dot_product_attention(q, k, v, enable_gqa=True).transpose(1, 2).flatten(2))

    parts = {"qkv": nn.Linear(3, 12, bias=False), "nq": nn.RMSNorm(2, eps=EPS), "nk": nn.RMSNorm(2, eps=EPS)}
    if normed == "q":
        del parts["nk"]
    net = make_net(Net(body, **parts, o=nn.Linear(8 if apart is one_key else 4, 2)), (3, 3))
    assert sorted(group.size for group in net.symmetry.signs) == signs
    assert not net.symmetry.notes
    check_true(net)
    assert undone(net, 0) == ""


def test_units_along_several_axes_of_a_stack_have_no_factors_of_pairs() -> None:
    """Negative control: what one axis of a tensor is multiplied by, another undoes; signs of places, and of outputs."""
    torch.manual_seed(0)
    net = make_net(
        Net(
            lambda m, x: m.o(
                (torch.einsum("bi,iko->bko", m.a(x), m.v) ** 2 - torch.einsum("bi,iko->bko", m.a(x) ** 2, m.v**2)).sum(
                    1
                )
            ),
            a=nn.Linear(2, 3),
            v=parameter(3, 2, 4),
            o=nn.Linear(4, 2),
        ),
        (2,),
    )
    assert sorted(group.size for group in net.symmetry.scales) == [3, 4]
    assert sorted(group.size for group in net.symmetry.signs) == [3, 8]  # each place's, which no other undoes
    check_true(net)
