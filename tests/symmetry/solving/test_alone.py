"""Operators that work on each unit alone do: what changes one place along an axis changes no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.symmetry.solving.alone import alike_kinds, is_alone
from landscape_cli.symmetry.tracing.graph import Node

OPERATORS: dict[str, tuple[tuple[object, ...], Callable[[Tensor], Tensor]]] = {
    "relu": (("relu", (Tensor,), ()), F.relu),
    "_softmax": (("_softmax", (Tensor, 1, False), ()), lambda x: x.softmax(1)),
    "cumsum": (("cumsum", (Tensor, -1), ()), lambda x: x.cumsum(-1)),
    "native_layer_norm": (("native_layer_norm", (Tensor, (4,), None, None, 1e-5), ()), lambda x: F.layer_norm(x, (4,))),
    "avg_pool2d": (("avg_pool2d", (Tensor, (1, 1)), ()), lambda x: F.avg_pool2d(x, 1)),
    "transpose": (("transpose", (Tensor, 2, 3), ()), lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_what_is_said_to_be_alone_is(name: str, axis: int) -> None:
    kind, function = OPERATORS[name]
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    moved = x.clone()
    moved.select(axis, 0).add_(1.0)
    differ = (function(x) != function(moved)).movedim(axis, 0)[1:].any()
    assert is_alone(Node(kind), axis, 4) is not bool(differ)


def test_unknown_operators_are_not_said_to_be() -> None:
    assert is_alone(Node(("some_operator", (Tensor,), ())), 0, 2) is None


@pytest.mark.parametrize(("right", "alike"), [((-1, 6, 2), True), ((-1, 9, 2), False), ((-1, 6), False)])
def test_arguments_grow_as_units_do(right: tuple[int, ...], alike: bool) -> None:
    assert alike_kinds(("view", (Tensor, (-1, 4, 2))), ("view", (Tensor, right)), (2, 3)) is alike
