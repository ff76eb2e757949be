"""Every operator with a rule that no layer needs: what is found around it is true, and all that there is."""

from __future__ import annotations

import pytest
import torch

from tests.support.operators import CASES, TOKENS, WORDS
from tests.support.symmetry_checks import check_true, make_net, uncovered


@pytest.mark.parametrize("name", [*CASES, *TOKENS])
def test_all_that_there_is_and_nothing_else(name: str) -> None:
    known = CASES.get(name) or TOKENS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make_net(known.make(), known.shape, batch=3, words=WORDS if name in TOKENS else None)
    check_true(net, range(1))
    assert not uncovered(net)
    assert not net.symmetry.notes or known.missing
    found = net.symmetry
    complete = (
        sorted(group.units for group in found.permutations) == sorted(known.permutations)
        and sorted(group.size for group in found.scales) == sorted(known.scales)
        and sorted(group.size for group in found.signs) == sorted(known.signs)
        and bool(found.output) == known.output
    )
    assert complete != bool(known.missing)
