"""Products along an axis: scales to the power of how many are multiplied."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.composed import undone
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net

UNITS, PLACES = 4, 5
Act = Callable[[Tensor], Tensor]
TOKENS: dict[str, tuple[Act, int, bool, bool]] = {
    "product": (lambda h: h.prod(1), 1, True, True),
    "product, axis kept": (lambda h: h.prod(dim=-2, keepdim=True), 1, True, True),
    "product of an even number": (lambda h: h[:, 1:].prod(1), 1, True, True),
    "product of what is shifted": (lambda h: (h + 1).prod(1), 1, False, False),
    "running product": (lambda h: h.cumprod(1), PLACES, True, True),
    "sum of running products": (lambda h: h.cumprod(1).sum(1), 1, False, False),
    "median": (lambda h: h.median(1).values, 1, True, True),
    "median of an even number": (lambda h: h[:, 1:].median(1).values, 1, True, False),
    "median without NaN": (lambda h: h.nanmedian(1).values, 1, True, True),
    "both extremes": (lambda h: torch.stack(torch.aminmax(h, dim=1), 1), 2, True, False),
    "quantile": (lambda h: h.quantile(0.25, dim=1), 1, True, False),
}
"""Functions of units at several places, how many numbers of each they return, and whether it has a scale and a sign."""


@pytest.mark.parametrize("name", TOKENS)
def test_over_places(name: str) -> None:
    act, returned, scaled, flipped = TOKENS[name]
    torch.manual_seed(0)
    parts = {"a": nn.Linear(3, UNITS), "o": nn.Linear(returned * UNITS, 2)}
    made = make_net(Net(lambda m, x: m.o(act(m.a(x)).flatten(1)), **parts), (PLACES, 3))
    check_true(made)
    symmetry = made.symmetry
    assert [group.units for group in symmetry.permutations] == [UNITS]
    assert [group.size for group in symmetry.scales] == [UNITS] * scaled
    assert [group.size for group in symmetry.signs] == [UNITS] * flipped
    assert not symmetry.notes
    assert undone(made, 0) == ""


@pytest.mark.parametrize("axis", [1, -1])
def test_over_layers_side_by_side(axis: int) -> None:
    """Each factor has a scale of its own, as in products one after another."""
    torch.manual_seed(0)
    parts = {name: nn.Linear(4, UNITS) for name in "abc"} | {"o": nn.Linear(UNITS, 2)}
    body = Net(lambda m, x: m.o(torch.stack([m.a(x), m.b(x), F.relu(m.c(x))], axis).prod(axis)), **parts)
    made = make_net(body, (4,))
    check_true(made)
    assert [group.size for group in made.symmetry.scales] == [UNITS] * 3
    assert [group.size for group in made.symmetry.signs] == [2 * UNITS]  # of two that trade places, one group


@pytest.mark.parametrize("within", [2, 3])
def test_over_units(within: int) -> None:
    """Units that are multiplied with each other trade places, and have a scale in common."""
    torch.manual_seed(0)
    parts = {"a": nn.Linear(4, 2 * within), "o": nn.Linear(2, 2)}
    made = make_net(Net(lambda m, x: m.o(m.a(x).unflatten(-1, (2, within)).prod(-1)), **parts), (4,))
    check_true(made)
    assert [group.units for group in made.symmetry.permutations] == [2 * within, 2]
    assert [group.size for group in made.symmetry.scales] == [2]
    assert [group.size for group in made.symmetry.signs] == [2]


POWERS: dict[str, tuple[Act, int, bool, bool]] = {
    "listed": (lambda h: h[..., None].pow(torch.arange(1, 4)), 3, True, True),
    "listed, first": (lambda h: F.relu(h)[:, None].pow(torch.tensor([1.0, 2.0, 5.0])[:, None]), 3, True, False),
    "listed, with 0": (lambda h: h[..., None] ** torch.arange(3), 3, True, True),
    "of a bounded function": (lambda h: torch.tanh(h)[..., None] ** torch.arange(1, 3), 2, False, True),
    "a matrix of Vandermonde": (lambda h: torch.linalg.vander(h, N=3), 3, True, True),
    "beside ones": (lambda h: torch.stack([torch.ones_like(h), h, h**3], -1), 3, True, True),
    "of a shifted function": (lambda h: (h + 1)[..., None] ** torch.arange(1, 3), 2, False, False),
}
"""Several powers of each unit, how many they are, and whether the unit has a scale and a sign."""


@pytest.mark.parametrize("name", POWERS)
def test_several_powers(name: str) -> None:
    act, returned, scaled, flipped = POWERS[name]
    torch.manual_seed(0)
    parts = {"a": nn.Linear(4, UNITS), "o": nn.Linear(returned * UNITS, 2)}
    made = make_net(Net(lambda m, x: m.o(act(m.a(x)).flatten(1)), **parts), (4,))
    check_true(made)
    symmetry = made.symmetry
    assert UNITS in [group.units for group in symmetry.permutations]
    assert [group.size for group in symmetry.scales] == [UNITS] * scaled
    assert {axis.tensor for group in symmetry.signs for axis in group.axes if "a." in axis.tensor} == (
        {"a.weight", "a.bias"} if flipped else set()
    )
    assert not symmetry.notes
