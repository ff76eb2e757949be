"""Grouped queries with norms: what is found is what can be counted by hand, however keys are repeated and turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.composed import undone
from tests.support.layers import EPS, Net, parameter
from tests.support.symmetry_checks import check_true, make_net, uncovered

SIZE = 4  # of heads
STREAM = 5


def repeated(x: Tensor, times: int) -> Tensor:
    return x.repeat_interleave(times, 1)


def expanded(x: Tensor, times: int) -> Tensor:
    return x[:, :, None].expand(-1, -1, times, -1, -1).reshape(len(x), -1, *x.shape[2:])


def tiled(x: Tensor, times: int) -> Tensor:
    return x.unsqueeze(2).repeat(1, 1, times, 1, 1).flatten(1, 2)


def indexed(x: Tensor, times: int) -> Tensor:
    return x[:, torch.arange(x.shape[1] * times) // times]


def stacked(x: Tensor, times: int) -> Tensor:
    return torch.stack([x] * times, 2).flatten(1, 2)


def angles(x: Tensor) -> Tensor:
    return torch.outer(torch.arange(x.shape[-2], dtype=x.dtype), 0.3 ** torch.arange(SIZE // 2, dtype=x.dtype))


def by_halves(x: Tensor) -> Tensor:
    turn, (first, second) = angles(x).repeat(1, 2), x.chunk(2, -1)
    return x * turn.cos() + torch.cat([-second, first], -1) * turn.sin()


def by_complex(x: Tensor) -> Tensor:
    turn = torch.polar(torch.ones_like(angles(x)), angles(x))
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)


def root_mean_square(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def length(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


@dataclass(frozen=True)
class Case:
    """Attention of `queries` heads, of which several share one of `keys`.

    Attributes:
        queries: how many heads of queries.
        keys: how many of keys and values.
        repeat: how keys and values are repeated; None where the product itself does that.
        late: whether keys are normed and turned once they have been repeated.
        norm: of queries and keys, each by itself.
        normed: which are normed.
        gains: whether with a gain for each unit, common to all heads; "one" for queries and keys as well.
        turned: how positions turn units, if they do.
        fused: whether queries, keys and values are of one weight.
        temperature: whether queries are multiplied by a number for each head.
    """

    queries: int = 4
    keys: int = 2
    repeat: Callable[[Tensor, int], Tensor] | None = repeated
    late: bool = False
    norm: Callable[[Tensor], Tensor] = root_mean_square
    normed: str = "qk"
    gains: bool | str = True
    turned: Callable[[Tensor], Tensor] | None = None
    fused: bool = False
    temperature: bool = False

    def model(self) -> Net:
        """Return the network."""
        rows = [self.queries * SIZE, self.keys * SIZE, self.keys * SIZE]
        names = ["qkv"] if self.fused else ["q", "k", "v"]
        sizes = [sum(rows)] if self.fused else rows
        parts: dict[str, object] = {
            name: nn.Linear(STREAM, size, bias=False) for name, size in zip(names, sizes, strict=True)
        }
        parts |= {f"gain_{which}": parameter(SIZE) for which in self.normed if self.gains is True}
        parts |= {"gain": parameter(SIZE)} if self.gains == "one" else {}
        parts |= {"t": parameter(self.queries, 1, 1)} if self.temperature else {}
        return Net(self._forward, **parts, o=nn.Linear(self.queries * SIZE, 3, bias=False))

    def _forward(self, m: Net, x: Tensor) -> Tensor:
        rows = [self.queries * SIZE, self.keys * SIZE, self.keys * SIZE]
        whole = m.qkv(x).split(rows, -1) if self.fused else (m.q(x), m.k(x), m.v(x))
        q, k, v = (part.unflatten(-1, (-1, SIZE)).transpose(1, 2) for part in whole)
        times = self.queries // self.keys
        if self.late and self.repeat:
            k = self.repeat(k, times)
        q, k = self._prepared(m, q, "q"), self._prepared(m, k, "k")
        q = q * m.t if self.temperature else q
        if self.repeat is None:
            y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        else:
            k = k if self.late else self.repeat(k, times)
            y = (q @ k.transpose(-1, -2)).softmax(-1) @ self.repeat(v, times)
        return m.o(y.transpose(1, 2).flatten(2))

    def _prepared(self, m: Net, x: Tensor, which: str) -> Tensor:
        if which in self.normed:
            x = self.norm(x)
            gain = m.gain if self.gains == "one" else getattr(m, f"gain_{which}") if self.gains else None
            x = x if gain is None else x * gain
        return self.turned(x) if self.turned else x

    def permuted(self) -> int:
        """Return how many units there are to permute: groups, queries of each, units of heads, of values."""
        times = self.queries // self.keys
        units = 0 if self.turned else SIZE if self.gains else SIZE * self.keys
        return (self.keys if self.keys > 1 else 0) + (self.queries if times > 1 else 0) + units + SIZE * self.keys

    def scales(self) -> int:
        """Return how many scales: of values, of gains, of what a norm leaves none of, of keys and queries in turn."""
        count = SIZE * self.keys
        apart = SIZE // 2 if self.turned else SIZE
        if self.gains is True or (self.gains and self.normed != "qk"):
            count += apart
        if self.norm is length:
            count += self.queries * ("q" in self.normed) + self.keys * ("k" in self.normed)
        return count + (self.temperature and bool(self.gains))

    def signs(self) -> int:
        """Return how many signs: of values, of queries with keys, of gains, of temperatures."""
        pairs = SIZE // 2 if self.turned else SIZE
        gains = {True: len(self.normed), "one": 1, False: 0}[self.gains]
        return SIZE * self.keys + pairs * self.keys + SIZE * gains + self.queries * self.temperature


BASE, LATE = Case(), Case(late=True)
CASES = {
    "complex": replace(BASE, turned=by_complex),
    "complex, by the product": replace(BASE, turned=by_complex, repeat=None),
    "complex, no gains": replace(BASE, turned=by_complex, gains=False, repeat=expanded),
    "one gain": replace(BASE, turned=by_halves, gains="one"),
    "queries alone": replace(BASE, normed="q"),
    "keys alone": replace(BASE, normed="k"),
    "keys alone, turned": replace(BASE, normed="k", turned=by_halves),
    "keys alone, fused": replace(BASE, normed="k", fused=True, repeat=None),
    "temperature": replace(BASE, temperature=True),
    "late": LATE,
    "late, expanded": replace(LATE, repeat=expanded, gains=False),
    "late, tiled": replace(LATE, repeat=tiled),
    "late, indexed": replace(LATE, repeat=indexed),
    "late, stacked": replace(LATE, repeat=stacked, gains=False),
    "late, lengths, temperature": replace(LATE, norm=length, gains=False, temperature=True, repeat=expanded),
    "late, temperature": replace(LATE, temperature=True, repeat=expanded),
    "late, one key": replace(LATE, keys=1, norm=length, gains=False),
    "late, keys alone": replace(LATE, normed="k"),
    "late, fused": replace(LATE, fused=True),
    "late, fused, lengths": replace(LATE, fused=True, norm=length, gains=False, queries=6),
    "late, halves": replace(LATE, turned=by_halves),
    "late, complex": replace(LATE, turned=by_complex, gains=False, repeat=tiled),
}


@pytest.mark.parametrize("name", CASES)
def test_all_is_found(name: str) -> None:
    torch.manual_seed(0)
    case = CASES[name]
    net = make_net(case.model(), (3, STREAM))
    found = net.symmetry
    assert not found.notes
    assert sum(group.units for group in found.permutations) == case.permuted()
    assert sum(group.size for group in found.scales) == case.scales()
    assert sum(group.size for group in found.signs) == case.signs()
    check_true(net)
    assert not uncovered(net)
    assert undone(net, 0) == ""


def powers(x: Tensor, times: int) -> Tensor:
    """Keys side by side with functions of them, which norms tell apart."""
    return torch.stack([x**power for power in range(1, times + 1)], 2).flatten(1, 2)


def biased(x: Tensor, times: int) -> Tensor:
    """Keys repeated, with a number of its own for each query's head."""
    return repeated(x, times) + torch.arange(times * x.shape[1], dtype=x.dtype)[:, None, None]


