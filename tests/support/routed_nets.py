"""Mixtures of experts in which each sample goes to some experts alone, in the ways that people write this."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.layers import Net
from tests.support.parted_nets import PARTS, gated


def _best(gate: Tensor) -> tuple[Tensor, Tensor]:
    best, which = gate.topk(2, -1)
    return best / best.sum(-1, keepdim=True), which


def _all(m: Net, x: Tensor) -> Tensor:
    return torch.stack([part(x) for part in m.experts], 1)


def by_choice(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    (best, which), y = _best(gate), torch.zeros_like(x)
    for j in range(2):
        for k, part in enumerate(m.experts):
            here = which[:, j] == k
            y[here] += part(x[here]) * best[here, j : j + 1]
    return y


def by_choice_if_any(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    (best, which), y = _best(gate), torch.zeros_like(x)
    for k, part in enumerate(m.experts):
        for j in range(2):
            here = which[:, j] == k
            if here.sum() == 0:
                continue
            y[here] += part(x[here]) * best[here, j].unsqueeze(-1)
    return y


def gathered(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    every = _all(m, x)
    return (every.gather(1, which[..., None].expand(-1, -1, every.shape[-1])) * best[..., None]).sum(1)


def indexed(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    return (_all(m, x)[torch.arange(len(x))[:, None], which] * best[..., None]).sum(1)


def by_unique(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    (best, which), y = _best(gate), torch.zeros_like(x)
    for e in which.unique():
        row, rank = torch.where(which == e)
        y[row] += m.experts[int(e)](x[row]) * best[row, rank, None]
    return y


def repeated(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    flat, rows = which.view(-1), x.repeat_interleave(2, 0)
    y = torch.empty_like(rows)
    for k, part in enumerate(m.experts):
        y[flat == k] = part(rows[flat == k])
    return (y.view(*best.shape, -1) * best[..., None]).sum(1)


def to_the_best(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    (best, which), y = gate.max(-1), torch.zeros_like(x)
    for k, part in enumerate(m.experts):
        y[which == k] = part(x[which == k]) * best[which == k, None]
    return y


def chosen(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    which, y = gate.argmax(-1), torch.zeros_like(x)
    for k, part in enumerate(m.experts):
        y = torch.where((which == k)[:, None], part(x), y)
    return y


def weights_put(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    weights = torch.zeros_like(gate)
    weights[torch.arange(len(x))[:, None], which] = best
    return sum(weights[:, k : k + 1] * part(x) for k, part in enumerate(m.experts))


def weights_scattered(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    return (torch.zeros_like(gate).scatter_(1, which, best)[..., None] * _all(m, x)).sum(1)


def two_after_each_other(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    first = F.one_hot(gate.argmax(-1), PARTS).to(x.dtype)
    rest = gate * (1 - first)
    second = F.one_hot(rest.argmax(-1), PARTS).to(x.dtype)
    return torch.einsum("be,bed->bd", (first + second) * gate, _all(m, x))


ROUTED: dict[str, Callable[[], nn.Module]] = {
    "a mask for each choice": gated(by_choice),
    "a mask for each choice, if any": gated(by_choice_if_any),
    "outputs gathered": gated(gathered),
    "outputs indexed": gated(indexed),
    "outputs taken along an axis": gated(
        lambda m, x, gate: (_all(m, x).take_along_dim(_best(gate)[1][..., None], 1) * _best(gate)[0][..., None]).sum(1)
    ),
    "a loop over those that are there": gated(by_unique),
    "rows repeated": gated(repeated),
    "to the best": gated(to_the_best),
    "a choice after another": gated(chosen),
    "weights put at places": gated(weights_put),
    "weights scattered": gated(weights_scattered),
    "two after each other": gated(two_after_each_other),
}
"""Networks of three experts that trade places with their gate's outputs."""


def next_to_the_best(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    which = (which + 1) % PARTS
    return sum((best * (which == k)).sum(-1, keepdim=True) * part(x) for k, part in enumerate(m.experts))


def up_to_the_best(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    best, which = _best(gate)
    return sum((best * (which <= k)).sum(-1, keepdim=True) * part(x) for k, part in enumerate(m.experts))


def overwritten(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    which, y = _best(gate)[1], torch.zeros_like(x)
    for k, part in enumerate(m.experts):
        here = (which == k).any(-1)
        y[here] = part(x[here])
    return y


def weighted_by_number(m: Net, x: Tensor, gate: Tensor) -> Tensor:
    which = gate.argmax(-1)
    y = sum((which == k)[:, None] * part(x) for k, part in enumerate(m.experts))
    return y * torch.tensor([1.0, 2.0, 3.0], dtype=x.dtype)[which][:, None]


ASIDE: dict[str, Callable[[], nn.Module]] = {
    "to the next": gated(next_to_the_best),
    "to all up to it": gated(up_to_the_best),
    "overwritten by the last": gated(overwritten),
    "weighted by number": gated(weighted_by_number),
}
"""Networks that look like it, whose experts do not trade places."""
