"""The order of scales: nothing that comes later changes what set a group."""

from __future__ import annotations

import pytest

from landscape_cli.normalization.order import Turn, turns
from landscape_cli.symmetry import ScaledAxis, Symmetry
from tests.support.cases import ALL, make_case
from tests.support.normed import NORMED, make_net
from tests.support.random_nets import RandomNet
from tests.support.symmetry_checks import make_net as any_net


def entries(scaled: ScaledAxis, shapes: dict[str, tuple[int, ...]]) -> set[tuple[str, int]]:
    """Return the entries of its tensor that an axis rescales, by their number in it."""
    shape = shapes[scaled.axis.tensor]
    size = 1
    for length in shape:
        size *= length
    places = set(scaled.axis.places.table.ravel().tolist())
    found = set()
    for number in range(size):
        rest, index = number, []
        for length in reversed(shape):
            index.append(rest % length)
            rest //= length
        index.reverse()
        place = 0
        for dim in scaled.axis.dims:
            place = place * shape[dim] + index[dim]
        if place in places:
            found.add((scaled.axis.tensor, number))
    return found


def check(symmetry: Symmetry) -> list[Turn]:
    shapes = dict(symmetry.shapes)
    order = turns(symmetry, outputs_at=None)
    assert sorted(group.name for turn in order for group in turn.groups) == sorted(g.name for g in symmetry.scales)
    for k, turn in enumerate(order):
        if turn.together:
            continue
        (group,), (setter,) = turn.groups, turn.setters
        assert any(scaled is setter for scaled in group.axes)
        own = [scaled for scaled in group.axes if scaled is not setter]
        later = [scaled for after in order[k + 1 :] for other in after.groups for scaled in other.axes]
        for scaled in (*own, *later):
            if scaled.axis.tensor == setter.axis.tensor:
                assert not entries(scaled, shapes) & entries(setter, shapes)
    return order


@pytest.mark.parametrize("name", ALL)
def test_plain_networks(name: str) -> None:
    symmetry = make_case(name).symmetry
    order = check(symmetry)
    # forward order, each by what writes it
    assert [turn.groups[0].name for turn in order] == [group.name for group in symmetry.scales]
    assert [turn.setters[0] for turn in order] == [group.set_by for group in symmetry.scales]


@pytest.mark.parametrize("name", NORMED)
def test_networks_with_norms(name: str) -> None:
    check(make_net(name).symmetry)


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed: int) -> None:
    check(any_net(model := RandomNet(seed, 4), model.input_shape, seed=seed).symmetry)


def test_outputs_have_their_turn() -> None:
    symmetry = make_case("mlp").symmetry
    order = turns(symmetry, outputs_at=len(symmetry.scales))
    assert [bool(turn.groups) for turn in order] == [True, True, False]
