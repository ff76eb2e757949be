"""Runners whose chunks and batches halve where memory is short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from landscape_cli.errors import ModelError, one_line
from landscape_cli.evaluation.runners import Batch, Outputs, Runner
from landscape_cli.forward.memory import is_out_of_memory
from landscape_cli.network import Params


class Halving:
    """Another runner, on fewer networks and then fewer samples at a time where it runs out of memory.

    What did not fit once is not tried again: later chunks and batches are as small from the start.
    """

    def __init__(self, runner: Runner, device: torch.device) -> None:
        """Keep the runner, which takes any chunk; nothing is known of memory yet."""
        self._runner, self._device = runner, device
        self._networks: int | None = None
        self._samples: int | None = None

    def load(self, chunk: Sequence[Params]) -> Outputs:
        """Return what runs the networks, as many of them at a time as fit."""
        ready = None if self._short(len(chunk), self._networks) else self._loaded(chunk)

        def outputs(batch: Batch) -> Iterable[Tensor]:
            if ready is None or self._short(len(batch.y), self._samples):
                return self._in_parts(chunk, batch)
            try:
                results = ready(batch)
            except Exception as error:  # allocators tell of it by types of their own; all else goes on
                if not is_out_of_memory(error):
                    raise
                reason = one_line(error)
            else:
                return results if isinstance(results, Tensor) else self._each(chunk, results, batch)
            return self._smaller(chunk, batch, reason)

        return outputs

    def _loaded(self, chunk: Sequence[Params]) -> Outputs | None:
        """Return the networks ready to run; None if together they do not fit."""
        try:
            outputs_on = self._runner.load(chunk)
        except Exception as error:  # allocators tell of it by types of their own; all else goes on
            if len(chunk) == 1 or not is_out_of_memory(error):
                raise
        else:
            assert outputs_on is not None
            return outputs_on
        self._networks = len(chunk) // 2
        return None

    def _each(self, chunk: Sequence[Params], results: Iterable[Tensor], batch: Batch) -> Iterator[Tensor]:
        """Yield what is computed as it is asked for; from where memory is short on, the rest in smaller parts."""
        done, iterator = 0, iter(results)
        while True:
            try:
                outputs = next(iterator, None)
            except Exception as error:  # allocators tell of it by types of their own; all else goes on
                if not is_out_of_memory(error):
                    raise
                reason = one_line(error)
                break
            if outputs is None:
                return
            yield outputs
            done += 1
        yield from self._smaller(chunk[done:], batch, reason)

    def _smaller(self, chunk: Sequence[Params], batch: Batch, reason: str) -> Iterator[Tensor]:
        """Halve what is allowed, and yield the outputs within that."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(chunk) > 1:
            self._networks = len(chunk) // 2
        elif len(batch.y) > 1:
            self._samples = len(batch.y) // 2
        else:
            raise ModelError(
                f"one network does not fit into the memory of {self._device} with one sample ({reason}): use another "
                "`device=`"
            )
        yield from self._in_parts(chunk, batch)

    def _in_parts(self, chunk: Sequence[Params], batch: Batch) -> Iterator[Tensor]:
        """Yield the outputs of a few networks at a time, on a few samples at a time."""
        size = self._networks or len(chunk)
        for first in range(0, len(chunk), size):
            part = chunk[first : first + size]
            if self._short(len(batch.y), self._samples):
                pieces = [list(self.load(part)(piece)) for piece in _pieces(batch, self._samples or 1)]
                yield from (torch.cat(of_network) for of_network in zip(*pieces, strict=True))
            else:
                yield from self.load(part)(batch)

    def _short(self, size: int, limit: int | None) -> bool:
        return limit is not None and size > limit


def _pieces(batch: Batch, size: int) -> Iterator[Batch]:
    """Yield consecutive parts of a batch."""
    for first in range(0, len(batch.y), size):
        part = slice(first, first + size)
        yield Batch(batch.split, batch.start + first, batch.x[part], batch.y[part])
