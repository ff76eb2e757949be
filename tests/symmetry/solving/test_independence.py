"""Which factors of no unit's own do something to tensors that no others do."""

from __future__ import annotations

import numpy as np

from landscape_cli.symmetry.solving.elimination import Row
from landscape_cli.symmetry.solving.independence import independent, simplified
from landscape_cli.symmetry.solving.variables import VariableTable
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.labels import Labels

SHAPES = {"a": (4, 3), "b": (3,)}


def table() -> tuple[VariableTable, int, int, int]:
    """Return a table of one factor all along each axis of a matrix `a`, and one of a vector `b`; and the three."""
    labels, equations = Labels(), Equations()
    slots = [labels.slots(1, name) for name in ("rows", "columns", "b")]
    blocks = [("a", (0,), 4), ("a", (1,), 3), ("b", (0,), 3)]
    made = [equations.variables(*block[:2], slot.repeat(block[2])) for block, slot in zip(blocks, slots, strict=True)]
    variables = VariableTable(labels, equations, [])
    rows, columns, vector = (int(variables.representative[each[0]]) for each in made)
    return variables, rows, columns, vector


def test_what_one_axis_takes_and_another_gives_is_no_factor() -> None:
    variables, rows, columns, vector = table()
    trade: dict[int, Row] = {rows: {rows: 1, columns: -1}}
    assert independent(variables, trade, SHAPES) == []
    kept = independent(variables, {rows: {rows: 1, columns: -1, vector: 1}}, SHAPES)
    assert [row.get(vector) for _, row, _ in kept] == [1]


def test_of_two_that_do_the_same_one_is_kept() -> None:
    variables, rows, columns, vector = table()
    assert len(independent(variables, {rows: {rows: 1}, columns: {columns: 1}}, SHAPES)) == 1
    assert len(independent(variables, {rows: {rows: 1}, vector: {vector: 1}}, SHAPES)) == 2
    same: dict[int, Row] = {rows: {rows: 1, vector: 1}, vector: {rows: 1, vector: -1}}
    assert len(independent(variables, same, SHAPES)) == 2
    assert len(independent(variables, same, SHAPES, modulo=2)) == 1


def test_powers_go_along_as_few_axes_as_can_be() -> None:
    variables, rows, columns, vector = table()
    short = simplified(variables, {rows: 2, columns: 3, vector: 1}, SHAPES)
    assert sorted(short.values()) == [1, 5]
    assert short[vector] == 1
    apart = np.array([short.get(rows, 0) + short.get(columns, 0), short[vector]])
    assert apart.tolist() == [5, 1]
    assert simplified(variables, {rows: 2, vector: 1}, SHAPES) == {rows: 2, vector: 1}
