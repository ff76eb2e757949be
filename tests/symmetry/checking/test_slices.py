"""What trades places where equal scores tie is told by outputs alone."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli.symmetry.spec import PermutationGroup
from tests.support.groups_by_hand import axis, cells, checked, with_groups
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import make_net


def limited() -> Body:
    """Six experts in two groups, of which the better counts by its two best, and in it the two best experts."""

    def forward(m: Body, x: Tensor) -> Tensor:
        scores = m.g(x).sigmoid().unflatten(1, (2, 3))
        best = scores.topk(2, -1)[0].sum(-1).argmax(1)
        scores = (scores * F.one_hot(best, 2)[..., None]).flatten(1)
        weights = torch.zeros_like(scores).scatter(1, scores.topk(2, -1)[1], 1.0) * scores
        return torch.einsum("beo,be->bo", torch.einsum("bi,eio->beo", x, m.w).tanh(), weights)

    return Body(forward, g=nn.Linear(3, 6), w=nn.Parameter(torch.randn(6, 3, 2)))


def test_experts_that_are_chosen_within_chosen_groups_are_missed() -> None:
    """Equal scores tie, and some are chosen all the same: gradients tell experts apart that trade places."""
    torch.manual_seed(0)
    net = make_net(limited(), (3,))
    axes = ("g.weight", 0), ("g.bias", 0), ("w", 0)
    within = PermutationGroup("w", 3, tuple(axis(name, dim, 6) for name, dim in axes), blocks=2)
    table = [[0, 1, 2], [3, 4, 5]]
    between = PermutationGroup("w/blocks", 2, tuple(cells(name, (dim,), table) for name, dim in axes))
    every = replace(within, size=6, blocks=1)
    counts = [
        (groups.found, groups.missed, groups.wrong)
        for found in ((within, between), (within,), (between,), (every,))
        for groups in [checked(net, with_groups(net, *found)).groups]
    ]
    assert counts == [(2, 0, 0), (1, 1, 0), (1, 1, 0), (0, 2, 1)]
