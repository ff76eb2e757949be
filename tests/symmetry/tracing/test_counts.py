"""At how many places a number is at most, once places are moved: never fewer than there are, nor more than need be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.counts import added, along, carried, counted, fitted, least

SHAPE = (3, 4)
MOVES: dict[str, tuple[Callable[[Tensor], Tensor], tuple[float, ...]]] = {
    "spread": (lambda x: x[:, :, None].expand(-1, -1, 2).reshape(3, 8), (3, 2)),
    "repeated": (lambda x: x.repeat(1, 2), (3, 2)),
    "turned": (lambda x: x.t(), (1, 3)),
    "some": (lambda x: x[:, 1:3], (3, 1)),
    "laid out": (lambda x: x.reshape(12), (3,)),
    "cut": (lambda x: x.view(3, 2, 2), (3, 1, 1)),
    "one": (lambda x: x[:, :1].expand(-1, 5), (3, 5)),
    "the other way round": (lambda x: x.flip(1), (3, 1)),
    "read across": (lambda x: x.t().reshape(3, 4), (3, 3)),
}
"""What moves places, and at how many along each axis a number may be then that is at one place of each row at most."""


@pytest.mark.parametrize("name", MOVES)
def test_no_more_than_there_may_be(name: str) -> None:
    move, most = MOVES[name]
    [[bound]] = carried([(float("inf"), 1.0)], SHAPE, move, 1)
    generator = torch.Generator().manual_seed(0)
    seen = torch.zeros(len(bound))
    for _ in range(200):
        x = torch.zeros(SHAPE).scatter(1, torch.randint(4, (3, 1), generator=generator), 1.0)
        here = torch.tensor(counted(move(x), 1.0))
        assert (here <= torch.tensor(bound)).all()
        seen = torch.maximum(seen, here)
    assert bound == most
    assert seen.tolist() == list(most)


def test_bounds_of_several_numbers() -> None:
    assert added((2.0,), (1.0, 3.0)) == (float("inf"), 5.0)
    assert least((2.0,), (1.0, 3.0)) == (1.0, 2.0)
    assert fitted((1.0, 2.0), (1, 4), (5, 3, 4)) == (float("inf"), float("inf"), 2.0)
    assert along((2.0,), 0, 2) == float("inf")
