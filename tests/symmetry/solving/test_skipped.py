"""What a forward pass does not do where nothing is there: known if it would add nothing, refused if it does else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.errors import TraceError
from tests.support.layers import Net
from tests.support.parted_nets import PARTS, Way, gated
from tests.support.symmetry_checks import make_net


def routed(present: Way, otherwise: Way) -> Way:
    """Return what adds an expert's outputs where it is the best, if that is `present` anywhere, or something else."""

    def way(m: Net, x: Tensor, gate: Tensor) -> Tensor:
        which, y = gate.argmax(-1), torch.zeros_like(x)
        for k, part in enumerate(m.experts):
            here = which == k
            y = y + part(x) * here[:, None] if present(here) else otherwise(y, k)
        return y

    return way


ASKED = {"any": lambda here: here.any(), "more than 0": lambda here: here.sum() > 0}


@pytest.mark.parametrize("name", ASKED)
def test_what_adds_nothing_may_be_left_out(name: str) -> None:
    symmetry = make_net(gated(routed(ASKED[name], lambda y, k: y))(), (3,)).symmetry
    assert [group.size for group in symmetry.modules] == [PARTS]
    assert not symmetry.notes


def test_what_is_done_instead_counts() -> None:
    """Numbers that are added where an expert is not asked tell it from the others."""
    with pytest.raises(TraceError, match="other symmetries one way than the other"):
        make_net(gated(routed(ASKED["any"], lambda y, k: y + k))(), (3,))
