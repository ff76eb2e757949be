"""Figures of a path: its points, its barrier (docs/method.md: Words, Paths and barriers)."""

from __future__ import annotations

import math

import pytest

from landscape_cli.errors import GeometryError
from landscape_cli.geometry.barrier import Barrier, barrier_of, even_steps


def test_barrier_figures() -> None:
    found = barrier_of([0.0, 0.25, 0.5, 0.75, 1.0], [0.1, 0.3, 0.6, 0.5, 0.3])
    assert found.to_dict() == pytest.approx({"max": 0.6, "tau": 0.5, "above_ends": 0.3, "above_line": 0.4})
    flat = barrier_of([0.0, 0.5, 1.0], [0.2, 0.1, 0.0])
    assert flat.to_dict() == pytest.approx({"max": 0.2, "tau": 0.0, "above_ends": 0.0, "above_line": 0.0})


def test_even_steps() -> None:
    assert even_steps(5) == [0, 0.25, 0.5, 0.75, 1]
    with pytest.raises(GeometryError, match="at least 2"):
        even_steps(1)


def test_barrier_of_missing_values_is_missing() -> None:
    for values in ([0.1, math.nan, 0.3], [math.nan, 0.1, 0.3], [0.1, 0.2, math.nan]):
        found = barrier_of([0.0, 0.5, 1.0], values)
        assert all(map(math.isnan, (found.max, found.tau, found.above_ends, found.above_line)))
        assert found.to_dict() == dict.fromkeys(("max", "tau", "above_ends", "above_line"))


def test_barriers_of_random_paths_have_a_deviation() -> None:
    assert "deviation" not in Barrier(1.0, 0.5, 0.2, 0.3).to_dict()
    assert Barrier(1.0, 0.5, 0.2, 0.3, 0.1).to_dict()["deviation"] == 0.1
    assert Barrier(1.0, 0.5, 0.2, 0.3, math.nan).to_dict()["deviation"] is None
