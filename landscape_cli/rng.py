"""Independent streams of randomness from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from landscape_cli.arguments import check_whole
from landscape_cli.errors import LandscapeError


def derive_seed(seed: int, *keys: int) -> int:
    """Return a seed for the stream that `keys` name: streams of different keys or seeds are independent.

    Raises:
        LandscapeError: if the seed is no whole number from 0.
    """
    check_whole("seed", seed, LandscapeError, least=0)
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, *keys: int) -> torch.Generator:
    """Return a CPU generator for the stream that `keys` name."""
    return torch.Generator().manual_seed(derive_seed(seed, *keys))


def seed_device(device: torch.device, seed: int) -> None:
    """Seed PyTorch's global generators, of the CPU alone where that is the device.

    `torch.manual_seed` keeps for GPUs that are not in use yet the stack that it was called from, a millisecond a call.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextmanager
def seeded_globally(seed: int) -> Iterator[None]:
    """Run code of others with the global generators of Python, NumPy and PyTorch (CPU) seeded, and put them back."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            random.seed(seed)
            np.random.seed(seed % (1 << 32))
            torch.default_generator.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
