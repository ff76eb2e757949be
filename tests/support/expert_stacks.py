"""Experts in stacks of matrices of which some are read at once and others one by one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net

EXPERTS, WIDTH, HIDDEN, MORE = 3, 4, 5, 6
E_D_H, E_H_D = (EXPERTS, WIDTH, HIDDEN), (EXPERTS, HIDDEN, WIDTH)
Way = Callable[[Net, Tensor, Tensor], Tensor]


def at_once(m: Net, x: Tensor) -> Tensor:
    return F.relu(torch.einsum("bi,eih->beh", x, m.w))


def by_number(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = torch.einsum("bi,eih->beh", x, m.w)
    return sum(g[:, e : e + 1] * (F.relu(z[:, e]) @ m.v[e]) for e in range(EXPERTS))


def unbound(m: Net, x: Tensor, g: Tensor) -> Tensor:
    every = zip(g.unsqueeze(-1).unbind(1), at_once(m, x).unbind(1), m.v, strict=True)
    return sum(weight * (z @ v) for weight, z, v in every)


def experts_first(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = torch.bmm(x.expand(EXPERTS, -1, -1), m.w)
    return sum(g[:, e, None] * F.linear(F.relu(z[e]), m.v[e].t()) for e in range(EXPERTS))


def chunked(m: Net, x: Tensor, g: Tensor) -> Tensor:
    chunks = (x @ m.w).transpose(0, 1).chunk(EXPERTS, 1)
    return sum(g[:, e : e + 1] * (F.relu(z.squeeze(1)) @ m.v[e]) for e, z in enumerate(chunks))


def laid_out(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = at_once(m, x).flatten(1)
    return sum(g[:, e : e + 1] * (z[:, e * HIDDEN : (e + 1) * HIDDEN] @ m.v[e]) for e in range(EXPERTS))


def with_biases(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = F.relu(torch.einsum("bi,eih->beh", x, m.w) + m.b)
    return sum(g[:, e : e + 1] * (z[:, e] @ m.v[e] + m.c[e]) for e in range(EXPERTS))


def gated_at_once(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = torch.tanh(torch.einsum("bi,eih->beh", x, m.w[0])) * torch.einsum("bi,eih->beh", x, m.w[1])
    return sum(g[:, e : e + 1] * (z[:, e] @ m.v[e]) for e in range(EXPERTS))


def of_the_best(m: Net, x: Tensor, g: Tensor) -> Tensor:
    (best, which), z, y = g.topk(2, -1), at_once(m, x), torch.zeros_like(x)
    for e in range(EXPERTS):
        row, rank = torch.where(which == e)
        y.index_add_(0, row, best[row, rank, None] * (z[row, e] @ m.v[e]))
    return y


def two_at_once(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = F.relu(torch.einsum("beh,ehk->bek", at_once(m, x), m.k))
    return sum(g[:, e : e + 1] * (z[:, e] @ m.v[e]) for e in range(EXPERTS))


def _stacked(m: Net, x: Tensor, dim: int) -> Tensor:
    return torch.stack([F.relu(x @ m.w[e]) for e in range(EXPERTS)], dim)


def read_at_once(m: Net, x: Tensor, g: Tensor) -> Tensor:
    return torch.einsum("beh,ehd,be->bd", _stacked(m, x, 1), m.v, g)


def read_by_bmm(m: Net, x: Tensor, g: Tensor) -> Tensor:
    return (torch.baddbmm(m.c[:, None], _stacked(m, x, 0), m.v) * g.t()[..., None]).sum(0)


def two_read_at_once(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = F.relu(torch.einsum("beh,ehk->bek", _stacked(m, x, 1), m.k))
    return torch.einsum("beh,ehd,be->bd", z, m.v, g)


def one_then_one_by_one(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = at_once(m, x)
    z = torch.stack([F.relu(z[:, e] @ m.k[e]) for e in range(EXPERTS)], 1)
    return torch.einsum("beh,ehd,be->bd", z, m.v, g)


def weighted_by_number(m: Net, x: Tensor, g: Tensor) -> Tensor:
    z = at_once(m, x)
    return sum((e + 1) * g[:, e : e + 1] * (z[:, e] @ m.v[e]) for e in range(EXPERTS))


def experts(way: Way, **shapes: tuple[int, ...]) -> Callable[[], Net]:
    """Return what makes a mixture of experts by `way`, of its input and the gate's outputs, with these parameters."""

    def forward(m: Net, x: Tensor) -> Tensor:
        h = F.leaky_relu(m.i(x), 0.3)
        return m.o(way(m, h, m.g(h).softmax(-1)))

    sizes = {"i": (3, WIDTH), "g": (WIDTH, EXPERTS), "o": (WIDTH, 2)}
    shapes = {"w": E_D_H, "v": E_H_D} | shapes

    def make() -> Net:
        parameters = {name: nn.Parameter(torch.randn(*shape)) for name, shape in shapes.items()}
        return Net(forward, **{name: nn.Linear(*size) for name, size in sizes.items()}, **parameters)

    return make


DEEP = {"k": (EXPERTS, HIDDEN, MORE), "v": (EXPERTS, MORE, WIDTH)}
BIASES = {"b": (EXPERTS, HIDDEN), "c": (EXPERTS, WIDTH)}
MADE_AND_READ: dict[str, Callable[[], Net]] = {
    "by number": experts(by_number),
    "unbound": experts(unbound),
    "experts first": experts(experts_first),
    "chunked": experts(chunked),
    "laid out": experts(laid_out),
    "with biases": experts(with_biases, **BIASES),
    "gated at once": experts(gated_at_once, w=(2, *E_D_H)),
    "of the best": experts(of_the_best),
    "read at once": experts(read_at_once),
    "read by bmm": experts(read_by_bmm, c=BIASES["c"]),
}
"""Experts of hidden units that trade places with their gate's outputs."""
MADE_TWICE: dict[str, Callable[[], Net]] = {
    "two at once": experts(two_at_once, **DEEP),
    "two read at once": experts(two_read_at_once, **DEEP),
    "one, then one by one": experts(one_then_one_by_one, **DEEP),
}
"""The same with two layers of hidden units."""
