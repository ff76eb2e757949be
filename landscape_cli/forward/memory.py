"""How data lies in memory, and how large a model's activations on it are; and whether it is short."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.forward.uncompiled import OperatorMode

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""What glibc's `mallopt` calls the least size of blocks that are returned at once, and how much may be left free."""
MIB = 1 << 20
RETURNED = 8 * MIB
"""Blocks of so many bytes are returned at once."""
KEPT = 64 * MIB
"""So much is kept of what smaller blocks leave free."""
OUT_OF_MEMORY = ("can't allocate memory", "STATUS_ALLOC_FAILED")
"""What errors of a CPU's memory, and of libraries on a GPU, say."""


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


class LargestTensor(OperatorMode):
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


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that there is not enough memory, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def return_large_blocks() -> None:
    """Let the C library give large blocks back to the system as soon as they are freed, and not keep them for others.

    By itself glibc comes to keep blocks of up to 32 MiB. Told otherwise, it gives back what smaller ones leave free as
    well, each time, and the system clears it each time anew: so much of that is kept. Other libraries are left as they
    are.
    """
    _of_libc("mallopt", MMAP_THRESHOLD, RETURNED)
    _of_libc("mallopt", TRIM_THRESHOLD, KEPT)


def return_freed_memory() -> None:
    """Give back to the system what the C library keeps of memory that has been freed."""
    _of_libc("malloc_trim", 0)


def _of_libc(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
