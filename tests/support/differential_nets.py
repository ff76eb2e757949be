"""Attention by the difference of two softmaxes in each head (Ye et al., 2024), in the ways that people write it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net

HEADS, HALF, STREAM = 3, 2, 5
Maps = Callable[[Net, Tensor], tuple[Tensor, Tensor]]
Weight = Callable[[Net], Tensor]


def _laid_out(m: Net, h: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys of twice as many heads, side by side."""
    q, k = (layer(h).view(*h.shape[:2], 2 * HEADS, HALF).transpose(1, 2) for layer in (m.q, m.k))
    return q, k


def viewed(m: Net, h: Tensor) -> tuple[Tensor, Tensor]:
    q, k = _laid_out(m, h)
    maps = F.softmax(q @ k.mT, -1).view(len(h), HEADS, 2, *h.shape[1:2] * 2)
    return maps[:, :, 0], maps[:, :, 1]


def every_other(m: Net, h: Tensor) -> tuple[Tensor, Tensor]:
    q, k = _laid_out(m, h)
    maps = torch.einsum("bhnd,bhmd->bhnm", q, k).softmax(-1)
    return maps[:, 0::2], maps[:, 1::2]


def by_pieces(m: Net, h: Tensor) -> tuple[Tensor, Tensor]:
    q, k = (layer(h).view(*h.shape[:2], HEADS, 2, HALF).permute(3, 0, 2, 1, 4) for layer in (m.q, m.k))
    first, second = (torch.matmul(a, b.transpose(-1, -2)).softmax(-1) for a, b in zip(q, k, strict=True))
    return first, second


def by_halves(m: Net, h: Tensor) -> tuple[Tensor, Tensor]:
    q, k = _laid_out(m, h)
    first, second = F.softmax(q @ k.mT, -1).chunk(2, 1)
    return first, second


def of_products(m: Net) -> Tensor:
    """One number for all heads."""
    return (m.q1 * m.k1).sum(-1).exp() - (m.q2 * m.k2).sum(-1).exp() + 0.2


def of_products_by_head(m: Net) -> Tensor:
    return of_products(m)[:, None, None]


def by_head(m: Net) -> Tensor:
    return m.weight[:, None, None]


def differential(maps: Maps, weight: Weight, *, norm: bool = False) -> Callable[[], Net]:
    """Return what makes a layer of attention by maps of each head, of which the second counts by a weight."""

    def forward(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        v = m.v(h).view(*h.shape[:2], HEADS, 2 * HALF).transpose(1, 2)
        first, second = maps(m, h)
        y = (first - weight(m) * second) @ v
        if norm:
            y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-5) * m.gain
        return m.o(y.transpose(1, 2).flatten(2)).mean(1)

    def make() -> Net:
        width = 2 * HEADS * HALF
        parts: dict[str, nn.Module | nn.Parameter] = {name: nn.Linear(STREAM, width, bias=False) for name in "qkv"}
        parts |= {"gain": nn.Parameter(torch.randn(2 * HALF))} if norm else {}
        if weight is by_head:
            parts["weight"] = nn.Parameter(torch.randn(HEADS))
        else:
            shape = (HALF,) if weight is of_products else (HEADS, HALF)
            parts |= {name: nn.Parameter(torch.randn(*shape)) for name in ("q1", "k1", "q2", "k2")}
        return Net(forward, i=nn.Linear(2, STREAM), o=nn.Linear(width, 2), **parts)

    return make


DIFFERENTIAL: dict[str, Callable[[], Net]] = {
    "viewed, one weight": differential(viewed, of_products),
    "viewed, weights by head, normed": differential(viewed, of_products_by_head, norm=True),
    "viewed, numbers by head, normed": differential(viewed, by_head, norm=True),
    "every other, numbers by head": differential(every_other, by_head),
    "every other, weights by head": differential(every_other, of_products_by_head),
    "by pieces, normed": differential(by_pieces, of_products, norm=True),
    "by halves, weights by head": differential(by_halves, of_products_by_head),
}
"""Layers whose heads trade places, each with its two pairs of queries and keys, which do not."""
