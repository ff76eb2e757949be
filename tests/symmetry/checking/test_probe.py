"""A model as a function of one vector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.checking.probe import Probe
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import make_net


@pytest.mark.parametrize("before", [1, 2, 3])
def test_tensors_that_begin_anywhere(before: int) -> None:
    """Operators that read pairs of numbers as one take them, of one network and of many."""
    torch.manual_seed(0)
    parts = {"e": nn.Linear(before, 3, bias=False), "w": nn.Parameter(torch.randn(2, 3, 2))}
    body = Body(
        lambda m, x: (F.relu(m.e(x)).to(torch.complex128) @ torch.view_as_complex(m.w.double()).mT).real, **parts
    )
    net = make_net(body, (before,))
    check = check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(0))
    assert check.is_complete
    assert (check.groups.there, check.scales.there) == (1, 4)
    probe = Probe(net.model, net.params, net.symmetry, seed=torch.Generator().manual_seed(0))
    networks = np.stack([probe.draw(), probe.draw()])
    assert np.allclose(probe.outputs(networks), [probe.outputs(vector) for vector in networks], rtol=1e-12)
