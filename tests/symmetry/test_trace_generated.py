"""Weights that other layers make, and stacks of matrices whose units are each their own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry import Role
from tests.support.capsule_nets import CLASSES, READ, ROUTED, SIZE, UNITS, of_a_convolution, two_layers
from tests.support.composed import undone
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
