"""Numbers that may stand at several places: what is said of them holds of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.forward.uncompiled import without_compiler
from landscape_cli.symmetry.tracing.constants import META
from landscape_cli.symmetry.tracing.counts import along
from landscape_cli.symmetry.tracing.repeats import (
    ANY,
    TRUTH,
    Numbers,
    counted_numbers,
    paired,
    plus,
    repeated,
    united,
)
from landscape_cli.symmetry.tracing.tracer import Tracer

MASKED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiplied": lambda s, m: s * m,
    "multiplied by what is left of 1": lambda s, m: s * (1 - m),
    "chosen": lambda s, m: torch.where(m.bool(), s, 0.0),
    "chosen, or zeros": lambda s, m: torch.where(m.bool(), s, torch.zeros_like(s)),
    "filled": lambda s, m: s.masked_fill(m == 0, 0.0),
    "filled in place": lambda s, m: s.clone().masked_fill_(m == 0, 0.0),
    "put": lambda s, m: s.clone().index_put_((m == 0,), torch.zeros((), dtype=s.dtype)),
    "by a softmax": lambda s, m: (s.masked_fill(m == 0, -math.inf)).softmax(-1),
    "divided": lambda s, m: s * m / (s * m).abs().sum(-1, keepdim=True),
    "side by side": lambda s, m: torch.cat([s[:, :2] * m[:, :2], s[:, 2:] * m[:, 2:]], 1),
    "negative": lambda s, m: -(s * m),
    "squared": lambda s, m: (s * m) ** 2,
    "below all": lambda s, m: s - (1 - m) * 1e9,
    "added": lambda s, m: s + m,
    "hidden": lambda s, m: s.masked_fill(m == 0, torch.finfo(s.dtype).min),
}
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "numbers": lambda x: x,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: x.softmax(-1),
    "scaled sigmoid": lambda x: 2.5 * x.sigmoid(),
    "ReLU": F.relu,
    "tanh": torch.tanh,
    "absolute": torch.abs,
    "hard sigmoid": F.hardsigmoid,
    "rounded": torch.round,
    "clamped": lambda x: x.clamp(-0.5, 0.5),
}
LAST = {
    "numbers": {"below all", "added", "hidden", "by a softmax"},
    "sigmoid": set(MASKED) - {"negative", "squared", "side by side"},  # how many pieces hold in all is not counted
}
"""With which scores those that a mask repeats come after all others, the largest first."""
BEST, PLACES = 2, 6
TOLD = {"added": PLACES, "below all": PLACES, "multiplied by what is left of 1": PLACES - BEST}
"""How many are told apart from those that a mask repeats, where these are not `BEST`."""


class _Model(torch.nn.Module):
    """No model, but what a run asks for."""


BY_RANK = torch.eye(PLACES, dtype=torch.float64)
WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "one-hot vectors, summed": lambda x: F.one_hot(x.topk(BEST, -1).indices, PLACES).sum(1),
    "one-hot vectors, any": lambda x: (F.one_hot(x.topk(BEST, -1).indices, PLACES) > 0).any(1),
    "one-hot vectors, the largest": lambda x: F.one_hot(x.topk(BEST, -1).indices, PLACES).amax(1),
    "none of the others": lambda x: (F.one_hot(x.topk(PLACES - BEST, -1, False).indices, PLACES) == 0).all(1),
    "at least the last": lambda x: x >= x.topk(BEST, -1).values[:, -1:],
    "above the next": lambda x: x > x.topk(BEST + 1, -1).values[..., -1, None],
    "the last at most": lambda x: x.topk(BEST, -1).values[:, BEST - 1].unsqueeze(1) <= x,
    "not below": lambda x: ~(x < x.kthvalue(PLACES - BEST + 1, -1, keepdim=True).values),
    "first of all in order": lambda x: torch.zeros_like(x).scatter(1, x.argsort(-1, descending=True)[:, :BEST], 1.0),
    "last of all in order": lambda x: torch.zeros_like(x).scatter(1, x.sort(-1).indices[:, -BEST:], 1.0),
    "added": lambda x: torch.zeros_like(x).scatter_add(1, x.topk(BEST, -1).indices, torch.ones_like(x)[:, :BEST]),
    "by a matrix": lambda x: torch.zeros_like(x).scatter(1, x.topk(BEST, -1).indices, 1.0) @ BY_RANK,
    "put": lambda x: torch.zeros_like(x).index_put((torch.arange(len(x))[:, None], x.topk(BEST, -1).indices), ONE),
    "the best of two axes": lambda x: (x == x.amax(-1, keepdim=True)) | (x == x.amin(-1, keepdim=True)),
}
"""Masks of as many."""
ONE = torch.ones((), dtype=torch.float64)


@pytest.mark.parametrize("way", WAYS)
def test_how_many_a_mask_leaves(way: str) -> None:
    known = numbers_of(lambda x, _: x.masked_fill(WAYS[way](x) == 0, -math.inf), mask=False)
    x = torch.randn(64, PLACES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left = (WAYS[way](x) != 0).sum(1)
    told = known.told(1, (5, PLACES), largest=True)
    assert told <= int(left.min())
    assert told == (1 if way == "the best of two axes" else BEST)  # which might be the same one


@pytest.mark.parametrize("count", [1, 3, 5])
def test_no_more_may_be_taken_of_what_a_mask_leaves(count: int) -> None:
    tracer = Tracer(_Model(), strict=False)
    x = tracer.add_input(torch.zeros(5, PLACES, dtype=torch.float64, device=META))
    with without_compiler(), torch.no_grad(), tracer:
        hidden = x.masked_fill(torch.zeros_like(x).scatter(1, x.topk(3, -1).indices, 1.0) == 0, -math.inf)
        which = hidden.argsort(-1, descending=True)[:, :count]
    order = tracer._tensors.ties.order(which)
    assert order is not None
    assert order.is_told == (count <= 3)


def numbers_of(function: Callable[[Tensor, Tensor], Tensor], *, mask: bool = True) -> Numbers:
    """Return what is known of a function of scores and of a mask of those that are among the best."""
    tracer = Tracer(_Model(), strict=False)
    x = tracer.add_input(torch.zeros(5, PLACES, dtype=torch.float64, device=META))
    with without_compiler(), torch.no_grad(), tracer:
        best = torch.zeros_like(x).scatter(1, x.topk(BEST, -1).indices, 1.0) if mask else x
        made = function(x, best)
    return tracer._tensors.ties.of(made)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("mask", MASKED)
def test_no_other_number_is_repeated_and_all_others_are_between(score: str, mask: str) -> None:
    function: Callable[[Tensor, Tensor], Tensor] = lambda x, m: MASKED[mask](SCORES[score](x), m)  # noqa: E731 a case
    known = numbers_of(function)
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(64, PLACES, generator=generator, dtype=torch.float64)
    made = function(x, torch.zeros_like(x).scatter(1, x.topk(BEST, -1).indices, 1.0))
    for row in made:
        different, counts = row.unique(return_counts=True)
        for number, count in zip(different.tolist(), counts.tolist(), strict=True):
            if known.repeated is None or number in known.repeated or not abs(number) < 1e30:
                continue
            assert count == 1
            assert known.low <= number <= known.high
        for number, most in (known.repeated or {}).items():
            assert counts[different == number].sum() <= along(most, 1, 2)


@pytest.mark.parametrize("score", LAST)
@pytest.mark.parametrize("mask", MASKED)
def test_zeros_of_a_mask_come_last_where_all_others_are_above(score: str, mask: str) -> None:
    known = numbers_of(lambda x, m: MASKED[mask](SCORES[score](x), m))
    assert known.told(1, (5, PLACES), largest=True) == (TOLD.get(mask, BEST) if mask in LAST[score] else 0)


@pytest.mark.parametrize("function", [F.relu, F.hardsigmoid, F.relu6, torch.round, lambda x: x.clamp(min=0.1)])
def test_as_many_as_the_input_says_do_not(function: Callable[[Tensor], Tensor]) -> None:
    known = numbers_of(lambda x, _: function(x), mask=False)
    assert not known.told(1, (5, PLACES), largest=True)
    hidden = numbers_of(lambda x, _: x.masked_fill(x < 0.1, -math.inf), mask=False)
    assert not hidden.told(1, (5, PLACES), largest=True)


def test_numbers_of_one_place_each_come_in_whatever_order() -> None:
    assert ANY.told(0, (4,), largest=True) == ANY.told(0, (4,), largest=False) == 4
    assert not counted_numbers({0.0: (4.0,)}).told(0, (4,), largest=True)
    assert not united(repeated(0.0), Numbers(0.0, 1.0)).told(0, (4,), largest=True)
    masked = united(counted_numbers({0.0: (3.0,)}), Numbers(0.0, 1.0))
    assert masked.told(0, (4,), largest=True) == 1
    assert not masked.told(0, (4,), largest=False)
    assert paired(TRUTH, Numbers(1.0, 2.0), plus, (True, True)) == Numbers(1.0, 3.0)
    assert paired(TRUTH, Numbers(1.0, 2.0), plus, (True, False)).repeated is None
