"""Parts that trade places are counted by outputs alone, and those that tracing misses, or makes up, are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli.symmetry import ModuleGroup, Symmetry
from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.checking.exchanges import ExchangeSearch
from landscape_cli.symmetry.checking.moves import Moves
from landscape_cli.symmetry.checking.parts import found_parts, missed_parts
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.words import completeness_lines
from tests.support.layers import Net as Body
from tests.support.parted_nets import ALONE, MADE, gated, two_of_them
from tests.support.routed_nets import ASIDE, ROUTED
from tests.support.symmetry_checks import Net, make_net

PLACED = {"in a loop": MADE["in a loop"], "averaged votes": MADE["averaged votes"]} | {
    name: ROUTED[name] for name in ("outputs gathered", "rows repeated")
}


def made(make: Callable[[], nn.Module], shape: tuple[int, ...] = (3,)) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(make(), shape)


def counted(net: Net, symmetry: Symmetry) -> tuple[int, int, int]:
    """Return how many exchanges of parts were found, how many of these are wrong, and how many were missed."""
    probe = Probe(net.model, net.params, symmetry, seed=torch.Generator().manual_seed(0))
    moves = Moves(probe, symmetry)
    search = ExchangeSearch(probe, moves, np.random.default_rng(0))
    found = search.keep(list(found_parts(moves)))
    return int(found.sum()), int((~found).sum()), len(list(missed_parts(probe, symmetry, search)))


@pytest.mark.parametrize("name", PLACED)
def test_all_exchanges_are_counted_found_or_not(name: str) -> None:
    net = made(PLACED[name])
    assert counted(net, net.symmetry) == (3, 0, 0)
    assert counted(net, net.symmetry.without_modules) == (0, 0, 3)


@pytest.mark.parametrize("make", [*ALONE.values(), *ASIDE.values()], ids=[*ALONE, *ASIDE])
def test_parts_that_do_not_trade_places_are_not_missed(make: Callable[[], nn.Module]) -> None:
    net = made(make)
    assert counted(net, net.symmetry) == (0, 0, 0)


def scored(m: Body, x: Tensor) -> Tensor:
    queries, keys = F.rms_norm(m.q(x), (3,)) * m.nq, F.rms_norm(m.k(x), (3,)) * m.nk
    return (queries @ keys.mT).softmax(-1) @ x


NUMBERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "gains that meet in their product": (
        lambda: Body(
            scored,
            **{name: nn.Linear(3, 3) for name in "qk"},
            **{name: nn.Parameter(torch.rand(3) + 0.5) for name in ("nq", "nk")},
        ),
        (4, 3),
    ),
    "biases that meet in their sum": (
        lambda: Body(
            lambda m, x: m.o((m.i(x) + m.a + m.b).tanh()),
            i=nn.Linear(2, 3),
            o=nn.Linear(3, 2),
            a=nn.Parameter(torch.rand(3)),
            b=nn.Parameter(torch.rand(3)),
        ),
        (2,),
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_trade_places_one_by_one_are_no_parts(name: str) -> None:
    make, shape = NUMBERS[name]
    net = made(make, shape)
    assert counted(net, net.symmetry.without_modules) == (0, 0, 0)


def test_what_is_made_up_is_wrong() -> None:
    net = made(gated(two_of_them))
    [group] = net.symmetry.modules
    every = tuple(tuple(name.replace("0.", f"{k}.", 1) for name in group.members[0]) for k in range(3))
    more = ModuleGroup(group.name, every, ())
    assert counted(net, replace(net.symmetry, modules=(more,)))[:2] == (0, 3)


def test_the_check_says_so() -> None:
    net = made(lambda: Body(lambda m, x: m.a(x).tanh() + m.b(x).tanh(), a=nn.Linear(2, 2), b=nn.Linear(2, 2)), (2,))
    generator = torch.Generator().manual_seed(0)
    for symmetry, said in ((net.symmetry, "1 of 1"), (net.symmetry.without_modules, "0 of 1")):
        checked = check_completeness(net.model, net.params, symmetry, generator=generator)
        assert completeness_lines(checked)[0].endswith(f"{said} exchanges of parts")
        assert checked.is_complete == (said == "1 of 1")
