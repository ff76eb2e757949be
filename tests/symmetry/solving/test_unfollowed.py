"""Exchanges that flip signs on the way are true, told, refused where that is asked for, and told of nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import trace_symmetry
from landscape_cli.symmetry.solving.unfollowed import MAY
from tests.support.layers import Net
from tests.support.symmetry_checks import EXACT, make_net

SIDES = ("weight", "bias")


def net(body: Callable[[Net, Tensor], Tensor], columns: int = 3) -> Net:
    parts = {name: nn.Linear(3, 3) for name in "abg"}
    return Net(lambda m, x: m.o(body(m, x)), **parts, o=nn.Linear(columns, 2), w=nn.Parameter(torch.randn(3, 3, 3)))


def swapped(params: dict[str, Tensor], *flipped: str) -> dict[str, Tensor]:
    """Return a network whose parts a and b have each other's tensors, some others flipped."""
    other = {"a": "b", "b": "a"}
    moved = {name: params[f"{other.get(name[0], name[0])}{name[1:]}"] for name in params}
    return moved | {name: -moved[name] for name in flipped}


def halves(params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a network with its first unit flipped, and the two columns that read it, and its negative, exchanged."""
    moved = {name: tensor.clone() for name, tensor in params.items()}
    for side in SIDES:
        moved[f"a.{side}"][0] *= -1
    moved["o.weight"][:, [0, 3]] = moved["o.weight"][:, [3, 0]]
    return moved


def conjugated(params: dict[str, Tensor]) -> dict[str, Tensor]:
    return params | {"w": params["w"] * torch.tensor([1.0, 1, -1])[:, None, None]}


def state(m: Net, x: Tensor) -> Tensor:
    return m.a(x) @ torch.exp(torch.complex(m.w[1], m.w[2])).real


def in_matrices(m: Net, x: Tensor) -> Tensor:
    best = m.g(x).argmax(-1)
    return torch.einsum("bi,bih->bh", m.a(x), m.w[best]).relu()


TOLD: dict[str, tuple[Callable[[Net, Tensor], Tensor], int, Callable[..., dict[str, Tensor]], tuple[str, ...]]] = {
    "a difference": (lambda m, x: F.silu(m.a(x)) - F.silu(m.b(x)), 3, swapped, ("o.weight",)),
    "a sum with a negative": (lambda m, x: F.silu(m.a(x)) + -F.silu(m.b(x)), 3, swapped, ("o.weight",)),
    "weighed by a sigmoid": (
        lambda m, x: (lambda g: g * m.a(x).exp() + (1 - g) * m.b(x).exp())(torch.sigmoid(m.g(x))),
        3,
        swapped,
        ("g.weight", "g.bias"),
    ),
    "beside its negative": (lambda m, x: (lambda h: torch.cat([h.relu(), (-h).relu()], -1))(m.a(x)), 6, halves, ()),
    "the real part": (state, 3, conjugated, ()),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_true_is_told(name: str) -> None:
    body, columns, move, flipped = TOLD[name]
    torch.manual_seed(0)
    traced = make_net(net(body, columns), (3,))
    assert traced.deviation(move(traced.params, *flipped)) < EXACT
    assert [note for note in traced.symmetry.notes if note.startswith(MAY)]


def test_strict_refuses() -> None:
    parts = {name: nn.Linear(3, 3) for name in "abo"}
    model = Net(lambda m, x: m.o(F.silu(m.a(x)) - F.silu(m.b(x))), **parts)
    with pytest.raises(TraceError, match=f"{MAY}.*'a.*'b.*strict"):
        trace_symmetry(model, torch.zeros(2, 3), strict=True)


def test_units_of_matrices_that_are_looked_up() -> None:
    torch.manual_seed(0)
    assert any("each matrix" in note for note in make_net(net(in_matrices), (3,)).symmetry.notes)


PLAIN: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "a sum": lambda m, x: F.silu(m.a(x)) + F.silu(m.b(x)),
    "a distance": lambda m, x: (F.silu(m.a(x)) - F.silu(m.b(x))).abs(),
    "others": lambda m, x: F.silu(m.a(x)) - torch.tanh(m.b(x)),
    "the input's negative": lambda m, x: m.a(torch.stack([x, -x]).amax(0)),
    "a gate of one": lambda m, x: (lambda g: g * m.a(x) + (1 - g) * x)(torch.sigmoid(m.g(x))),
    "a matrix that is always the same": lambda m, x: m.a(x) @ m.w[1],
}


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_else_is_told(name: str) -> None:
    torch.manual_seed(0)
    symmetry = make_net(net(PLAIN[name]), (3,)).symmetry
    assert not [note for note in symmetry.notes if note.startswith(MAY)]
