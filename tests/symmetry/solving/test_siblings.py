"""Parts of a model that trade places: found however they are put together, and not where places count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from landscape_cli.symmetry import permute
from tests.support.parted_nets import ALONE, MADE, PARTS, Way, distance, gated, two_of_them
from tests.support.symmetry_checks import EXACT, Net, check_true, make_net


def made(make: Callable[[], nn.Module]) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(make(), (3,))


def exchanged(net: Net) -> float:
    """Return by how much outputs differ once the first two parts have each other's tensors, their gates too."""
    order = torch.tensor([1, 0, *range(2, net.symmetry.modules[0].size)])
    return net.deviation(permute(net.params, net.symmetry, {net.symmetry.modules[0].name: order}))


@pytest.mark.parametrize("name", MADE)
def test_parts_trade_places(name: str) -> None:
    net = made(MADE[name])
    [group] = net.symmetry.modules
    assert group.size == PARTS
    assert all(len(member) == len(group.members[0]) for member in group.members)
    check_true(net)
    assert exchanged(net) < EXACT


@pytest.mark.parametrize("name", ALONE)
def test_parts_that_places_tell_apart_do_not(name: str) -> None:
    net = made(ALONE[name])
    assert not net.symmetry.modules
    check_true(net)


@pytest.mark.parametrize("way", [two_of_them, distance])
def test_some_of_several_parts(way: Way) -> None:
    net = made(gated(way))
    [group] = net.symmetry.modules
    assert [{name.split(".")[1] for name in member} for member in group.members] == [{"0"}, {"1"}]
    check_true(net)


def test_parts_within_parts() -> None:
    class Vote(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = nn.ModuleList(MADE["summed"]() for _ in range(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([net(x).softmax(-1) for net in self.nets]).mean(0)

    net = made(Vote)
    assert [group.size for group in net.symmetry.modules] == [2, PARTS, PARTS]
    # of the inner ones the last bias alone is left: their units trade places one by one
    assert [len(group.members[0]) for group in net.symmetry.modules] == [4 * PARTS, 1, 1]
    check_true(net)


def test_a_part_shared_by_two_is_no_exchange_of_it() -> None:
    """Of tensors that both have, none moves."""
    shared = nn.Linear(3, 3)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both, self.a, self.b = shared, nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.a(self.both(x))) + torch.tanh(self.b(self.both(x)))

    net = made(Two)
    [group] = net.symmetry.modules
    assert {name for member in group.members for name in member} == {"a.weight", "a.bias", "b.weight", "b.bias"}
    assert exchanged(net) < EXACT
