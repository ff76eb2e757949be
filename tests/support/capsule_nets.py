"""Capsules that capsules are routed to by agreement, their weights of several shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.support.layers import Net

READ, SIZE, CLASSES, UNITS = 2, 3, 2, 4
"""How many capsules are read, of how many units, and how many are written, of how many."""


def numbers(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape))


def squashed(v: Tensor) -> Tensor:
    norm = v.norm(dim=-1, keepdim=True)
    return norm / (1 + norm**2) * v


def routed(h: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """Return capsules, shape (b, j, m), of what each has of all that are read, shape (b, n, j, m)."""
    agreed = torch.zeros_like(h[..., 0])
    for _ in range(2):
        v = squashed((agreed.softmax(2)[..., None] * h).sum(1) + bias)
        agreed = agreed + (h * v[:, None]).sum(-1)
    return v


def _read(m: Net, x: Tensor) -> Tensor:
    return squashed(m.p(x).view(-1, READ, SIZE))


def _net(body: Callable[[Net, Tensor], Tensor], **parts: nn.Parameter) -> Net:
    return Net(body, p=nn.Linear(3, READ * SIZE), **parts)


def by_einsum() -> Net:
    return _net(
        lambda m, x: routed(torch.einsum("bnd,njdm->bnjm", _read(m, x), m.w)).norm(dim=-1),
        w=numbers(READ, CLASSES, SIZE, UNITS),
    )


def by_matmul() -> Net:
    return _net(
        lambda m, x: routed((m.w @ _read(m, x)[:, :, None, :, None]).squeeze(-1)).norm(dim=-1),
        w=numbers(READ, CLASSES, UNITS, SIZE),
    )


def classes_first() -> Net:
    def body(m: Net, x: Tensor) -> Tensor:
        h = (_read(m, x)[None, :, :, None, :] @ m.w[:, None]).squeeze(-2)
        return routed(h.permute(1, 2, 0, 3)).norm(dim=-1)

    return _net(body, w=numbers(CLASSES, READ, SIZE, UNITS))


def expanded_with_bias() -> Net:
    def body(m: Net, x: Tensor) -> Tensor:
        weights = m.w.expand(len(x), -1, -1, -1, -1)
        return routed((weights @ _read(m, x)[:, :, None, :, None]).squeeze(-1), m.b).norm(dim=-1)

    return _net(body, w=numbers(1, READ, CLASSES, UNITS, SIZE), b=numbers(CLASSES, UNITS))


ROUTED = {each.__name__: each for each in (by_einsum, by_matmul, classes_first, expanded_with_bias)}
"""Capsules of which each class has one."""


def two_layers(hidden: int) -> Net:
    """Return capsules of classes that read as many others, which trade places."""

    def body(m: Net, x: Tensor) -> Tensor:
        v = routed(torch.einsum("bnd,njdm->bnjm", _read(m, x), m.w))
        return routed(torch.einsum("bnd,njdm->bnjm", v, m.u)).norm(dim=-1)

    return _net(body, w=numbers(READ, hidden, SIZE, UNITS), u=numbers(hidden, CLASSES, UNITS, SIZE))


def of_a_convolution() -> Net:
    """Return capsules that read such of each place of an image, by weights of each place."""

    def body(m: Net, x: Tensor) -> Tensor:
        read = squashed(m.c(x).view(len(x), READ, SIZE, 4).transpose(2, 3))
        return routed(torch.einsum("btpd,tpjdm->btpjm", read, m.w).flatten(1, 2)).norm(dim=-1)

    return Net(body, c=nn.Conv2d(1, READ * SIZE, 2), w=numbers(READ, 4, CLASSES, SIZE, UNITS))
