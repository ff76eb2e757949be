"""Variables of scales: whose they are, which rows stand for all, and back to places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landscape_cli.symmetry.solving.variables import VariableTable, variable_table
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.labels import Labels
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net


def layer(units: int = 4, seed: int = 0) -> tuple[VariableTable, Array, Array, Array, Array]:
    """Return a table of units with variables in a weight and, three places each, in a reader; units, owners, these."""
    draw = np.random.default_rng(seed)
    labels, equations = Labels(), Equations()
    numbers = labels.units(units, together=True)
    owners = draw.permutation(numbers.repeat(3))
    writer = equations.variables("writer", (0,), numbers)
    reader = equations.variables("reader", (1,), owners)
    return VariableTable(labels, equations, [numbers.tolist()]), numbers, owners, writer, reader


def rows_of(numbers: Array, owners: Array, writer: Array, reader: Array) -> Array:
    """Return the rows that say that every unit's scale in the writer is that in the reader."""
    return np.array([[writer[unit], reader[owners.tolist().index(number)]] for unit, number in enumerate(numbers)])


@pytest.mark.parametrize("seed", range(5))
def test_variables_belong_to_the_units_at_their_places(seed: int) -> None:
    table, numbers, owners, writer, reader = layer(seed=seed)
    assert table.unit_of[writer].tolist() == numbers.tolist()
    assert table.unit_of[reader].tolist() == owners.tolist()
    assert all(table.kind(int(variable)) == 0 for variable in (*writer, *reader))
    assert table.units_of(0) == 4
    kept = set(np.flatnonzero(table.kept)[1:].tolist())
    assert kept == {int(v) for v in (*writer, *reader) if table.unit_of[v] == table.unit_of[min(kept)]}
    for variables in (writer, reader):
        assert len(set(table.representative[variables].tolist())) == 1
        assert set(table.representative[variables].tolist()) <= kept


def test_one_row_stands_for_those_of_all_units() -> None:
    table, numbers, owners, writer, reader = layer()
    kept, unrepresented = table.represent(rows_of(numbers, owners, writer, reader))
    assert len(kept) == 1
    assert table.kept[kept[0]].all()
    assert not unrepresented


def test_rows_of_some_units_alone_stand_for_none() -> None:
    table, numbers, owners, writer, reader = layer()
    rows = rows_of(numbers, owners, writer, reader)
    kept, unrepresented = table.represent(rows[1:])
    assert not kept
    assert set(unrepresented) == set(table.representative[rows].ravel().tolist())


def test_rows_of_two_units_stand_for_none() -> None:
    table, numbers, owners, writer, reader = layer()
    rows = rows_of(numbers, owners, writer, reader)
    rows[:, 1] = np.roll(rows[:, 1], 1)
    kept, unrepresented = table.represent(rows)
    assert not kept
    assert unrepresented


@pytest.mark.parametrize("seed", range(5))
def test_tables_list_the_places_of_variables_like_those_kept(seed: int) -> None:
    table, numbers, owners, writer, reader = layer(seed=seed)
    powers = {
        int(variable): power
        for variables, power in ((writer, 1), (reader, -1))
        for variable in variables
        if table.kept[variable]
    }
    found = {block.tensor: (power, places.tolist()) for block, power, places in table.tables(0, powers)}
    expected = [[place for place, owner in enumerate(owners.tolist()) if owner == number] for number in numbers]
    assert found == {"writer": (1, [[0], [1], [2], [3]]), "reader": (-1, expected)}


def test_without_a_unit_a_variable_is_of_no_kind() -> None:
    labels, equations = Labels(), Equations()
    variables = equations.variables("bias", (0,), labels.slots(3, "output"))
    table = VariableTable(labels, equations, [])
    assert [table.kind(int(variable)) for variable in variables] == [-1, -1, -1]
    assert table.units_of(-1) == 1
    assert table.kept[variables].all()
    assert table.depth(int(variables[0])) == 0


def test_places_that_have_come_from_elsewhere_are_kinds_of_their_own() -> None:
    """Two fixed places, whose readers are those of different tensors each: a kind each, and a scale each is free."""
    for kinds, same in ((1, True), (2, False)):
        labels, equations = Labels(), Equations()
        numbers = labels.units(2, together=True)
        reader = equations.variables("reader", (1,), numbers)
        sources = [equations.variables(name, (), np.array([-1])) for name in ("mean", "maximum")]
        labels.fix(numbers, "a place")
        read = torch.tensor([int(sources[0 if same else k][0]) for k in (0, 1)])
        equations.equate("scale", ((torch.from_numpy(reader), 1), (read, 1)), rank=1)
        table = variable_table(labels, equations, [numbers.tolist()])
        assert len(table.kinds) == kinds
        [(rows, _)] = equations.rows("scale")
        kept, lost = table.represent(rows)
        assert (len(kept), lost) == (kinds, [])


def test_units_of_two_kinds_that_are_tied_keep_their_places() -> None:
    """Sines and cosines in one table turn two heads: neither is scaled, which a place for both would leave free."""

    def forward(m: Net, x: Tensor) -> Tensor:
        table = m.table[None, None]
        sines, cosines = (torch.stack([part, part], -1).reshape_as(table) for part in table.chunk(2, -1))

        def turned(h: Tensor) -> Tensor:
            h = h.view(-1, 3, 2, 4).transpose(1, 2)
            return h * cosines + torch.stack([-h[..., 1::2], h[..., ::2]], -1).reshape_as(h) * sines

        y: Tensor = m.o((turned(m.q(x)) @ turned(m.k(x)).mT).softmax(-1).flatten(1))
        return y

    layers = {"q": nn.Linear(3, 8), "k": nn.Linear(3, 8), "o": nn.Linear(18, 2)}
    check_true(make_net(Net(forward, table=nn.Parameter(torch.randn(3, 4)), **layers), (3, 3)))


def test_variables_agree_if_their_units_are_one_of_each_kind() -> None:
    labels, equations = Labels(), Equations()
    units, alone, heads = labels.units(4, together=True), labels.units(1), labels.units(2)
    labels.respect(units, heads.repeat(2), "heads")
    of = {"w": units, "b": alone, "h": heads}
    made = {name: equations.variables(name, (0,), numbers) for name, numbers in of.items()}
    table = VariableTable(labels, equations, [units.tolist(), alone.tolist(), heads.tolist()])
    (w, b, h), nothing = made.values(), 0
    rows = [(w[0], w[0]), (w[0], b[0]), (w[0], nothing), (w[0], h[0]), (w[0], w[1]), (w[0], h[1]), (h[0], h[1])]
    assert table.agree(np.array(rows)).tolist() == [True] * 4 + [False] * 3
    assert table.agree(np.zeros((1, 0), dtype=np.int64)).tolist() == [True]
