"""Work and memory of a forward pass, counted against formulas written by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.forward.work import Work, count_work


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), (5,), Work(5 * 7 + 7 * 3, 7, 0)),
        # 8 × 8 windows of 2 channels × 9; a layer of 1 × 1 unfolds nothing
        (nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 4, 1)), (2, 8, 8), Work(64 * 132, 384, 64 * 18)),
        (nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5), Work(9 * 6 * 18, 100, 9 * 18)),
        (nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 4, 4), Work(32 * 12, 192, 16 * 12)),
        (nn.Conv1d(2, 3, 5), (2, 9), Work(5 * 3 * 10, 18, 5 * 10)),
    ],
)
def test_layers(model: nn.Module, shape: tuple[int, ...], expected: Work) -> None:
    assert count_work(model, torch.zeros(2, *shape)) == expected
    assert count_work(model, torch.zeros(3, *shape)) == expected


def test_attention() -> None:
    def run(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)

    assert count_work(run, torch.randn(2, 3, 5, 4)).products == 2 * 3 * 5 * 5 * 4
