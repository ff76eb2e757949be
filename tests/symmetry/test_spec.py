"""A symmetry as data: looking up units by place, axes that meet, what sets a scale and what tells a sign."""

from __future__ import annotations

import numpy as np
import pytest

from landscape_cli.symmetry import Axis, Places, Role, ScaledAxis, ScaleGroup, SignGroup


def some_places(seed: int, units: int = 5, places: int = 3, length: int = 20) -> Places:
    draw = np.random.default_rng(seed)
    return Places(draw.permutation(length)[: units * places].reshape(units, places))


@pytest.mark.parametrize("seed", range(5))
def test_units_by_place(seed: int) -> None:
    places = some_places(seed)
    expected = [-1] * 25
    for unit, row in enumerate(places.table.tolist()):
        for place in row:
            expected[place] = unit
    assert places.unit_at(np.arange(25)).tolist() == expected
    entries = np.random.default_rng(seed).integers(25, size=(2, 4))
    assert places.unit_at(entries).tolist() == [[expected[entry] for entry in row] for row in entries.tolist()]
    assert places.unit_at(places.table).tolist() == [[unit] * 3 for unit in range(5)]


def test_no_units_live_anywhere() -> None:
    assert Places(np.zeros((0, 2), dtype=np.int64)).unit_at(np.arange(3)).tolist() == [-1, -1, -1]
    assert Places(np.zeros((2, 1), dtype=np.int64)).unit_at(np.zeros(0, dtype=np.int64)).size == 0


@pytest.mark.parametrize("seed", range(10))
def test_axes_share_entries_where_their_places_do(seed: int) -> None:
    first = Axis("w", (0,), Role.INCOMING, some_places(seed, 3, 2))
    second = Axis("w", (0,), Role.INCOMING, some_places(seed + 100, 3, 2))
    shared = set(first.places.table.ravel().tolist()) & set(second.places.table.ravel().tolist())
    assert first.shares_entries_with(second) == second.shares_entries_with(first) == bool(shared)
    assert first.shares_entries_with(first)


def test_axes_of_one_tensor_cross_and_of_two_never_meet() -> None:
    rows = Axis("w", (0,), Role.INCOMING, Places(np.array([[0]])))
    assert rows.shares_entries_with(Axis("w", (1,), Role.OUTGOING, Places(np.array([[5]]))))
    assert not rows.shares_entries_with(Axis("v", (0,), Role.INCOMING, Places(np.array([[0]]))))
    assert not rows.shares_entries_with(Axis("w", (0,), Role.INCOMING, Places(np.array([[1]]))))


def test_incoming_weights_tell_a_sign_before_gains_and_biases() -> None:
    places = Places(np.arange(3)[:, None])
    gain, bias, reader, writer = (
        Axis(name, (0,), role, places)
        for name, role in (
            ("gain", Role.GAIN),
            ("bias", Role.FOLLOWER),
            ("reader", Role.OUTGOING),
            ("writer", Role.INCOMING),
        )
    )
    assert SignGroup("g", 3, (gain, reader, writer)).writers == (writer,)
    assert SignGroup("g", 3, (bias, reader, gain)).writers == (bias, gain)
    assert SignGroup("g", 3, (reader,)).writers == (reader,)


def test_a_scale_is_set_where_the_units_do_not_write_themselves() -> None:
    places = Places(np.arange(3)[:, None])
    again = ScaledAxis(Axis("again", (0,), Role.INCOMING, places), 1)
    back = ScaledAxis(Axis("again", (1,), Role.OUTGOING, places), -1)
    first = ScaledAxis(Axis("first", (0,), Role.INCOMING, places), 1)
    assert ScaleGroup("g", 3, (again, back, first)).set_by is first
    assert ScaleGroup("g", 3, (again, back)).set_by is again
