"""Attention whose queries read one stream, and whose keys and values others, all by pieces of one parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net

WIDTH, HEADS = 4, 2
Taken = Callable[[Tensor], Sequence[Tensor]]
"""Three matrices of one parameter: each from a stream to queries, keys or values."""
ROWS: dict[str, Taken] = {
    "chunk": lambda w: w.chunk(3),
    "split": lambda w: w.split([WIDTH, WIDTH, WIDTH]),
    "slices": lambda w: (w[:WIDTH], w[WIDTH : 2 * WIDTH], w[2 * WIDTH :]),
    "a slice, halved": lambda w: (w[:WIDTH], *w[WIDTH:].chunk(2)),
    "narrow": lambda w: [w.narrow(0, k * WIDTH, WIDTH) for k in range(3)],
    "unflatten": lambda w: [w.unflatten(0, (3, WIDTH))[k] for k in range(3)],
    "unbind": lambda w: w.view(3, WIDTH, WIDTH).unbind(0),
    "places": lambda w: [w[torch.arange(WIDTH) + k * WIDTH] for k in range(3)],
    "view of heads": lambda w: [w.view(3, HEADS, -1, WIDTH)[k].reshape(WIDTH, WIDTH) for k in range(3)],
}
"""Of a parameter whose rows are those of all three."""
COLUMNS: dict[str, Taken] = {
    "columns by chunk": lambda w: [each.t() for each in w.chunk(3, dim=1)],
    "columns by slices": lambda w: [w[:, k * WIDTH : (k + 1) * WIDTH].t() for k in range(3)],
    "columns by unflatten": lambda w: [w.unflatten(1, (3, WIDTH))[:, k].t() for k in range(3)],
    "columns turned": lambda w: w.t().view(3, WIDTH, WIDTH).permute(1, 0, 2).unbind(1),
}
"""Of a parameter whose columns are."""
TAKEN = ROWS | COLUMNS


def heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what heads attend to."""
    apart = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in (q, k, v))
    return F.scaled_dot_product_attention(*apart).transpose(1, 2).flatten(2)


def packed(taken: str, *, norms: int, embedded: bool = True) -> Net:
    """Return attention of a stream, or of the inputs themselves, to what norms make of it.

    Args:
        taken: how the three matrices are taken.
        norms: how many there are: none, one of keys and values, or one of each.
        embedded: whether there is a layer before.
    """

    def forward(m: Net, x: Tensor) -> Tensor:
        x = m.e(x)
        keys = m.n(x) if norms else x
        values = m.r(x) if norms > 1 else keys
        return m.o(heads(*(F.linear(*each) for each in zip((x, keys, values), TAKEN[taken](m.w), strict=True))))

    shape = (WIDTH, 3 * WIDTH) if taken in COLUMNS else (3 * WIDTH, WIDTH)
    named = zip(("n", "r"), range(norms), strict=False)
    return Net(
        forward,
        e=nn.Linear(WIDTH, WIDTH) if embedded else nn.Identity(),
        w=nn.Parameter(torch.randn(shape)),
        o=nn.Linear(WIDTH, 2),
        **{name: nn.LayerNorm(WIDTH) for name, _ in named},
    )
