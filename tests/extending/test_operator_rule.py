"""One file teaches tracing an operator: its symmetries, what counts as a weight, and how it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import Role
from landscape_cli.symmetry.explain import fixed_for
from landscape_cli.symmetry.tracing.operators import OPERATORS
from tests.support.layers import Net
from tests.support.symmetry_checks import Net as Traced
from tests.support.symmetry_checks import check_true, idle_axes, make_net, uncovered


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The rule is registered by importing its file; nothing of it stays."""
    import tests.extending.operator_rule  # noqa: F401

    yield
    del OPERATORS["absolute_linear"]


def absolute_linear(x: Tensor, weight: Tensor) -> Tensor:
    product: Tensor = torch.ops.example.absolute_linear(x, weight)
    return product


def traced(body: Callable[[Any, Tensor], Tensor], *, strict: bool = False) -> Traced:
    torch.manual_seed(0)
    net = Net(body, a=nn.Linear(4, 6), w=nn.Parameter(torch.ones(6, 6)), o=nn.Linear(6, 3))
    return make_net(net, (4,), strict=strict)


def layer(m: Net, x: Tensor) -> Tensor:
    return m.o(F.relu(absolute_linear(m.a(x), m.w)))


def halved(m: Net, x: Tensor) -> Tensor:
    return m.o(F.relu(absolute_linear(m.a(x), m.w * 0.5)))


def rolled(m: Net, x: Tensor) -> Tensor:
    x = m.a(x)
    return m.o(absolute_linear(x, m.w) + absolute_linear(x.roll(1, 1), m.w))


def test_symmetries_are_found_and_true() -> None:
    net = traced(layer, strict=True)
    check_true(net)
    assert not idle_axes(net)
    assert not uncovered(net)
    assert {group.name: group.size for group in net.symmetry.permutations} == {"a": 6, "w": 6}
    assert {group.name: group.size for group in net.symmetry.scales} == {"a": 6, "w": 6}
    assert {group.name: group.size for group in net.symmetry.signs} == {"a": 6}
    assert not net.symmetry.notes


@pytest.mark.parametrize("body", [layer, halved])
def test_what_it_contracts_is_a_weight(body: Callable[[Any, Tensor], Tensor]) -> None:
    symmetry = traced(body).symmetry
    assert set(symmetry.weights) == {"a.weight", "w", "o.weight"}
    roles = {axis.dims: axis.role for group in symmetry.permutations for axis in group.axes if axis.tensor == "w"}
    assert roles == {(0,): Role.INCOMING, (1,): Role.OUTGOING}


def test_it_is_said_in_words() -> None:
    words = "units tied by a product of absolute values (example.absolute_linear) in a way that is not followed"
    assert words in fixed_for(traced(rolled).symmetry)


def test_without_the_file_what_reaches_the_operator_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: all of this is known from the registration."""
    monkeypatch.delitem(OPERATORS, "absolute_linear")
    net = traced(layer)
    check_true(net)
    assert not net.symmetry.permutations
    assert "w" not in net.symmetry.weights
    assert "no rule for example.absolute_linear.default" in fixed_for(net.symmetry)
    with pytest.raises(TraceError, match=r"no symmetry rule for the operator example\.absolute_linear"):
        traced(layer, strict=True)
