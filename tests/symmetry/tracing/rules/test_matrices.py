"""Diagonal matrices, added to weights or not; inverses and exponentials of weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.composed import undone
from tests.support.layers import Net, parameter
from tests.support.symmetry_checks import check_true, make_net

D = 5
Made = Callable[[Net], Tensor]


def eye(value: float = 1.0) -> Tensor:
    return value * torch.eye(D, dtype=torch.float64)


def skew(m: Net) -> Tensor:
    return m.w - m.w.T


def cayley(m: Net) -> Tensor:
    return torch.linalg.solve(eye() + skew(m), eye() - skew(m))


def householder(m: Net) -> Tensor:
    return eye() - 2 * torch.outer(m.v, m.v) / (m.v @ m.v)


ADDED: dict[str, Made] = {
    "identity first": lambda m: eye() + m.w,
    "identity last": lambda m: m.w + eye(),
    "identity taken away": lambda m: m.w - eye(),
    "identity with a factor": lambda m: eye(-0.3).add(m.w, alpha=0.5),
    "diagonal of ones": lambda m: torch.diag(torch.ones(D, dtype=torch.float64)) + m.w,
    "diagonal filled": lambda m: torch.zeros(D, D, dtype=torch.float64).fill_diagonal_(1.0) + m.w,
    "exponential": lambda m: torch.matrix_exp(m.w),
    "inverse of what is near the identity": lambda m: torch.linalg.inv(eye(4.0) - 0.1 * m.w),
}
"""Matrices of units that are rows and columns at once, whose scales are inverse to each other."""
APART: dict[str, Made] = {
    "weights alone": lambda m: m.w,
    "weights without their diagonal": lambda m: m.w * (1 - eye()),
    "weights less their diagonal": lambda m: m.w - torch.diag(m.w.diagonal()),
    "weights plus another diagonal": lambda m: m.w + torch.diag_embed(m.v),
    "inverse": lambda m: torch.linalg.inv(m.w + 0),
    "solved": lambda m: torch.linalg.solve(m.w, eye()),
}
"""Those of rows and of columns, which have scales of their own; but they trade places together where a diagonal is."""
JOINT: dict[str, Made] = {
    "difference from its transpose": skew,
    "exponential of such": lambda m: torch.matrix_exp(skew(m)),
    "Cayley's": cayley,
    "Cayley's, by the inverse": lambda m: torch.linalg.inv(eye() + skew(m)) @ (eye() - skew(m)),
    "Householder's": householder,
}
"""Skew-symmetric and orthogonal ones: a permutation and signs of units."""


def net(made: Made, act: Callable[[Tensor], Tensor]) -> Net:
    torch.manual_seed(0)
    parts = {"e": nn.Linear(3, D), "o": nn.Linear(D, 2), "w": nn.Parameter(torch.randn(D, D)), "v": parameter(D)}
    return Net(lambda m, x: m.o(act(act(m.e(x)) @ made(m))), **parts)


@pytest.mark.parametrize("name", ADDED)
def test_matrices_whose_rows_are_their_columns(name: str) -> None:
    made = make_net(net(ADDED[name], F.relu), (3,))
    check_true(made)
    assert [group.units for group in made.symmetry.permutations] == [D]
    assert [group.size for group in made.symmetry.scales] == [D]
    assert undone(made, 0) == ""
    flipped = make_net(net(ADDED[name], torch.tanh), (3,))
    check_true(flipped)
    assert [group.size for group in flipped.symmetry.signs] == [D]


@pytest.mark.parametrize("name", APART)
def test_rows_and_columns_apart(name: str) -> None:
    made = make_net(net(APART[name], F.relu), (3,))
    check_true(made)
    assert [group.size for group in made.symmetry.scales] == [D, D]
    assert [group.units for group in made.symmetry.permutations] == [D] * (1 if "diagonal" in name else 2)


@pytest.mark.parametrize("name", JOINT)
def test_made_weights(name: str) -> None:
    made = make_net(net(JOINT[name], torch.tanh), (3,))
    check_true(made)
    assert [group.units for group in made.symmetry.permutations] == [D]
    assert next(group.size for group in made.symmetry.signs) == D
    assert not [note for note in made.symmetry.notes if "never uses" not in note]
    assert undone(made, 0) == ""


def test_a_kernel_that_changes_nothing() -> None:
    torch.manual_seed(0)
    parts = {"e": nn.Conv1d(2, D, 1), "o": nn.Linear(D, 2), "w": nn.Parameter(torch.randn(D, D, 3))}
    kernel = F.pad(torch.eye(D, dtype=torch.float64)[..., None], (1, 1))
    body = Net(lambda m, x: m.o(F.relu(F.conv1d(F.relu(m.e(x)), kernel + m.w, padding=1)).mean(-1)), **parts)
    made = make_net(body, (2, 4))
    check_true(made)
    assert [group.units for group in made.symmetry.permutations] == [D]
    assert [group.size for group in made.symmetry.scales] == [D]


def test_an_identity_between_places_fixes_nothing_else() -> None:
    """Attention that does not look at itself: its places are told by the mask, its units are not."""
    torch.manual_seed(0)
    parts = {name: nn.Linear(3, 4) for name in "qkv"} | {"o": nn.Linear(4, 2)}
    mask = torch.eye(D, dtype=torch.bool)

    def body(m: Net, x: Tensor) -> Tensor:
        scores = (m.q(x) @ m.k(x).mT).masked_fill(mask, float("-inf"))
        return m.o(scores.softmax(-1) @ m.v(x)).mean(1)

    made = make_net(Net(body, **parts), (D, 3))
    check_true(made)
    assert [group.units for group in made.symmetry.permutations] == [4, 4]
