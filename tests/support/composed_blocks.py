"""Blocks that networks are composed of at random (tests/support/composed.py), small, as people write them.

Each is a function of a random source and the width of the stream: it returns a module on the stream and its new width.
Streams are vectors (batch, width), tokens (batch, places, width) or images (batch, width, 4, 4); what `ANY` holds
works along the last axis of either of the first two.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from tests.support.layers import EPS, Net, parameter

Block = Callable[[Random, int], tuple[nn.Module, int]]
ANY: dict[str, Block] = {}
VECTORS: dict[str, Block] = {}
TOKENS: dict[str, Block] = {}
IMAGES: dict[str, Block] = {}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "square relu": lambda x: F.relu(x).square(),
    "sin": torch.sin,
}
LINEAR, PLACES, SIZE = nn.Linear, 3, 4


def act(random: Random) -> Callable[[Tensor], Tensor]:
    return ACTIVATIONS[random.choice(list(ACTIVATIONS))]


def width(random: Random) -> int:
    return random.choice([4, 4, 6])


def kind(table: dict[str, Block], name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a maker of a module that may change the width: `make(random, d)` returns it, or both."""

    def put(make: Callable[..., Any]) -> Callable[..., Any]:
        def block(random: Random, d: int) -> tuple[nn.Module, int]:
            made = make(random, d)
            return made if isinstance(made, tuple) else (made, d)

        table[name] = block
        return make

    return put


def weights(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape))


# Of vectors, or of each token


@kind(ANY, "linear")
def _(random: Random, d: int) -> Any:
    e, f = width(random), act(random)
    return Net(lambda m, x: f(m.a(x)), a=LINEAR(d, e, bias=random.random() < 0.7)), e


@kind(ANY, "residual mlp")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: x + m.b(f(m.a(x))), a=LINEAR(d, 5), b=LINEAR(5, d))


@kind(ANY, "pre-norm mlp")
def _(random: Random, d: int) -> Any:
    f = act(random)
    norm = random.choice([nn.LayerNorm, nn.RMSNorm])
    return Net(lambda m, x: x + m.b(f(m.a(m.n(x)))), n=norm(d, eps=EPS), a=LINEAR(d, 5), b=LINEAR(5, d))


@kind(ANY, "gated mlp")
def _(random: Random, d: int) -> Any:
    gate = random.choice([torch.sigmoid, F.silu, F.gelu])
    return Net(lambda m, x: x + m.c(gate(m.a(x)) * m.b(x)), a=LINEAR(d, 5), b=LINEAR(d, 5), c=LINEAR(5, d))


@kind(ANY, "gated mlp, fused")
def _(random: Random, d: int) -> Any:
    gate = random.choice([torch.sigmoid, F.silu, F.gelu])
    return Net(lambda m, x: m.c((lambda u, v: gate(u) * v)(*m.a(x).chunk(2, -1))), a=LINEAR(d, 10), c=LINEAR(5, d))


@kind(ANY, "highway")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        t = torch.sigmoid(m.t(x))
        return t * F.relu(m.h(x)) + (1 - t) * x

    return Net(body, t=LINEAR(d, d), h=LINEAR(d, d))


@kind(ANY, "layer-norm")
def _(random: Random, d: int) -> Any:
    return nn.LayerNorm(d, eps=EPS, elementwise_affine=random.random() < 0.7)


@kind(ANY, "rms-norm")
def _(random: Random, d: int) -> Any:
    return nn.RMSNorm(d, eps=EPS, elementwise_affine=random.random() < 0.7)


@kind(ANY, "norm by hand")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.g * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + EPS), g=parameter(d))


@kind(ANY, "gains of a KAN layer")
def _(random: Random, d: int) -> Any:
    e = width(random)

    def body(m: Any, x: Tensor) -> Tensor:
        basis = torch.stack([torch.sin(k * x) for k in range(1, 4)], -1)
        spline = (m.w * m.s[..., None]).view(e, -1)
        return F.linear(F.silu(x), m.base) + F.linear(basis.flatten(-2), spline)

    return Net(body, base=weights(e, d), w=weights(e, d, 3), s=weights(e, d)), e


@kind(ANY, "BatchEnsemble member")
def _(random: Random, d: int) -> Any:
    e, f = width(random), act(random)
    return Net(lambda m, x: f(m.a(x * m.r) * m.s), a=LINEAR(d, e, bias=False), r=parameter(d), s=parameter(e)), e


@kind(ANY, "BatchEnsemble averaged")
def _(random: Random, d: int) -> Any:
    e, f = width(random), act(random)
    return Net(
        lambda m, x: f(m.a(x.unsqueeze(-2) * m.r) * m.s).mean(-2),
        a=LINEAR(d, e, bias=False),
        r=weights(2, d),
        s=weights(2, e),
    ), e


@kind(ANY, "ensemble stack averaged")
def _(random: Random, d: int) -> Any:
    e, f = width(random), act(random)
    return Net(
        lambda m, x: torch.einsum("...kh,kho->...o", f(torch.einsum("...i,kih->...kh", x, m.w) + m.b), m.v) / 2,
        w=weights(2, d, 3),
        b=weights(2, 3),
        v=weights(2, 3, e),
    ), e


@kind(ANY, "weight norm")
def _(random: Random, d: int) -> Any:
    e, f = width(random), act(random)
    return Net(lambda m, x: f(m.a(x)), a=parametrizations.weight_norm(LINEAR(d, e))), e


