"""Networks in float32 evaluated in shorter numbers, and how many decisions that changes on a sample.

See docs/method.md: Precision.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Precision, check_choice
from landscape_cli.errors import ModelError, Remark
from landscape_cli.evaluation.halving import Halving
from landscape_cli.evaluation.runners import Batch, Outputs
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.outputs import decide
from landscape_cli.forward.precision import computing
from landscape_cli.network import Params

SAMPLE = 512
"""Samples of each split on which one network of every chunk is compared with itself in float32."""


class Arithmetic:
    """In which numbers networks are evaluated, by one evaluator or several, and what that changes.

    Attributes:
        precision: what was asked for.
    """

    def __init__(self, precision: str = Precision.FLOAT32) -> None:
        """Begin to count.

        Raises:
            ModelError: if there is no such precision.
        """
        check_choice("precision", precision, Precision, ModelError)
        self.precision = Precision(precision)
        self._noted: list[tuple[Tensor, int]] = []
        self._counted: list[tuple[float, float]] = []

    def check(self, model: nn.Module) -> None:
        """Refuse binary models, which are computed in whole numbers.

        Raises:
            ModelError: if this is one.
        """
        if self.precision is not Precision.FLOAT32 and latent_names(model):
            raise ModelError(f"{self._word} is not for binary networks, which count in whole numbers: leave it out")

    def check_type(self, params: Params) -> None:
        """Refuse networks whose numbers are not float32.

        Raises:
            ModelError: naming theirs.
        """
        other = next((t.dtype for t in params.values() if t.is_floating_point() and t.dtype != torch.float32), None)
        if self.precision is not Precision.FLOAT32 and other is not None:
            name = str(other).removeprefix("torch.")
            raise ModelError(f"{self._word} is for networks in float32, and this one is in {name}: leave it out")

    def count(self, outputs: Tensor, expected: Tensor, y: Tensor, objective: Objective) -> None:
        """Compare a network's outputs on a sample with those in float32; nothing waits for the device."""
        if objective.decides:
            decisions, others = (decide(objective.rows(each, y)[0]) for each in (outputs, expected))
            self._noted.append((torch.count_nonzero(decisions != others), len(decisions)))
        else:
            self._noted.append((torch.stack([objective.score(each, y).loss for each in (outputs, expected)]), 0))

    def drain(self) -> tuple[float, float] | None:
        """Return what was counted since the last call, and count it no more: changed and compared, or both losses."""
        noted, self._noted = self._noted, []
        if not noted:
            return None
        if noted[0][1]:
            return int(torch.stack([changed for changed, _ in noted]).sum()), sum(compared for _, compared in noted)
        loss, expected = torch.stack([losses for losses, _ in noted]).sum(0).tolist()
        return loss, expected

    def add(self, counted: tuple[float, float] | None) -> None:
        """Count what was drained, here or elsewhere."""
        self._counted += [] if counted is None else [counted]

    def record(self) -> dict[str, Any]:
        """Return what a result says of it: nothing of float32."""
        self.add(self.drain())
        if not self._counted:
            return {}
        first, second = (math.fsum(numbers) for numbers in zip(*self._counted, strict=True))
        if isinstance(self._counted[0][0], int):
            return {"changed_decisions": {"changed": int(first), "compared": int(second)}}
        return {"changed_loss": {"loss": first, "float32": second}}

    def tell(self) -> None:
        """Say what was changed, if anything was compared.

        Warns:
            Remark: with both counts, or both losses.
        """
        for name, numbers in self.record().items():
            first, second = numbers.values()
            warnings.warn(
                f"in {self.precision.value}, {first:,} of {second:,} decisions on a sample are others than in float32"
                if name == "changed_decisions"
                else f"in {self.precision.value}, the summed loss on a sample is {first:.6g}, in float32 {second:.6g}",
                Remark,
                stacklevel=2,
            )

    @property
    def _word(self) -> str:
        return f"`precision=` {self.precision.value}"


class InPrecision:
    """Another runner, computing in some precision."""

    def __init__(self, runner: Halving, arithmetic: Arithmetic, objective: Objective, device: torch.device) -> None:
        """Keep what runs networks, and what counts."""
        self._runner, self._arithmetic, self._objective, self._device = runner, arithmetic, objective, device

    def load(self, chunk: Sequence[Params]) -> Outputs:
        """Return what the runner makes ready, each of whose outputs is computed so."""
        self._arithmetic.check_type(chunk[0])
        precision = self._arithmetic.precision
        with computing(precision, self._device):
            outputs_on = self._runner.load(chunk)

        def outputs(batch: Batch) -> Iterable[Tensor]:
            with computing(precision, self._device):
                results = outputs_on(batch)
            if not isinstance(results, Tensor):
                results = self._each(iter(results))
            if batch.start or precision is Precision.FLOAT32:
                return results
            return self._compared(chunk[0], results, batch)

        return outputs

    def _each(self, results: Iterator[Tensor]) -> Iterator[Tensor]:
        while True:
            with computing(self._arithmetic.precision, self._device):
                outputs = next(results, None)
            if outputs is None:
                return
            yield outputs

    def _compared(self, params: Params, results: Iterable[Tensor], batch: Batch) -> Iterator[Tensor]:
        """Yield the outputs, the first network's being compared with those in float32."""
        for k, outputs in enumerate(results):
            if k == 0:
                sample = batch._replace(x=batch.x[:SAMPLE], y=batch.y[:SAMPLE])
                with computing(Precision.FLOAT32, self._device):
                    [expected] = self._runner.load([params])(sample)
                self._arithmetic.count(outputs[: len(sample.y)], expected, sample.y, self._objective)
            yield outputs
