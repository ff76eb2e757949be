"""Tensors taken as one, and what has units that trade places across them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.network import outline
from landscape_cli.symmetry import Joined, join, permute_softly, random_permutations, unjoin
from landscape_cli.symmetry.transform import PermutedParams, permute
from tests.support.layers import Case
from tests.support.symmetry_checks import make_net
from tests.support.traded_nets import FACTORS, SUMMED

BOTH = Joined(("a", "b"), 1, (2, 3))


@pytest.fixture
def params() -> dict[str, Tensor]:
    return {"a": torch.randn(4, 2), "b": torch.randn(4, 3), "c": torch.randn(5)}


def test_joined_tensors_stand_in_place_of_their_parts(params: dict[str, Tensor]) -> None:
    joined = join(params, [BOTH])
    assert list(joined) == ["c", "a + b"]
    assert len(joined) == 2
    assert torch.equal(joined["a + b"], torch.cat([params["a"], params["b"]], 1))
    assert outline(joined, "a + b").shape == (4, 5)
    back = unjoin(joined, [BOTH])
    assert back.keys() == params.keys()
    assert all(torch.equal(back[name], params[name]) for name in params)


def test_nothing_joined_is_the_network_itself(params: dict[str, Tensor]) -> None:
    assert join(params, []) is params


@pytest.mark.parametrize("case", [SUMMED["convolutions"], FACTORS["hidden"]])
def test_units_are_moved_across_tensors_softly_and_hard_alike(case: Case) -> None:
    torch.manual_seed(0)
    net = make_net(case.make(), case.shape)
    orders = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(1))
    moved = permute(net.params, net.symmetry, orders)
    assert moved.keys() == net.params.keys()
    matrices = {}
    for group in net.symmetry.permutations:
        whole = torch.eye(group.units, dtype=torch.float64)[orders[group.name]]
        blocks = whole.view(group.blocks, group.size, group.blocks, group.size)
        matrices[group.name] = torch.stack([blocks[k, :, k] for k in range(group.blocks)])
    softly = permute_softly(net.params, net.symmetry, matrices)
    assert all(torch.allclose(softly[name], moved[name]) for name in moved)
    lazily = PermutedParams(net.params, net.symmetry, orders)
    for joined in net.symmetry.joined:
        assert torch.equal(lazily[joined.name], joined.put(moved))
        assert lazily.outline(joined.name).shape == lazily[joined.name].shape