@kind(ANY, "spectral norm")
def _(random: Random, d: int) -> Any:
    e, f = width(random), act(random)
    return Net(lambda m, x: f(m.a(x)), a=parametrizations.spectral_norm(LINEAR(d, e))), e


@kind(ANY, "concatenation")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: torch.cat([x, f(m.a(x))], -1), a=LINEAR(d, 3)), d + 3


@kind(ANY, "branches")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: torch.cat([F.relu(m.a(x)), torch.tanh(m.b(x))], -1), a=LINEAR(d, 3), b=LINEAR(d, 3)), 6


@kind(ANY, "FiLM")
def _(random: Random, d: int) -> Any:
    f = act(random)

    def body(m: Any, x: Tensor) -> Tensor:
        gamma, beta = m.c(x[..., :1] if m.part else x).chunk(2, -1)
        return f(m.a(x) * (1 + gamma) + beta)

    net = Net(body, a=LINEAR(d, 4), c=LINEAR(d, 8))
    net.part = False
    return net, 4


@kind(ANY, "hypernetwork")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.relu(x @ m.g(m.z).view(d, 4)), z=weights(3), g=LINEAR(3, 4 * d)), 4


@kind(ANY, "hypernetwork of the input")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: F.relu((x[..., None, :] @ m.g(torch.tanh(m.h(x))).unflatten(-1, (d, 4))).squeeze(-2)),
        h=LINEAR(d, 3),
        g=LINEAR(3, 4 * d),
    ), 4


@kind(ANY, "stacked experts")
def _(random: Random, d: int) -> Any:
    f = act(random)

    def body(m: Any, x: Tensor) -> Tensor:
        gate = m.gate(x).softmax(-1)
        hidden = f(torch.einsum("...i,kih->...kh", x, m.w) + m.b)
        return x + torch.einsum("...k,...kh,kho->...o", gate, hidden, m.v)

    return Net(body, gate=LINEAR(d, 3), w=weights(3, d, 3), b=weights(3, 3), v=weights(3, 3, d))


@kind(ANY, "stacked experts by bmm")
def _(random: Random, d: int) -> Any:
    f = act(random)

    def body(m: Any, x: Tensor) -> Tensor:
        flat = x.reshape(-1, d)
        hidden = f(torch.bmm(flat[None].expand(3, -1, -1), m.w))
        each = torch.bmm(hidden, m.v)
        gate = m.gate(flat).softmax(-1)
        return (gate.t()[..., None] * each).sum(0).view(x.shape)

    return Net(body, gate=LINEAR(d, 3), w=weights(3, d, 3), v=weights(3, 3, d))


@kind(ANY, "experts that are modules")
def _(random: Random, d: int) -> Any:
    f = act(random)

    def body(m: Any, x: Tensor) -> Tensor:
        gate = m.gate(x).softmax(-1)
        return sum(gate[..., k : k + 1] * expert(x) for k, expert in enumerate(m.experts))

    expert = lambda: Net(lambda m, x: m.b(f(m.a(x))), a=LINEAR(d, 3), b=LINEAR(3, d))  # noqa: E731
    return Net(body, gate=LINEAR(d, 3), experts=nn.ModuleList(expert() for _ in range(3)))


@kind(ANY, "experts that are modules, stacked outputs")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        gate = m.gate(x).softmax(-1)
        return (torch.stack([expert(x) for expert in m.experts], -1) * gate.unsqueeze(-2)).sum(-1)

    return Net(
        body, gate=LINEAR(d, 3), experts=nn.ModuleList(nn.Sequential(LINEAR(d, 4), nn.Tanh()) for _ in range(3))
    ), 4


@kind(ANY, "ReZero")
def _(random: Random, d: int) -> Any:
    f, shape = act(random), random.choice([(), (1,)])
    return Net(lambda m, x: x + m.s * m.b(f(m.a(x))), a=LINEAR(d, 5), b=LINEAR(5, d), s=parameter(*shape))


@kind(ANY, "layer scale")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: x + m.s * m.b(f(m.a(x))), a=LINEAR(d, 5), b=LINEAR(5, d), s=parameter(d))


@kind(ANY, "bilinear")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: m.both(m.a(x), torch.tanh(m.b(x))), a=LINEAR(d, 3), b=LINEAR(d, 2), both=nn.Bilinear(3, 2, 4)
    ), 4


@kind(ANY, "low rank")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: f(F.linear(x, m.w + m.l @ m.r)), w=weights(4, d), l=weights(4, 2), r=weights(2, d)), 4


@kind(ANY, "maxout")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.a(x).unflatten(-1, (4, 2)).amax(-1), a=LINEAR(d, 8)), 4


@kind(ANY, "factorisation machine")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: (
            m.a(x)
            + 0.5
            * (torch.einsum("...i,iko->...ko", x, m.v) ** 2 - torch.einsum("...i,iko->...ko", x**2, m.v**2)).sum(-2)
        ),
        a=LINEAR(d, 4),
        v=weights(d, 2, 4),
    ), 4


@kind(ANY, "cross layer")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x * m.a(x) + x, a=LINEAR(d, d))


@kind(ANY, "cross layer of rank one")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x * (x @ m.w)[..., None] + m.b + x, w=weights(d), b=weights(d))


