"""What counts as a scale that was missed."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from landscape_cli.symmetry.checking.moves import Moves
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.scales import ScaleSpace
from tests.support.symmetry_checks import make_net


def test_known_powers_that_rounding_puts_beside_the_space_were_not_missed() -> None:
    torch.manual_seed(0)
    net = make_net(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), (3,))
    probe = Probe(net.model, net.params, net.symmetry, seed=torch.Generator().manual_seed(0))
    known, random = Moves(probe, net.symmetry).powers(), np.random.default_rng(0)
    space = ScaleSpace(probe, known, random)
    assert len(known) == 5
    assert not len(space.beyond(known))
    assert len(space.beyond(known[1:])) == 1
    space._null = space._null + 1e-5 * random.standard_normal(space._null.shape) * np.abs(space._null).max()
    assert not len(space.beyond(known))
