"""Where units live: against a loop over places."""

from __future__ import annotations

import numpy as np
import pytest

from landscape_cli.errors import InconsistencyError
from landscape_cli.symmetry.solving.places import Part, PlaceTable
from landscape_cli.symmetry.solving.refinement import Run
from landscape_cli.symmetry.tracing.labels import Labels


@pytest.mark.parametrize("seed", range(10))
def test_tables_list_the_places_of_each_unit(seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels = Labels()
    units = labels.units(4, together=True)
    slots = labels.slots(3, "pixels")
    reader = draw.permutation(units.repeat(3))
    kernel = draw.permutation(np.stack([units.repeat(3), np.tile(slots, 4)]).T)
    parts = [
        Part("reader", (1,), Run((reader,)), False),
        Part("writer", (0,), Run((draw.permutation(units),)), True),
        Part("kernel", (0, 1), Run((kernel[:, 0].copy(), kernel[:, 1].copy())), False),
    ]
    places = PlaceTable(labels, parts)
    chosen = draw.permutation(units).tolist()
    tables = dict(places.tables(chosen))
    assert list(tables) == [0, 1, 2]
    for k, part in enumerate(parts):
        for unit, row in zip(chosen, tables[k].tolist(), strict=True):
            here = [place for place, label in enumerate(part.run.columns[0].tolist()) if label == unit]
            # beside slots, in the order of these, so that the places of two units correspond
            assert row == (here if len(part.run.columns) == 1 else sorted(here, key=lambda p: kernel[p, 1]))
    for unit in chosen:
        assert places.first(unit) == (1, parts[1].run.columns[0].tolist().index(unit))
    assert places.units.tolist() == sorted(units.tolist(), key=places.first)


def test_blocks_live_where_what_is_in_them_lives() -> None:
    labels = Labels()
    units, blocks = labels.units(6, together=True), labels.units(2)
    labels.respect(units, blocks.repeat(3), "heads")
    places = PlaceTable(labels, [Part("w", (0,), Run((units,)), True)])
    assert [places.inside(block).tolist() for block in blocks] == [[0, 1, 2], [3, 4, 5]]
    assert dict(places.tables(blocks.tolist()))[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert places.first(int(blocks[1])) == (0, 3)


def test_units_that_do_not_live_alike_have_no_table() -> None:
    labels = Labels()
    units = labels.units(2, together=True)
    places = PlaceTable(labels, [Part("w", (0,), Run((np.array([*units, units[0]]),)), True)])
    with pytest.raises(InconsistencyError, match="do not live alike"):
        dict(places.tables(units.tolist()))


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_in_one_order_if_grouped_weights_read_them_so(seed: int) -> None:
    """What weights that move as whole rows say of the order of units is compared with a loop over blocks."""
    draw = np.random.default_rng(seed)
    labels = Labels()
    units, blocks = labels.units(12, together=True), labels.units(3)
    labels.respect(units, blocks.repeat(4), "groups")
    orders = [draw.permutation(4) if seed % 2 else np.array([2, 0, 3, 1]) for _ in blocks]
    read = np.concatenate([units[4 * k + order] for k, order in enumerate(orders)])
    slots = labels.slots(2, "places")
    first = Part("first", (0, 1), Run((read.repeat(2), np.tile(slots, 12))), False)
    again = Part("again", (0, 1), Run((units.repeat(2), np.tile(slots, 12))), False)
    places = PlaceTable(labels, [Part("w", (0,), Run((units,)), True), first, again])
    for k, (block, order) in enumerate(zip(blocks.tolist(), orders, strict=True)):
        assert places.inside(block).tolist() == (4 * k + order).tolist()  # as the first of them reads
        alike = all(np.array_equal(order, orders[other]) for other in (k, 0))
        assert places.in_one_order([int(blocks[0]), block]) == alike
    alone = PlaceTable(labels, [first])
    assert alone.in_one_order(blocks.tolist())
