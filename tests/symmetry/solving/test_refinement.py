"""Interchangeable units: colors against a naive color refinement, run until nothing changes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from landscape_cli.symmetry.solving.refinement import Run, color, settle
from landscape_cli.symmetry.tracing.labels import Labels


def naive_colors(labels: Labels, runs: list[Run]) -> list[Any]:
    """Refine the colors of units by what they live beside until nothing changes (1-WL); fixed units have their own."""
    units = range(labels.count)
    fixed = labels.why_fixed(np.arange(labels.count)) > 0
    colors: list[Any] = [unit + 1 if fixed[unit] else 0 for unit in units]
    while True:
        seen: list[list[Any]] = [[] for _ in units]
        for number, run in enumerate(runs):
            for place in zip(*(column.tolist() for column in run.columns), strict=True):
                for k, unit in enumerate(place):
                    if unit >= 0:
                        beside = [(j, colors[x] if x >= 0 else x) for j, x in enumerate(place) if j != k]
                        seen[unit].append((number, k, tuple(beside)))
        refined = [(colors[unit], tuple(sorted(seen[unit]))) for unit in units]
        names = {value: number for number, value in enumerate(dict.fromkeys(refined))}
        refined_numbers = [labels.count + 1 + names[value] for value in refined]
        if len(names) == len(set(colors)):
            return refined_numbers
        colors = refined_numbers


def random_runs(seed: int) -> tuple[Labels, list[Run]]:
    """Return units of three axes, and runs: units alone, beside slots, in whole grids and, sometimes, in other ways."""
    draw = np.random.default_rng(seed)
    labels = Labels()
    axes = [labels.units(count, together=True) for count in draw.integers(3, 7, size=3)]
    slots = labels.slots(4, "slots")
    runs = []
    for kind in draw.choice(["alone", "slots", "grid", "grid", "other"], size=6, p=[0.3, 0.3, 0.2, 0.15, 0.05]):
        first, second = (axes[k] for k in draw.permutation(3)[:2])
        part = draw.permutation(first)[: draw.integers(2, len(first) + 1)]
        if kind == "alone":
            runs.append(Run((np.concatenate([part, draw.choice(part, size=draw.integers(0, 3))]),)))
        elif kind == "slots":
            places = np.array(list(itertools.product(part, slots)))
            kept = draw.random(len(places)) < draw.choice([0.5, 1.0])
            runs.append(Run((places[kept, 0], places[kept, 1])) if kept.any() else Run((part,)))
        else:
            places = draw.permutation(np.array(list(itertools.product(part, second))))
            places = places if kind == "grid" else places[: len(places) // 2]
            runs.append(Run((places[:, 0].copy(), places[:, 1].copy())))
    return labels, runs


@pytest.mark.parametrize("seed", range(60))
def test_colors_part_units_as_the_naive_refinement_does(seed: int) -> None:
    labels, runs = random_runs(seed)
    settle(labels, runs)
    free = np.flatnonzero(labels.why_fixed(np.arange(labels.count)) == 0).tolist()
    colors, expected = color(labels, runs).tolist(), naive_colors(labels, runs)
    for first, second in itertools.combinations(free, 2):
        assert (colors[first] == colors[second]) == (expected[first] == expected[second]), (first, second)


def test_there_are_both_alike_and_unlike_units() -> None:
    """Negative control: runs in which all units were alike, or none, would tell nothing."""
    alike = unlike = 0
    for seed in range(60):
        labels, runs = random_runs(seed)
        settle(labels, runs)
        free = np.flatnonzero(labels.why_fixed(np.arange(labels.count)) == 0)
        colors = color(labels, runs)[free]
        pairs = [a == b for a, b in itertools.combinations(colors.tolist(), 2)]
        alike, unlike = alike + sum(pairs), unlike + len(pairs) - sum(pairs)
    assert alike > 100
    assert unlike > 100


def test_units_that_live_together_otherwise_than_in_a_grid_are_fixed() -> None:
    labels = Labels()
    rows, columns = labels.units(2, together=True), labels.units(2, together=True)
    settle(labels, [Run((rows.repeat(2), np.tile(columns, 2)))])
    assert labels.fixed_count() == 0
    settle(labels, [Run((rows, columns))])
    assert (labels.why_fixed(np.concatenate([rows, columns])) > 0).all()


@pytest.mark.parametrize(("times", "fixed"), [([2, 2, 2, 2], 0), ([2, 2, 2, 1], 4)])
def test_a_grid_of_several_rows_alike_is_a_grid(times: list[int], fixed: int) -> None:
    """Of which another run tells the rows apart, as of weights in groups."""
    labels = Labels()
    rows, columns = labels.units(2, together=True), labels.units(2, together=True)
    settle(labels, [Run((rows.repeat(2).repeat(times), np.tile(columns, 2).repeat(times)))])
    assert labels.fixed_count() == fixed


def test_a_unit_in_two_columns_is_fixed_unless_these_are_rows_and_columns() -> None:
    labels = Labels()
    units = labels.units(3, together=True)
    grid = Run((units.repeat(3), np.tile(units, 3)))
    settle(labels, [grid], of_parameters=[grid])
    assert labels.fixed_count() == 0
    others = labels.units(3, together=True)
    twice = Run((others, np.roll(others, 1)))
    settle(labels, [twice], of_parameters=[twice])
    assert (labels.why_fixed(others) > 0).all()
    assert (labels.why_fixed(units) == 0).all()
    assert labels.reasons[int(labels.why_fixed(others)[0])] == "a unit that meets itself"
