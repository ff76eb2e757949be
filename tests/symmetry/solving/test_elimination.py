"""Linear equations solved: over the rationals for scales, modulo 2 for signs."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch

from landscape_cli.symmetry.solving.elimination import eliminate
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.integers import Array
from landscape_cli.symmetry.tracing.layers import Terms


def all_stand_for_themselves(rows: Array) -> tuple[list[list[int]], list[int]]:
    return rows.tolist(), []


def stated(kind: str, *equations: dict[int, int]) -> Equations:
    made = Equations()
    made.variables("", (), np.arange(4))
    for powers in equations:
        terms: Terms = tuple((torch.tensor([variable]), power) for variable, power in powers.items())
        made.equate(kind, terms, rank=1)
    return made


def solution(kind: str, equations: Equations) -> list[dict[int, Fraction]]:
    solve = eliminate(equations.rows(kind), kind, represent=all_stand_for_themselves, depth=lambda variable: 0)
    return [solve(variable) for variable in range(1, 5)]


def test_scales_may_be_roots() -> None:
    """The earliest variables stay free: 2 a = b, b + c = 0."""
    half = stated("scale", {1: 2, 2: -1}, {2: 1, 3: 1})
    assert solution("scale", half) == [{1: 1}, {1: 2}, {1: -2}, {4: 1}]
    root = stated("scale", {1: 1, 3: -2})
    assert solution("scale", root)[2] == {1: Fraction(1, 2)}


def test_an_inner_unit_follows_an_outer_one() -> None:
    equal = stated("scale", {1: 1, 2: -1})
    solve = eliminate(
        equal.rows("scale"), "scale", represent=all_stand_for_themselves, depth=lambda variable: variable == 1
    )
    assert solve(1) == {2: 1}


@pytest.mark.parametrize("seed", range(20))
def test_signs_modulo_two(seed: int) -> None:
    """All assignments of the free signs solve the equations, and they are all the solutions there are."""
    rng = np.random.default_rng(seed)
    equations = [{v: 1 for v in range(1, 5) if rng.random() < 0.5} or {1: 1} for _ in range(3)]
    solved = solution("sign", stated("sign", *equations))
    free = sorted({variable for row in solved for variable in row})
    reached = set()
    for bits in product((0, 1), repeat=len(free)):
        chosen = dict(zip(free, bits, strict=True))
        reached.add(tuple(sum(int(power) * chosen[v] for v, power in row.items()) % 2 for row in solved))
    expected = {
        signs
        for signs in product((0, 1), repeat=4)
        if all(sum(power * signs[v - 1] for v, power in row.items()) % 2 == 0 for row in equations)
    }
    assert reached == expected
