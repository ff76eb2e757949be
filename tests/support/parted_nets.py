"""Networks of parts that are modules: experts and their gates, branches, ensembles; and such as only look like it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net

PARTS, WIDTH = 3, 4
Way = Callable[[Net, Tensor, Tensor], Tensor]


def expert(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 3), nn.ReLU(), nn.Linear(3, outputs))


def gated(way: Way) -> Callable[[], nn.Module]:
    """Return what makes a mixture of experts, put together by `way` of them, their input and their weights."""

    def forward(m: Net, x: Tensor) -> Tensor:
        x = F.leaky_relu(m.first(x), 0.3)
        return m.last(F.leaky_relu(way(m, x, m.gate(x).softmax(-1)), 0.3))

    return lambda: Net(
        forward,
        first=nn.Linear(3, WIDTH),
        gate=nn.Linear(WIDTH, PARTS),
        experts=nn.ModuleList(expert(WIDTH, WIDTH) for _ in range(PARTS)),
        last=nn.Linear(WIDTH, 2),
    )


def parts(way: Callable[[list[Tensor]], Tensor], outputs: int = 2, last: int = 0) -> Callable[[], nn.Module]:
    """Return what makes branches from the input on, put together by `way`."""

    def forward(m: Net, x: Tensor) -> Tensor:
        y = way([branch(x) for branch in m.branches])
        return m.last(F.leaky_relu(y, 0.3)) if last else y

    more = {"last": nn.Linear(last, 2)} if last else {}
    return lambda: Net(forward, branches=nn.ModuleList(expert(3, outputs) for _ in range(PARTS)), **more)


def in_a_loop(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    for k, part in enumerate(m.experts):
        y += gate[:, k : k + 1] * part(x)
    return x + y


def _top(m: Net, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    best, which = gate.topk(2, -1)
    return best / best.sum(-1, keepdim=True), which, torch.zeros_like(x)


def routed_by_one_hot(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which, y = _top(m, x, gate)
    chosen = F.one_hot(which, PARTS).permute(2, 1, 0)
    for k, part in enumerate(m.experts):
        rank, row = torch.where(chosen[k])
        y.index_add_(0, row, part(x[row]) * best[row, rank, None])
    return y


def routed_by_number(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which, y = _top(m, x, gate)
    for k, part in enumerate(m.experts):
        row, rank = torch.where(which == k)
        y[row] += best[row, rank, None] * part(x[row])
    return y


def routed_if_any(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which, y = _top(m, x, gate)
    for k, part in enumerate(m.experts):
        here = which == k
        if here.any():
            y = y + (best * here).sum(-1, keepdim=True) * part(x)
    return y


def routed_by_rows(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    _, which, y = _top(m, x, gate)
    for k, part in enumerate(m.experts):
        here = (which == k).any(-1)
        if here.any():
            y[here] += part(x[here]) * gate[here, k : k + 1]
    return y


def stacks(way: Callable[[Net, Tensor, int], Tensor]) -> Callable[[], nn.Module]:
    """Return what makes a mixture of experts whose matrices are slices of two parameters, routed to those that are hit.

    `way` gives what one of them makes of its input.
    """

    def forward(m: Net, x: Tensor) -> Tensor:
        x = F.leaky_relu(m.first(x), 0.3)
        best, which, y = _top(m, x, m.gate(x).softmax(-1))
        chosen = F.one_hot(which, PARTS + 1).permute(2, 1, 0)
        for number in torch.greater(chosen.sum((-1, -2)), 0).nonzero():
            k = number[0]
            if k == PARTS:
                continue
            rank, row = torch.where(chosen[k])
            y.index_add_(0, row, way(m, x[row], k) * best[row, rank, None])
        return m.last(F.leaky_relu(y, 0.3))

    return lambda: Net(
        forward,
        first=nn.Linear(3, WIDTH),
        gate=nn.Linear(WIDTH, PARTS),
        last=nn.Linear(WIDTH, 2),
        up=nn.ParameterList([torch.randn(PARTS, 6, WIDTH)]),
        down=nn.ParameterList([torch.randn(PARTS, WIDTH, 3)]),
    )


def one_slice(m: Net, x: Tensor, k: int) -> Tensor:
    value, gate = F.linear(x, m.up[0][k]).chunk(2, -1)
    return F.linear(F.silu(gate) * value, m.down[0][k])


def _stacked(m: Net, x: Tensor, dim: int = 1) -> Tensor:
    return torch.stack([part(x) for part in m.experts], dim)


def own_gates(m: Net, x: Tensor) -> Tensor:
    gate = torch.cat([own(x) for own in m.gates], -1).softmax(-1)
    return sum(gate[:, k : k + 1] * part(x) for k, part in enumerate(m.experts))


MADE: dict[str, Callable[[], nn.Module]] = {
    "in a loop": gated(in_a_loop),
    "stacked": gated(lambda m, x, gate: (_stacked(m, x) * gate[..., None]).sum(1)),
    "stacked last": gated(lambda m, x, gate: (_stacked(m, x, -1) * gate[:, None]).sum(-1)),
    "by einsum": gated(lambda m, x, gate: torch.einsum("be,ebd->bd", gate, _stacked(m, x, 0))),
    "by bmm": gated(lambda m, x, gate: torch.bmm(gate[:, None], _stacked(m, x))[:, 0]),
    "routed by one-hot vectors": gated(routed_by_one_hot),
    "routed by number": gated(routed_by_number),
    "routed if any": gated(routed_if_any),
    "routed by rows": gated(routed_by_rows),
    "slices of parameters": stacks(one_slice),
    "gates of their own": lambda: Net(
        own_gates,
        gates=nn.ModuleList(nn.Linear(3, 1) for _ in range(PARTS)),
        experts=nn.ModuleList(expert(3, 2) for _ in range(PARTS)),
    ),
    "summed": parts(sum),
    "averaged": parts(lambda ys: torch.stack(ys).mean(0)),
    "averaged votes": parts(lambda ys: torch.stack([y.softmax(-1) for y in ys]).mean(0)),
    "multiplied": parts(lambda ys: ys[0] * ys[1] * ys[2]),
    "the largest": parts(lambda ys: torch.stack(ys).amax(0)),
    "side by side": parts(lambda ys: torch.cat(ys, -1), 2, 2 * PARTS),
    "stacked, flattened": parts(lambda ys: torch.stack(ys, 1).flatten(1), 2, 2 * PARTS),
}
"""Networks of three parts that trade places."""


def two_of_them(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    first, second, third = (gate[:, k : k + 1] * part(x) for k, part in enumerate(m.experts))
    return first + second - third


def distance(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    first, second, third = (part(x) for part in m.experts)
    return (first - second).abs() * third.exp()


ALONE: dict[str, Callable[[], nn.Module]] = {
    "weighted by number": parts(lambda ys: sum((k + 1) * y for k, y in enumerate(ys))),
    "outputs side by side": parts(lambda ys: torch.cat(ys, -1)),
    "cut at -1, -2 and 3": parts(lambda ys: ys[0].clamp(-1.0, 1.0) + ys[1].clamp(-2.0, 1.0) + ys[2].clamp(1.0, 3.0)),
    "shares along the axes -1 and -2": parts(
        lambda ys: ys[0][:, None].softmax(-1)[:, 0] + ys[1][:, None].softmax(-2)[:, 0] + ys[2].exp()
    ),
    "the last alone": parts(lambda ys: torch.stack(ys)[-1] + ys[0] * ys[1].exp()),
    "the place of the largest": parts(lambda ys: torch.stack(ys).argmax(0) * 1.0 + ys[0] + 2 * ys[1]),
    "the first half of all": parts(lambda ys: torch.cat(ys, -1)[:, :3], 2, 3),
    "stacked, a running sum": parts(lambda ys: torch.stack(ys).cumsum(0).square().sum(0)),
    "times numbers of their places": parts(lambda ys: (torch.stack(ys) * torch.arange(3.0)[:, None, None]).sum(0)),
    "slices of a parameter that is used whole, too": stacks(
        lambda m, x, k: one_slice(m, x, k) + m.up[0].cumsum(0)[k, 0]
    ),
    "one after the other": gated(lambda m, x, gate: m.experts[2](m.experts[1](m.experts[0](x)))),
    "gate of another order": gated(
        lambda m, x, gate: (
            sum(gate[:, k : k + 1] * part(x) for k, part in enumerate(m.experts)) + gate.cumsum(-1) @ WEIGHTS
        )
    ),
}
"""Networks whose parts are alike, and do not trade places."""
WEIGHTS = torch.tensor([[1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 5.0, 3.0], [0.5, 1.5, 2.5, 1.0]], dtype=torch.float64)
