"""Experts, blocks and layers in one parameter, taken by slices; grouped convolutions with weights that are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net

EXPERTS, WIDTH, HIDDEN, GROUPS = 3, 4, 5, 2
IMAGE = (2, 4, 4)


def numbers(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape))


def mixture(body: Callable[[Net, Tensor, Tensor], Tensor], **shapes: tuple[int, ...]) -> Callable[[], Net]:
    """Return what makes a mixture of experts between two layers, of a stream and a gate."""

    def forward(m: Net, x: Tensor) -> Tensor:
        h = F.relu(m.i(x))
        return m.o(body(m, h, m.g(h).softmax(-1)))

    linear = {"i": (3, WIDTH), "g": (WIDTH, EXPERTS), "o": (WIDTH, 2)}
    return lambda: Net(
        forward,
        **{name: nn.Linear(*sizes) for name, sizes in linear.items()},
        **{name: numbers(*shape) for name, shape in shapes.items()},
    )


def gated(take: Callable[[Tensor], Any], *shape: int) -> Callable[[], Net]:
    """Experts of a gate and a value, whose matrices are taken of one parameter."""

    def body(m: Net, h: Tensor, gate: Tensor) -> Tensor:
        first, second = (torch.einsum("bd,edh->beh", h, w) for w in take(m.w))
        return torch.einsum("beh,ehd,be->bd", torch.tanh(first) * second, m.v, gate)

    return mixture(body, w=shape, v=(EXPERTS, HIDDEN, WIDTH))


def two_layers(m: Net, h: Tensor, gate: Tensor) -> Tensor:
    """Experts of two layers of one parameter each, batch first."""
    z = h.expand(EXPERTS, -1, -1)
    for k in range(2):
        z = F.relu(torch.baddbmm(m.b[k][:, None], z, m.w[k]))
    return (torch.bmm(z, m.v) * gate.t()[..., None]).sum(0)


def inputs_first(m: Net, h: Tensor, gate: Tensor) -> Tensor:
    z = torch.tanh(torch.einsum("bd,deh->beh", h, m.w[0])) * torch.einsum("bd,deh->beh", h, m.w[1])
    return torch.einsum("beh,hed,be->bd", z, m.v, gate)


def both_at_once(m: Net, h: Tensor, gate: Tensor) -> Tensor:
    z = torch.einsum("bd,kedh->bkeh", h, m.w)
    return torch.einsum("beh,ehd,be->bd", torch.tanh(z[:, 0]) * z[:, 1], m.v, gate)


def one_by_one(m: Net, h: Tensor, gate: Tensor) -> Tensor:
    return sum(gate[:, e : e + 1] * ((torch.tanh(h @ m.w[0][e]) * (h @ m.w[1, e])) @ m.v[e]) for e in range(EXPERTS))


def weighted_by_place(m: Net, h: Tensor, gate: Tensor) -> Tensor:
    z = torch.einsum("bd,edh->beh", h, m.w[0]) * torch.tensor([1.0, 2.0, 3.0], dtype=h.dtype)[:, None]
    return torch.einsum("beh,ehd,be->bd", torch.tanh(z), m.w[1].mT, gate)


E_D_H = (EXPERTS, WIDTH, HIDDEN)
SLICED: dict[str, Callable[[], Net]] = {
    "by number": gated(lambda w: (w[0], w[1]), 2, *E_D_H),
    "unbound": gated(lambda w: w.unbind(0), 2, *E_D_H),
    "chunked": gated(lambda w: [piece.squeeze(0) for piece in w.chunk(2)], 2, *E_D_H),
    "experts first": gated(lambda w: (w[:, 0], w[:, 1]), EXPERTS, 2, WIDTH, HIDDEN),
    "last": gated(lambda w: w.permute(3, 0, 1, 2).unbind(0), *E_D_H, 2),
    "halves of the experts": gated(lambda w: w.chunk(2), 2 * EXPERTS, WIDTH, HIDDEN),
    "halves by slices": gated(lambda w: (w[:EXPERTS], w[EXPERTS:]), 2 * EXPERTS, WIDTH, HIDDEN),
    "viewed as halves": gated(lambda w: w.view(2, *E_D_H), 2 * EXPERTS, WIDTH, HIDDEN),
    "of made weights": gated(lambda w: (torch.tanh(w[0]), 2 * w[1]), 2, *E_D_H),
    "inputs first": mixture(inputs_first, w=(2, WIDTH, EXPERTS, HIDDEN), v=(HIDDEN, EXPERTS, WIDTH)),
    "both at once": mixture(both_at_once, w=(2, *E_D_H), v=(EXPERTS, HIDDEN, WIDTH)),
}
"""Mixtures whose experts trade places, each with hidden units of its own."""
SLICED_OTHERWISE: dict[str, Callable[[], Net]] = {
    "two layers": mixture(two_layers, w=(2, EXPERTS, WIDTH, WIDTH), b=(2, EXPERTS, WIDTH), v=(EXPERTS, WIDTH, WIDTH)),
    "one by one": mixture(one_by_one, w=(2, *E_D_H), v=(EXPERTS, HIDDEN, WIDTH)),
    "weighted by place": mixture(weighted_by_place, w=(2, *E_D_H)),
}


def spectral_blocks(*, written: bool = False) -> Net:
    """Blocks of complex numbers, real and imaginary parts in one parameter, as an adaptive Fourier operator mixes.

    `written`: what they make is written into zeros, by slices.
    """

    def into_zeros(made: Tensor) -> Tensor:
        target = torch.zeros(made.shape, dtype=made.dtype)
        target[:, 0 : made.shape[1]] = made
        return target if written else made

    def forward(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        z = torch.fft.rfft(h.unflatten(-1, (EXPERTS, -1)), dim=1, norm="ortho")
        real, imaginary = z.real, z.imag
        for w, b in ((m.w1, m.b1), (m.w2, m.b2)):
            product = [[torch.einsum("...bi,bio->...bo", part, w[k]) for k in range(2)] for part in (real, imaginary)]
            real = into_zeros(F.relu(product[0][0] - product[1][1] + b[0]))
            imaginary = into_zeros(F.relu(product[1][0] + product[0][1] + b[1]))
        y = torch.view_as_complex(torch.stack([real, imaginary], -1))
        return m.o(F.relu(h + torch.fft.irfft(y, n=x.shape[1], dim=1, norm="ortho").flatten(2))).mean(1)

    shapes = {"w1": (2, EXPERTS, 2, 4), "b1": (2, EXPERTS, 4), "w2": (2, EXPERTS, 4, 2), "b2": (2, EXPERTS, 2)}
    parts = {name: numbers(*shape) for name, shape in shapes.items()}
    return Net(forward, i=nn.Linear(2, 2 * EXPERTS), o=nn.Linear(2 * EXPERTS, 2), **parts)


def layers_of_experts() -> Net:
    def forward(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        for k in range(2):
            z = F.relu(torch.einsum("bd,edh->beh", h, m.w[k]) + m.b[k])
            h = h + torch.einsum("beh,ehd,be->bd", z, m.v[k], F.linear(h, m.g[k]).softmax(-1))
        return m.o(h)

    shapes = {"w": (2, *E_D_H), "b": (2, EXPERTS, HIDDEN), "v": (2, EXPERTS, HIDDEN, WIDTH), "g": (2, EXPERTS, WIDTH)}
    parts = {name: numbers(*shape) for name, shape in shapes.items()}
    return Net(forward, i=nn.Linear(3, WIDTH), o=nn.Linear(WIDTH, 2), **parts)


def standardized(w: Tensor) -> Tensor:
    return (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)


def by_variance(w: Tensor) -> Tensor:
    variance, mean = torch.var_mean(w, dim=(1, 2, 3), keepdim=True, unbiased=False)
    return (w - mean) / torch.sqrt(variance + 1e-5)


def by_batch_norm(w: Tensor) -> Tensor:
    return F.batch_norm(w.reshape(1, len(w), -1), None, None, training=True, momentum=0.0, eps=1e-6).reshape_as(w)


def laid_out_flat(w: Tensor) -> Tensor:
    rows = w.view(len(w), -1)
    return ((rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True)).view_as(w)


def grouped(
    make: Callable[[Tensor], Tensor], shape: tuple[int, ...] = (6, 2, 3, 3), *, gate: bool = False
) -> Callable[[], Net]:
    """A convolution of two groups whose weights are made of a parameter, perhaps gated by grouped ones."""

    def forward(m: Net, x: Tensor) -> Tensor:
        h = F.relu(F.conv2d(F.relu(m.a(x)), make(m.w), m.b, padding=1, groups=GROUPS))
        if gate:
            s = F.relu(F.conv2d(h.mean((2, 3), keepdim=True), make(m.d), groups=GROUPS))
            h = h * torch.sigmoid(F.conv2d(s, make(m.u), groups=GROUPS))
        return m.o(h.mean((2, 3)))

    more = {"d": numbers(6, 3, 1, 1), "u": numbers(6, 3, 1, 1)} if gate else {}
    return lambda: Net(forward, a=nn.Conv2d(2, 4, 1), w=numbers(*shape), b=numbers(6), o=nn.Linear(6, 2), **more)


MADE: dict[str, Callable[[], Net]] = {
    "standardized": grouped(standardized),
    "by variance": grouped(by_variance),
    "by batch-norm": grouped(by_batch_norm),
    "laid out flat": grouped(laid_out_flat),
    "of a matrix": grouped(lambda w: w.view(6, 2, 3, 3), (6, 18)),
    "of a stack": grouped(lambda w: (w - w.mean((2, 3, 4), keepdim=True)).flatten(0, 1), (2, 3, 2, 3, 3)),
}
"""Two groups that trade places, of two channels read and three written, which do so within."""
SHARED: dict[str, Callable[[], Net]] = {
    "against the other group": grouped(lambda w: w - w.unflatten(0, (GROUPS, -1)).flip(0).flatten(0, 1)),
    "against the mean of all rows": grouped(lambda w: w - w.mean(0, keepdim=True)),
}
"""Such in which what a group reads is in the order of what the other does."""
