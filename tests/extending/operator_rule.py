"""A rule for an operator that takes absolute values and multiplies them by a matrix: `|x| @ weight.T`.

The symmetries of networks that use the operator follow. In the package this would be a module of
`landscape_cli/symmetry/tracing/rules/`, which is named nowhere else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call
from landscape_cli.symmetry.tracing.rules.products import contract, transposed


@torch.library.custom_op("example::absolute_linear", mutates_args=())
def absolute_linear(x: Tensor, weight: Tensor) -> Tensor:
    """The operator itself, which somebody else wrote."""
    return x.abs() @ weight.T


@absolute_linear.register_fake
def without_numbers(x: Tensor, weight: Tensor) -> Tensor:
    """What it returns where tensors have no numbers: tracing runs a model without."""
    return x.new_empty(*x.shape[:-1], len(weight))


@rule(
    "absolute_linear",
    words="a product of absolute values",
    contracts={0: None, 1: (1, 0)},  # x with the weight: its axis 1 is summed over, units are on its axis 0
)
def absolute_product(call: Call) -> Value:
    """Units are summed over, scales multiply; the signs of x do not matter."""
    x, weight = call.operand(0), call.operand(1)
    return contract(call, x.only(sign=False), transposed(weight))