@kind(ANY, "Kronecker factors")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.relu(F.linear(x, torch.kron(m.l, m.r))), l=weights(2, 2), r=weights(2, d // 2)), 4


@kind(ANY, "block diagonal")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(
        lambda m, x: f(torch.einsum("...gi,gio->...go", x.unflatten(-1, (2, -1)), m.w)).flatten(-2),
        w=weights(2, d // 2, 3),
    ), 6


@kind(ANY, "block diagonal, shuffled")
def _(random: Random, d: int) -> Any:
    f = act(random)

    def body(m: Any, x: Tensor) -> Tensor:
        h = f(torch.einsum("...gi,gio->...go", x.unflatten(-1, (2, -1)), m.w))
        return torch.einsum("...gi,gio->...go", h.mT, m.v).flatten(-2)

    return Net(body, w=weights(2, d // 2, 2), v=weights(2, 2, 3)), 6


@kind(ANY, "tied twice")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: f(m.a(f(m.a(x)))), a=LINEAR(d, d))


@kind(ANY, "tied and transposed")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: F.linear(f(m.a(x)), m.a.weight.t(), m.b), a=LINEAR(d, 5), b=parameter(d))


@kind(ANY, "prelu")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.leaky_relu(m.a(x)) * m.g + m.b, a=LINEAR(d, 4), g=parameter(4), b=parameter(4)), 4


@kind(ANY, "learned exponent")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.a(x) * torch.sigmoid(m.beta * m.a(x)), a=LINEAR(d, 4), beta=parameter(4)), 4


@kind(ANY, "snake")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: (lambda h: h + torch.sin(m.s * h) ** 2 / m.s)(m.a(x)), a=LINEAR(d, 4), s=parameter(4)), 4


@kind(ANY, "softmax over units")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: (m.a(x) / m.t).softmax(-1), a=LINEAR(d, 4), t=parameter(1)), 4


@kind(ANY, "unit length")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.normalize(m.a(x), dim=-1), a=LINEAR(d, 4)), 4


@kind(ANY, "cosine layer")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: m.s * F.linear(F.normalize(x, dim=-1), F.normalize(m.w, dim=-1)), w=weights(4, d), s=parameter(1)
    ), 4


@kind(ANY, "distances to centres")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: torch.exp(-m.beta * ((x[..., None, :] - m.c) ** 2).sum(-1)), c=weights(4, d), beta=parameter(4)
    ), 4


@kind(ANY, "random dropout of halves")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: torch.cat([x[..., : d // 2], m.a(x[..., d // 2 :])], -1), a=LINEAR(d - d // 2, 3)
    ), d // 2 + 3


@kind(ANY, "coupling")
def _(random: Random, d: int) -> Any:
    h = d // 2

    def body(m: Any, x: Tensor) -> Tensor:
        a, b = x[..., :h], x[..., h:]
        s, t = m.n(torch.tanh(m.a(a))).chunk(2, -1)
        return torch.cat([a, b * torch.exp(0.3 * torch.tanh(s)) + t], -1)

    return Net(body, a=LINEAR(h, 4), n=LINEAR(4, 2 * (d - h)))


@kind(ANY, "complex layer")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        z = torch.view_as_complex(m.a(x).unflatten(-1, (3, 2)))
        y = z @ torch.complex(m.re, m.im)
        return F.relu(torch.cat([y.real, y.imag], -1))

    return Net(body, a=LINEAR(d, 6), re=weights(3, 2), im=weights(3, 2)), 4


@kind(ANY, "masked layer")
def _(random: Random, d: int) -> Any:
    mask = (torch.arange(4)[:, None] >= torch.arange(d)[None]).double()
    return Net(lambda m, x: F.relu(F.linear(x, m.w * m.mask, m.b)), w=weights(4, d), b=weights(4), mask=mask), 4


@kind(ANY, "neural decision tree")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        p = torch.sigmoid(m.a(x))
        leaves = torch.stack(
            [
                p[..., 0] * p[..., 1],
                p[..., 0] * (1 - p[..., 1]),
                (1 - p[..., 0]) * p[..., 2],
                (1 - p[..., 0]) * (1 - p[..., 2]),
            ],
            -1,
        )
        return leaves @ m.w

    return Net(body, a=LINEAR(d, 3), w=weights(4, 4)), 4


@kind(ANY, "vector quantities averaged")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.a(x).unflatten(-1, (4, 3)).norm(dim=-1), a=LINEAR(d, 12)), 4


@kind(ANY, "units in groups, normed")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: F.relu(
            m.a(x).unflatten(-1, (2, 3)) / (m.a(x).unflatten(-1, (2, 3)).norm(dim=-1, keepdim=True) + EPS)
        ).flatten(-2),
        a=LINEAR(d, 6),
    ), 6


@kind(ANY, "polynomial")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.b(m.a(x) ** 2 + m.c(x) ** 3), a=LINEAR(d, 4), c=LINEAR(d, 4), b=LINEAR(4, 4)), 4


@kind(ANY, "multiplicative filter")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: m.b(torch.sin(m.f(x))) * torch.sin(m.g(x)), f=LINEAR(d, 4), g=LINEAR(d, 4), b=LINEAR(4, 4)
    ), 4


@kind(ANY, "equilibrium, three steps")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        z = torch.zeros_like(m.u(x))
        for _ in range(3):
            z = torch.tanh(m.w(z) + m.u(x))
        return z

    return Net(body, u=LINEAR(d, 4), w=LINEAR(4, 4, bias=False)), 4


# Vectors alone


@kind(VECTORS, "batch-norm")
def _(random: Random, d: int) -> Any:
    return nn.BatchNorm1d(d, eps=EPS, affine=random.random() < 0.7)


