"""Recipes: schedules, defaults, and what is refused."""

from __future__ import annotations

import pytest

from landscape_cli.samplers import Recipe


def test_schedule_ends_at_zero() -> None:
    recipe = Recipe(learning_rate=0.4)
    assert recipe.rate(0.0) == 0.4
    assert recipe.rate(0.5) == pytest.approx(0.2)
    assert recipe.rate(1.0) == pytest.approx(0.0)
