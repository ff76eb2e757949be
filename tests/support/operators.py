"""Small networks around single operators, and layers whose units are arranged in several axes at once.

With the symmetries that they are known to have, as in `tests.support.layers`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import EPS, IMAGE, SEQUENCE, VECTOR, Case, Net, layer_norm, linears, parameter

WORDS = 7
TOKENS: dict[str, Case] = {}
"""Networks that read whole numbers below `WORDS`."""
CASES: dict[str, Case] = {}


def read(table: nn.Module, act: Callable[[Tensor], Tensor] = lambda h: h.mean(1)) -> Callable[[], Net]:
    return lambda: Net(lambda m, x: m.o(act(m.e(x))), e=table, o=nn.Linear(5, 3))


def bag(mode: str) -> Callable[[], Net]:
    return read(nn.EmbeddingBag(WORDS, 5, mode=mode), F.relu)


def token_encoder(m: Net, x: Tensor) -> Tensor:
    return m.o(m.layer(m.e(x) + m.p(torch.arange(4)))[:, 0])


def llama(m: Net, x: Tensor) -> Tensor:
    """Grouped queries with rotary positions, RMS-norm and a gated layer."""
    h, size = m.n(m.e(x)), 4
    angle = torch.outer(torch.arange(x.shape[1], dtype=h.dtype), 1 / 100 ** (torch.arange(0, size, 2) / size))
    cos, sin = (torch.cat([f, f], -1) for f in (angle.cos(), angle.sin()))
    q, k, v = (layer(h).unflatten(-1, (-1, size)).transpose(1, 2) for layer in (m.q, m.k, m.v))
    q, k = (t * cos + torch.cat([-t[..., 2:], t[..., :2]], -1) * sin for t in (q, k))
    k, v = (t[:, :, None].expand(-1, -1, 2, -1, -1).flatten(1, 2) for t in (k, v))
    h = m.e(x) + m.p(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
    return m.o((h + m.down(F.silu(m.gate(h)) * m.up(h))).mean(1))


TOKENS |= {
    "embedding": Case(read(nn.Embedding(WORDS, 5, padding_idx=0)), (4,), (5,), (5,), (5,)),
    "table": Case(
        lambda: Net(lambda m, x: m.o(m.t[x].mean(1)), t=parameter(WORDS, 5), o=nn.Linear(5, 3)), (4,), (5,), (5,), (5,)
    ),
    "rows selected": Case(
        lambda: Net(
            lambda m, x: m.o(m.t.index_select(0, x.flatten()).unflatten(0, x.shape).mean(1)),
            t=parameter(WORDS, 5),
            o=nn.Linear(5, 3),
        ),
        (4,),
        (5,),
        (5,),
        (5,),
    ),
    "bag of sums": Case(bag("sum"), (4,), (5,), (5,)),
    "bag of means": Case(bag("mean"), (4,), (5,), (5,)),
    "bag of largest": Case(bag("max"), (4,), (5,), (5,)),
    "last word": Case(
        lambda: Net(
            lambda m, x: m.o(m.a(m.e(x))[torch.arange(len(x)), x.argmax(-1)]),
            e=nn.Embedding(WORDS, 5),
            **linears(a=(5, 6), o=(6, 3)),
        ),
        (4,),
        (5, 6),
        (5, 6),
        (5, 6),
    ),
    "tied table": Case(
        lambda: Net(
            lambda m, x: m.n(m.e(x) + m.p[:4]) @ m.e.weight.t(),
            e=nn.Embedding(WORDS, 5),
            p=parameter(9, 5),
            n=layer_norm(5),
        ),
        (4,),
        (5, 5),  # places 4 to 8 are never read
        (5,),
        (5, 1),
        idle=("p",),
    ),
    "token encoder": Case(
        lambda: Net(
            token_encoder,
            e=nn.Embedding(WORDS, 6),
            p=nn.Embedding(9, 6),
            layer=nn.TransformerEncoderLayer(6, 2, 7, batch_first=True, layer_norm_eps=EPS),
            o=nn.Linear(6, 3),
        ),
        (4,),
        (6, 5, 6, 2, 6, 7),
        (5, 6, 6, 7, 6),
        (5, 1, 6, 6, 1, 6),
        idle=("p.weight", "in_proj_bias"),
    ),
    # The stream; heads that share keys, and those that do not; units of values; the gated layer. Each of the two rotary
    # pairs of queries and keys has a scale, and a sign.
    "llama": Case(
        lambda: Net(
            llama,
            e=nn.Embedding(WORDS, 6),
            n=nn.RMSNorm(6, eps=EPS),
            **linears(q=(6, 16), k=(6, 8), v=(6, 8), p=(16, 6), gate=(6, 5), up=(6, 5), down=(5, 6), o=(6, 3)),
        ),
        (4,),
        (6, 4, 2, 8, 5),
        (6, 2, 2, 8, 5),
        (6, 6, 2, 2, 8, 5),
    ),
}


def over_tokens(act: Callable[[Tensor], Tensor], count: int = 5) -> Callable[[], Net]:
    """Six units of each token, a function of them, a linear layer of all that it returns."""
    return lambda: Net(lambda m, x: m.o(act(m.a(x)).flatten(1)), **linears(a=(4, 6), o=(6 * count, 3)))


def order(numbers: list[int]) -> Tensor:
    return torch.tensor(numbers).view(1, -1, 1)


def put(h: Tensor) -> Tensor:
    h = h.clone()
    h[:, torch.tensor([0, 2])] = h[:, torch.tensor([1, 3])]
    return h


def scattered(h: Tensor) -> Tensor:
    index = order([2, 0, 1, 1, 0]).expand(len(h), 5, 6)
    return torch.zeros(len(h), 3, 6, dtype=h.dtype).scatter_add(1, index, h)


LINEAR: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "roll": (lambda h: h.roll(2, 1), 5),
    "cumsum": (lambda h: h.cumsum(1), 5),
    "gather": (lambda h: h.gather(1, order([1, 3]).expand(len(h), 2, 6)), 2),
    "scatter": (lambda h: torch.zeros_like(h).scatter(1, order([2, 0, 1, 4, 3]).expand(len(h), 5, 6), h), 5),
    "scatter_add": (scattered, 3),
    "index_add": (lambda h: h.new_zeros(len(h), 3, 6).index_add(1, torch.tensor([2, 0, 1, 1, 0]), h), 3),
    "index_put": (put, 5),
    "fft": (lambda h: torch.fft.fft(h, dim=1).real, 5),
    "rfft": (lambda h: torch.view_as_real(torch.fft.rfft(h, dim=1)), 6),
    "irfft": (lambda h: torch.fft.irfft(torch.fft.rfft(h, dim=1) * 1j, n=5, dim=1), 5),
}
POSITIVE: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "cummax": (lambda h: h.cummax(1).values, 5),
    "sort": (lambda h: h.sort(1).values, 5),
    "topk": (lambda h: h.topk(2, 1).values, 2),
    "kthvalue": (lambda h: h.kthvalue(2, 1).values, 1),
}
NEITHER: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "logcumsumexp": (lambda h: h.logcumsumexp(1), 5),
}
CASES |= {name: Case(over_tokens(*made), SEQUENCE, (6,), (6,), (6,)) for name, made in LINEAR.items()}
CASES |= {name: Case(over_tokens(*made), SEQUENCE, (6,), (6,)) for name, made in POSITIVE.items()}
CASES |= {name: Case(over_tokens(*made), SEQUENCE, (6,)) for name, made in NEITHER.items()}
CASES |= {
    # Whose the largest are does not matter.
    "topk of units": Case(
        lambda: Net(lambda m, x: m.o(m.a(x).topk(2, -1).values), **linears(a=(4, 6), o=(2, 3))), VECTOR, (6,), (1,)
    ),
    "sorted by an input": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(m.a(x)).take_along_dim(x[..., :1].argsort(1), 1).flatten(1)),
            **linears(a=(4, 6), o=(30, 3)),
        ),
        SEQUENCE,
        (6,),
        (6,),
    ),
    "distances": Case(
        lambda: Net(
            lambda m, x: m.o(torch.exp(-torch.cdist(m.a(x), m.w))), w=parameter(7, 6), **linears(a=(4, 6), o=(7, 3))
        ),
        VECTOR,
        (6, 7),
        (),
        (6,),
    ),
    "outer product": Case(
        lambda: Net(
            lambda m, x: m.o(torch.einsum("bi,bj->bij", F.relu(m.a(x)), F.relu(m.b(x))).flatten(1)),
            **linears(a=(4, 5), b=(4, 6), o=(30, 3)),
        ),
        VECTOR,
        (5, 6),
        (5, 6),
    ),
    "grid sample": Case(
        lambda: Net(
            lambda m, x: m.o(
                F.grid_sample(
                    F.relu(m.c(x)),
                    F.affine_grid(m.t(x.mean((2, 3))).unflatten(1, (2, 3)), [len(x), 6, 4, 4], align_corners=False),
                    align_corners=False,
                ).mean((2, 3))
            ),
            c=nn.Conv2d(2, 6, 1),
            t=nn.Linear(2, 6),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (6,),
        (6,),
    ),
    "complex filter": Case(
        lambda: Net(
            lambda m, x: m.o(
                torch.fft.irfft2(torch.fft.rfft2(m.c(x)) * torch.view_as_complex(m.w), s=(6, 6)).relu().mean((2, 3))
            ),
            c=nn.Conv2d(2, 6, 1),
            w=parameter(6, 6, 4, 2),
            o=nn.Linear(6, 3),
        ),
        IMAGE,
        (6,),
        (6, 6),
        (6,),
        idle=("w",),
    ),
}


def recurrent(
    kind: type[nn.RNNBase], layers: int, directions: int, size: int = 6, **options: object
) -> Callable[[], Net]:
    return lambda: Net(
        lambda m, x: m.o(m.r(x)[0].mean(1)),
        r=kind(4, 6, layers, bidirectional=directions > 1, batch_first=True, **options),
        o=nn.Linear(size * directions, 3),
    )


for _kind in (nn.LSTM, nn.GRU, nn.RNN):
    CASES[f"{_kind.__name__}, two layers"] = Case(recurrent(_kind, 2, 1), (3, 4), (6, 6), (), (6, 6))
    CASES[f"{_kind.__name__}, both ways"] = Case(recurrent(_kind, 1, 2), (3, 4), (6, 6), (), (6, 6))
CASES |= {
    "RNN, both ways, two layers": Case(recurrent(nn.RNN, 2, 2), (2, 4), (6,) * 4, (), (6,) * 4),
    "RNN of relu": Case(recurrent(nn.RNN, 2, 1, nonlinearity="relu"), (3, 4), (6, 6), (6, 6)),
    "LSTM with a projection": Case(recurrent(nn.LSTM, 1, 1, 3, proj_size=3), (3, 4), (6, 3), (3,), (6, 3)),
    "last states": Case(
        lambda: Net(
            lambda m, x: m.o(m.r(x)[1].transpose(0, 1).flatten(1)),
            r=nn.GRU(4, 6, 2, batch_first=True),
            o=nn.Linear(12, 3),
        ),
        (2, 4),
        (6, 6),
        (),
        (6, 6),
    ),
    "learned first states": Case(
        lambda: Net(
            lambda m, x: m.o(m.r(x, m.h.expand(-1, len(x), -1).contiguous())[0].mean(1)),
            r=nn.GRU(4, 6, 2, batch_first=True),
            h=parameter(2, 1, 6),
            o=nn.Linear(6, 3),
        ),
        (2, 4),
        (6, 6),
        (),
        (6, 6),
    ),
}


def grouped_queries(m: Net, x: Tensor, way: str, heads: int, groups: int) -> Tensor:
    share = heads // groups
    q, k, v = (layer(x).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in (m.q, m.k, m.v))
    if way == "repeated":
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    if way == "enabled":
        y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    elif way == "summed":
        weights = torch.einsum("bgrnd,bgmd->bgrnm", q.unflatten(1, (groups, share)), k).softmax(-1)
        y = torch.einsum("bgrnm,bgmd->bgrnd", weights, v).flatten(1, 2)
    elif way == "grouped":
        weights = q.unflatten(1, (groups, share)) @ k[:, :, None].transpose(-1, -2)
        y = ((0.5 * weights).softmax(-1) @ v[:, :, None]).flatten(1, 2)
    else:
        y = (q @ k.transpose(-1, -2)).softmax(-1) @ v
    return m.o(y.transpose(1, 2).flatten(2)).mean(1)


def queries(way: str, heads: int, groups: int) -> Case:
    """Units of queries and keys, query heads, groups, units of values."""
    return Case(
        lambda: Net(
            lambda m, x: grouped_queries(m, x, way, heads, groups),
            **linears(q=(4, 4 * heads), k=(4, 4 * groups), v=(4, 4 * groups), o=(4 * heads, 3)),
        ),
        SEQUENCE,
        (4 * groups, heads, *([groups] if groups > 1 else []), 4 * groups),
        (4 * groups, 4 * groups),
        (4 * groups, 4 * groups),
        idle=("k.bias",),
    )


CASES |= {f"grouped queries, {way}": queries(way, 6, 2) for way in ("repeated", "enabled", "summed", "grouped")}
CASES |= {f"one key for all queries, {way}": queries(way, 3, 1) for way in ("repeated", "broadcast")}


def linear_attention(act: Callable[[Tensor], Tensor]) -> Callable[[], Net]:
    def run(m: Net, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (m.q, m.k, m.v))
        q, k = act(q), act(k)
        y = (q @ (k.transpose(-1, -2) @ v)) / (1 + q @ k.sum(-2, keepdim=True).transpose(-1, -2))
        return m.o(y.transpose(1, 2).flatten(2)).mean(1)

    return lambda: Net(run, **linears(q=(4, 8), k=(4, 8), v=(4, 6), o=(6, 3)))


def cross_covariance(m: Net, x: Tensor) -> Tensor:
    q, k, v = m.qkv(x).reshape(*x.shape[:2], 3, 2, 4).permute(2, 0, 3, 4, 1)
    weights = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * m.t
    return m.o((weights.softmax(-1) @ v).permute(0, 3, 1, 2).flatten(2)).mean(1)


CASES |= {
    "linear attention": Case(linear_attention(lambda t: F.elu(t) + 1), SEQUENCE, (8, 2, 6), (6,), (6,)),
    "linear attention, relu": Case(linear_attention(F.relu), SEQUENCE, (8, 2, 6), (8, 6), (6,)),
    "cross-covariance attention": Case(
        lambda: Net(cross_covariance, t=parameter(2, 1, 1), **linears(qkv=(4, 24), o=(8, 3))),
        SEQUENCE,
        (8, 2, 8),
        (8, 8, 2),  # rows of queries and of keys, which are normalised; all values of a head
        (2, 2, 2),  # all values of a head; any two of its queries, keys and factor
    ),
}


BIASED = {"stacked", "masked", "one-hot"}


def experts(m: Net, x: Tensor, way: str) -> Tensor:
    if way in BIASED:
        y = (torch.bmm(F.relu(torch.bmm(x.expand(3, *x.shape), m.w) + m.b), m.u) + m.c).transpose(0, 1)
    elif way in {"summed", "the others' scores infinite"}:
        y = torch.einsum("beh,eho->beo", F.relu(torch.einsum("bi,eih->beh", x, m.w)), m.u)
    else:
        y = torch.stack([F.relu(x @ m.w[k]) @ m.u[k] for k in range(3)], 1)
    gate = m.g(x)
    best, which = gate.topk(2, -1)
    if way == "summed":  # of the best two alone, as are the next three
        weights = torch.zeros_like(gate).scatter(1, which, best.softmax(-1))
    elif way == "the others' scores infinite":
        weights = torch.full_like(gate, -torch.inf).scatter_(-1, which, best).softmax(-1)
    elif way == "one-hot":
        weights = (F.one_hot(which, 3) * best.softmax(-1)[..., None]).sum(1)
    elif way == "masked":
        weights = gate.softmax(-1) * torch.zeros_like(gate).scatter_(1, which, 1.0)
    else:
        weights = gate.softmax(-1)
    return m.o((weights[..., None] * y).sum(1))


def mixture(way: str, *units: int, scales: tuple[int, ...] = (18, 5)) -> Case:
    biases = {"b": parameter(3, 1, 6), "c": parameter(3, 1, 5)} if way in BIASED else {}
    return Case(
        lambda: Net(
            lambda m, x: experts(m, x, way),
            w=parameter(3, 4, 6),
            u=parameter(3, 6, 5),
            **biases,
            **linears(g=(4, 3), o=(5, 3)),
        ),
        VECTOR,
        units,
        scales,
        (5,),
        idle=("g.bias",) if way == "one by one" else (),
    )


CASES |= {
    # The experts, who trade places with their outputs of the gate; their units, each expert's own; what they add to.
    "experts, stacked": mixture("stacked", 3, 18, 5),
    **{f"experts, {way}": mixture(way, 3, 18, 5) for way in ("summed", "the others' scores infinite")},
    **{f"experts, {way}": mixture(way, 3, 18, 5) for way in ("masked", "one-hot")},
    "experts, one by one": mixture("one by one", 6, 6, 6, 5, scales=(6, 6, 6, 5)),
}


def shuffled(m: Net, x: Tensor) -> Tensor:
    h = F.relu(m.a(x))
    return m.o(F.relu(m.g(h.unflatten(1, (3, -1)).transpose(1, 2).flatten(1, 2))).mean((2, 3)))


CASES["shuffled groups"] = Case(
    lambda: Net(shuffled, a=nn.Conv2d(3, 18, 1, groups=3), g=nn.Conv2d(18, 9, 1, groups=3), o=nn.Linear(9, 3)),
    (3, 6, 6),
    (18, 9, 3, 3),
    (18, 9),
    missing="groups of channels on both sides of a shuffle may trade places",
)


def merged(m: Net, x: Tensor) -> Tensor:
    """Four neighbours side by side, by reshapes alone."""
    h = F.relu(m.c(x)).permute(0, 2, 3, 1)
    h = h.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).permute(0, 1, 3, 4, 2, 5).flatten(3)
    return m.o(F.relu(m.r(m.n(h))).mean((1, 2)))


def light_attention(m: Net, x: Tensor) -> Tensor:
    """Linear attention whose sums come of a column of ones."""
    q, k, v = m.qkv(x).unflatten(1, (2, 12)).flatten(3).transpose(-1, -2).chunk(3, -1)
    y = F.relu(q) @ (F.relu(k).transpose(-1, -2) @ F.pad(v, (0, 1), value=1.0))
    y = y[..., :-1] / (y[..., -1:] + 0.1)
    return m.o(y.transpose(-1, -2).flatten(1, 2).mean(-1))


def with_convolved_values(m: Net, x: Tensor) -> Tensor:
    """Attention that adds its queries times convolved values."""
    q, k, v = m.qkv(x).reshape(*x.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
    image = m.c(v.transpose(-1, -2).reshape(len(x), 8, 2, 3)).unflatten(1, (2, 4)).flatten(3).transpose(-1, -2)
    y = q @ (k.softmax(2).transpose(-1, -2) @ v) + q * image
    return m.o(y.transpose(1, 2).flatten(2)).mean(1)


def partly_rotary(m: Net, x: Tensor) -> Tensor:
    """Queries and keys of which four units each are turned by their positions."""
    angle = torch.outer(torch.arange(5, dtype=x.dtype), torch.tensor([1.0, 0.1], dtype=x.dtype)).repeat(1, 2)
    q, k, v = (layer(x).unflatten(-1, (2, 6)).transpose(1, 2) for layer in (m.q, m.k, m.v))
    turn = lambda t: t * angle.cos() + torch.cat([-t[..., 2:], t[..., :2]], -1) * angle.sin()  # noqa: E731
    q, k = (torch.cat([turn(t[..., :4]), t[..., 4:]], -1) for t in (q, k))
    return m.o(((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2).flatten(2)).mean(1)


def state_space(m: Net, x: Tensor) -> Tensor:
    """A gated recurrence whose rates and weights its units set, after a convolution of each."""
    h, gate = m.i(x).transpose(1, 2).chunk(2, 1)
    h = F.silu(F.conv1d(h, m.c.weight.squeeze(1).unsqueeze(1), m.c.bias, padding=2, groups=6)[..., : x.shape[1]])
    h = h.transpose(1, 2)
    rate, read, write = m.p(h).split([2, 4, 4], -1)
    rate = F.softplus(m.t(rate))
    state, found = torch.zeros(len(x), 6, 4, dtype=x.dtype), []
    for k in range(x.shape[1]):
        kept = torch.exp(-rate[:, k, :, None] * m.decay.exp())
        state = kept * state + (rate[:, k] * h[:, k])[:, :, None] * write[:, k, None]
        found.append((state @ read[:, k, :, None])[..., 0])
    return m.o((torch.stack(found, 1) + h * m.skip) * F.silu(gate.transpose(1, 2))).mean(1)


CASES |= {
    "merged neighbours": Case(
        lambda: Net(merged, c=nn.Conv2d(2, 5, 1), n=layer_norm(20), **linears(r=(20, 7), o=(7, 3))),
        IMAGE,
        (5, 7),
        (5, 5, 5, 5, 7),
        (5, 5, 5, 5),
    ),
    "light attention": Case(
        lambda: Net(light_attention, qkv=nn.Conv2d(2, 24, 1, bias=False), o=nn.Linear(8, 3)),
        IMAGE,
        (8, 2, 8),
        (8, 8),
        (8,),
    ),
    "attention with convolved values": Case(
        lambda: Net(with_convolved_values, c=nn.Conv2d(8, 8, 3, padding=1, groups=8), **linears(qkv=(4, 24), o=(8, 3))),
        (6, 4),
        (8, 2),
        (8, 2),
        (8, 2),
    ),
    "partly rotary": Case(
        lambda: Net(partly_rotary, **linears(q=(4, 12), k=(4, 12), v=(4, 12), o=(12, 3))),
        SEQUENCE,
        (4, 2, 12),
        (2, 2, 4, 12),
        (2, 2, 4, 12),
        missing="pairs of units that are turned together have one scale, which is taken for 1",
    ),
    # Units and gates, rates, the state's places.
    "state space": Case(
        lambda: Net(
            state_space,
            c=nn.Conv1d(6, 6, 3, groups=6),
            decay=parameter(6, 4),
            skip=parameter(6),
            p=nn.Linear(6, 10, bias=False),
            **linears(i=(4, 12), t=(2, 6), o=(6, 3)),
        ),
        (3, 4),
        (6, 2, 4),
        (6, 2, 4, 1),  # the last: all that is read of the state, and what skips it
        (6, 2, 4, 1),
    ),
    "made grouped weights": Case(
        lambda: Net(
            lambda m, x: m.o(F.relu(F.conv2d(F.relu(m.a(x)), 2 * m.w, groups=6)).mean((2, 3))),
            a=nn.Conv2d(2, 6, 1),
            w=parameter(12, 1, 3, 3),
            o=nn.Linear(12, 3),
        ),
        IMAGE,
        (6, 12),
        (6, 12),
    ),
}