@kind(VECTORS, "linear, batch-norm")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: f(m.n(m.a(x))), a=LINEAR(d, 4), n=nn.BatchNorm1d(4, eps=EPS)), 4


@kind(VECTORS, "group-norm")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.relu(m.n(m.a(x))), a=LINEAR(d, 6), n=nn.GroupNorm(2, 6, eps=EPS)), 6


@kind(VECTORS, "gru cell")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.c(x, torch.tanh(m.a(x))), c=nn.GRUCell(d, 4), a=LINEAR(d, 4)), 4


@kind(VECTORS, "autoregressive steps")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        for _ in range(2):
            h = m.c(x, h)
        return h

    return Net(body, c=nn.RNNCell(d, 4, nonlinearity=random.choice(["tanh", "relu"])), a=LINEAR(d, 4)), 4


# Tokens


@kind(TOKENS, "positions")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x + m.p, p=weights(1, PLACES, d))


@kind(TOKENS, "token mixer")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x + m.b(F.gelu(m.a(x.mT))).mT, a=LINEAR(PLACES, 4), b=LINEAR(4, PLACES))


@kind(TOKENS, "spatial gate")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        u, v = F.gelu(m.a(x)).chunk(2, -1)
        return x + m.b(u * m.t(m.n(v).mT).mT)

    return Net(body, a=LINEAR(d, 8), n=nn.LayerNorm(4, eps=EPS), t=LINEAR(PLACES, PLACES), b=LINEAR(4, d))


def split_heads(t: Tensor, heads: int = 2) -> Tensor:
    return t.unflatten(-1, (heads, -1)).transpose(1, 2)


def merged(t: Tensor) -> Tensor:
    return t.transpose(1, 2).flatten(2)


def attends(**changes: Any) -> Callable[[Any, Tensor], Tensor]:
    """Attention on a residual stream; `changes` says how queries, keys, weights and outputs are made."""
    query = changes.get("query", lambda m, q: q)
    score = changes.get("score", lambda m, s: s)
    weigh = changes.get("weigh", lambda m, s: s.softmax(-1))
    after = changes.get("after", lambda m, y, x: y)
    heads = changes.get("heads", (2, 2))

    def body(m: Any, x: Tensor) -> Tensor:
        q, k, v = (split_heads(part(x), count) for part, count in ((m.q, heads[0]), (m.k, heads[1]), (m.v, heads[1])))
        q, k = query(m, q), changes.get("key", query)(m, k)
        if heads[0] != heads[1]:
            k, v = (t.repeat_interleave(heads[0] // heads[1], 1) for t in (k, v))
        y = weigh(m, score(m, q @ k.mT * 0.7)) @ v
        return x + m.o(after(m, merged(y), x))

    return body


def heads_of(body: Any, d: int, keys: int = 4, **parts: Any) -> Net:
    return Net(body, q=LINEAR(d, 4), k=LINEAR(d, keys), v=LINEAR(d, keys), o=LINEAR(4, d), **parts)


@kind(TOKENS, "attention")
def _(random: Random, d: int) -> Any:
    return heads_of(attends(), d)


@kind(TOKENS, "attention, fused")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.qkv(x).view(len(x), PLACES, 3, 2, 2).permute(2, 0, 3, 1, 4)
        return x + m.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(len(x), PLACES, 4))

    return Net(body, qkv=LINEAR(d, 12, bias=random.random() < 0.5), o=LINEAR(4, d))


@kind(TOKENS, "attention by einsum")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("bnd,hde->bhne", x, w) for w in (m.q, m.k, m.v))
        a = torch.einsum("bhne,bhme->bhnm", q, k).softmax(-1)
        return x + torch.einsum("bhnm,bhme,hed->bnd", a, v, m.o)

    return Net(body, **{n: weights(2, d, 2) for n in "qkv"}, o=weights(2, 2, d))


@kind(TOKENS, "attention, one query for keys")
def _(random: Random, d: int) -> Any:
    return heads_of(attends(heads=(2, 1)), d, 2)


@kind(TOKENS, "attention, grouped")
def _(random: Random, d: int) -> Any:
    return Net(attends(heads=(4, 2)), q=LINEAR(d, 8), k=LINEAR(d, 4), v=LINEAR(d, 4), o=LINEAR(8, d))


@kind(TOKENS, "attention, qk-norm")
def _(random: Random, d: int) -> Any:
    norm = random.choice([nn.LayerNorm, nn.RMSNorm])
    return heads_of(
        attends(query=lambda m, q: m.qn(q), key=lambda m, k: m.kn(k)), d, qn=norm(2, eps=EPS), kn=norm(2, eps=EPS)
    )


@kind(TOKENS, "attention, cosine")
def _(random: Random, d: int) -> Any:
    return heads_of(
        attends(query=lambda m, q: F.normalize(q, dim=-1), score=lambda m, s: s * m.t), d, t=parameter(2, 1, 1)
    )


@kind(TOKENS, "attention, rotary")
def _(random: Random, d: int) -> Any:
    def turn(m: Any, q: Tensor) -> Tensor:
        angle = torch.arange(PLACES, dtype=q.dtype)[:, None] * 0.4
        a, b = q.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)

    return Net(attends(query=turn), q=LINEAR(d, 8), k=LINEAR(d, 8), v=LINEAR(d, 8), o=LINEAR(8, d))


