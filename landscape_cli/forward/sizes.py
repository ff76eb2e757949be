"""How many samples and networks are taken at a time, and how images lie in memory: rules, from measurements.

None is found by a trial on the user's machine, as sums depend on them in their last bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from landscape_cli.forward.memory import MIB, as_channels_last
from landscape_cli.forward.unfolding import LEAST_FAN_IN, LEAST_UNITS
from landscape_cli.forward.work import Work

# The largest activation of a batch is kept near the size of a core's cache: measured best on CPUs.
ACTIVATION_BYTES = 12 * MIB
# On a CPU, what takes more than 32 MiB is memory mapped anew for each tensor, which costs more than convolving.
UNMAPPED_BYTES = 31 * MIB
SHARE_OF_GPU = 32
"""What part of a GPU's memory it may take there: a pass holds a few such, and launches take time."""
SHARE_OF_WINDOWS = 8
"""What part the unfolded windows of a convolution may take, which are held one layer at a time."""
FEW_NETWORKS, MOST_NETWORKS = 8, 32
"""Taken at a time: the few, so that each batch is read once for them; on a GPU more, which share their kernels."""
CHANNELS = 8
"""Of whose multiples a GPU's matrix units take channels."""


def fitting_batch(work: Work, device: torch.device, *, least: int, weights: int = 0) -> int:
    """Return the power of two for which a batch's largest activation is allowed.

    Args:
        work: of a sample.
        device: where it is computed.
        least: samples in a batch, whatever they take; on a CPU unless they take more than is not mapped anew.
        weights: how many bytes a network takes: where they are more than a CPU's cache holds they are packed for
            products, for each batch anew, so that larger ones pay.
    """
    fits = _fitting(work, device)
    if device.type != "cuda":
        most = UNMAPPED_BYTES // (4 * work.largest)
        fits, least = max(1, most) if weights > ACTIVATION_BYTES else fits, min(least, _power(max(1, most)))
    return min(1 << 16, max(least, _power(fits)))


def _power(number: int) -> int:
    """Return the largest power of two up to a number."""
    return 1 << (number.bit_length() - 1)


def networks_together(work: Work, samples: int, device: torch.device) -> int:
    """Return how many networks are taken at a time: on a GPU, as many as may have their activations there at once.

    Args:
        work: of a sample.
        samples: in a batch.
        device: where it is computed.
    """
    if device.type != "cuda":
        return FEW_NETWORKS
    return min(MOST_NETWORKS, max(1, _fitting(work, device) // samples))


def _fitting(work: Work, device: torch.device) -> int:
    """Return how many samples fit: by all of a GPU's memory, as what is free differs from time to time."""
    if device.type != "cuda":
        return max(1, ACTIVATION_BYTES // (4 * work.largest))
    memory = int(torch.cuda.get_device_properties(device).total_memory)
    unfolded = memory // SHARE_OF_WINDOWS // (4 * max(1, work.unfolded))
    return max(1, min(unfolded, memory // SHARE_OF_GPU // (4 * work.largest)))


def layout_for(model: nn.Module, device: torch.device, *, short: bool) -> Callable[[Tensor], Tensor]:
    """Return how images and filters lie best in memory: with channels last, or as they are.

    On a GPU channels last is for convolutions that are products of matrices (`UnfoldedConvolutions`), or have units
    for theirs, which take multiples of some number of channels: up to 1.8 times faster then, else up to 1.4 slower.

    Args:
        model: the architecture.
        device: where it is computed.
        short: whether in TF32 or bf16.
    """
    filters = [tensor for tensor in model.state_dict().values() if tensor.ndim == 4]
    if short:
        suits = all(size % CHANNELS == 0 for each in filters[1:] for size in each.shape[:2])
    else:  # most of the convolutions are products of matrices, which read and give channels last
        large = [len(each) >= LEAST_UNITS and each[0].numel() >= LEAST_FAN_IN for each in filters]
        suits = 2 * sum(large) > len(filters)
    return as_channels_last if suits or device.type != "cuda" else Tensor.contiguous
