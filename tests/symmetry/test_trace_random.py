"""Networks put together at random: whatever is found of them must be true."""

from __future__ import annotations

import pytest

from tests.support.random_nets import RandomNet
from tests.support.symmetry_checks import check_true, make_net, uncovered

STEPS = 4


@pytest.mark.parametrize("seed", range(60))
def test_what_is_found_is_true(seed: int) -> None:
    net = make_net(model := RandomNet(seed, STEPS), model.input_shape, seed=seed)
    check_true(net)
    assert not uncovered(net)


def test_most_of_them_have_symmetries() -> None:
    """Negative control: networks without any would pass whatever tracing did."""
    found = [make_net(model := RandomNet(seed, STEPS), model.input_shape).symmetry for seed in range(30)]
    assert sum(bool(symmetry.permutations and symmetry.scales) for symmetry in found) > 12
