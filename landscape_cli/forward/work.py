"""How much work and memory a forward pass takes, by running it once on a few samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from landscape_cli.forward.memory import LargestTensor

PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}
"""Products of matrices: at which of its arguments the left factor is."""


class Work(NamedTuple):
    """What a forward pass takes for each sample.

    Attributes:
        products: how many numbers are multiplied, in layers and in attention.
        largest: the number of elements of the largest tensor.
        unfolded: the same of the largest input of a convolution, once its windows are unfolded for a product of
            matrices, as is done in float64; 0 without convolutions.
    """

    products: int
    largest: int
    unfolded: int


@torch.no_grad()
def count_work(run: Callable[[Tensor], object], examples: Tensor) -> Work:
    """Return what `run` takes for each sample.

    Args:
        run: the forward pass of a network.
        examples: a few samples, shape (n, *input_shape); batch-norm without running statistics needs two.
    """
    counter = _Counter(len(examples))
    with counter:
        run(examples)
    elements = max(counter.elements, examples.numel())
    return Work(*(number // len(examples) for number in (counter.products, elements, counter.unfolded)))


class _Counter(LargestTensor):
    """Counts the products that operators multiply."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples)
        self.products = self.unfolded = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        name = func._schema.name
        if name in PRODUCTS:
            self.products += result.numel() * args[PRODUCTS[name]].shape[-1]
        elif name == "aten::convolution":
            self._convolution(args[0], args[1], result, transposed=args[6])
        elif "dot_product" in name and len(args) > 1:
            self.products += 2 * args[0].numel() * args[1].shape[-2]
        return result

    def _convolution(self, inputs: Tensor, weight: Tensor, result: Tensor, *, transposed: bool) -> None:
        of_window = weight[0].numel()
        windows = inputs if transposed else result
        self.products += windows.numel() * of_window
        if math.prod(weight.shape[2:]) > 1:
            self.unfolded = max(self.unfolded, of_window * windows.numel() // windows.shape[1])
