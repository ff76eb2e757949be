"""Tensors of which each of several processes has some, and all get all: by gloo, or NCCL between GPUs."""

from __future__ import annotations

import atexit
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from landscape_cli.errors import one_line
from landscape_cli.sharing.launch import Launch, RankError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.distributed import Store  # type: ignore[attr-defined] # made in C++

GRACE_SECONDS = 1.0
PATIENCE = timedelta(minutes=30)
"""So long one process waits for another's tensor: as long as the first may need between two steps, to save and log."""


class SharedTensors:
    """Processes that exchange tensors.

    Attributes:
        rank: this one's number, from 0.
        size: how many there are.
    """

    def __init__(self, launch: Launch, store: Store, device: torch.device) -> None:
        """Connect the processes, which all do this at the same time.

        Args:
            launch: which of them this is.
            store: where they find each other.
            device: where the tensors are.

        Raises:
            RankError: if they cannot be connected.
        """
        import torch
        import torch.distributed as collectives
        from torch.distributed import PrefixStore  # type: ignore[attr-defined] # made in C++

        self.rank, self.size = launch.rank, launch.size
        backend = "gloo"
        if device.type == "cuda":
            backend = "nccl"
            torch.cuda.set_device(device)
        try:
            collectives.init_process_group(
                backend,
                store=PrefixStore(f"landscape/{launch.attempt}/tensors", store),
                rank=launch.rank,
                world_size=launch.size,
                timeout=PATIENCE,
            )
        except (RuntimeError, ValueError, OSError) as cause:
            raise RankError(f"the processes cannot exchange tensors by {backend} ({one_line(cause)})") from cause
        self._broadcast = collectives.broadcast
        atexit.register(_part)

    def spread(self, tensor: Tensor, source: int) -> None:
        """Fill a tensor, contiguous and of the same shape everywhere, with what one process has in it.

        Raises:
            RankError: if a process has ended.
        """
        try:
            self._broadcast(tensor, source)
        except RuntimeError as cause:
            time.sleep(GRACE_SECONDS)  # in which the connection tells who has ended, and why
            raise RankError(f"a tensor of process {source + 1} did not come ({one_line(cause)})") from cause

    def close(self) -> None:
        """Part, once all is done."""
        _part()


def _part() -> None:
    """Let go of the connections, also of a process that ends early: threads that outlive Python abort it."""
    import torch.distributed as collectives

    if collectives.is_initialized():
        collectives.destroy_process_group()
