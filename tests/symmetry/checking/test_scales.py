"""What counts as a scale that was missed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli.errors import ModelError
from landscape_cli.symmetry.checking.completeness import check_completeness
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


def test_scales_are_kept_where_rates_are_rounding_alone() -> None:
    """Units that are 1 or -1 by a division, and rates in which large numbers cancel; a power made up is none."""
    torch.manual_seed(0)
    signs = make_net(
        Body(lambda m, x: m.o((lambda h: h / h.abs())(m.a(x))), a=nn.Linear(3, 4), o=nn.Linear(4, 2)), (3,)
    )
    probe = Probe(signs.model, signs.params, signs.symmetry, seed=torch.Generator().manual_seed(0))
    known = Moves(probe, signs.symmetry).powers()
    assert len(known) == 5
    space = ScaleSpace(probe, known, np.random.default_rng(0))
    assert space.kept_by(known).all()
    space._rows[:, :-1] += 1e-3 * np.random.default_rng(1).standard_normal(space._rows[:, :-1].shape)
    assert space.kept_by(known).all()
    made_up = np.eye(probe.size + 1)[[probe.size - 1]]
    assert not space.kept_by(made_up).any()


def test_outputs_that_are_nan_are_said_to_be() -> None:
    torch.manual_seed(0)
    net = make_net(
        Body(lambda m, x: (lambda h: h / h.sum(-1, keepdim=True))(F.relu(m.a(x) - 9)), a=nn.Linear(3, 4)), (3,)
    )
    with pytest.raises(ModelError, match="NaN or Inf whatever its numbers"):
        check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(0))
