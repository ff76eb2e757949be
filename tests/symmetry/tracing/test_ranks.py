"""Places in their order: which ranks are told, and along which axes no place is named twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.ranks import Order, ordered

SCORES = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
MOVES: dict[str, tuple[Callable[[Tensor], Tensor], set[int]]] = {
    "as they are": (lambda x: x, {1}),
    "turned": (lambda x: x.t(), {0}),
    "some": (lambda x: x[:, 1:], {1}),
    "repeated": (lambda x: x.repeat(1, 2), set()),
    "laid out": (lambda x: x.reshape(-1), set()),
    "read across": (lambda x: x.reshape(3, 2), set()),
    "by one more axis": (lambda x: x[..., None].expand(-1, -1, 4), {1}),
}
"""What moves them, and the axes along which none is named twice, whatever the scores are."""


def best(sure: int = 5) -> Order:
    return ordered((2, 3), (SCORES, 0), 1, sure, largest=True, along=1)


@pytest.mark.parametrize("name", MOVES)
def test_apart(name: str) -> None:
    move, axes = MOVES[name]
    [order] = best().moved(move)
    which = move(SCORES.topk(3, 1).indices)
    assert order.shape == which.shape
    assert {axis for axis in range(which.ndim) if which.shape[axis] > 1 and order.are_apart([axis])} == axes
    for axis in axes:
        assert (which.sort(axis).values.diff(dim=axis) > 0).all()


@pytest.mark.parametrize(("sure", "first", "all_of_them"), [(0, False, False), (2, True, False), (3, True, True)])
def test_told_as_far_as_all_before_are(sure: int, first: bool, all_of_them: bool) -> None:
    [two] = best(sure).moved(lambda x: x[:, :2])
    assert two.is_told == first
    assert best(sure).is_told == all_of_them
