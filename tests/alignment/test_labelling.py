"""A matching of units: tensors seen through it are those of the permuted, flipped network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Nesting
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.symmetry import flip, permute, random_permutations, random_signs, spread, unit_rows
from tests.support.alignment_nets import NETS, Net


def planted(net: Net, seed: int) -> tuple[UnitMatching, dict[str, Tensor], dict[str, Tensor]]:
    """Return a random matching, and the signs, applied first, and permutations that it is made of."""
    generator = torch.Generator().manual_seed(seed)
    signs = random_signs(net.symmetry, generator=generator)
    permutations = random_permutations(net.symmetry, generator=generator)
    matching = UnitMatching(AxisTable(net.symmetry))
    for name, sign in signs.items():
        matching.flip(name, sign.float())
    matching.pair(pairs_of(net, permutations))
    return matching, signs, permutations


def pairs_of(net: Net, permutations: dict[str, Tensor]):  # type: ignore[no-untyped-def]
    """Return which unit each is matched to, by moving their numbers about."""
    pairs = {}
    for group in net.symmetry.permutations:
        axis = group.axes[0]
        tensor = net.params[axis.tensor]
        numbers = spread(torch.arange(group.units, dtype=tensor.dtype), axis, tensor).expand(tensor.shape).clone()
        moved = permute({**net.params, axis.tensor: numbers}, net.symmetry, permutations)
        pairs[group.name] = unit_rows(moved[axis.tensor], axis)[:, 0].long().numpy()
    return pairs


@pytest.mark.parametrize("name", list(NETS))
def test_tensors_are_those_of_the_permuted_and_flipped_network(name: str) -> None:
    net = Net(name, 0)
    matching, signs, permutations = planted(net, 1)
    assert all(torch.equal(matching.permutations[group], permutations[group]) for group in permutations)
    expected = permute(flip(net.params, net.symmetry, signs), net.symmetry, permutations)
    for key in net.params:
        assert torch.equal(matching.apply(key, net.params[key]), expected[key]), key


@pytest.mark.parametrize("name", ["tanh", "conv blocks", "normed", "grouped residual"])
def test_final_signs_flip_the_permuted_network_alike(name: str) -> None:
    net = Net(name, 0)
    matching, signs, permutations = planted(net, 2)
    expected = permute(flip(net.params, net.symmetry, signs), net.symmetry, permutations)
    permuted = flip(permute(net.params, net.symmetry, permutations), net.symmetry, matching.final_signs())
    assert all(torch.equal(permuted[key], expected[key]) for key in expected)


def test_a_copy_goes_its_own_way_and_can_be_gone_back_to() -> None:
    net = Net("tanh", 0)
    matching = UnitMatching(AxisTable(net.symmetry))
    kept = matching.copy()
    (group, *_) = net.symmetry.permutations
    reversed_units = torch.arange(group.units).flip(0).numpy()
    assert matching.pair({group.name: reversed_units})
    assert not matching.pair({group.name: reversed_units})
    assert matching.flip(net.symmetry.signs[0].name, -torch.ones(net.symmetry.signs[0].size))
    assert kept.pairs[group.name].tolist() == list(range(group.units))
    assert not kept.flipped
    matching.restore(kept)
    assert all(torch.equal(matching.apply(key, net.params[key]), net.params[key]) for key in net.params)


def test_groups_are_found_by_their_tensors() -> None:
    net = Net("attention", 0)
    table = AxisTable(net.symmetry)
    expected = {axis.tensor for group in net.symmetry.permutations for axis in group.axes}
    assert set(table.permutations) == expected
    assert all(axis.tensor == tensor for tensor, members in table.permutations.items() for _, axis in members)
    assert table.nesting.groups.keys() == Nesting(net.symmetry).groups.keys()