@kind(TOKENS, "attention, biased by distance")
def _(random: Random, d: int) -> Any:
    where = (torch.arange(PLACES)[:, None] - torch.arange(PLACES)[None]).abs()
    return heads_of(
        attends(score=lambda m, s: s + m.table[m.where].permute(2, 0, 1)), d, table=weights(PLACES, 2), where=where
    )


@kind(TOKENS, "attention, talking heads")
def _(random: Random, d: int) -> Any:
    return heads_of(attends(score=lambda m, s: m.l(s.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)), d, l=LINEAR(2, 2))


@kind(TOKENS, "attention, causal")
def _(random: Random, d: int) -> Any:
    mask = torch.ones(PLACES, PLACES).triu(1).bool()
    return heads_of(attends(score=lambda m, s: s.masked_fill(m.mask, float("-inf"))), d, mask=mask)


@kind(TOKENS, "attention, capped")
def _(random: Random, d: int) -> Any:
    return heads_of(attends(score=lambda m, s: 2 * torch.tanh(s / 2)), d)


@kind(TOKENS, "attention, gated output")
def _(random: Random, d: int) -> Any:
    return heads_of(attends(after=lambda m, y, x: y * torch.sigmoid(m.g(x))), d, g=LINEAR(d, 4))


@kind(TOKENS, "attention, head gains")
def _(random: Random, d: int) -> Any:
    return heads_of(attends(after=lambda m, y, x: (y.unflatten(-1, (2, 2)) * m.h).flatten(-2)), d, h=parameter(2, 1))


@kind(TOKENS, "linear attention")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        q, k, v = (split_heads(part(x)) for part in (m.q, m.k, m.v))
        q, k = F.elu(q) + 1, F.elu(k) + 1
        y = q @ (k.mT @ v) / (q @ k.sum(-2, keepdim=True).mT)
        return x + m.o(merged(y))

    return heads_of(body, d)


@kind(TOKENS, "torch attention")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x + m.a(x, x, x, need_weights=False)[0], a=nn.MultiheadAttention(d, 2, batch_first=True))


@kind(TOKENS, "torch encoder")
def _(random: Random, d: int) -> Any:
    return nn.TransformerEncoderLayer(d, 2, 5, batch_first=True, norm_first=random.random() < 0.5, layer_norm_eps=EPS)


@kind(TOKENS, "latents that ask")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: x + m.o((m.q @ m.k(x).mT).softmax(-1) @ m.v(x)),
        q=weights(PLACES, 4),
        k=LINEAR(d, 4),
        v=LINEAR(d, 4),
        o=LINEAR(4, d),
    )


@kind(TOKENS, "attention pooling")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: x + (m.s(torch.tanh(m.a(x))).softmax(1) * x).sum(1, keepdim=True), a=LINEAR(d, 4), s=LINEAR(4, 1)
    )


@kind(TOKENS, "set layer")
def _(random: Random, d: int) -> Any:
    pool = random.choice([lambda x: x.mean(1, keepdim=True), lambda x: x.amax(1, keepdim=True)])
    return Net(lambda m, x: F.relu(m.a(x) - m.b(pool(x))), a=LINEAR(d, 4), b=LINEAR(d, 4)), 4


@kind(TOKENS, "Fourier mixing")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.n(x + torch.fft.fft(x, dim=1).real), n=nn.LayerNorm(d, eps=EPS))


@kind(TOKENS, "Fourier mixing, two axes")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: m.n(x + torch.fft.fft2(x).real), n=nn.LayerNorm(d, eps=EPS))


@kind(TOKENS, "global filter")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: torch.fft.irfft(torch.fft.rfft(x, dim=1) * torch.view_as_complex(m.f), n=PLACES, dim=1),
        f=weights(PLACES // 2 + 1, d, 2),
    )


@kind(TOKENS, "convolution over tokens")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.relu(m.c(x.mT).mT), c=nn.Conv1d(d, 4, 3, padding=1)), 4


@kind(TOKENS, "depthwise over tokens")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x + F.silu(m.c(x.mT).mT), c=nn.Conv1d(d, d, 3, padding=1, groups=d))


def recurrent(make: Any, directions: int = 1, out: int = 3) -> Callable[[Random, int], Any]:
    return lambda random, d: (Net(lambda m, x: m.r(x)[0], r=make(d)), directions * out)


kind(TOKENS, "lstm")(recurrent(lambda d: nn.LSTM(d, 3, batch_first=True)))
kind(TOKENS, "gru, two layers")(recurrent(lambda d: nn.GRU(d, 3, 2, batch_first=True)))
kind(TOKENS, "rnn, relu, both ways")(
    recurrent(lambda d: nn.RNN(d, 3, nonlinearity="relu", batch_first=True, bidirectional=True), 2)
)
kind(TOKENS, "lstm, two layers both ways")(
    recurrent(lambda d: nn.LSTM(d, 2, 2, batch_first=True, bidirectional=True), 2, 2)
)
kind(TOKENS, "lstm, projected")(recurrent(lambda d: nn.LSTM(d, 4, batch_first=True, proj_size=2), 1, 2))


@kind(TOKENS, "gru, last state")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: m.a(x) + m.r(x)[1].mT.mT.transpose(0, 1), a=LINEAR(d, 3), r=nn.GRU(d, 3, batch_first=True)
    ), 3


