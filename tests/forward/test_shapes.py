"""Shapes told here are those that PyTorch tells."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from landscape_cli.forward.shapes import RULES, result_on_meta

aten = torch.ops.aten
X, FLAT = (2, 4, 9, 8), (5, 4)


def on_meta(*shape: int, **kind: Any) -> Tensor:
    return torch.empty(shape, device="meta", **kind)


def vectors(count: int) -> list[Tensor]:
    return [on_meta(4) for _ in range(count)]


def described(result: Any) -> list[Any]:
    tensors = [result] if isinstance(result, Tensor) else list(result)
    return [(each.shape, each.stride(), each.dtype, each.device.type) for each in tensors]


SETTINGS = list(product([[1], [2]], [[0], [2]], [[1], [2]], [1, 2]))
CONVOLUTIONS = [
    (aten.convolution.default, on_meta(2, 4, *sizes), on_meta(6, 4 // n, *window), bias, *settings, False, [0], n)
    for sizes, window, bias in [((9,), (3,), None), ((9, 8), (3, 2), on_meta(6)), ((9, 8, 7), (1, 3, 2), None)]
    for *settings, n in SETTINGS
] + [(aten.convolution.default, on_meta(*X), on_meta(6, 4, 3, 3), None, [2, 1], [0, 1], [1, 2], False, [0, 0], 1)]
USUAL = [
    (aten.relu.default, on_meta(*X)),
    (aten.relu.default, on_meta()),
    (aten.relu.default, on_meta(0, 3)),
    (aten.relu_.default, on_meta(*X, dtype=torch.float64)),
    *((f, on_meta(*X), on_meta(*X)) for f in (aten.add.Tensor, aten.mul.Tensor, aten.add_.Tensor, aten.mul_.Tensor)),
    (aten.mm.default, on_meta(*FLAT), on_meta(4, 3)),
    (aten.mm.default, on_meta(*FLAT), on_meta(3, 4).t()),
    (aten.addmm.default, on_meta(3), on_meta(*FLAT), on_meta(3, 4).t()),
    (aten.native_batch_norm.default, on_meta(*X), *vectors(4), False, 0.1, 1e-5),
    (aten.native_batch_norm.default, on_meta(*FLAT), *vectors(4), False, 0.1, 1e-5),
    (aten.max_pool2d_with_indices.default, on_meta(*X), [2, 2]),
    (aten.max_pool2d_with_indices.default, on_meta(*X), [3], [2, 1]),
    (aten.max_pool2d_with_indices.default, on_meta(*X), [3, 3], [2, 2], [1, 1]),
    (aten.max_pool2d_with_indices.default, on_meta(*X), [3, 2], [2], [1, 0]),
    (aten.mean.dim, on_meta(*X), [-1, -2]),
    (aten.mean.dim, on_meta(*X), [1], True),
    (aten.sum.dim_IntList, on_meta(*X), [1, 3]),
    *((f, on_meta(*X)) for f in (aten.gelu.default, aten.silu.default, aten.sigmoid.default, aten.softplus.default)),
    (aten.leaky_relu.default, on_meta(*X), 0.1),
    (aten.hardtanh.default, on_meta(*X), 0, 6),
    (aten._softmax.default, on_meta(*X), -1, False),
    (aten._safe_softmax.default, on_meta(*X), -1),
    (aten.mul.Scalar, on_meta(*X).transpose(1, 2), 0.5),
    (aten.add.Tensor, on_meta(*X).transpose(0, 2), on_meta(*X).transpose(0, 2)),
    (aten.add.Tensor, on_meta(2, 8), on_meta(8, 2).t()),
    (aten.add.Tensor, on_meta(8, 2).t(), on_meta(2, 8)),
    (aten.add.Tensor, on_meta(8, 2).t(), on_meta(2, 1).expand(2, 8)),
    *((f, on_meta(*X), 2) for f in (aten.mul.Scalar, aten.add.Scalar, aten.div.Tensor, aten.sub.Tensor)),
    *((f, on_meta(*X), on_meta(8)) for f in (aten.add.Tensor, aten.mul.Tensor, aten.sub.Tensor, aten.div.Tensor)),
    (aten.add.Tensor, on_meta(4, 1, 1), on_meta(*X)),
    (aten.add.Tensor, on_meta(1, 4, 9, 1), on_meta(*X)),
    (aten.mul.Tensor, on_meta(), on_meta(*X)),
    (aten.bmm.default, on_meta(3, 5, 4), on_meta(3, 4, 2)),
    (aten.bmm.default, on_meta(3, 5, 4), on_meta(3, 2, 4).transpose(1, 2)),
    (aten.cat.default, [on_meta(*X), on_meta(2, 3, 9, 8)], 1),
    (aten.cat.default, [on_meta(5), on_meta(3), on_meta(1)]),
    (aten.native_layer_norm.default, on_meta(*X), [8], on_meta(8), on_meta(8), 1e-5),
    (aten.cat.default, [on_meta(2, 8, 5).transpose(1, 2), on_meta(1, 1, 8).expand(2, -1, -1)], 1),
    (aten.native_layer_norm.default, on_meta(2, 8, 5).transpose(1, 2), [8], None, None, 1e-5),
    (aten.native_layer_norm.default, on_meta(*X), [9, 8], None, None, 1e-5),
    (aten.avg_pool2d.default, on_meta(*X), [2, 2]),
    (aten.avg_pool2d.default, on_meta(*X), [3, 3], [2], [1, 1], False, False),
]
UNUSUAL = [  # left to PyTorch
    (aten.relu.default, on_meta(*X).transpose(1, 2)),
    (aten.relu.default, on_meta(*X, dtype=torch.int64)),
    (aten.add.Tensor, on_meta(2, 1).expand(2, 8), on_meta(8, 2).t()),
    (aten.add.Tensor, on_meta(2, 1, 9, 8), on_meta(1, 4, 9, 8)),
    (aten.add.Tensor, on_meta(*X), on_meta(*X, dtype=torch.float64)),
    (aten.mul.Tensor, on_meta(*X), 2j),
    (aten.mul.Scalar, on_meta(2, 8)[:, ::2], 2.0),
    (aten.mul.Scalar, on_meta(2, 1, 8).transpose(0, 1), 2.0),
    (aten.add.Tensor, on_meta(2, 8).expand(4, 2, 8), on_meta(2, 8).expand(4, 2, 8)),
    (aten._softmax.default, on_meta(*X, dtype=torch.float16), -1, True),
    (aten.cat.default, [on_meta(*X), on_meta(*X, dtype=torch.float64)], 1),
    (aten.cat.default, [on_meta(*X), on_meta(0)], 1),
    (aten.cat.default, [on_meta(*X).to(memory_format=torch.channels_last)] * 2, 1),
    (aten.avg_pool2d.default, on_meta(*X), [2, 2], [2, 2], [0, 0], True),
    (aten.sum.dim_IntList, on_meta(*X, dtype=torch.int64), [1]),
    (aten.native_batch_norm.default, on_meta(*X), *vectors(4), True, 0.1, 1e-5),
    (aten.convolution.default, on_meta(2, 4, 5), on_meta(4, 6, 3), None, [2], [0], [1], True, [1], 1),
    (aten.max_pool2d_with_indices.default, on_meta(4, 9, 8), [2, 2]),
    (aten.max_pool2d_with_indices.default, on_meta(*X), [3, 3], [2, 2], [1, 1], [2, 2]),
    (aten.max_pool2d_with_indices.default, on_meta(*X), [3, 3], [2, 2], [1, 1], [1, 1], True),
    (aten.mean.dim, on_meta(*X), None),
    (aten.mean.dim, on_meta(2, 4, 9, 8).transpose(0, 1), [0]),
]


def test_usual_operators_return_what_pytorch_says() -> None:
    for function, *args in (*USUAL, *CONVOLUTIONS):
        rule = RULES[str(function)]
        told = rule(*args)
        assert told is not None, (function, args)
        assert described(told) == described(function(*args)), (function, args)
        assert (told is args[0]) == str(function).split(".")[1].endswith("_")


def test_unusual_ones_are_left_to_pytorch() -> None:
    for function, *args in UNUSUAL:
        assert described(result_on_meta(function, args, {})) == described(function(*args)), (function, args)
    strided = on_meta(*X).transpose(1, 2)
    assert RULES["aten.relu.default"](strided) is None
    doubled = result_on_meta(aten.add.Tensor, (on_meta(3), on_meta(3)), {"alpha": 2})
    assert doubled.shape == (3,)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (aten.mm.default, (on_meta(2, 3), on_meta(4, 5))),
        (aten.addmm.default, (on_meta(7), on_meta(2, 3), on_meta(3, 5))),
        (aten.convolution.default, (on_meta(2, 3, 9), on_meta(6, 4, 3), None, [1], [0], [1], False, [0], 1)),
        (aten.convolution.default, (on_meta(2, 4, 2), on_meta(6, 4, 3), None, [1], [0], [1], False, [0], 1)),
        (aten.max_pool2d_with_indices.default, (on_meta(2, 3, 1, 1), [2, 2])),
        (aten.add.Tensor, (on_meta(*X), on_meta(7, 1, 1, 1))),
        (aten.bmm.default, (on_meta(3, 5, 4), on_meta(3, 5, 2))),
        (aten.cat.default, ([on_meta(*X), on_meta(2, 4, 8, 8)], 1)),
        (aten.native_layer_norm.default, (on_meta(*X), [7], None, None, 1e-5)),
    ],
)
def test_what_does_not_fit_is_an_error_of_pytorchs(function: Any, args: tuple[Any, ...]) -> None:
    with pytest.raises(RuntimeError):
        result_on_meta(function, args, {})


def test_an_operator_may_have_no_result_on_meta() -> None:
    """Its result for the CPU tells; what it works on in place is not made twice, and errors are its own."""
    rows, matrices, offs = on_meta(5, 8), on_meta(3, 8, 16), on_meta(3, dtype=torch.int32)
    with pytest.raises(RuntimeError):
        aten._grouped_mm.default(rows, matrices, offs)
    assert described(result_on_meta(aten._grouped_mm.default, (rows, matrices, offs), {}))[0][0] == (5, 16)
    with pytest.raises(RuntimeError, match="contraction"):
        result_on_meta(aten._grouped_mm.default, (rows, on_meta(3, 9, 16), offs), {})
