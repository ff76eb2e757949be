"""From where to where lines and planes go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from landscape_cli.measures.reach import find_reach, usual_limits


@pytest.mark.parametrize("scale", [1e-2, 0.3, 1.0, 7.0, 200.0])
def test_where_the_error_has_grown_is_found_to_an_eighth_of_a_power_of_two(scale: float) -> None:
    asked: list[int] = []

    def measured(places: Sequence[tuple[int, float]]) -> Tensor:
        asked.append(len(places))
        return torch.tensor([(x / scale) ** 2 * (1.0 if x > 0 else 4.0) + 0.5 * axis for axis, x in places])

    rays = find_reach(measured, 2, 1.0)
    exact = [scale / 2, scale, scale / 2 * 0.5**0.5, scale * 0.5**0.5]
    assert all(reached for _, reached in rays)
    for (found, _), true in zip(rays, exact, strict=True):
        assert true <= found <= true * 2 ** (1 / 8) * (1 + 1e-12)
    assert sum(asked) <= 4 * 14


def test_what_does_not_grow_and_what_has_no_error() -> None:
    rays = find_reach(lambda places: torch.tensor([0.0 if axis else float("nan") for axis, _ in places]), 2, 1.0)
    assert rays == [(2.0**-10, True)] * 2 + [(2.0**10, False)] * 2


@pytest.mark.parametrize(
    ("names", "places", "limits"),
    [
        (["random", "hessian"], [], [(-1, 1), (-1, 1)]),
        (["random", "gradient"], [{"x": 2.0, "y": -0.5}], [(-1, 2.2), (-1, 1)]),
        (["b.st", "random"], [], [(-0.1, 1.1), (-1, 1)]),
        (["pca", "pca"], [{"x": -4.0, "y": 1.0}, {"x": 0.0, "y": 0.0}], [(-4.4, 0.4), (-0.7, 1.7)]),
    ],
)
def test_axes_hold_what_is_shown(
    names: list[str], places: list[dict[str, float]], limits: list[tuple[float, float]]
) -> None:
    found = usual_limits(names, places, 0.1)
    assert [end for axis in found for end in axis] == pytest.approx([end for axis in limits for end in axis])