@kind(TOKENS, "state space")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        state, out = torch.zeros(len(x), d, 3, dtype=x.dtype), []
        step = F.softplus(m.step(x))
        for t in range(PLACES):
            state = (
                state * torch.exp(-step[:, t, :, None] * m.a.exp())
                + step[:, t, :, None] * x[:, t, :, None] * m.b(x[:, t])[:, None]
            )
            out.append((state * m.c(x[:, t])[:, None]).sum(-1))
        return torch.stack(out, 1) + m.d * x

    return Net(body, step=LINEAR(d, d), a=weights(d, 3), b=LINEAR(d, 3), c=LINEAR(d, 3), d=parameter(d))


@kind(TOKENS, "running mean")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: m.a(x) + m.b(x).cumsum(1) / torch.arange(1, PLACES + 1)[:, None], a=LINEAR(d, 4), b=LINEAR(d, 4)
    ), 4


@kind(TOKENS, "token shift")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        before = F.pad(x, (0, 0, 1, -1))
        k, r = m.k(x * m.mk + before * (1 - m.mk)), m.r(x * m.mr + before * (1 - m.mr))
        return x + torch.sigmoid(r) * m.v(F.relu(k).square())

    return Net(body, k=LINEAR(d, 5), r=LINEAR(d, d), v=LINEAR(5, d), mk=parameter(d), mr=parameter(d))


@kind(TOKENS, "class token")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: m.a(torch.cat([m.t.expand(len(x), -1, -1), x], 1))[:, :PLACES], t=weights(1, 1, d), a=LINEAR(d, 4)
    ), 4


@kind(TOKENS, "graph layer")
def _(random: Random, d: int) -> Any:
    adjacent = torch.tensor([[0.5, 0.5, 0], [0.3, 0.4, 0.3], [0, 0.5, 0.5]], dtype=torch.float64)
    return Net(lambda m, x: F.relu(m.g @ m.a(x)), a=LINEAR(d, 4), g=adjacent), 4


@kind(TOKENS, "graph attention")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        h = m.w(x).unflatten(-1, (2, 2))
        s = F.leaky_relu((h * m.s).sum(-1)[:, :, None] + (h * m.t).sum(-1)[:, None], 0.2).softmax(2)
        return torch.einsum("bijh,bjhe->bihe", s, h).flatten(2)

    return Net(body, w=LINEAR(d, 4, bias=False), s=weights(2, 2), t=weights(2, 2)), 4


@kind(TOKENS, "sorted by score")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        score = torch.sigmoid(m.s(x))
        top = score.topk(2, dim=1)
        kept = (x * score).gather(1, top.indices.expand(-1, -1, d))
        return x + m.a(kept).mean(1, keepdim=True)

    return Net(body, s=LINEAR(d, 1), a=LINEAR(d, d))


# Images


@kind(IMAGES, "convolution")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(
        lambda m, x: f(m.c(x)), c=nn.Conv2d(d, 4, 3, padding=1, padding_mode=random.choice(["zeros", "reflect"]))
    ), 4


@kind(IMAGES, "convolution, batch-norm")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(
        lambda m, x: f(m.n(m.c(x))), c=nn.Conv2d(d, 4, 3, padding=1, bias=False), n=nn.BatchNorm2d(4, eps=EPS)
    ), 4


def normed(norm: Callable[[int], nn.Module]) -> Callable[[Random, int], Any]:
    def make(random: Random, d: int) -> Any:
        f = act(random)
        return Net(lambda m, x: f(m.n(m.c(x))), c=nn.Conv2d(d, 4, 1), n=norm(4)), 4

    return make


kind(IMAGES, "convolution, group-norm")(normed(lambda d: nn.GroupNorm(2, d, eps=EPS)))
kind(IMAGES, "convolution, instance-norm")(normed(lambda d: nn.InstanceNorm2d(d, eps=EPS, affine=True)))
kind(IMAGES, "convolution, norm of all")(normed(lambda d: nn.GroupNorm(1, d, eps=EPS)))


@kind(IMAGES, "response norm")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        h = F.gelu(m.a(x.permute(0, 2, 3, 1)))
        g = h.norm(p=2, dim=(1, 2), keepdim=True)
        h = h * (g / (g.mean(-1, keepdim=True) + EPS)) * m.g + m.b + h
        return x + m.o(h).permute(0, 3, 1, 2)

    return Net(body, a=LINEAR(d, 5), g=parameter(5), b=parameter(5), o=LINEAR(5, d))


@kind(IMAGES, "basic block")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: F.relu(x + m.q(m.b(F.relu(m.p(m.a(x)))))),
        a=nn.Conv2d(d, 3, 3, padding=1, bias=False),
        p=nn.BatchNorm2d(3, eps=EPS),
        b=nn.Conv2d(3, d, 1, bias=False),
        q=nn.BatchNorm2d(d, eps=EPS),
    )


@kind(IMAGES, "grouped convolution")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: f(m.c(x)), c=nn.Conv2d(d, 4, 1, groups=2 if d % 2 == 0 else 1)), 4


@kind(IMAGES, "cardinality")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: x + m.c(F.relu(m.b(F.relu(m.a(x))))),
        a=nn.Conv2d(d, 4, 1),
        b=nn.Conv2d(4, 4, 3, padding=1, groups=2),
        c=nn.Conv2d(4, d, 1),
    )


@kind(IMAGES, "depthwise separable")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(lambda m, x: f(m.b(f(m.a(x)))), a=nn.Conv2d(d, d, 3, padding=1, groups=d), b=nn.Conv2d(d, 4, 1)), 4


def shuffle(x: Tensor, groups: int) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


