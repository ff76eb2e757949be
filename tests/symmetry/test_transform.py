"""Applying a symmetry: every function against a loop over units and places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from landscape_cli.symmetry import (
    Axis,
    PermutationGroup,
    Places,
    Role,
    Symmetry,
    permute,
    random_permutations,
    sources,
    spread,
    unit_rows,
)

DIMS: list[tuple[int, ...]] = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)]


def an_axis(dims: tuple[int, ...], units: int = 3, places: int = 2) -> tuple[Tensor, Axis]:
    """Return a tensor of shape (6, 7, 8), and units along some of its axes, at some of their places."""
    tensor = torch.arange(6.0 * 7 * 8).view(6, 7, 8)
    count = int(np.prod([tensor.shape[dim] for dim in dims]))
    table = np.random.default_rng(0).permutation(count)[: units * places].reshape(units, places)
    return tensor, Axis("w", dims, Role.INCOMING, Places(table))


def place_of(index: tuple[int, ...], shape: torch.Size, dims: tuple[int, ...]) -> int:
    place = 0
    for dim in dims:
        place = place * shape[dim] + index[dim]
    return place


@pytest.mark.parametrize("dims", DIMS)
def test_spread_puts_each_units_value_at_its_places(dims: tuple[int, ...]) -> None:
    tensor, axis = an_axis(dims)
    values = torch.tensor([2.0, 3.0, 5.0])
    result = spread(values, axis, tensor).expand(tensor.shape)
    for index in np.ndindex(*tensor.shape):
        place = place_of(index, tensor.shape, dims)
        units = [unit for unit, row in enumerate(axis.places.table.tolist()) if place in row]
        assert float(result[index]) == (float(values[units[0]]) if units else 1.0)


@pytest.mark.parametrize("dims", DIMS)
def test_rows_hold_what_is_of_each_unit(dims: tuple[int, ...]) -> None:
    tensor, axis = an_axis(dims)
    rows = unit_rows(tensor, axis)
    for unit, row in enumerate(axis.places.table.tolist()):
        held = {float(tensor[i]) for i in np.ndindex(*tensor.shape) if place_of(i, tensor.shape, dims) in row}
        assert set(rows[unit].tolist()) == held


def symmetry_of(*groups: PermutationGroup, shape: tuple[int, ...] = (6, 7, 8)) -> Symmetry:
    return Symmetry(groups, (), (), (), 0, (), (), (("w", shape),), ("w",))


@pytest.mark.parametrize("dims", DIMS)
def test_a_unit_becomes_what_another_was_and_nothing_else_changes(dims: tuple[int, ...]) -> None:
    tensor, axis = an_axis(dims)
    permutation = torch.tensor([2, 0, 1])
    result = permute({"w": tensor}, symmetry_of(PermutationGroup("g", 3, (axis,))), {"g": permutation})["w"]
    for unit, source in enumerate(permutation.tolist()):
        assert torch.equal(unit_rows(result, axis)[unit], unit_rows(tensor, axis)[source])
    for index in np.ndindex(*tensor.shape):
        if place_of(index, tensor.shape, dims) not in axis.places.table:
            assert result[index] == tensor[index]


def test_units_are_permuted_within_their_blocks_first_and_then_the_blocks() -> None:
    tensor = torch.arange(6)
    inner = PermutationGroup("units", 3, (Axis("w", (0,), Role.INCOMING, Places(np.arange(6)[:, None])),), blocks=2)
    blocks = Axis("w", (0,), Role.INCOMING, Places(np.arange(6).reshape(2, 3)))
    outer = PermutationGroup("blocks", 2, (blocks,), inside=("units",))
    permutations = {"units": torch.tensor([1, 2, 0, 3, 5, 4]), "blocks": torch.tensor([1, 0])}
    members = [(group, group.axes[0]) for group in (outer, inner)]
    assert sources(tensor, (0,), members, permutations).tolist() == [3, 5, 4, 1, 2, 0]
    result = permute({"w": tensor}, symmetry_of(outer, inner, shape=(6,)), permutations)
    assert result["w"].tolist() == [3, 5, 4, 1, 2, 0]


def test_random_permutations_keep_units_in_their_blocks() -> None:
    group = PermutationGroup("g", 4, an_axis((0,))[1:], blocks=3)
    drawn = random_permutations(symmetry_of(group), generator=torch.Generator().manual_seed(0))["g"]
    assert [sorted(block) for block in drawn.view(3, 4).tolist()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
