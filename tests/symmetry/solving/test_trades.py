"""Units that trade places one by one across layers: found however they are put together, and not where they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from landscape_cli.symmetry import permute
from landscape_cli.symmetry.solving import threads
from tests.support.symmetry_checks import EXACT, Net, check_true, make_net
from tests.support.traded_nets import ALONE, FACTORS, SIDE_BY_SIDE, SUMMED, Traded, linear, two

ACROSS = {f"{kind}: {name}": case for kind, of in (("sum", SUMMED), ("cat", SIDE_BY_SIDE)) for name, case in of.items()}


def made(case: Traded) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(case.make(), case.shape)


def units_of(net: Net) -> list[int]:
    return sorted(group.units for group in net.symmetry.permutations)


@pytest.mark.parametrize("name", ACROSS)
def test_units_of_several_layers_are_one_group(name: str) -> None:
    net = made(ACROSS[name])
    assert units_of(net) == sorted(ACROSS[name].units)
    assert not net.symmetry.notes
    check_true(net)


@pytest.mark.parametrize("name", FACTORS)
def test_units_trade_places_pair_by_pair(name: str) -> None:
    net = made(FACTORS[name])
    assert units_of(net) == sorted(FACTORS[name].units)
    assert not net.symmetry.modules
    check_true(net)


@pytest.mark.parametrize("name", ALONE)
def test_units_that_do_not_trade_places(name: str) -> None:
    net = made(ALONE[name])
    assert units_of(net) == sorted(ALONE[name].units)
    check_true(net)


def test_one_unit_of_each_layer_trades_places() -> None:
    """The first of one layer with the last of another, alone: their rows and columns, and no more."""
    net = made(SUMMED["layers"])
    [group] = net.symmetry.permutations
    order = torch.arange(group.units)
    order[[0, -1]] = order[[-1, 0]]
    moved = permute(net.params, net.symmetry, {group.name: order})
    assert net.deviation(moved) < EXACT
    assert torch.equal(moved["a.weight"][0], net.params["c.weight"][-1])
    assert torch.equal(moved["d.weight"][:, -1], net.params["b.weight"][:, 0])
    assert torch.equal(moved["a.weight"][1:], net.params["a.weight"][1:])
    halfway = {**net.params, "a.weight": moved["a.weight"], "c.weight": moved["c.weight"]}
    assert net.deviation(halfway) > EXACT


def test_sides_of_one_pair_trade_places() -> None:
    net = made(FACTORS["the larger"])
    sides = next(group for group in net.symmetry.permutations if group.blocks > 1)
    moved = permute(net.params, net.symmetry, {sides.name: torch.tensor([1, 0, *range(2, sides.units)])})
    assert net.deviation(moved) < EXACT
    assert torch.equal(moved["a.weight"][0], net.params["c.weight"][0])
    assert torch.equal(moved["a.weight"][1:], net.params["a.weight"][1:])


def test_what_works_on_several_units_must_be_known_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a softmax taken for what works on each unit alone, what is found would be false."""
    monkeypatch.setattr(threads, "is_alone", lambda *_: True)
    net = made(ALONE["set against each other"])
    assert units_of(net) == [8]
    with pytest.raises(AssertionError):
        check_true(net)


def test_what_is_left_of_parts_trades_places_as_a_whole() -> None:
    """The biases behind the units, which are no unit's."""
    [group] = made(SUMMED["of one size"]).symmetry.modules
    assert group.members == (("b.bias",), ("d.bias",))


@pytest.mark.parametrize("weight", ["b", "c"])
def test_a_weight_that_is_frozen_elsewhere_is_noted_or_kept(weight: str) -> None:
    """Of a tensor under two names nothing is joined, and that is said."""

    def tied() -> torch.nn.Module:
        model = SUMMED["layers"].make()
        model.again = getattr(model, weight)
        return model

    net = made(replace(SUMMED["layers"], make=tied))
    assert units_of(net) == [3, 4]
    assert {note.partition(":")[0] for note in net.symmetry.notes} == {"exchanges that are not followed"}
    check_true(net)


def test_units_of_products_that_are_summed_are_one_group_of_all() -> None:
    """That the factors of each trade places, too, does not go together with that, and is said."""

    def body(m: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.b(m.a(x).relu() * m.e(x).relu()) + m.d(m.c(x).relu() * m.f(x).relu())

    net = made(two(body, (8,), (4, 4), e=linear(3, 4), f=linear(3, 4)))
    assert units_of(net) == [8]
    assert {note.partition(":")[0] for note in net.symmetry.notes} == {"exchanges that are not followed"}
    check_true(net)
