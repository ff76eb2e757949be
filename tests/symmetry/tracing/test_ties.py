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
from landscape_cli.symmetry.tracing.ties import ANY, TRUTH, Numbers, paired, repeated, united
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
    "sigmoid": set(MASKED) - {"negative", "squared"},
}
"""With which scores those that a mask repeats come after all others, the largest first."""


class _Model(torch.nn.Module):
    """No model, but what a run asks for."""


def numbers_of(function: Callable[[Tensor, Tensor], Tensor], *, mask: bool = True) -> Numbers:
    """Return what is known of a function of scores and of a mask of those that are among the best."""
    tracer = Tracer(_Model(), strict=False)
    x = tracer.add_input(torch.zeros(5, 6, dtype=torch.float64, device=META))
    with without_compiler(), torch.no_grad(), tracer:
        best = torch.zeros_like(x).scatter(1, x.topk(2, -1).indices, 1.0) if mask else x
        made = function(x, best)
    return tracer._tensors.ties.of(made)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("mask", MASKED)
def test_no_other_number_is_repeated_and_all_others_are_between(score: str, mask: str) -> None:
    function: Callable[[Tensor, Tensor], Tensor] = lambda x, m: MASKED[mask](SCORES[score](x), m)  # noqa: E731 a case
    known = numbers_of(function)
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(64, 6, generator=generator, dtype=torch.float64)
    made = function(x, torch.zeros_like(x).scatter(1, x.topk(2, -1).indices, 1.0))
    for row in made:
        different, counts = row.unique(return_counts=True)
        for number, count in zip(different.tolist(), counts.tolist(), strict=True):
            if known.repeated is None or number in known.repeated or not abs(number) < 1e30:
                continue
            assert count == 1
            assert known.low <= number <= known.high


@pytest.mark.parametrize("score", LAST)
@pytest.mark.parametrize("mask", MASKED)
def test_zeros_of_a_mask_come_last_where_all_others_are_above(score: str, mask: str) -> None:
    known = numbers_of(lambda x, m: MASKED[mask](SCORES[score](x), m))
    assert known.come_last(largest=True) == (mask in LAST[score])


@pytest.mark.parametrize("function", [F.relu, F.hardsigmoid, F.relu6, torch.round, lambda x: x.clamp(min=0.1)])
def test_as_many_as_the_input_says_do_not(function: Callable[[Tensor], Tensor]) -> None:
    known = numbers_of(lambda x, _: function(x), mask=False)
    assert not known.come_last(largest=True)
    assert not numbers_of(lambda x, _: x.masked_fill(x < 0.1, -math.inf), mask=False).come_last(largest=True)


def test_numbers_of_one_place_each_come_in_whatever_order() -> None:
    assert ANY.come_last(largest=True)
    assert ANY.come_last(largest=False)
    assert not repeated(0.0).come_last(largest=True)
    assert united(repeated(0.0), Numbers(0.0, 1.0)).come_last(largest=True)
    assert not united(repeated(0.0), Numbers(0.0, 1.0)).come_last(largest=False)
    assert paired(TRUTH, Numbers(1.0, 2.0), float.__add__, (True, True)) == Numbers(1.0, 3.0)
    assert paired(TRUTH, Numbers(1.0, 2.0), float.__add__, (True, False)).repeated is None
