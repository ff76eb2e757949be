"""How data lies in memory, and how large a model's activations on it are: what the size of a batch is chosen by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

MIB = 1 << 20
# The largest activation of a batch is kept near the size of a core's cache: measured best on CPUs.
ACTIVATION_BYTES = {"cpu": 12 * MIB, "cuda": 512 * MIB}
# On a CPU, what takes more than 32 MiB is memory mapped anew for each tensor, which costs more than convolving.
UNMAPPED_BYTES = {"cpu": 31 * MIB, "cuda": 512 * MIB}


def as_channels_last(tensor: Tensor) -> Tensor:
    """Return images and filters with their channels last in memory, which convolution and pooling read faster."""
    if tensor.ndim != 4:
        return tensor
    tensor = tensor.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = tensor.shape
    # With one channel both layouts are the same memory, and only the strides tell kernels which one to go on with.
    return tensor.as_strided(tensor.shape, (channels * height * width, 1, channels * width, channels))


def largest_activation(run: Callable[[Tensor], object], examples: Tensor) -> int:
    """Return the number of elements, for each sample, of the largest tensor that `run` makes of `examples`.

    Args:
        run: the forward pass of a network.
        examples: a few samples, shape (n, *input_shape); batch-norm without running statistics needs two.
    """
    largest = LargestTensor(len(examples))
    with torch.inference_mode(), largest:
        run(examples)
    return max(largest.elements, examples.numel()) // len(examples)


class LargestTensor(TorchDispatchMode):
    """Notes the number of elements of the largest tensor of so many samples that any operator returns."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and value.shape[:1] == (self.samples,):
                self.elements = max(self.elements, value.numel())
        return result


def fitting_batch(elements: int, device: torch.device, *, least: int, weights: int = 0) -> int:
    """Return the power of two for which a batch's largest activation is allowed.

    Args:
        elements: of a sample's largest activation.
        device: where it is computed.
        least: samples in a batch, unless they take more than is not mapped anew.
        weights: how many bytes a network takes: where they are more than a cache holds they are read, and packed for
            products, for each batch anew, so that larger ones pay.
    """
    near, most = (sizes.get(device.type, sizes["cpu"]) for sizes in (ACTIVATION_BYTES, UNMAPPED_BYTES))
    fits = (most if weights > near else near) // (4 * elements)
    fits = max(1, fits, min(least, most // (4 * elements)))
    power: int = 1 << (fits.bit_length() - 1)
    return min(1 << 16, power)
