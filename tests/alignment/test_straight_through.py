"""Permutations learned through latent weights: the match to them forwards, their own gradient backwards."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.signs import signs_of_gains
from landscape_cli.alignment.straight_through import StraightThrough
from tests.support.alignment_nets import Net


@pytest.mark.parametrize("name", ["mlp", "tanh", "attention", "conv blocks"])
def test_the_network_is_the_match_to_the_latent_weights(name: str) -> None:
    net, other = Net(name, 0), Net(name, 1)
    start = UnitMatching(AxisTable(net.symmetry))
    gains = signs_of_gains(net.params, other.params, start.axis_table)
    relaxation = StraightThrough(net.params, other.params, start, gains, Learning(relaxation="straight-through"))
    leaves = relaxation.parameters()
    learned = [key for key in net.symmetry.parameters if net.params[key].is_floating_point()]
    assert [leaf.shape for leaf in leaves] == [net.params[key].shape for key in net.params if key in learned]
    with torch.no_grad():  # as if they had been learned to be another network, permuted
        latent = {**net.params, **other.moved(5)}
        for leaf, key in zip(leaves, [key for key in net.params if key in learned], strict=True):
            leaf.copy_(latent[key])
    permuted = relaxation.permuted()
    matching = relaxation.matching()
    for key, tensor in other.params.items():
        torch.testing.assert_close(permuted[key].detach(), matching.apply(key, tensor))
    reached, before = (
        sum(float((latent[key] * params[key].detach()).sum()) for key in learned) for params in (permuted, other.params)
    )
    assert reached > before
    total = torch.stack([(k + 1) * permuted[key].sum() for k, key in enumerate(learned)]).sum()
    slopes = torch.autograd.grad(total, [relaxation._latent[key] for key in learned])
    assert all(bool((slope == k + 1).all()) for k, slope in enumerate(slopes))
