"""Variables that two units own at once, given by those of one each."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.symmetry.solving.elimination import Row
from landscape_cli.symmetry.solving.shared import Rows, define
from tests.support.layers import Net, parameter
from tests.support.symmetry_checks import check_true, make_net

A, B, PAIRS = range(1, 4), range(4, 6), range(6, 12)
"""Variables of three units and of two, and of each pair of them."""


def outer(power: int = 1, *, again: bool = False) -> Rows:
    """Every pair takes up what its units have; perhaps each is stated in one more equation."""
    pairs = iter(PAIRS)
    rows = np.array([[a, b, next(pairs)] for a in A for b in B])
    return [(rows, (1, 1, power)), *([(rows[:, 1:], (1, 1))] if again else [])]


def defined(rows: Rows, modulo: int = 0, *, agree: bool = True) -> tuple[Rows, dict[int, Row]]:
    shared = np.zeros(12, dtype=bool)
    shared[PAIRS.start :] = True
    return define(rows, shared, modulo=modulo, agree=lambda rows: np.full(len(rows), agree))


@pytest.mark.parametrize("power", [1, -1, 2])
def test_pairs_are_given_by_their_units(power: int) -> None:
    rest, given = defined(outer(power))
    assert not any(len(rows) for rows, _ in rest)
    for a in A:
        for b in B:
            assert given[PAIRS.start + 2 * (a - 1) + b - B.start] == dict.fromkeys((a, b), Fraction(-1, power))


def test_one_gives_another() -> None:
    chain: Rows = [(np.array([[6, 7]]), (1, -1)), (np.array([[7, 1]]), (1, 1))]
    assert defined(chain) == ([], {6: {1: -1}, 7: {1: -1}})
    assert defined(chain, modulo=2) == ([], {6: {1: 1}, 7: {1: 1}})


def test_what_is_stated_twice_binds_the_units() -> None:
    rest, given = defined(outer(again=True))
    assert given == {
        PAIRS[2 * k + j]: dict.fromkeys((a, b), Fraction(-1)) for k, a in enumerate(A) for j, b in enumerate(B)
    }
    assert [set(rows.ravel().tolist()) for rows, _ in rest] == [{*A}]


def test_what_would_be_unclear_is_one() -> None:
    rest, given = defined(outer(), agree=False)
    assert not given
    assert sorted(tuple(row) for rows, _ in rest for row in rows.tolist()) == [(a, b) for a in A for b in B]


def test_a_weight_that_is_a_product_has_the_scales_of_its_units_beside_those_of_its_rank() -> None:
    torch.manual_seed(0)

    def body(m: Net, x: Tensor) -> Tensor:
        code = torch.tanh(m.code)
        return m.o(F.relu(x @ (m.u(code).view(4, 2) @ m.v(code).view(2, 3)).T))

    net = make_net(
        Net(body, code=parameter(3), u=nn.Linear(3, 8), v=nn.Linear(3, 6), o=nn.Linear(4, 2)),
        (3,),
    )
    check_true(net)
    assert sorted(group.size for group in net.symmetry.scales) == [2, 4]
