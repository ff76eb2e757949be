"""The shapes that the commonest operators return, without asking PyTorch, which imports a third of a second to tell.

What is not told here, PyTorch tells (its kernels for tensors on `meta`, many of them in Python).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from landscape_cli.forward.uncompiled import OperatorMode

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
"""By name of the operator and its overload; each returns None where it does not know."""


def result_on_meta(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what an operator returns for tensors on `meta`, on which it may work in place."""
    result = _told(function, args, kwargs)
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


class ShapesTold(OperatorMode):
    """Tells the shapes of tensors without numbers; what else there is PyTorch computes."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [each for arg in args for each in (arg if isinstance(arg, list) else [arg])]
        without_numbers = {each.is_meta for each in given if isinstance(each, Tensor)} == {True}
        result = _told(func, args, kwargs or {}) if without_numbers else None
        return func(*args, **(kwargs or {})) if result is None else result


def _told(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    rule = RULES.get(str(function))
    return rule(*args) if rule is not None and not kwargs else None


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
    return _of_one_type(*tensors) and all(tensor.is_contiguous() for tensor in tensors)


def _of_one_type(*tensors: Any) -> bool:
    kinds = {tensor.dtype if isinstance(tensor, Tensor) else None for tensor in tensors}
    return len(kinds) == 1 and all(kind is not None and kind.is_floating_point for kind in kinds)


@_rule(
    *(
        f"aten.{name}.default"
        for name in (
            *("relu", "gelu", "silu", "mish", "elu", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "softplus"),
            *("sigmoid", "tanh", "exp", "neg", "abs", "sqrt", "rsqrt", "clamp_min", "_safe_softmax"),
        )
    )
)
def _same(x: Tensor, *_: Any) -> Tensor | None:
    return _new(x, x.shape) if _plain(x) else None


def _alike(x: Tensor) -> Tensor | None:
    """Return a tensor whose places lie as those of another do."""
    if not _lies_close(x):
        return _new(x, x.shape) if _plain(x) else None
    if not _of_one_type(x):
        return None
    return torch.empty_strided(tuple(x.shape), x.stride(), dtype=x.dtype, device=x.device)


def _lies_close(x: Tensor) -> bool:
    """Tell whether a tensor's places lie side by side, in whatever order of axes, which is beyond doubt."""
    size = 1
    for stride, length in sorted(zip(x.stride(), x.shape, strict=True)):
        if stride != size or length < 2:
            return False
        size *= length
    return True


@_rule("aten.relu_.default")
def _same_in_place(x: Tensor) -> Tensor | None:
    return x if _plain(x) else None


@_rule("aten._softmax.default")
def _softmax(x: Tensor, dim: int, to_float: bool) -> Tensor | None:
    return None if to_float else _same(x)


@_rule("aten.mul.Scalar", "aten.add.Scalar", "aten.sub.Scalar", "aten.div.Scalar")
def _scaled(x: Tensor, y: Any) -> Tensor | None:
    return _alike(x) if isinstance(y, int | float) else None


@_rule("aten.add.Tensor", "aten.mul.Tensor", "aten.sub.Tensor", "aten.div.Tensor")
def _sum(x: Any, y: Any) -> Tensor | None:
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        return _scaled(x, y) if isinstance(x, Tensor) else None
    if x.shape == y.shape and _of_one_type(x, y) and (_lies_close(x) or x.stride() == y.stride()):
        return _alike(x)  # as the first of them
    wide, narrow = (x, y) if x.ndim >= y.ndim and x.numel() >= y.numel() else (y, x)
    apart = wide.ndim - narrow.ndim
    if apart < 0 or not _plain(x, y) or 0 in wide.shape:
        return None
    fits = all(size in {1, full} for size, full in zip(narrow.shape, wide.shape[apart:], strict=True))
    return _new(wide, wide.shape) if fits else None


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


@_rule("aten.bmm.default")
def _products(x: Tensor, y: Tensor) -> Tensor | None:
    fits = x.ndim == y.ndim == 3 and x.shape[0] == y.shape[0] and x.shape[2] == y.shape[1]
    fits = fits and x.dtype == y.dtype and x.is_floating_point()
    return _new(x, (*x.shape[:2], y.shape[2])) if fits else None


@_rule("aten.cat.default")
def _joined(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    kept = _plain(*tensors) or (first.ndim < 4 and _of_one_type(*tensors))  # images may have their channels last
    if not kept or not first.ndim or any(tensor.ndim != first.ndim for tensor in tensors):
        return None
    dim %= first.ndim
    beside = {(*tensor.shape[:dim], *tensor.shape[dim + 1 :]) for tensor in tensors}
    length = sum(tensor.shape[dim] for tensor in tensors)
    return _new(first, (*first.shape[:dim], length, *first.shape[dim + 1 :])) if len(beside) == 1 else None


@_rule("aten.native_layer_norm.default")
def _layer_norm(x: Tensor, shape: Sequence[int], *rest: Any) -> tuple[Tensor, Tensor, Tensor] | None:
    *affine, _ = rest
    given = [each for each in affine if each is not None]
    apart = x.ndim - len(shape)
    if apart < 0 or not _of_one_type(x, *given) or any(tuple(each.shape) != tuple(shape) for each in given):
        return None
    if tuple(x.shape[apart:]) != tuple(shape) or not x.numel():
        return None
    sizes = (*x.shape[:apart], *[1] * len(shape))
    return _new(x, x.shape), _new(x, sizes), _new(x, sizes)


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
    pooled = None if more else _pooled(x, kernel, stride, padding)
    if pooled is None:
        return None
    return pooled, torch.empty_strided(pooled.shape, pooled.stride(), dtype=torch.int64, device=x.device)


@_rule("aten.avg_pool2d.default")
def _average_pool(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0,), *more: Any
) -> Tensor | None:
    rounds_up = bool(more) and more[0]
    return None if rounds_up or more[2:] else _pooled(x, kernel, stride, padding)


def _pooled(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Tensor | None:
    if x.ndim != 4 or not _plain(x):
        return None
    kernel, pads = _spread(kernel, 2), _spread(padding, 2)
    steps = _spread(stride, 2) if stride else kernel
    lengths = [
        (size + 2 * pad - width) // step + 1
        for size, width, step, pad in zip(x.shape[2:], kernel, steps, pads, strict=True)
    ]
    if min(lengths) < 1 or not x.numel() or any(2 * pad > width for pad, width in zip(pads, kernel, strict=True)):
        return None
    return _new(x, (*x.shape[:2], *lengths))


@_rule("aten.mean.dim", "aten.sum.dim_IntList")
def _mean(x: Tensor, dims: Sequence[int] | None, keep: bool = False) -> Tensor | None:
    if not dims or not _plain(x):
        return None
    along = {dim % x.ndim for dim in dims}
    sizes = [1 if dim in along else size for dim, size in enumerate(x.shape) if keep or dim not in along]
    return _new(x, sizes)


def _spread(values: Sequence[int], count: int) -> Sequence[int]:
    return tuple(values) * count if len(values) == 1 else values
