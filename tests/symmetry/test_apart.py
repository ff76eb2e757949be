"""What of a symmetry can be said without joined tensors: true, and in terms of the model's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from landscape_cli.symmetry.apart import apart
from tests.support.layers import Case
from tests.support.symmetry_checks import check_true, make_net
from tests.support.traded_nets import FACTORS, SIDE_BY_SIDE, SUMMED


@pytest.mark.parametrize(
    ("case", "units"),
    [
        (SUMMED["tanh"], [4, 3]),
        (SUMMED["convolutions"], [4, 3, 3]),
        (SIDE_BY_SIDE["layers"], [4, 3]),
        (FACTORS["the larger"], [4]),
        (FACTORS["the larger of chunks"], [4, 8]),
    ],
)
def test_groups_are_those_of_each_layer(case: Case, units: list[int]) -> None:
    torch.manual_seed(0)
    net = make_net(case.make(), case.shape)
    plain = apart(net.symmetry)
    assert [group.units for group in plain.permutations] == units
    named = {axis.tensor for groups in (plain.permutations, plain.signs) for group in groups for axis in group.axes}
    assert named <= net.params.keys()
    check_true(replace(net, symmetry=plain))


def test_nothing_joined_stays_as_it_is() -> None:
    torch.manual_seed(0)
    symmetry = make_net(FACTORS["chunks"].make(), FACTORS["chunks"].shape).symmetry
    assert apart(symmetry) is symmetry
