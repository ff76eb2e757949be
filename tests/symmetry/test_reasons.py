"""What is fixed by nature is told from what is not understood, counted, and refused where that is asked for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import trace_symmetry
from landscape_cli.symmetry.reasons import counted, not_understood
from tests.support.layers import Net

TIED = {
    "by a sum": lambda m, x: m.o((lambda h: h + h.roll(1, 1))(m.a(x))),
    "without a rule": lambda m, x: m.o(m.a(x).renorm(2, 0, 1.0)),
}


def net(body) -> Net:  # type: ignore[no-untyped-def]
    return Net(body, a=nn.Linear(4, 6), o=nn.Linear(6, 3))


def test_nature_is_understood() -> None:
    symmetry = trace_symmetry(
        net(lambda m, x: m.o(F.local_response_norm(m.a(x)[..., None], 3)[..., 0])), torch.zeros(2, 4)
    )
    assert not not_understood(symmetry)
    assert counted(symmetry) == {"free": 0, "by_nature": 6, "not_understood": 0}
    trace_symmetry(net(lambda m, x: m.o(F.relu(m.a(x)))), torch.zeros(2, 4), strict=True)


@pytest.mark.parametrize("way", TIED)
def test_what_is_not_followed_is_counted_told_and_refused(way: str) -> None:
    symmetry = trace_symmetry(net(TIED[way]), torch.zeros(2, 4))
    assert {(axis.tensor, axis.dim) for axis in not_understood(symmetry)} >= {("a.weight", 0), ("a.bias", 0)}
    assert counted(symmetry)["not_understood"] == 3
    assert symmetry.notes
    with pytest.raises(TraceError, match="strict"):
        trace_symmetry(net(TIED[way]), torch.zeros(2, 4), strict=True)
