"""Whether outputs are the same but for rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLOSE = 1e-9
"""By how much outputs may differ for rounding, relative to the largest."""


def agree(after: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell whether outputs are what they were before: of one network, or of each, shape (networks, outputs)."""
    same: NDArray[np.bool_] = np.abs(after - before).max(axis=-1) <= CLOSE * np.abs(before).max()
    return same
