"""Networks of one stack divided among processes: each finds the gradients of some, and all have all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from landscape_cli.errors import TrainingError
from landscape_cli.forward.objective import Objective

if TYPE_CHECKING:
    from landscape_cli.samplers.gradients import Batch, Gradients
    from landscape_cli.samplers.stack import Stack


class Exchange(Protocol):
    """Processes that exchange tensors.

    Attributes:
        rank: this one's number, from 0.
        size: how many there are.
    """

    rank: int
    size: int

    def spread(self, tensor: Tensor, source: int) -> None:
        """Fill a tensor, contiguous and of the same shape everywhere, with what one process has in it."""


class Division:
    """The processes that train one stack together. All hold it whole, and take the same steps.

    What a network's own process finds, its gradients, loss and running statistics, is passed on bit for bit: training
    comes to what it comes to in one process.

    Attributes:
        stops: whether one of them is to stop.
    """

    def __init__(self, tensors: Exchange, is_asked: Callable[[], bool] = lambda: False) -> None:
        """Take note of how processes exchange tensors, and of what tells whether this one is asked to stop."""
        self._tensors, self._is_asked = tensors, is_asked
        self.stops = False

    def divide(self, way: Gradients, objective: Objective) -> Gradients:
        """Return the way to gradients that takes the networks of this process, and gets the others' from theirs.

        Args:
            way: how to find gradients in `stack.gradients`, of some networks alone.
            objective: what outputs are held against.
        """
        rank, size = self._tensors.rank, self._tensors.size

        def gradients(
            stack: Stack, indices: Sequence[int], batches: Sequence[Batch], share: float, before: Callable[[int], None]
        ) -> tuple[Tensor, Tensor]:
            owners = [n * size // len(indices) for n in range(len(indices))]
            own = [n for n, owner in enumerate(owners) if owner == rank]
            kept = sum(buffer[0].numel() for buffer in stack.buffers.values())
            facts = torch.zeros(len(indices), 3 + kept, device=stack.weights.device, dtype=torch.float64)
            if own:
                found = way(stack, [indices[n] for n in own], [batches[n] for n in own], share, before)
                for n, loss, wrong in zip(own, *found, strict=True):
                    asked = loss.new_tensor(float(self._is_asked()))
                    buffers = [buffer[indices[n]].reshape(-1) for buffer in stack.buffers.values()]
                    facts[n] = torch.cat([each.reshape(-1).double() for each in (loss, wrong, asked, *buffers)])
            for n, k in enumerate(indices):
                self._tensors.spread(stack.gradients[k], owners[n])
                self._tensors.spread(facts[n], owners[n])
                start = 3
                for buffer in stack.buffers.values():
                    each = buffer[k]
                    each.copy_(facts[n, start : start + each.numel()].view(each.shape))
                    start += each.numel()
            losses, wrong, asked = facts[:, :3].unbind(1)
            self.stops = self.stops or bool(asked.any())
            return losses.to(stack.weights.dtype), wrong.to(objective.counted_in)

        return gradients

    def check_agree(self, stack: Stack, active: Sequence[bool]) -> None:
        """Check that all processes hold the same networks, and go on with the same runs.

        Raises:
            TrainingError: if not, as where processors of two kinds round differently.
        """
        bits = stack.weights.contiguous().view(torch.int32).sum(dtype=torch.int64)
        here = torch.stack([bits, *(bits.new_tensor(int(each)) for each in active)])
        first = here.clone()
        self._tensors.spread(first, 0)
        if not torch.equal(first, here):
            raise TrainingError(
                f"process {self._tensors.rank + 1} of {self._tensors.size} has come to other weights than the first: "
                "give all the same kind of processor and device"
            )
