"""The shapes that the commonest operators return, without asking PyTorch, which imports a compiler to tell.

What is not told here, PyTorch tells (its kernels for tensors on `meta`, many of them in Python).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
"""By name of the operator and its overload; each returns None where it does not know."""


def result_on_meta(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what an operator returns for tensors on `meta`, on which it may work in place."""
    rule = RULES.get(str(function))
    result = rule(*args) if rule is not None and not kwargs else None
    if result is not None:
        return result
    try:
        return function(*args, **kwargs)
    except (RuntimeError, NotImplementedError):
        if function._schema.is_mutable:
            raise
        # An operator may know its result for the CPU, and none on `meta`, or of fewer types.
        result = function(*tree_map(_zeros, args), **tree_map(_zeros, kwargs))
        return tree_map(_on_meta, result)


def _zeros(value: Any) -> Any:
    return torch.zeros_like(value, device="cpu") if isinstance(value, Tensor) else value


def _on_meta(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return add


def _new(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a contiguous tensor without values."""
    strides, size = [], 1
    for length in reversed(shape):
        strides.append(size)
        size *= max(1, length)
    return torch.empty_strided(tuple(shape), strides[::-1], dtype=like.dtype, device=like.device)


def _plain(*tensors: Any) -> bool:
    """Tell whether these are contiguous tensors of one type, of ordinary numbers."""
    kinds = {tensor.dtype if isinstance(tensor, Tensor) else None for tensor in tensors}
    return (
        len(kinds) == 1
        and None not in kinds
        and all(tensor.is_contiguous() and tensor.is_floating_point() for tensor in tensors)
    )


@_rule("aten.relu.default")
def _same(x: Tensor) -> Tensor | None:
    return _new(x, x.shape) if _plain(x) else None


@_rule("aten.relu_.default")
def _same_in_place(x: Tensor) -> Tensor | None:
    return x if _plain(x) else None


@_rule("aten.add.Tensor", "aten.mul.Tensor")
def _sum(x: Tensor, y: Tensor) -> Tensor | None:
    return _new(x, x.shape) if _plain(x, y) and x.shape == y.shape else None


@_rule("aten.add_.Tensor", "aten.mul_.Tensor")
def _sum_in_place(x: Tensor, y: Tensor) -> Tensor | None:
    return x if _plain(x, y) and x.shape == y.shape else None


@_rule("aten.mm.default")
def _product(x: Tensor, y: Tensor) -> Tensor | None:
    fits = x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0] and x.dtype == y.dtype and x.is_floating_point()
    return _new(x, (x.shape[0], y.shape[1])) if fits else None


@_rule("aten.addmm.default")
def _product_and_bias(bias: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    result = _product(x, y)
    return result if result is not None and bias.dtype == x.dtype and bias.shape == result.shape[1:] else None


@_rule("aten.native_batch_norm.default")
def _batch_norm(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor] | None:
    *vectors, training, _, _ = rest
    if training or x.ndim < 2 or not _plain(x, *vectors) or {each.shape for each in vectors} != {x.shape[1:2]}:
        return None
    return _new(x, x.shape), _new(x, x.shape[1:2]), _new(x, x.shape[1:2])


@_rule("aten.convolution.default")
def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any) -> Tensor | None:
    stride, padding, dilation, transposed, _, groups = settings
    count = weight.ndim - 2
    if transposed or not _plain(x, weight, *([] if bias is None else [bias])):
        return None
    if x.ndim != weight.ndim or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    if bias is not None and bias.shape != weight.shape[:1]:
        return None
    lengths = [
        (size + 2 * pad - space * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, space in zip(
            x.shape[2:], weight.shape[2:], *(_spread(each, count) for each in (stride, padding, dilation)), strict=True
        )
    ]
    return _new(x, (x.shape[0], weight.shape[0], *lengths)) if min(lengths, default=0) > 0 and len(x) else None


@_rule("aten.max_pool2d_with_indices.default")
def _max_pool(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0,), *more: Any
) -> tuple[Tensor, Tensor] | None:
    if more or x.ndim != 4 or not _plain(x):
        return None
    kernel, pads = _spread(kernel, 2), _spread(padding, 2)
    steps = _spread(stride, 2) if stride else kernel
    lengths = [
        (size + 2 * pad - width) // step + 1
        for size, width, step, pad in zip(x.shape[2:], kernel, steps, pads, strict=True)
    ]
    if min(lengths) < 1 or not len(x) or any(2 * pad > width for pad, width in zip(pads, kernel, strict=True)):
        return None
    pooled = _new(x, (*x.shape[:2], *lengths))
    return pooled, torch.empty_strided(pooled.shape, pooled.stride(), dtype=torch.int64, device=x.device)


@_rule("aten.mean.dim")
def _mean(x: Tensor, dims: Sequence[int] | None, keep: bool = False) -> Tensor | None:
    if not dims or not _plain(x):
        return None
    along = {dim % x.ndim for dim in dims}
    sizes = [1 if dim in along else size for dim, size in enumerate(x.shape) if keep or dim not in along]
    return _new(x, sizes)


def _spread(values: Sequence[int], count: int) -> Sequence[int]:
    return tuple(values) * count if len(values) == 1 else values
