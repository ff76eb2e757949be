"""Weights that other layers make, and stacks of matrices whose units are each their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import InconsistencyError, TraceError
from landscape_cli.symmetry import Role, Symmetry, trace_symmetry
from landscape_cli.symmetry.solving.groups import assemble
from landscape_cli.symmetry.solving.siblings import Siblings
from landscape_cli.symmetry.tracing.record import Traced
from tests.support.capsule_nets import (
    CLASSES,
    READ,
    ROUTED,
    SIZE,
    UNITS,
    by_matmul,
    classes_first,
    of_a_convolution,
    two_layers,
)
from tests.support.composed import undone
from tests.support.head_nets import heads, packed_heads
from tests.support.layers import Net, parameter
from tests.support.symmetry_checks import check_true, make_net


def test_two_layers_that_one_tensor_makes() -> None:
    """Units are rows of the first weight, biases, and columns of the second, all along one axis."""
    torch.manual_seed(0)

    def body(m: Net, x: Tensor) -> Tensor:
        w1, b1, w2, b2 = m.g(torch.tanh(m.code)).split([12, 4, 8, 2])
        return F.linear(F.relu(F.linear(x, w1.view(4, 3), b1)), w2.view(2, 4), b2)

    net = make_net(Net(body, code=parameter(3), g=nn.Linear(3, 26)), (3,))
    check_true(net)
    assert not net.symmetry.notes
    assert sorted(group.size for group in net.symmetry.permutations) == [3, 4]
    assert [group.size for group in net.symmetry.scales] == [4]
    assert {axis.role for group in net.symmetry.permutations for axis in group.axes if axis.tensor == "g.bias"} == {
        Role.FOLLOWER
    }
    assert undone(net, 0) == ""


def test_what_lies_beside_units_is_fixed_for_its_own_reason() -> None:
    torch.manual_seed(0)
    net = make_net(
        Net(
            lambda m, x: torch.einsum(
                "beh,eho,be->bo", F.gelu(torch.einsum("bi,eih->beh", x, m.a)), m.b, m.g(x).softmax(-1)
            ),
            g=nn.Linear(3, 2),
            a=parameter(2, 3, 4),
            b=parameter(2, 4, 5),
        ),
        (3,),
    )
    assert {(axis.tensor, axis.dim, axis.reason) for axis in net.symmetry.fixed} == {
        ("g.weight", 1, "input"),
        ("a", 1, "input"),
        ("b", 2, "output"),
    }


@pytest.mark.parametrize("name", ROUTED)
def test_capsules_have_units_of_their_own(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(ROUTED[name](), (3,))
    check_true(net)
    assert sorted((group.size, group.blocks) for group in net.symmetry.permutations) == [
        (READ, 1),
        (SIZE, READ),
        (UNITS, CLASSES),
    ]
    assert sum(group.size for group in net.symmetry.signs) == READ * SIZE + CLASSES * UNITS
    assert not net.symmetry.notes
    assert undone(net, 0) == ""


def test_capsules_that_capsules_read_trade_places() -> None:
    torch.manual_seed(0)
    hidden = 3
    net = make_net(two_layers(hidden), (3,))
    check_true(net)
    sizes = [(READ, 1), (SIZE, READ), (hidden, 1), (UNITS, hidden), (SIZE, CLASSES)]
    assert sorted((group.size, group.blocks) for group in net.symmetry.permutations) == sorted(sizes)
    assert sum(group.size for group in net.symmetry.signs) == READ * SIZE + hidden * UNITS + CLASSES * SIZE


def test_capsules_of_a_convolution_have_no_scales() -> None:
    torch.manual_seed(0)
    net = make_net(of_a_convolution(), (1, 3, 3))
    assert not net.symmetry.scales
    check_true(net)


@pytest.mark.parametrize("broken", [False, True])
def test_a_finer_cut_that_contradicts_itself_is_said(monkeypatch: pytest.MonkeyPatch, *, broken: bool) -> None:
    def fail_if_cut(traced: Traced) -> tuple[Symmetry, Siblings]:
        if traced.cuts:
            raise InconsistencyError("nothing fits: please report this")
        return assemble(traced)

    if broken:
        monkeypatch.setattr("landscape_cli.symmetry.trace.assemble", fail_if_cut)
    net = heads("hdk", "hkd")
    notes = trace_symmetry(net, torch.zeros(2, 3, 4)).notes
    assert any("contradict themselves" in note and "please report this" in note for note in notes) == broken
    if broken:
        with pytest.raises(TraceError, match="strict"):
            trace_symmetry(net, torch.zeros(2, 3, 4), strict=True)


@pytest.mark.parametrize("make", [by_matmul, classes_first, packed_heads])
def test_axes_that_cuts_leave_with_nothing_that_moves_are_accounted_for(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], nn.Module]
) -> None:
    ways = []

    def note(traced: Traced) -> tuple[Symmetry, Siblings]:
        ways.append(traced.cuts)
        return assemble(traced)

    monkeypatch.setattr("landscape_cli.symmetry.trace.assemble", note)
    shape = (2, 3, 4) if make is packed_heads else (2, 3)
    assert not trace_symmetry(make(), torch.zeros(shape)).notes
    assert len(ways) > 2


def test_pieces_that_two_kinds_of_places_tell_stay_where_they_are() -> None:
    """Weights of sines and of cosines, of each unit and frequency: units of a piece go with both."""
    torch.manual_seed(0)

    def body(m: Net, x: Tensor) -> Tensor:
        angle = m.a(x)[..., None] * torch.arange(1, 4)
        return torch.einsum("dbik,doik->bo", torch.stack([angle.cos(), angle.sin()]), m.w)

    net = make_net(Net(body, a=nn.Linear(4, 5), w=parameter(2, 3, 5, 3)), (4,))
    check_true(net)
    assert [group.units for group in net.symmetry.permutations] == [5]


JOINT = {
    "capsules": lambda m, x: torch.einsum("bid,iodk->bok", F.relu(m.p(x)).view(-1, 2, 3), m.w).norm(dim=-1),
    "by tensordot": lambda m, x: torch.tensordot(F.relu(m.p(x)).view(-1, 2, 3), m.w, 2),
    "laid out flat": lambda m, x: F.relu(m.p(x)) @ m.w.reshape(6, 8),
    "biases of each place": lambda m, x: torch.einsum("bid,iodk->bok", F.relu(m.p(x).view(-1, 2, 3) + m.b), m.w),
}
"""Weights (i, o, d, k) that read units at places of two axes, i and d, which nothing else sets apart."""


@pytest.mark.parametrize("name", JOINT)
def test_axes_that_are_read_as_one_have_units_of_one_kind(name: str) -> None:
    torch.manual_seed(0)
    shape = (2, 3, 8) if name in {"by tensordot", "laid out flat"} else (2, 2, 3, 4)
    net = make_net(Net(JOINT[name], p=nn.Linear(4, 6), w=parameter(*shape), b=parameter(2, 3)), (4,))
    check_true(net)
    first = next(group for group in net.symmetry.permutations if group.axes[0].tensor.startswith("p."))
    assert (first.size, first.blocks) == (6, 1)
    assert [group.size for group in net.symmetry.scales] == [6]
    assert undone(net, 0) == ""


def test_axes_that_something_sets_apart_are_not_read_as_one() -> None:
    """Negative control: capsules that are each divided by their length have units of each one's own."""
    torch.manual_seed(0)

    def body(m: Net, x: Tensor) -> Tensor:
        return torch.einsum("bid,iodk->bok", F.normalize(m.p(x).view(-1, 2, 3), dim=-1), m.w)

    net = make_net(Net(body, p=nn.Linear(4, 6), w=parameter(2, 2, 3, 4)), (4,))
    check_true(net)
    first = next(group for group in net.symmetry.permutations if group.axes[0].tensor.startswith("p."))
    assert (first.size, first.blocks) == (3, 2)
