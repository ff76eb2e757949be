"""How the outputs of networks on a batch come about: each way is a class, and `choice.py` says which is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from landscape_cli.evaluation.whole_numbers import WholeNumbers
from landscape_cli.forward.functional import as_inputs, float_type, run_with
from landscape_cli.forward.kernels import Kernels
from landscape_cli.forward.objective import Objective
from landscape_cli.network import Params


class Batch(NamedTuple):
    """Consecutive samples of a split.

    Attributes:
        split: its name.
        start: the index of the first sample.
        x: the inputs, shape (n, *input_shape), on the device.
        y: the targets, shape (n, ...).
    """

    split: str
    start: int
    x: Tensor
    y: Tensor


Outputs = Callable[[Batch], Iterable[Tensor]]
"""Gives the outputs of each network of a chunk on a batch, in the networks' order: one after another as they are asked
for, or one stack of all, a tensor (networks, n, ...)."""


class Runner(Protocol):
    """A way to the outputs of a few networks of one model, which lie on the device as tensors by name."""

    def load(self, chunk: Sequence[Params]) -> Outputs | None:
        """Make a chunk of networks ready to run on any batch; return None if they do not run this way."""


class OneByOne:
    """One network after another, by the model's own code: what every other way must equal."""

    def __init__(self, model: nn.Module, objective: Objective, kernels: Kernels | None = None) -> None:
        """Keep what the outputs are of, which of them count, and how layers run, if not as PyTorch chooses."""
        self._model, self._objective, self._kernels = model, objective, kernels or Kernels()

    def load(self, chunk: Sequence[Params]) -> Outputs:
        """Return what runs each network when its outputs are asked for."""
        return lambda batch: (self.run(params, batch.x) for params in chunk)

    def run(self, params: Params, x: Tensor) -> Tensor:
        """Return one network's outputs on inputs, shape (n, ...)."""
        with self._kernels.active():
            return self._objective.outputs(run_with(self._model, params, as_inputs(x, float_type(params))))


class InWholeNumbers:
    """Binary networks in whole numbers of eight bits, with the same bits; floats for inputs that are none."""

    def __init__(self, numbers: WholeNumbers, floats: OneByOne) -> None:
        """Keep both ways; a trial on the first network decides whether this one is taken."""
        self._numbers, self._floats = numbers, floats

    def load(self, chunk: Sequence[Params]) -> Outputs | None:
        """Return what computes with the networks' signs."""
        packed = self._numbers.pack(chunk, self._floats.run)
        if packed is None:
            return None

        def outputs(batch: Batch) -> Iterable[Tensor]:
            for params, signs in zip(chunk, packed, strict=True):
                logits = self._numbers.logits(signs, batch.split, batch.start, len(batch.y))
                yield self._floats.run(params, batch.x) if logits is None else logits

        return outputs


class FirstSuitable:
    """The first of several ways that networks run in."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        """Keep them in the order in which they are asked; the last takes all networks."""
        self._runners = runners

    def load(self, chunk: Sequence[Params]) -> Outputs:
        """Return what the first suitable runner makes ready."""
        ready = (runner.load(chunk) for runner in self._runners)
        return next(outputs for outputs in ready if outputs is not None)
