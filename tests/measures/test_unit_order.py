"""The order of hidden units that does not depend on how a network numbers them."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.measures.unit_order import order_of_units
from landscape_cli.symmetry import permute, random_permutations
from tests.support.alignment_nets import Net
from tests.support.parted_nets import MADE
from tests.support.symmetry_checks import make_net


@pytest.mark.parametrize("name", ["mlp", "lenet", "attention", "grouped residual", "recurrent, tanh"])
def test_permuted_networks_become_one(name: str) -> None:
    net = Net(name, 0)
    generator = torch.Generator().manual_seed(1)

    def in_order(params: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return permute(params, net.symmetry, order_of_units(net.symmetry, params))

    first = in_order(net.params)
    assert any(not torch.equal(first[key], tensor) for key, tensor in net.params.items())
    for _ in range(3):
        moved = permute(net.params, net.symmetry, random_permutations(net.symmetry, generator=generator))
        assert any(not torch.equal(moved[key], tensor) for key, tensor in net.params.items())
        again = in_order(moved)
        assert all(torch.equal(again[key], tensor) for key, tensor in first.items())


def test_units_that_are_alike_keep_their_order() -> None:
    net = Net("mlp", 0)
    for order in order_of_units(net.symmetry, {}).values():
        assert torch.equal(order, torch.arange(len(order)))


@pytest.mark.parametrize("name", ["in a loop", "slices of parameters"])
def test_parts_are_put_in_order_as_well(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(MADE[name](), (3,))
    first = permute(net.params, net.symmetry, order_of_units(net.symmetry, net.params))
    for seed in range(2):
        planted = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(seed))
        moved = permute(net.params, net.symmetry, planted)
        again = permute(moved, net.symmetry, order_of_units(net.symmetry, moved))
        assert all(torch.equal(again[key], tensor) for key, tensor in first.items())