@kind(IMAGES, "channel shuffle")
def _(random: Random, d: int) -> Any:
    f = act(random)
    return Net(
        lambda m, x: f(m.c(shuffle(f(m.b(F.relu(m.a(x)))), 2))),
        a=nn.Conv2d(d, 4, 1),
        b=nn.Conv2d(4, 4, 1, groups=2),
        c=nn.Conv2d(4, 4, 1, groups=2),
    ), 4


@kind(IMAGES, "channel shuffle, depthwise between")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: F.relu(m.c(m.e(shuffle(F.relu(m.b(m.a(x))), 2)))),
        a=nn.Conv2d(d, 4, 1),
        b=nn.Conv2d(4, 4, 1, groups=2),
        e=nn.Conv2d(4, 4, 3, padding=1, groups=4),
        c=nn.Conv2d(4, 6, 1, groups=2),
    ), 6


@kind(IMAGES, "split and shuffle")
def _(random: Random, d: int) -> Any:
    h = d // 2

    def body(m: Any, x: Tensor) -> Tensor:
        a, b = x[:, :h], x[:, h:]
        return torch.cat([a, F.relu(m.c(b))], 1)[:, m.order]

    return Net(
        body,
        c=nn.Conv2d(d - h, d - h, 1),
        order=torch.arange(d).view(2, -1).t().flatten() if d % 2 == 0 else torch.arange(d),
    )


@kind(IMAGES, "squeeze and excitation")
def _(random: Random, d: int) -> Any:
    gate = random.choice([torch.sigmoid, F.hardsigmoid])
    return Net(
        lambda m, x: x * gate(m.b(F.relu(m.a(x.mean((2, 3), keepdim=True))))),
        a=nn.Conv2d(d, 3, 1),
        b=nn.Conv2d(3, d, 1),
    )


@kind(IMAGES, "spatial attention")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: x * torch.sigmoid(m.c(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1))),
        c=nn.Conv2d(2, 1, 3, padding=1),
    )


@kind(IMAGES, "neighbouring channels")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: x * torch.sigmoid(m.c(x.mean((2, 3))[:, None]))[:, 0, :, None, None],
        c=nn.Conv1d(1, 1, 3, padding=1),
    )


@kind(IMAGES, "convnext block")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        h = m.n(m.d(x).permute(0, 2, 3, 1))
        return x + (m.s * m.b(F.gelu(m.a(h)))).permute(0, 3, 1, 2)

    return Net(
        body,
        d=nn.Conv2d(d, d, 3, padding=1, groups=d),
        n=nn.LayerNorm(d, eps=EPS),
        a=LINEAR(d, 5),
        b=LINEAR(5, d),
        s=parameter(d),
    )


@kind(IMAGES, "inverted residual")
def _(random: Random, d: int) -> Any:
    bn = lambda c: nn.BatchNorm2d(c, eps=EPS)  # noqa: E731
    return nn.Sequential(
        nn.Conv2d(d, 5, 1, bias=False),
        bn(5),
        nn.ReLU6(),
        nn.Conv2d(5, 5, 3, padding=1, groups=5, bias=False),
        bn(5),
        nn.ReLU6(),
        nn.Conv2d(5, 4, 1, bias=False),
        bn(4),
    ), 4


@kind(IMAGES, "dense block")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: torch.cat([x, m.c(F.relu(m.n(x)))], 1),
        n=nn.BatchNorm2d(d, eps=EPS),
        c=nn.Conv2d(d, 2, 3, padding=1),
    ), d + 2


@kind(IMAGES, "patch merging")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return F.interpolate(m.r(m.n(x)).permute(0, 3, 1, 2), scale_factor=2)

    return Net(body, n=nn.LayerNorm(4 * d, eps=EPS), r=LINEAR(4 * d, 4, bias=False)), 4


@kind(IMAGES, "patch merging by slices")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        parts = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return F.interpolate(m.r(torch.cat(parts, 1)), scale_factor=2)

    return Net(body, r=nn.Conv2d(4 * d, 4, 1)), 4


@kind(IMAGES, "pixel shuffle")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.avg_pool2d(F.relu(F.pixel_shuffle(m.c(x), 2)), 2), c=nn.Conv2d(d, 16, 1)), 4


@kind(IMAGES, "pixel unshuffle")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: F.interpolate(F.relu(m.c(F.pixel_unshuffle(x, 2))), scale_factor=2), c=nn.Conv2d(4 * d, 4, 1)
    ), 4


@kind(IMAGES, "coordinates beside")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        rows = torch.linspace(-1, 1, SIZE, dtype=x.dtype)[:, None].expand(len(x), 1, SIZE, SIZE)
        return F.relu(m.c(torch.cat([x, rows, rows.mT], 1)))

    return Net(body, c=nn.Conv2d(d + 2, 4, 1)), 4


@kind(IMAGES, "mixed kernels")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        gate = m.g(x.mean((2, 3))).softmax(-1)
        kernels = torch.einsum("bk,koixy->boixy", gate, m.w)
        b = len(x)
        out = F.conv2d(x.reshape(1, b * d, SIZE, SIZE), kernels.reshape(b * 4, d, 1, 1), groups=b)
        return F.relu(out.view(b, 4, SIZE, SIZE))

    return Net(body, g=LINEAR(d, 2), w=weights(2, 4, d, 1, 1)), 4


@kind(IMAGES, "standardised weights")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        mean, var = m.w.mean((1, 2, 3), keepdim=True), m.w.var((1, 2, 3), keepdim=True)
        return F.relu(F.conv2d(x, (m.w - mean) * torch.rsqrt(var) * m.g, m.b))

    return Net(body, w=weights(4, d, 2, 2), g=parameter(4, 1, 1, 1), b=parameter(4)), 4


