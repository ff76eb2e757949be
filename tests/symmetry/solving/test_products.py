"""Equations between what lives along two axes, met each with each."""

from __future__ import annotations

import numpy as np
import pytest

from landscape_cli.symmetry.solving.products import separate, without_ones
from landscape_cli.symmetry.tracing.equations import Equations, Statement
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.labels import Labels

POWERS = (1, -2)


ALL = [(a, b) for a in range(3) for b in range(3)]


def separated(pairs: list[tuple[int, int]]) -> tuple[list[Statement], Array, Array]:
    """Return what is made of equations between these pairs of the units of two layers, and both layers' variables."""
    labels, equations = Labels(), Equations()
    left, right = (equations.variables(name, (0,), labels.units(3, together=True)) for name in ("a", "b"))
    rows = np.array([[left[a], right[b]] for a, b in pairs])
    equations.replace("scale", [(rows, POWERS)])
    separate(equations, labels)
    return list(equations.rows("scale")), left, right


def spans(statements: list[Statement], count: int) -> Array:
    """Return the combinations of the first variables that are 1, by a matrix of all equations (a slow reference)."""
    width = 1 + max(int(rows.max()) for rows, _ in statements)
    matrix = np.zeros((sum(len(rows) for rows, _ in statements), width))
    for at, (row, powers) in enumerate((row, powers) for rows, powers in statements for row in rows):
        np.add.at(matrix[at], row, powers)
    free = np.linalg.svd(matrix)[2][np.linalg.matrix_rank(matrix) :, :count]
    return free.T @ np.linalg.pinv(free.T)


def test_all_pairs_say_that_either_side_is_one() -> None:
    found, left, right = separated(ALL)
    assert [powers for _, powers in found] == [(1, 1), (-2, -1)]
    [common] = set(found[0][0][:, 1].tolist())
    assert {tuple(row) for row in found[0][0].tolist()} == {(v, common) for v in left.tolist()}
    assert {tuple(row) for row in found[1][0].tolist()} == {(v, common) for v in right.tolist()}
    before = [(np.array([[left[a], right[b]] for a, b in ALL]), POWERS)]
    count = 1 + int(max(left.max(), right.max()))
    np.testing.assert_allclose(spans(found, count), spans(before, count), atol=1e-12)


@pytest.mark.parametrize("pairs", [ALL[:-1], [ALL[0], *ALL[2:]], [ALL[0], ALL[4], ALL[8]]])
def test_where_some_do_not_meet_nothing_changes(pairs: list[tuple[int, int]]) -> None:
    [(rows, powers)], left, right = separated(pairs)
    assert powers == POWERS
    assert rows.tolist() == [[left[a], right[b]] for a, b in pairs]


def test_several_factors_stand_on_either_side() -> None:
    """Of a stack of matrices: each row of one meets each column of it, whatever else they have."""
    labels, equations = Labels(), Equations()
    blocks = labels.units(2, together=True)
    rows, columns = (labels.units(4, together=True) for _ in range(2))
    for units in (rows, columns):
        labels.respect(units, np.repeat(blocks, 2), "")
    a, b, c, d = (
        equations.variables(name, (0,), units)
        for name, units in zip("abcd", (rows, rows, columns, columns), strict=True)
    )
    met = [(i, j) for i in range(4) for j in range(4) if i // 2 == j // 2]
    before = [(np.array([[a[i], b[i], c[j], d[j]] for i, j in met]), (2, 1, 1, -1))]
    count = equations.count
    equations.replace("scale", before)
    separate(equations, labels)
    assert sorted(len(powers) for _, powers in equations.rows("scale")) == [3, 3]
    np.testing.assert_allclose(spans(list(equations.rows("scale")), count), spans(before, count), atol=1e-12)


@pytest.mark.parametrize("modulo", [0, 2])
def test_what_is_1_is_left_out(modulo: int) -> None:
    """One alone is 1, so is what is left beside it, and so on; the rest comes to the same."""
    stated = [
        (np.array([[1]]), (1,)),
        (np.array([[1, 2], [3, 4]]), (1, -2 if modulo == 0 else 1)),
        (np.array([[2, 5, 6]]), (3, 1, 1)),
    ]
    found = without_ones(stated, 7, modulo)
    assert {(tuple(row), powers) for rows, powers in found for row in rows.tolist()} == {
        ((1,), (1,)),
        ((2,), (1,)),
        ((3, 4), stated[1][1]),
        ((5, 6), (1, 1)),
    }
    assert [(rows.tolist(), powers) for rows, powers in without_ones(stated[1:], 7, modulo)] == [
        (rows.tolist(), powers) for rows, powers in stated[1:]
    ]
