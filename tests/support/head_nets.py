"""Attention whose parameters have an axis for the heads, wherever it stands, and experts laid out so."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net

WIDTH, HEADS, UNITS, EXPERTS, HIDDEN = 4, 2, 3, 2, 5
Project = Callable[[Tensor, Tensor], Tensor]
"""From a stream (n, t, d) and weights to (n, t, h, k), or from these and weights to a stream."""
READ: dict[str, tuple[tuple[int, ...], Project]] = {
    "hdk": ((HEADS, WIDTH, UNITS), lambda x, w: torch.einsum("ntd,hdk->nthk", x, w)),
    "dhk": ((WIDTH, HEADS, UNITS), lambda x, w: torch.einsum("ntd,dhk->nthk", x, w)),
    "dkh": ((WIDTH, UNITS, HEADS), lambda x, w: torch.einsum("ntd,dkh->nthk", x, w)),
    "dkh, units first": ((WIDTH, UNITS, HEADS), lambda x, w: torch.einsum("ntd,dkh->ntkh", x, w).mT),
    "khd": ((UNITS, HEADS, WIDTH), lambda x, w: torch.einsum("ntd,khd->nthk", x, w)),
    "tensordot": ((WIDTH, HEADS, UNITS), lambda x, w: torch.tensordot(x, w, 1)),
    "turned": ((WIDTH, HEADS, UNITS), lambda x, w: (x.unsqueeze(1) @ w.transpose(0, 1)).transpose(1, 2)),
    "turned, heads last": ((WIDTH, UNITS, HEADS), lambda x, w: (x[:, None] @ w.permute(2, 0, 1)).transpose(1, 2)),
    "laid out flat": ((WIDTH, HEADS, UNITS), lambda x, w: (x @ w.flatten(1)).unflatten(-1, (HEADS, UNITS))),
    "laid out, turned": (
        (UNITS, WIDTH, HEADS),
        lambda x, w: (x @ w.permute(1, 2, 0).reshape(WIDTH, -1)).unflatten(-1, (HEADS, UNITS)),
    ),
}
WRITE: dict[str, tuple[tuple[int, ...], Project]] = {
    "hkd": ((HEADS, UNITS, WIDTH), lambda y, w: torch.einsum("nthk,hkd->ntd", y, w)),
    "dhk": ((WIDTH, HEADS, UNITS), lambda y, w: torch.einsum("nthk,dhk->ntd", y, w)),
    "khd": ((UNITS, HEADS, WIDTH), lambda y, w: torch.einsum("nthk,khd->ntd", y, w)),
    "tensordot": ((HEADS, UNITS, WIDTH), lambda y, w: torch.tensordot(y, w, 2)),
    "laid out flat": ((HEADS, UNITS, WIDTH), lambda y, w: y.flatten(2) @ w.flatten(0, 1)),
}


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what heads attend to, all of shape (n, t, h, k)."""
    weights = torch.einsum("nthk,nshk->nhts", q, k).softmax(-1)
    return torch.einsum("nhts,nshk->nthk", weights, v)


def random(*shape: int) -> nn.Parameter:
    """Return a parameter of this shape."""
    return nn.Parameter(torch.randn(shape) / 2)


def heads(read: str, write: str, *, biased: bool = False) -> Net:
    """Return attention of a stream to itself, and a layer after it."""
    (shape, reading), (back, writing) = READ[read], WRITE[write]

    def forward(m: Net, x: Tensor) -> Tensor:
        q, k, v = (reading(x, w) for w in (m.q, m.k, m.v))
        q, v = (q + m.bq, v + m.bv) if biased else (q, v)
        return m.h(x + writing(attend(q, k, v), m.o)).mean(1)

    biases = {name: random(HEADS, UNITS) for name in ("bq", "bv") if biased}
    own = {name: random(*shape) for name in "qkv"}
    return Net(forward, **own, **biases, o=random(*back), h=nn.Linear(WIDTH, 3))


def packed_heads(*, units_last: bool = True) -> Net:
    """Return the same with queries, keys and values of one tensor (3, d, h, k), or (3, d, k, h)."""
    equation, *shape = ("ntd,cdhk->cnthk", HEADS, UNITS) if units_last else ("ntd,cdkh->cnthk", UNITS, HEADS)

    def forward(m: Net, x: Tensor) -> Tensor:
        return m.h(x + WRITE["hkd"][1](attend(*torch.einsum(equation, x, m.w)), m.o)).mean(1)

    return Net(forward, w=random(3, WIDTH, *shape), o=random(HEADS, UNITS, WIDTH), h=nn.Linear(WIDTH, 3))


def slots() -> Net:
    """Return experts that read a stream by slots (d, e, k) of their own."""

    def forward(m: Net, x: Tensor) -> Tensor:
        y = torch.einsum("ntd,dek->netk", x, m.phi)
        y = F.relu(torch.einsum("netk,ekf->netf", y, m.w)).sum(2)
        return m.h(torch.einsum("nef,efo->no", y, m.v))

    shapes = {"phi": (WIDTH, EXPERTS, UNITS), "w": (EXPERTS, UNITS, HIDDEN), "v": (EXPERTS, HIDDEN, WIDTH)}
    return Net(forward, **{name: random(*shape) for name, shape in shapes.items()}, h=nn.Linear(WIDTH, 3))
