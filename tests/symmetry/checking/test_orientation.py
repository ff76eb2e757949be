"""Flips of parts of tensors are counted by outputs alone, whatever groups were found."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.support.groups_by_hand import checked
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import make_net


def grouped_queries() -> Body:
    """Four query heads, two of keys, normed with common gains, and turned by positions."""
    angle = torch.arange(3.0)[:, None] * torch.tensor([0.9])
    cosine, sine = (torch.cat([turned, turned], -1).double() for turned in (angle.cos(), angle.sin()))

    def turn(x: Tensor) -> Tensor:
        return x * cosine + torch.cat([-x[..., 1:], x[..., :1]], -1) * sine

    def forward(m: Body, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (-1, 2)).transpose(1, 2) for layer in (m.q, m.k, m.v))
        q, k = turn(F.rms_norm(q, (2,)) * m.gq), turn(F.rms_norm(k, (2,)) * m.gk)
        k, v = (y.repeat_interleave(2, 1) for y in (k, v))
        return m.o(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))

    layers = {name: nn.Linear(3, size, bias=False) for name, size in (("q", 8), ("k", 4), ("v", 4))}
    gains = {name: nn.Parameter(torch.randn(2)) for name in ("gq", "gk")}
    return Body(forward, **layers, **gains, o=nn.Linear(8, 2, bias=False))


def test_flips_in_attention_with_norms_and_positions() -> None:
    """Of units of values in each head of keys 4, of each gain 2, and of the pair that each such head turns, 2."""
    torch.manual_seed(0)
    net = make_net(grouped_queries(), (3, 3))
    signs = checked(net, replace(net.symmetry, signs=())).signs
    assert (signs.found, signs.there) == (0, 10)
    assert checked(net, net.symmetry).signs.wrong == 0
