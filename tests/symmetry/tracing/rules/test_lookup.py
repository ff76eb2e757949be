"""Rows that are looked up: each has a scale of its own where nothing sets it against another's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.composed import undone
from tests.support.layers import Net, parameter
from tests.support.symmetry_checks import check_true, make_net

ROWS, UNITS = 3, 4
Read = Callable[[Net, Tensor], Tensor]
READ: dict[str, tuple[Read, list[int]]] = {
    "normalized": (lambda m, k: F.normalize(F.embedding(k, m.w), dim=-1).mean(1), [ROWS]),
    "normalized, by index": (lambda m, k: F.normalize(m.w[k], dim=-1).mean(1), [ROWS]),
    "normalized, by index_select": (lambda m, k: F.normalize(m.w.index_select(0, k[:, 0]), dim=-1), [ROWS]),
    "by their largest": (lambda m, k: (lambda e: e / e.abs().amax(-1, keepdim=True))(m.w[k]).mean(1), [ROWS]),
    "normalized before": (lambda m, k: F.normalize(m.w, dim=-1)[k].mean(1), [ROWS]),
    "normalized, summed": (lambda m, k: F.normalize(F.embedding(k, m.w).sum(1), dim=-1), [1]),
    "normalized over places": (lambda m, k: F.normalize(F.embedding(k, m.w), dim=1).mean(1), [UNITS]),
    "plain": (lambda m, k: F.relu(F.embedding(k, m.w)).mean(1), [UNITS]),
    "both": (lambda m, k: (F.normalize(m.w[k], dim=-1) + m.w[k]).mean(1), []),
}
"""What is read of a table by numbers, and how many scales there are."""


@pytest.mark.parametrize("name", READ)
def test_scales_of_rows(name: str) -> None:
    read, scales = READ[name]
    torch.manual_seed(0)
    made = make_net(Net(read_and_written(read), w=parameter(ROWS, UNITS), o=nn.Linear(UNITS, 2)), (5,))
    check_true(made)
    assert [group.size for group in made.symmetry.scales] == scales
    assert not made.symmetry.notes
    assert undone(made, 0) == ""


def read_and_written(read: Read) -> Callable[[Net, Tensor], Tensor]:
    return lambda m, x: m.o(read(m, (x > 0).long()))
