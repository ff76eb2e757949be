"""Networks that are made of rounding tell nothing: of a unit that is off, divided by its own deviation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli import trace_symmetry
from landscape_cli.symmetry.checking.completeness import check_completeness
from tests.support.layers import Net as Body


def forward(m: Body, x: Tensor) -> Tensor:
    return m.o(F.relu(m.b(m.d(F.relu(m.a(x))))).mean((2, 3)))


def test_units_that_are_off_before_batch_norm() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        layers = {"a": nn.Conv2d(2, 4, 1), "d": nn.Conv2d(4, 4, 3, groups=4), "b": nn.BatchNorm2d(4)}
        model = Body(forward, **layers, o=nn.Linear(4, 2)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    symmetry = trace_symmetry(model, torch.zeros(1, 2, 4, 4))
    checked = check_completeness(model, model.state_dict(), symmetry, generator=torch.Generator().manual_seed(0))
    assert checked.is_complete
