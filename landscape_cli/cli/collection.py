"""Python's search for cycles that nobody refers to: kept away from what imports make, which stays to the end."""

from __future__ import annotations

import gc
from typing import Any

IMPORTED = 200_000
"""So many objects, fewer than importing PyTorch makes, come to be before the first search."""


def collect_later() -> None:
    """Search for the first time after imports, and never among what they have made."""
    usual = gc.get_threshold()

    def begin(phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            gc.callbacks.remove(begin)
            gc.set_threshold(*usual)
            gc.freeze()

    gc.callbacks.append(begin)
    gc.set_threshold(IMPORTED, *usual[1:])


def collect_no_more() -> None:
    """Let the process end without a search among all that there is."""
    gc.freeze()
