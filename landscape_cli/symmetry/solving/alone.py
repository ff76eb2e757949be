"""Which operators work on each unit alone, along an axis that units lie on, and which are linear in what they sum."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from landscape_cli.symmetry.tracing.graph import JOINING, Node
from landscape_cli.symmetry.tracing.operators import operator_of

PRODUCTS = frozenset({"mm", "bmm", "addmm", "baddbmm", "mv", "dot", "convolution"})
"""Sums of products: linear in either factor; what is summed over is on no axis of the result, all else alone."""
REDUCTIONS = frozenset({"sum", "mean", "amax", "amin", "max", "min", "median", "logsumexp", "prod", "nansum"})
"""Over some axes: what lies along the others is alone. So it is where spread is measured, and along windows."""
SPREADS = frozenset({"linalg_vector_norm", "norm", "var", "std", "var_mean", "std_mean"})
WINDOWS = ("avg_pool", "adaptive_avg_pool", "_adaptive_avg_pool", "adaptive_max_pool", "max_pool", "lp_pool")
PADDED = ("reflection_pad", "replication_pad", "constant_pad", "upsample", "_upsample")
TAKEN = frozenset({"index", "index_select", "embedding"})
"""Places taken by numbers: alone, if these are in common."""
ALONG = frozenset({"_softmax", "_log_softmax", "_safe_softmax", "cumsum", "cumprod", "logcumsumexp"})
"""What has one axis, the second argument, along which nothing is alone."""
BATCH_NORMS = frozenset({"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"})
LAST_AXES = frozenset({"native_layer_norm", "layer_norm", "rms_norm", "_fused_rms_norm"})
"""Norms over the last axes, as many as the second argument has sizes."""


def is_alone(node: Node, axis: int, rank: int) -> bool | None:
    """Tell whether an operator works on each place along an axis alone, units being known to lie there.

    Args:
        node: what it made.
        axis: of the result.
        rank: how many axes that has.

    Returns:
        None if it is not known.
    """
    name = str(node.operator)
    known = operator_of(name)
    if known.pointwise or known.moves or name in PRODUCTS | REDUCTIONS | SPREADS | TAKEN:
        return True
    if name.startswith(WINDOWS + PADDED):
        return True
    if name in JOINING:
        return axis != node.axis
    if name in BATCH_NORMS or name == "cudnn_batch_norm":
        return axis == 1
    arguments = node.kind[1] if len(node.kind) > 1 and isinstance(node.kind[1], tuple) else ()
    second: Any = arguments[1] if len(arguments) > 1 else None
    if name == "_weight_norm_interface":
        return axis == (arguments[2] if len(arguments) > 2 else 0) % rank
    if name in ALONG and isinstance(second, int):
        return axis != second % rank
    if name in LAST_AXES and isinstance(second, tuple):
        return axis < rank - len(second)
    return None


def groups_of(node: Node) -> int:
    """Return in how many groups of channels, each read by some of its own, a convolution works; 1 of all else."""
    return int(node.kind[1][-1]) if node.operator == "convolution" else 1


def factors_of(node: Node) -> tuple[int, int] | None:
    """Return which two operands of a sum of products are multiplied; None of other operators."""
    if node.operator not in PRODUCTS:
        return None
    tensors = [argument is Tensor for argument in node.kind[1]]
    first, second = (sum(tensors[:index]) for index in sorted(operator_of(node.operator).contracts))
    return first, second


def alike_kinds(left: Any, right: Any, sizes: tuple[int, int]) -> bool:
    """Tell whether operators have the same arguments, but for numbers that grow as the numbers of units do."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(alike_kinds(a, b, sizes) for a, b in zip(left, right, strict=True))
    if type(left) is int and type(right) is int and left != right:
        return left * sizes[1] == right * sizes[0]
    return bool(left == right)
