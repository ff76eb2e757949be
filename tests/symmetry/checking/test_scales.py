"""What counts as a scale that was missed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli.symmetry.checking.moves import Moves
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.scales import ScaleSpace
from tests.support.layers import Net as Body
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


def test_scales_of_weights_that_only_set_a_step_when_largest() -> None:
    """Rows rounded to parts of their largest number: a whole row has a scale, and a row but one number none."""

    def forward(m: Body, x: Tensor) -> Tensor:
        step = m.w.abs().amax(1, keepdim=True) / 7
        return m.o(F.relu(F.linear(x, torch.round(m.w / step) * step)))

    torch.manual_seed(0)
    net = make_net(Body(forward, w=nn.Parameter(torch.randn(2, 12)), o=nn.Linear(2, 2)), (12,))
    probe = Probe(net.model, net.params, net.symmetry, seed=torch.Generator().manual_seed(0))
    known, random = Moves(probe, net.symmetry).powers(), np.random.default_rng(0)
    assert len(known) == 3
    space = ScaleSpace(probe, known, random)
    space.unseen = np.isin(np.arange(probe.size), (0, 12))  # as where chance never made the first of a row the largest
    assert space.kept_by(known).all()
    less = known[:2].copy()
    for row in less:
        row[np.flatnonzero(row[:12] if row[:12].any() else row[:24])[-1]] = 0
    assert not space.kept_by(less).any()
