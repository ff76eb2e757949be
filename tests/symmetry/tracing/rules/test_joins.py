"""Zeros put beside inputs, as the state that a cell begins with: they are anyone, other numbers are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.composed import undone
from tests.support.layers import Net
from tests.support.symmetry_checks import Net as Traced
from tests.support.symmetry_checks import check_true, idle_axes, make_net

Start = Callable[[Tensor], Tensor]
Join = Callable[[Tensor, Tensor], Tensor]

ZEROS: dict[str, Start] = {
    "new zeros": lambda like: like.new_zeros(like.shape),
    "zeros": lambda like: torch.zeros(like.shape, dtype=like.dtype),
    "zeros like": torch.zeros_like,
    "copies of a zero": lambda like: torch.zeros(1, dtype=like.dtype).expand(like.shape),
    "times 0": lambda like: like * 0,
    "a slice of zeros": lambda like: like.new_zeros(len(like), 2, *like.shape[1:])[:, 0],
    "one of two": lambda like: torch.zeros_like(torch.stack([like, like])).unbind(0)[1],
    "zeros side by side": lambda like: torch.cat([torch.zeros_like(like[:, :1]), torch.zeros_like(like[:, 1:])], 1),
    "a slice of input times 0": lambda like: (like.repeat(1, 2) * 0)[:, :3],
    "zeros padded": lambda like: F.pad(like.new_zeros(len(like), 1), (0, 2)),
    "nothing padded": lambda like: F.pad(like[:, :0], (0, 3)),
}
JOINS: dict[str, Join] = {
    "last": lambda x, h: torch.cat([x, h], 1),
    "first": lambda x, h: torch.cat([h, x], 1),
}


def _like(x: Tensor, units: int = 3) -> Tensor:
    """Return what has the shape of a state, made of the first input's first channel."""
    return x[:, 0, :1].expand(-1, units, *x.shape[3:])


def _cell(m: Net, x: Tensor, start: Start, join: Join) -> Tensor:
    h = start(_like(x))
    for step in x.unbind(1):
        h = torch.tanh(m.c(join(step, h)))
    return _read(m, h)


def _gated(m: Net, x: Tensor, start: Start, join: Join) -> Tensor:
    h = start(_like(x))
    for step in x.unbind(1):
        reset, keep = m.g(join(step, h)).sigmoid().chunk(2, 1)
        h = (1 - keep) * torch.tanh(m.c(join(step, reset * h))) + keep * h
    return _read(m, h)


