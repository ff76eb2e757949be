"""Directions as long as the network: by unit, by layer, or of length one."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.choices import DirectionNorm
from landscape_cli.geometry.filter_norm import normalized_direction
from landscape_cli.symmetry import Sphere

NETWORK = {"w": torch.tensor([[3.0, 4.0], [0.0, 2.0]]), "b": torch.tensor([6.0, 8.0])}
DIRECTION = {"w": torch.tensor([[2.0, 0.0], [0.0, 0.0]]).double(), "b": torch.tensor([0.0, 1.0]).double()}


@pytest.mark.parametrize(
    ("how", "dim", "weight", "bias"),
    [
        (DirectionNorm.FILTER, 0, [[5, 0], [0, 0]], [0, 10]),
        (DirectionNorm.FILTER, None, [[5, 0], [0, 0]], [0, 10]),
        (DirectionNorm.FILTER, 1, [[3, 0], [0, 0]], [0, 10]),
        (DirectionNorm.LAYER, 0, [[29**0.5, 0], [0, 0]], [0, 10]),
        (DirectionNorm.NONE, 0, [[2 / 5**0.5, 0], [0, 0]], [0, 1 / 5**0.5]),
    ],
)
def test_rows_tensors_or_all(how: DirectionNorm, dim: int | None, weight: list[list[float]], bias: list[float]) -> None:
    found = normalized_direction(DIRECTION, NETWORK, {"w": Sphere("w", dim)}, how)
    torch.testing.assert_close(found["w"], torch.tensor(weight).double())
    torch.testing.assert_close(found["b"], torch.tensor(bias).double())
