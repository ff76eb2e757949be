"""Functions of single numbers, or of two, that keep scales or signs without being homogeneous or odd of old names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.composed import undone
from tests.support.layers import Net
from tests.support.symmetry_checks import check_true, make_net

Act = Callable[[Tensor], Tensor]
EVERY = 6
ACTS: dict[str, tuple[Act, bool, bool]] = {
    "threshold at 0": (lambda h: F.threshold(h, 0.0, 0.0), True, False),
    "threshold at 0, to 1": (lambda h: F.threshold(h, 0.0, 1.0), False, False),
    "threshold above 0": (lambda h: F.threshold(h, 0.1, 0.0), False, False),
    "signed root": (lambda h: h.sign() * h.abs().sqrt(), True, True),
    "signed root, shifted": (lambda h: h.sign() * (h.abs() + 0.1).sqrt(), False, True),
    "signed power": (lambda h: h.sgn() * h.abs() ** 0.3, True, True),
    "power of no small fraction": (lambda h: h.abs().pow(3.14159), True, True),
    "power of a ReLU": (lambda h: F.relu(h).pow(2.71828), True, False),
    "root with its sign": (lambda h: torch.copysign(h.abs().sqrt(), h), True, True),
    "one sign for all": (lambda h: torch.copysign(h, torch.tensor(-1.0)), True, True),
    "one sign, a number": (lambda h: torch.copysign(h, -1.0), True, True),
    "sign of a ReLU": (lambda h: torch.copysign(h, F.relu(h)), True, False),
    "step": (lambda h: h * torch.heaviside(h, torch.zeros(EVERY, dtype=h.dtype)), True, False),
    "sign bit": (lambda h: h * torch.signbit(h), True, False),
    "rounded": (lambda h: h * torch.round(3 * h), False, True),
    "truncated": (lambda h: h - torch.trunc(3 * h), False, True),
    "what is left": (lambda h: torch.frac(3 * h), False, True),
    "floor": (lambda h: h - torch.floor(3 * h), False, False),
    "clamp by zeros": (lambda h: torch.clamp(h, min=torch.zeros(EVERY, dtype=h.dtype)), True, False),
    "clamp by other numbers": (lambda h: torch.clamp(h, min=torch.arange(EVERY).to(h)), False, False),
    "inverse of erf": (lambda h: torch.erfinv(h.tanh()), False, True),
    "without NaN": (lambda h: torch.nan_to_num(h), True, True),
    "without NaN, but 1": (lambda h: torch.nan_to_num(h, nan=1.0), False, False),
    "sinc": (torch.sinc, False, True),
    "Bessel": (lambda h: torch.i0(h.tanh()), False, True),
}
"""Functions of six units, whether each has a scale, and whether each has a sign."""


def net(act: Act) -> Net:
    torch.manual_seed(0)
    return Net(lambda m, x: m.o(act(m.a(x))), a=nn.Linear(4, EVERY), o=nn.Linear(EVERY, 3))


@pytest.mark.parametrize("name", ACTS)
def test_scales_and_signs_of_units(name: str) -> None:
    act, scaled, flipped = ACTS[name]
    made = make_net(net(act), (4,))
    check_true(made)
    symmetry = made.symmetry
    units = name not in {"clamp by other numbers"}
    assert [group.units for group in symmetry.permutations] == [EVERY] * units
    assert [group.size for group in symmetry.scales] == [EVERY] * scaled
    assert [group.size for group in symmetry.signs] == [EVERY] * flipped
    assert not symmetry.notes
    assert undone(made, 0) == ""


def pair(both: Callable[[Tensor, Tensor], Tensor], given: Act = lambda x: x) -> Net:
    torch.manual_seed(0)
    parts = {"a": nn.Linear(4, EVERY), "b": nn.Linear(4, EVERY), "o": nn.Linear(EVERY, 3)}
    return Net(lambda m, x: m.o(both(m.a(x), given(m.b(x)))), **parts)


PAIRS: dict[str, tuple[Callable[[], Net], int, int]] = {
    "hypot": (lambda: pair(torch.hypot), 1, 2),
    "copysign": (lambda: pair(torch.copysign), 2, 2),
    "copysign by what may be 0": (lambda: pair(torch.copysign, lambda b: F.hardshrink(b, 0.5)), 1, 1),
    "atan2": (lambda: pair(torch.atan2), 1, 1),
    "fmod": (lambda: pair(torch.fmod), 0, 0),
}
"""Networks of two layers, and how many scales and signs there are for each unit."""


@pytest.mark.parametrize("name", PAIRS)
def test_scales_and_signs_of_two(name: str) -> None:
    make, scales, signs = PAIRS[name]
    made = make_net(make(), (4,))
    check_true(made)
    assert [group.size for group in made.symmetry.scales] == [EVERY] * scales
    trade = name == "hypot"  # the two trade places, unit by unit, and have one group of signs
    assert [group.size for group in made.symmetry.signs] == ([signs * EVERY] if trade else [EVERY] * signs)
    assert [group.size for group in made.symmetry.permutations if group.blocks == EVERY] == [2] * trade


def test_a_sign_that_zeros_beside_units_may_have_is_fixed() -> None:
    made = make_net(pair(torch.copysign, lambda b: F.pad(b[:, 1:], (0, 1))), (4,))
    check_true(made)
    of_signs = [(group.size, group.axes[0].tensor) for group in made.symmetry.signs]
    assert sum(size for size, tensor in of_signs if tensor.startswith("a.")) == EVERY
    assert [size for size, tensor in of_signs if tensor.startswith("b.")] == [1]  # of the unit that nothing reads
