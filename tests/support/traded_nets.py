"""Networks of units that trade places one by one between layers, and of such as only look like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from tests.support.layers import Net

VECTOR, SEQUENCE, IMAGE = (3,), (5, 3), (2, 5, 5)
Body = Callable[[Any, Tensor], Any]


@dataclass(frozen=True)
class Traded:
    """A network, the shape of one input, and how many units each of its groups has, those of blocks in all of them."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    units: tuple[int, ...]


def linear(inputs: int, outputs: int) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(inputs, outputs)


def conv(inputs: int, outputs: int, size: int = 3, **setting: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(inputs, outputs, size, padding=setting.pop("padding", size // 2), **setting)


def normed(inputs: int, outputs: int) -> Callable[[], nn.Module]:
    return lambda: weight_norm(nn.Linear(inputs, outputs))


def weights(*shape: int) -> Callable[[], nn.Parameter]:
    return lambda: nn.Parameter(torch.randn(shape))


def net(body: Body, shape: tuple[int, ...], units: tuple[int, ...], **parts: Callable[[], Any]) -> Traded:
    return Traded(lambda: Net(body, **{name: make() for name, make in parts.items()}), shape, units)


def two(
    body: Body, units: tuple[int, ...] = (7,), sizes: tuple[int, int] = (4, 3), **more: Callable[[], Any]
) -> Traded:
    """Return what has two branches, a and b beside c and d."""
    (h, k), out = sizes, 2
    own = {"a": linear(3, h), "b": linear(h, out), "c": linear(3, k), "d": linear(k, out)}
    return net(body, VECTOR, units, **(own | more))


def pair(way: Callable[[Tensor, Tensor], Tensor], units: tuple[int, ...] = (4, 8)) -> Traded:
    """Return what puts the units of two layers together, pair by pair."""
    return net(lambda m, x: m.o(way(m.a(x), m.c(x))), VECTOR, units, a=linear(3, 4), c=linear(3, 4), o=linear(4, 2))


def pieces(way: Callable[[Tensor], Tensor], units: tuple[int, ...] = (4, 8)) -> Traded:
    """Return what puts pieces of one layer together."""
    return net(lambda m, x: m.o(way(m.w(x))), VECTOR, units, w=linear(3, 8), o=linear(4, 2))


def beside(
    body: Body, shape: tuple[int, ...] = VECTOR, units: tuple[int, ...] = (7,), **more: Callable[[], Any]
) -> Traded:
    """Return what puts the units of two layers side by side."""
    layer = linear if shape == VECTOR else conv
    own = {"a": layer(shape[0], 4), "c": layer(shape[0], 3), "o": linear(7, 2)}
    return net(body, shape, units, **(own | more))


def _relu(m: Any, x: Tensor) -> Tensor:
    return m.b(F.relu(m.a(x))) + m.d(F.relu(m.c(x)))


def _einsum(m: Any, x: Tensor) -> Tensor:
    hidden = [torch.einsum("ni,hi->nh", x, w).relu() for w in (m.a, m.c)]
    return torch.einsum("nh,oh->no", hidden[0], m.b) + torch.einsum("nh,oh->no", hidden[1], m.d)


def _stream(m: Any, x: Tensor) -> Tensor:
    x = m.i(x)
    return m.o(F.relu(x + _relu(m, x)))


def _convolved(m: Any, x: Tensor) -> Tensor:
    return m.o((m.b(F.relu(m.n(m.a(x)))) + m.d(F.relu(m.k(m.c(x))))).mean((2, 3)))


def _pooled(m: Any, x: Tensor) -> Tensor:
    first, second = (F.max_pool2d(F.relu(layer(x)), 2).flatten(1) for layer in (m.a, m.c))
    return m.b(first) + m.d(second)


SUMMED = {
    "layers": two(_relu),
    "of one size": two(_relu, (8,), (4, 4)),
    "tanh": two(lambda m, x: m.b(m.a(x).tanh()) + m.d(m.c(x).tanh())),
    "averaged": two(lambda m, x: (m.b(m.a(x).relu()) + m.d(m.c(x).relu())) / 2),
    "halves": two(lambda m, x: 0.5 * m.b(m.a(x).relu()) + 0.5 * m.d(m.c(x).relu())),
    "stacked": two(lambda m, x: torch.stack([m.b(m.a(x).relu()), m.d(m.c(x).relu())]).mean(0), (8,), (4, 4)),
    "in a sequence": Traded(two(_relu).make, SEQUENCE, (7,)),
    "with slopes": two(
        lambda m, x: m.b(m.p(m.a(x))) + m.d(m.q(m.c(x))), p=lambda: nn.PReLU(4), q=lambda: nn.PReLU(3)
    ),
    "beside the input": two(
        lambda m, x: m.b(torch.cat([m.a(x).relu(), x], 1)) + m.d(torch.cat([m.c(x).relu(), x], 1)),
        b=linear(7, 2), d=linear(6, 2),
    ),
    "of weights with norms": two(_relu, a=normed(3, 4), c=normed(3, 3)),
    "read by one layer": net(
        lambda m, x: m.b(m.a(x).relu()) + m.b(m.c(x).relu()), VECTOR, (4, 8),
        a=linear(3, 4), b=linear(4, 2), c=linear(3, 4),
    ),
    "in a stream": net(
        _stream, VECTOR, (4, 5), i=linear(3, 4), a=linear(4, 3), b=linear(3, 4), c=linear(4, 2), d=linear(2, 4),
        o=linear(4, 2),
    ),
    "three": net(
        lambda m, x: _relu(m, x) + m.f(m.e(x).relu()), VECTOR, (9,),
        a=linear(3, 4), b=linear(4, 2), c=linear(3, 3), d=linear(3, 2), e=linear(3, 2), f=linear(2, 2),
    ),
    "modules": net(
        lambda m, x: sum(part(x) for part in m.parts), VECTOR, (9,),
        parts=lambda: nn.ModuleList(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)) for _ in range(3)),
    ),
    "convolutions": net(
        _convolved, IMAGE, (7, 3), a=conv(2, 4), n=lambda: nn.BatchNorm2d(4), b=conv(4, 3), c=conv(2, 3),
        k=lambda: nn.BatchNorm2d(3), d=conv(3, 3), o=linear(3, 2),
    ),
    "channels alone": net(
        lambda m, x: (m.b(m.e(m.a(x)).relu()) + m.d(m.f(m.c(x)).relu())).mean((2, 3)), IMAGE, (7,), a=conv(2, 4),
        e=conv(4, 4, groups=4), b=conv(4, 2, 1), c=conv(2, 3), f=conv(3, 3, groups=3), d=conv(3, 2, 1),
    ),
    "flattened": net(_pooled, (2, 4, 4), (7,), a=conv(2, 4), b=linear(16, 2), c=conv(2, 3), d=linear(12, 2)),
    "matrices": net(
        lambda m, x: F.relu(x @ m.a) @ m.b + F.relu(x @ m.c) @ m.d, VECTOR, (7,),
        a=weights(3, 4), b=weights(4, 2), c=weights(3, 3), d=weights(3, 2),
    ),
    "einsum": net(_einsum, VECTOR, (7,), a=weights(4, 3), b=weights(2, 4), c=weights(3, 3), d=weights(2, 3)),
    "the batch last": net(
        lambda m, x: (m.b @ F.relu(m.a @ x.T + m.p[:, None]) + m.d @ F.relu(m.c @ x.T + m.q[:, None])).T, VECTOR, (7,),
        a=weights(4, 3), b=weights(2, 4), c=weights(3, 3), d=weights(2, 3), p=weights(4), q=weights(3),
    ),
    "slices of one": net(
        lambda m, x: F.relu(x @ m.w[:, :4]) @ m.v[:4] + F.relu(x @ m.w[:, 4:]) @ m.v[4:], VECTOR, (7,),
        w=weights(3, 7), v=weights(7, 2),
    ),
    "pieces of a stack": net(
        lambda m, x: F.relu(x @ m.w[0]) @ m.v[0] + F.relu(x @ m.w[1]) @ m.v[1], VECTOR, (8,),
        w=weights(2, 3, 4), v=weights(2, 4, 2),
    ),
}  # fmt: skip
"""Units of layers whose results are summed."""

SIDE_BY_SIDE = {
    "layers": beside(lambda m, x: m.o(torch.cat([m.a(x).relu(), m.c(x).relu()], 1))),
    "then ReLU": beside(lambda m, x: m.o(torch.cat([m.a(x), m.c(x)], -1).relu())),
    "normed together": beside(
        lambda m, x: m.o(m.n(torch.cat([m.a(x), m.c(x)], 1))), n=lambda: nn.LayerNorm(7)
    ),
    "after others": beside(
        lambda m, x: m.o(torch.cat([torch.cat([m.a(x).relu(), m.c(x).relu()], 1), m.e(x).relu()], 1)), units=(9,),
        e=linear(3, 2), o=linear(9, 2),
    ),
    "after the input": beside(
        lambda m, x: m.o(torch.cat([x, m.a(x).relu(), m.c(x).relu()], 1)), o=linear(10, 2)
    ),
    "convolutions": beside(
        lambda m, x: m.o(m.n(torch.cat([m.a(x), m.c(x)], 1)).relu().mean((2, 3))), IMAGE, n=lambda: nn.BatchNorm2d(7)
    ),
    "flattened": beside(
        lambda m, x: m.o(torch.cat([m.a(x), m.c(x)], 1).relu().flatten(1)), IMAGE, o=linear(7 * 25, 2)
    ),
}  # fmt: skip
"""Units of layers that are put side by side."""


def _spread(m: Any, x: Tensor) -> Tensor:
    return m.o(torch.max(*m.w(x).chunk(2, 1)).mean((2, 3)))


def _with_gains(m: Any, x: Tensor) -> Tensor:
    one, two = m.w(x).view(-1, 2, 4).unbind(1)
    return m.o(torch.maximum(one * m.g, two * m.k))


FACTORS = {
    "products": pair(lambda a, c: a.relu() * c.relu()),
    "products of numbers": pair(lambda a, c: a * c),
    "the larger": pair(torch.maximum),
    "the smaller": pair(torch.minimum),
    "sums of exponentials": pair(torch.logaddexp),
    "distances": pair(lambda a, c: (a - c).abs()),
    "squared distances": pair(lambda a, c: (a - c) ** 2),
    "the largest of a stack": pair(lambda a, c: torch.stack([a, c]).amax(0)),
    "three factors": net(
        lambda m, x: m.o(m.a(x) * m.c(x) * m.e(x)), VECTOR, (4, 12),
        a=linear(3, 4), c=linear(3, 4), e=linear(3, 4), o=linear(4, 2),
    ),
    "chunks": pieces(lambda y: torch.mul(*y.chunk(2, -1))),
    "the larger of chunks": pieces(lambda y: torch.max(*y.chunk(2, -1))),
    "slices": pieces(lambda y: torch.max(y[:, :4], y[:, 4:])),
    "one by one": pieces(lambda y: torch.mul(*y.view(-1, 2, 4).unbind(1))),
    "channels": net(_spread, IMAGE, (4, 8), w=conv(2, 8), o=linear(4, 2)),
    "normed branches": net(
        lambda m, x: m.o(F.relu(m.n(m.a(x)) + m.k(m.c(x))).mean((2, 3))), IMAGE, (4, 8), a=conv(2, 4),
        n=lambda: nn.BatchNorm2d(4), c=conv(2, 4), k=lambda: nn.BatchNorm2d(4), o=linear(4, 2),
    ),
    "with gains": net(_with_gains, VECTOR, (4, 8), w=linear(3, 8), g=weights(4), k=weights(4), o=linear(4, 2)),
    "hidden": net(
        lambda m, x: m.o(m.h(m.a(m.i(x)).relu() * m.c(m.i(x)).relu()).relu()), VECTOR, (5, 4, 8, 3),
        i=linear(3, 5), a=linear(5, 4), c=linear(5, 4), h=linear(4, 3), o=linear(3, 2),
    ),
}  # fmt: skip
"""Units of two layers, or of pieces of one, that are put together pair by pair."""


def _read_twice(m: Any, x: Tensor) -> Tensor:
    hidden = m.a(x).relu()
    return m.b(hidden) + m.d(m.c(x).relu()) + hidden.sum(1, keepdim=True)


def _shown(m: Any, x: Tensor) -> Tensor:
    first = m.b(m.a(x).relu())
    return torch.cat([first, first + m.d(m.c(x).relu())], 1)


def _counted_twice(m: Any, x: Tensor) -> Tensor:
    first = m.b(m.a(x).relu())
    return first + m.d(m.c(x).relu()) + first


def _gated(m: Any, x: Tensor) -> Tensor:
    gate = m.g(x).softmax(1)
    return gate[:, :1] * m.b(m.a(x).relu()) + gate[:, 1:] * m.d(m.c(x).relu())


def _sliced(m: Any, x: Tensor) -> Tensor:
    both = torch.cat([m.a(x).relu(), m.c(x).relu()], 1)
    return m.o(both) + m.e(both[:, :4])


def _larger(m: Any, x: Tensor) -> Tensor:
    one = m.a(x)
    return m.o(torch.maximum(one, m.c(x))) + m.e(one)


SAME = (4, 4)
ALONE = {
    "one part through SiLU": pair(lambda a, c: F.silu(a) * c, (4,)),
    "one chunk through SiLU": pieces(lambda y: F.silu(y[:, :4]) * y[:, 4:], (4,)),
    "GLU": pieces(F.glu, (4,)),
    "one more than the other": pair(lambda a, c: a * (1 + c), (4,)),
    "other functions": two(lambda m, x: m.b(m.a(x).relu()) + m.d(m.c(x).tanh()), SAME, SAME),
    "other slopes": two(
        lambda m, x: m.b(F.leaky_relu(m.a(x), 0.1)) + m.d(F.leaky_relu(m.c(x), 0.2)), SAME, SAME
    ),
    "other inputs": two(lambda m, x: m.b(m.a(x).relu()) + m.d(m.c(2 * x).relu()), SAME, SAME),
    "a gain after one": two(
        lambda m, x: m.b(m.a(x).relu()) * m.g + m.d(m.c(x).relu()), SAME, SAME, g=weights(2)
    ),
    "a gain after each": two(
        lambda m, x: m.b(m.a(x).relu()) * m.g + m.d(m.c(x).relu()) * m.k, SAME, SAME, g=weights(2), k=weights(2)
    ),
    "a norm after each": two(
        lambda m, x: m.n(m.b(m.a(x).relu())) + m.k(m.d(m.c(x).relu())), SAME, SAME,
        n=lambda: nn.LayerNorm(2), k=lambda: nn.LayerNorm(2),
    ),
    "normed in each": two(
        lambda m, x: m.b(m.n(m.a(x))) + m.d(m.k(m.c(x))), SAME, SAME,
        n=lambda: nn.LayerNorm(4), k=lambda: nn.LayerNorm(4),
    ),
    "set against each other": two(lambda m, x: m.b(m.a(x).softmax(1)) + m.d(m.c(x).softmax(1)), SAME, SAME),
    "squared sums": two(lambda m, x: m.b(m.a(x).relu()) ** 2 + m.d(m.c(x).relu()) ** 2, SAME, SAME),
    "a difference": two(lambda m, x: m.b(m.a(x).relu()) - m.d(m.c(x).relu()), SAME, SAME),
    "read elsewhere": two(_read_twice, SAME, SAME),
    "shown before": two(_shown, SAME, SAME),
    "counted twice": two(_counted_twice, SAME, SAME),
    "gated": two(_gated, SAME, SAME, g=linear(3, 2)),
    "deeper": net(
        lambda m, x: m.b(m.e(m.a(x).relu()).relu()) + m.d(m.f(m.c(x).relu()).relu()), VECTOR, (4, 3, 4, 3),
        a=linear(3, 4), e=linear(4, 3), b=linear(3, 2), c=linear(3, 4), f=linear(4, 3), d=linear(3, 2),
    ),
    "other kernels": net(
        lambda m, x: (m.b(m.a(x).relu()) + m.d(m.c(x).relu())).mean((2, 3)), IMAGE, SAME,
        a=conv(2, 4), b=conv(4, 2, 1), c=conv(2, 4, 1), d=conv(4, 2, 1),
    ),
    "other strides": net(
        lambda m, x: m.b(m.a(x).relu()).mean((2, 3)) + m.d(m.c(x).relu()).mean((2, 3)), IMAGE, SAME,
        a=conv(2, 4, stride=2), b=conv(4, 2, 1), c=conv(2, 4), d=conv(4, 2, 1),
    ),
    "other channels": net(_spread, IMAGE, (4,), w=conv(2, 8, groups=2), o=linear(4, 2)),
    "read in groups": beside(
        lambda m, x: m.o(m.e(torch.cat([m.a(x), m.c(x)], 1).relu()).relu().mean((2, 3))), IMAGE, (2, 2, 3, 3),
        a=conv(2, 3), e=conv(6, 4, 1, groups=2), o=linear(4, 2),
    ),
    "one slice read besides": beside(_sliced, units=(4, 3), e=linear(4, 2)),
    "one of two read besides": net(
        _larger, VECTOR, (4,), a=linear(3, 4), c=linear(3, 4), o=linear(4, 2), e=linear(4, 2)
    ),
}  # fmt: skip
"""Units that do not trade places across layers."""
