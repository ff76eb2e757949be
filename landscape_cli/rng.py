"""Independent streams of randomness from one seed."""

from __future__ import annotations

import numpy as np
import torch


def derive_seed(seed: int, *keys: int) -> int:
    """Return a seed for the stream that `keys` name: streams of different keys or seeds are independent."""
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, *keys: int) -> torch.Generator:
    """Return a CPU generator for the stream that `keys` name."""
    return torch.Generator().manual_seed(derive_seed(seed, *keys))