@kind(IMAGES, "ghost")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: (lambda h: torch.cat([h, F.relu(m.d(h))], 1))(F.relu(m.a(x))),
        a=nn.Conv2d(d, 3, 1),
        d=nn.Conv2d(3, 3, 3, padding=1, groups=3),
    ), 6


@kind(IMAGES, "scales within")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        first, second = F.relu(m.a(x)).chunk(2, 1)
        out = F.relu(m.b(first))
        return torch.cat([out, F.relu(m.c(out + second))], 1)

    return Net(body, a=nn.Conv2d(d, 4, 1), b=nn.Conv2d(2, 2, 3, padding=1), c=nn.Conv2d(2, 2, 3, padding=1)), 4


@kind(IMAGES, "split attention")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        h = F.relu(m.c(x)).unflatten(1, (2, 3))
        a = m.f(F.relu(m.e(h.sum(1).mean((2, 3))))).unflatten(1, (2, 3)).softmax(1)
        return (h * a[..., None, None]).sum(1)

    return Net(body, c=nn.Conv2d(d, 6, 1), e=LINEAR(3, 4), f=LINEAR(4, 6)), 3


@kind(IMAGES, "selective kernels")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        h = torch.stack([F.relu(m.a(x)), F.relu(m.b(x))], 1)
        a = m.f(F.relu(m.e(h.sum(1).mean((2, 3))))).view(-1, 2, 4, 1, 1).softmax(1)
        return (h * a).sum(1)

    return Net(body, a=nn.Conv2d(d, 4, 1), b=nn.Conv2d(d, 4, 3, padding=1), e=LINEAR(4, 3), f=LINEAR(3, 8)), 4


@kind(IMAGES, "non-local")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        q, k, v = (part(x).flatten(2) for part in (m.q, m.k, m.v))
        return x + m.g * m.o((v @ (q.mT @ k).softmax(-1).mT).unflatten(2, (SIZE, SIZE)))

    return Net(body, **{n: nn.Conv2d(d, 3, 1) for n in "qkv"}, o=nn.Conv2d(3, d, 1), g=parameter(1))


@kind(IMAGES, "upsampled skip")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        low = F.relu(m.d(F.max_pool2d(x, 2)))
        return torch.cat([x, F.interpolate(low, size=(SIZE, SIZE), mode="bilinear")], 1)

    return Net(body, d=nn.Conv2d(d, 3, 1)), d + 3


@kind(IMAGES, "transposed convolution")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: F.avg_pool2d(F.relu(m.t(x)), 2), t=nn.ConvTranspose2d(d, 4, 2, 2)), 4


@kind(IMAGES, "octaves")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        high, low = F.relu(m.a(x)), F.relu(m.b(F.avg_pool2d(x, 2)))
        up = F.interpolate(m.lh(low), scale_factor=2)
        return torch.cat(
            [F.relu(m.hh(high) + up), F.interpolate(F.relu(m.hl(F.avg_pool2d(high, 2))), scale_factor=2)], 1
        )

    return Net(
        body,
        a=nn.Conv2d(d, 3, 1),
        b=nn.Conv2d(d, 3, 1),
        hh=nn.Conv2d(3, 3, 1),
        lh=nn.Conv2d(3, 3, 1),
        hl=nn.Conv2d(3, 3, 1),
    ), 6


@kind(IMAGES, "involution")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        x = F.relu(m.a(x))
        kernel = m.s(F.relu(m.r(x))).view(len(x), 2, 1, 9, SIZE, SIZE)
        patches = F.unfold(x, 3, padding=1).view(len(x), 2, 2, 9, SIZE, SIZE)
        return (kernel * patches).sum(3).view(len(x), 4, SIZE, SIZE)

    return Net(body, a=nn.Conv2d(d, 4, 1), r=nn.Conv2d(4, 3, 1), s=nn.Conv2d(3, 18, 1)), 4


@kind(IMAGES, "large kernel attention")
def _(random: Random, d: int) -> Any:
    return Net(
        lambda m, x: x + m.o((h := F.gelu(m.a(x))) * m.p(m.d(h))),
        a=nn.Conv2d(d, 4, 1),
        d=nn.Conv2d(4, 4, 3, padding=1, groups=4),
        p=nn.Conv2d(4, 4, 1),
        o=nn.Conv2d(4, d, 1),
    )


@kind(IMAGES, "windows of attention")
def _(random: Random, d: int) -> Any:
    def body(m: Any, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        t = x.view(b, c, 2, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(b * 4, 4, c)
        q, k, v = m.qkv(m.n(t)).reshape(b * 4, 4, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)
        y = m.o(((q @ k.mT + m.t).softmax(-1) @ v).transpose(1, 2).reshape(b * 4, 4, 4))
        return x + y.view(b, 2, 2, 2, 2, c).permute(0, 5, 1, 3, 2, 4).reshape(b, c, h, w)

    return Net(body, n=nn.LayerNorm(d, eps=EPS), qkv=LINEAR(d, 12), t=weights(2, 4, 4), o=LINEAR(4, d))


@kind(IMAGES, "stochastic pooling by means")
def _(random: Random, d: int) -> Any:
    return Net(lambda m, x: x + m.p(m.n(x)) - m.n(x), n=nn.GroupNorm(1, d, eps=EPS), p=nn.AvgPool2d(3, 1, 1))
