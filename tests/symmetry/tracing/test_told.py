"""Which places labels tell apart."""

from __future__ import annotations

import torch

from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import along
from landscape_cli.symmetry.tracing.told import are_told, tell_apart


def test_copies_are_told_apart_along_other_axes_alone() -> None:
    labels = Labels()
    units = torch.from_numpy(labels.units(6)).view(2, 1, 3)
    shape = (4, 3)
    repeated = units.expand(2, 2, 3).reshape(shape)  # each row twice
    assert are_told(labels, [repeated], shape, [1])
    assert not are_told(labels, [repeated], shape, [0])
    assert not are_told(labels, [repeated], shape, [0, 1])
    told = tell_apart(labels, [repeated], shape, None)
    assert are_told(labels, told, shape, [0, 1])
    assert min(int(layer.min()) for layer in told) >= 0


def test_copies_stay_where_units_live() -> None:
    labels = Labels()
    units = along(torch.from_numpy(labels.units(2))[[0, 0, 1]], 0, 2)
    places = along(torch.from_numpy(labels.slots(2, "a place"))[[0, 0, 1]], 1, 2)
    told = tell_apart(labels, [units, places], (3, 3), "a place", of_units=False)
    assert are_told(labels, told, (3, 3), [1])
    assert not are_told(labels, told, (3, 3), [0])
