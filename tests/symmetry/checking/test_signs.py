"""Flips of what shows in steps alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from landscape_cli.symmetry.checking.completeness import check_completeness
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import make_net


@pytest.mark.parametrize("seed", range(3))
def test_a_number_that_seldom_takes_a_step_has_no_sign(seed: int) -> None:
    """Of a sign's inputs it is a unit's numbers that flip together, as those of its readers do."""
    torch.manual_seed(0)
    net = make_net(Body(lambda m, x: m.o(torch.sign(m.a(x))), a=nn.Linear(4, 4), o=nn.Linear(4, 2)), (4,), seed=1)
    signs = check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(seed)).signs
    assert (signs.found, signs.missed, signs.wrong) == (4, 0, 0)
