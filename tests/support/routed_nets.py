"""Mixtures of experts in which each sample goes to some experts alone, in the ways that people write this."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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


GROUPS, IN_GROUP = 3, 2
LOWEST = float("-inf")


def _best_groups(scores: Tensor, *, two: bool = False) -> Tensor:
    """Return which two groups are best, by their best expert or their best two."""
    of_group = scores.unflatten(-1, (GROUPS, IN_GROUP))
    best = of_group.topk(2, -1).values.sum(-1) if two else of_group.amax(-1)
    return best.topk(2, -1).indices


def spread(scores: Tensor, number: float = LOWEST) -> Tensor:
    """A mask of groups spread over their experts."""
    which = _best_groups(scores, two=True)
    groups = torch.zeros(len(scores), GROUPS, dtype=scores.dtype).scatter_(1, which, 1)
    mask = groups.unsqueeze(-1).expand(-1, -1, IN_GROUP).reshape(len(scores), -1)
    return scores.masked_fill(~mask.bool(), number)


def side_by_side(scores: Tensor) -> Tensor:
    """Scores by group and expert, those of the others hidden."""
    others = torch.ones(len(scores), GROUPS, dtype=torch.bool).scatter_(1, _best_groups(scores), False)
    return scores.unflatten(-1, (GROUPS, IN_GROUP)).masked_fill(others[..., None], LOWEST).flatten(1)


def multiplied(scores: Tensor) -> Tensor:
    return scores * F.one_hot(_best_groups(scores), GROUPS).sum(1).repeat_interleave(IN_GROUP, 1)


def _hidden(scores: Tensor, groups: Tensor) -> Tensor:
    """Hide the scores of experts of other groups."""
    return scores.masked_fill(~groups.bool().repeat_interleave(IN_GROUP, 1), LOWEST)


def put_at_places(scores: Tensor) -> Tensor:
    groups = torch.zeros(len(scores), GROUPS, dtype=scores.dtype)
    groups[torch.arange(len(scores))[:, None], _best_groups(scores)] = 1
    return torch.where(groups[..., None].expand(-1, -1, IN_GROUP).flatten(1) > 0, scores, LOWEST)


def not_below(scores: Tensor) -> Tensor:
    """Groups that are not below the second best."""
    best = scores.unflatten(-1, (GROUPS, IN_GROUP)).amax(-1)
    return _hidden(scores, best >= best.topk(2, -1).values[:, -1:])


def first_of_all_in_order(scores: Tensor) -> Tensor:
    best = scores.unflatten(-1, (GROUPS, IN_GROUP)).amax(-1).argsort(-1, descending=True)
    return _hidden(scores, F.one_hot(best[:, :2], GROUPS).amax(1))


def worst_left_out(scores: Tensor) -> Tensor:
    worst = scores.unflatten(-1, (GROUPS, IN_GROUP)).amax(-1).topk(1, -1, largest=False).indices
    return _hidden(scores, torch.ones(len(scores), GROUPS).scatter(1, worst, 0.0))


def spread_by_a_matrix(scores: Tensor) -> Tensor:
    groups = F.one_hot(_best_groups(scores), GROUPS).sum(1).to(scores.dtype)
    spreading = torch.eye(GROUPS, dtype=scores.dtype).repeat_interleave(IN_GROUP, 1)
    return scores.masked_fill(groups @ spreading == 0, LOWEST)


def by_place(scores: Tensor) -> Tensor:
    return spread(scores + torch.arange(GROUPS * IN_GROUP) / 10)


def limited(
    mask: Callable[[Tensor], Tensor], *, modules: bool = False, bias: bool = False, many: int = 3
) -> Callable[[], nn.Module]:
    """Return what makes a mixture of experts in groups, of which the best two are asked, as `mask` makes of scores."""
    count = GROUPS * IN_GROUP

    def forward(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        scores = m.gate(h).sigmoid()
        which = mask(scores + m.e if bias else scores).topk(many, -1).indices
        weights = scores.gather(1, which)
        weights = weights / weights.sum(-1, keepdim=True)
        if modules:
            y = m.shared(h)
            for k, part in enumerate(m.experts):
                row, rank = torch.where(which == k)
                y[row] += part(h[row]) * weights[row, rank, None]
            return m.o(y)
        y = torch.einsum("beh,ehd->bed", F.relu(torch.einsum("bd,edh->beh", h, m.w)), m.v)
        return m.o((y.gather(1, which[..., None].expand(-1, -1, y.shape[-1])) * weights[..., None]).sum(1))

    def make() -> Net:
        parts: dict[str, nn.Module | nn.Parameter] = {"e": nn.Parameter(torch.randn(count))} if bias else {}
        if modules:
            parts |= {
                "experts": nn.ModuleList(
                    nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4)) for _ in range(count)
                )
            }
            parts |= {"shared": nn.Linear(4, 4)}
        else:
            parts |= {"w": nn.Parameter(torch.randn(count, 4, 3)), "v": nn.Parameter(torch.randn(count, 3, 4))}
        return Net(forward, i=nn.Linear(3, 4), gate=nn.Linear(4, count, bias=False), o=nn.Linear(4, 2), **parts)

    return make


MASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros for the others": partial(spread, number=0.0),
    "side by side": side_by_side,
    "multiplied": multiplied,
    "put at places": put_at_places,
    "not below": not_below,
    "first of all in order": first_of_all_in_order,
    "worst left out": worst_left_out,
    "spread by a matrix": spread_by_a_matrix,
}
"""Ways to hide the experts of all but the best two groups."""
LIMITED: dict[str, Callable[[], nn.Module]] = {
    "a mask spread": limited(spread, bias=True),
    "as many as are left": limited(spread, bias=True, many=2 * IN_GROUP),
    **{name: limited(mask) for name, mask in MASKS.items()},
}
"""Stacked experts that trade places within their group, and groups as wholes."""
LIMITED_MODULES: dict[str, Callable[[], nn.Module]] = {
    "a mask spread": limited(spread, modules=True, bias=True),
    "side by side": limited(side_by_side, modules=True),
}
"""The same of experts that are modules."""


def stacked(forward: Callable[[Net, Tensor], Tensor], *, readers: bool) -> Callable[[], Net]:
    """Return what makes a mixture of three experts: modules that a stack of matrices reads, or that read such a one."""

    def run(m: Net, x: Tensor) -> Tensor:
        h = m.i(x)
        return m.o((m.gate(h).softmax(-1)[..., None] * forward(m, h)).sum(1))

    def make() -> Net:
        modules = nn.ModuleList(nn.Linear(*((3, 4) if readers else (4, 3))) for _ in range(PARTS))
        table = nn.Parameter(torch.randn(PARTS, *((4, 3) if readers else (3, 4))))
        return Net(run, i=nn.Linear(3, 4), gate=nn.Linear(4, PARTS), o=nn.Linear(4, 2), experts=modules, w=table)

    return make


def read_one_by_one(m: Net, h: Tensor) -> Tensor:
    z = torch.stack([F.relu(h @ w) for w in m.w], 1)
    return torch.stack([part(z[:, k]) for k, part in enumerate(m.experts)], 1)


def made_at_once(m: Net, h: Tensor) -> Tensor:
    z = F.relu(torch.einsum("bd,edh->beh", h, m.w))
    return torch.stack([part(each) for part, each in zip(m.experts, z.unbind(1), strict=True)], 1)


def read_at_once(m: Net, h: Tensor) -> Tensor:
    return torch.einsum("beh,ehd->bed", torch.stack([F.relu(part(h)) for part in m.experts], 1), m.w)


STACKED: dict[str, Callable[[], nn.Module]] = {
    "stacked, read one by one": stacked(read_one_by_one, readers=True),
    "made at once, read one by one": stacked(made_at_once, readers=True),
    "made one by one, read at once": stacked(read_at_once, readers=False),
}
"""Experts of which one half is modules and the other matrices in a stack."""