@pytest.mark.parametrize(("repeat", "late", "moving"), [(powers, False, 2), (powers, True, 2), (biased, False, 0)])
def test_heads_that_are_told_apart_stay(repeat: Callable[[Tensor, int], Tensor], late: bool, moving: int) -> None:
    """Negative control: what is made of one key by different functions is no copies of it."""
    torch.manual_seed(0)
    net = make_net(Case(repeat=repeat, late=late, norm=length).model(), (3, STREAM))
    rows = [group.units for group in net.symmetry.permutations if "q.weight" in {axis.tensor for axis in group.axes}]
    assert sum(rows) == SIZE + moving  # groups of heads
    check_true(net)


def test_units_that_constants_do_not_tell_are_none_by_nature() -> None:
    """Each unit of a key meets a number for every query's head, the same numbers as all others of it do."""
    torch.manual_seed(0)
    net = make_net(Case(repeat=biased, late=True, norm=length).model(), (3, STREAM))
    [note] = net.symmetry.notes
    assert "not understood (aten.add.Tensor)" in note
    assert "k.weight[0]" in note
    check_true(net)


def test_gains_of_turned_units_are_fixed_by_constants() -> None:
    net = make_net(Case(turned=by_halves).model(), (3, STREAM))
    reasons = {axis.reason for axis in net.symmetry.fixed if axis.tensor == "gain_k"}
    assert reasons == {"a constant that differs from place to place"}
    assert not net.symmetry.notes