def _remembering(m: Net, x: Tensor, start: Start, join: Join) -> Tensor:
    h = c = start(_like(x))
    for step in x.unbind(1):
        i, f, o, g = m.c(join(step, h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return _read(m, h)


def _read(m: Net, h: Tensor) -> Tensor:
    result: Tensor = m.o(h.flatten(2).mean(2) if h.ndim > 2 else h)
    return result


CELLS = {
    "linear": (_cell, (2, 2), lambda: {"c": nn.Linear(5, 3)}),
    "gated": (_gated, (2, 2), lambda: {"g": nn.Linear(5, 6), "c": nn.Linear(5, 3)}),
    "convolution": (_cell, (2, 2, 4), lambda: {"c": nn.Conv1d(5, 3, 3, padding=1)}),
    "remembering convolution": (_remembering, (2, 2, 3, 3), lambda: {"c": nn.Conv2d(5, 12, 3, padding=1, bias=False)}),
}


def _traced(kind: str, start: Start, join: Join) -> Traced:
    torch.manual_seed(0)
    run, shape, parts = CELLS[kind]
    return make_net(Net(lambda m, x: run(m, x, start, join), **parts(), o=nn.Linear(3, 2)), shape)


def _found(net: Traced) -> tuple[list[int], list[int]]:
    return [group.units for group in net.symmetry.permutations], [group.size for group in net.symmetry.signs]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_cells_that_begin_with_zeros(kind: str, join: Join) -> None:
    net = _traced(kind, ZEROS["new zeros"], join)
    assert _found(net) == ([3], [3])
    assert not net.symmetry.notes
    check_true(net)
    assert not idle_axes(net)
    assert undone(net, 0) == ""


@pytest.mark.parametrize("zeros", ZEROS.values(), ids=ZEROS)
def test_zeros_however_made(zeros: Start) -> None:
    assert _found(_traced("linear", zeros, JOINS["last"])) == ([3], [3])
    assert _found(_traced("gated", zeros, JOINS["first"])) == ([3], [3])


def _padded_first(m: Net, x: Tensor) -> Tensor:
    h = torch.tanh(m.c(F.pad(x[:, 0], (0, 3))))
    return _read(m, torch.tanh(m.c(torch.cat([x[:, 1], h], 1))))


def _padded_before(m: Net, x: Tensor) -> Tensor:
    h = torch.tanh(m.c(F.pad(x, (3, 0))[:, 0]))
    return _read(m, torch.tanh(m.c(torch.cat([h, x[:, 1]], 1))))


def _padded_and_added(m: Net, x: Tensor) -> Tensor:
    h = x.new_zeros(len(x), 3)
    for step in F.pad(x, (0, 3)).unbind(1):
        h = torch.tanh(m.c(step + F.pad(h, (2, 0))))
    return _read(m, h)


@pytest.mark.parametrize("run", [_padded_first, _padded_before, _padded_and_added])
def test_zeros_that_inputs_are_padded_with(run: Callable[[Net, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    net = make_net(Net(run, c=nn.Linear(5, 3), o=nn.Linear(3, 2)), (2, 2))
    assert _found(net) == ([3], [3])
    assert not net.symmetry.notes
    check_true(net)
    assert not idle_axes(net)
    assert undone(net, 0) == ""


def test_ones_that_inputs_are_padded_with_say_more() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        h = torch.tanh(m.c(F.pad(x[:, 0], (0, 3), value=1.0)))
        return _read(m, torch.tanh(m.c(torch.cat([x[:, 1], h], 1))))

    net = make_net(Net(run, c=nn.Linear(5, 3), o=nn.Linear(3, 2)), (2, 2))
    assert not net.symmetry.signs
    check_true(net)


def test_other_states_say_more() -> None:
    """Negative control: ones have no sign, and numbers that differ have an order."""
    ones = _traced("linear", torch.ones_like, JOINS["last"])
    assert _found(ones) == ([3], [])
    check_true(ones)
    ordered = _traced("linear", lambda like: torch.arange(1, 4, dtype=like.dtype).expand(like.shape), JOINS["last"])
    assert _found(ordered) == ([], [])


WINDOWS: dict[str, Start] = {
    "blocks": lambda x: x.reshape(len(x), -1, 2),
    "windows": lambda x: x.unfold(1, 2, 1),
    "taken": lambda x: x[:, torch.tensor([[0, 1], [3, 4], [4, 5]])],
}
PADS: dict[str, Join] = {
    **JOINS,
    "padded after": lambda x, h: F.pad(x, (0, h.shape[1])),
    "padded before": lambda x, h: F.pad(x, (h.shape[1], 0)),
}


@pytest.mark.parametrize("cut", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("join", PADS.values(), ids=PADS)
def test_places_in_windows_over_zeros_and_others_are_fixed(cut: Start, join: Join) -> None:
    torch.manual_seed(0)
    body = Net(
        lambda m, x: m.o(torch.relu(m.c(cut(join(x, x.new_zeros(len(x), 3))))).mean(1)),
        c=nn.Linear(2, 4),
        o=nn.Linear(4, 2),
    )
    net = make_net(body, (5,))
    assert _found(net) == ([4], [])
    assert not net.symmetry.notes
    check_true(net)


def test_units_under_windows_over_zeros_and_others_are_found() -> None:
    torch.manual_seed(0)

    def forward(m: Net, x: Tensor) -> Tensor:
        h = torch.relu(m.a(x))
        windows = torch.cat([h.new_zeros(len(h), 2, 3), h], 1).unfold(1, 2, 1)
        result: Tensor = m.o(torch.relu(torch.einsum("btck,ock->bto", windows, m.w)).mean(1))
        return result

    net = make_net(
        Net(forward, a=nn.Linear(2, 3), w=nn.Parameter(torch.randn(4, 3, 2)), o=nn.Linear(4, 2)),
        (4, 2),
    )
    assert _found(net) == ([3, 4], [])
    assert not net.symmetry.notes
    check_true(net)
