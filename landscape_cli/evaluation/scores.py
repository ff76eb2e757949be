"""What networks score on a split: errors, losses, and where outputs are NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from landscape_cli.forward.objective import Objective, Sums

T = TypeVar("T")


@dataclass(frozen=True)
class Quantity:
    """What measurements are of: the error, or the loss where the objective has no error; and what stands beside it.

    Attributes:
        has_error: whether there is an error.
        variances: of regression, by split: the mean squared deviation of the targets from their mean.
    """

    has_error: bool = True
    variances: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What results call it: "error" or "loss"."""
        return "error" if self.has_error else "loss"

    def choose(self, errors: T, losses: T) -> T:
        """Return what measurements are of."""
        return errors if self.has_error else losses

    def without(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return errors by split, of what was measured: NaN where there are none."""
        return {split: of if self.has_error else torch.full_like(of, math.nan) for split, of in values.items()}

    def columns(self, errors: Mapping[str, Tensor], losses: Mapping[str, Tensor], *, loss: bool) -> dict[str, Tensor]:
        """Return the columns of a result, from errors and losses by split.

        Losses are there if asked for, or if there are no errors; R² is where there are variances.
        """
        columns = {f"{split}_error": values for split, values in errors.items()}
        if loss or not self.has_error:
            columns |= {f"{split}_loss": values for split, values in losses.items()}
        return columns | self.r2(losses)

    def r2(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return R² by column, of losses by split: nothing where there are no variances."""
        return {
            f"{split}_r2": 1 - losses[split] / (variance or math.nan)
            for split, variance in self.variances.items()
            if split in losses
        }

    def about(self) -> dict[str, str]:
        """Return what a result says of it: nothing where it is the error."""
        return {} if self.has_error else {"quantity": self.name}


ERROR = Quantity()


@dataclass(frozen=True)
class SplitFacts:
    """What scores on a split are of.

    Attributes:
        samples: how many samples, or decisions, there are.
        has_error: whether the objective has an error.
        variance: of regression, the mean squared deviation of the targets from their mean; else None.
        fractions: whether the errors of samples are fractions.
    """

    samples: int
    has_error: bool = True
    variance: float | None = None
    fractions: bool = False


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of several networks on one split.

    Attributes:
        wrong: misclassified samples, or wrong decisions where a sample has several, shape (networks,), int64; float64
            where the errors of samples are fractions.
        samples: how many samples, or decisions, there were.
        loss: mean loss (cross-entropy in nats, squared error, …), shape (networks,), float64.
        undecided: of how many of them the outputs are NaN, which count as wrong too, shape (networks,), int64.
        has_error: whether the objective has an error.
        variance: of regression, the mean squared deviation of the targets from their mean; else None.
    """

    wrong: Tensor = field(repr=False)
    samples: int
    loss: Tensor = field(repr=False)
    undecided: Tensor = field(repr=False)
    has_error: bool = True
    variance: float | None = None

    @property
    def error(self) -> Tensor:
        """The fraction of decisions that are wrong, shape (networks,), float64; NaN where any output is, or none is."""
        if not self.has_error:
            return torch.full_like(self.loss, math.nan)
        return torch.where(self.undecided > 0, math.nan, self.wrong.double() / self.samples)

    @property
    def measured(self) -> Tensor:
        """What measurements are of: the error, or the loss where there is no error."""
        return self.error if self.has_error else self.loss

    @property
    def r2(self) -> Tensor | None:
        """R² of regression, shape (networks,), float64: 1 - loss / variance, NaN of constant targets; else None."""
        if self.variance is None:
            return None
        return 1 - self.loss / (self.variance or math.nan)

    def part(self, start: int, stop: int | None) -> Scores:
        """Return the scores of some of the networks, one after another."""
        wrong, loss, undecided = (values[start:stop] for values in (self.wrong, self.loss, self.undecided))
        return replace(self, wrong=wrong, loss=loss, undecided=undecided)

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values, a list with an entry for each network; None for what is not a number."""
        return {
            "error": _finite(self.error),
            "loss": _finite(self.loss),
            **({} if self.r2 is None else {"r2": _finite(self.r2)}),
            "wrong": self.wrong.tolist(),
            "undecided": self.undecided.tolist(),
            "samples": self.samples,
        }


class Tally:
    """Adds up what networks score on a split, batch by batch, a chunk of networks after another."""

    def __init__(self, objective: Objective, device: torch.device) -> None:
        """Begin without networks; sums stay on the device."""
        self._objective, self._last = objective, 0
        self._wrong = torch.zeros(0, dtype=objective.counted_in, device=device)
        self._undecided = torch.zeros(0, dtype=torch.int64, device=device)
        self._loss = torch.zeros(0, dtype=torch.float64, device=device)

    def extend(self, networks: int) -> None:
        """Go on with so many networks more."""
        self._last = len(self._loss)
        self._wrong, self._undecided, self._loss = (
            torch.cat([sums, sums.new_zeros(networks)]) for sums in (self._wrong, self._undecided, self._loss)
        )

    def add(self, outputs: Iterable[Tensor], y: Tensor) -> Iterator[int]:
        """Add what the last networks score on a batch, and yield how many samples each step has added."""
        if isinstance(outputs, Tensor):
            self._add(slice(self._last, None), self._objective.scores(outputs, y))
            yield len(outputs) * len(y)
            return
        for k, of_network in enumerate(outputs, start=self._last):
            self._add(k, self._objective.score(of_network, y))
            yield len(y)

    def _add(self, rows: int | slice, sums: Sums) -> None:
        self._wrong[rows] += sums.wrong
        self._undecided[rows] += sums.undecided
        self._loss[rows] += sums.loss

    def scores(self, facts: SplitFacts) -> Scores:
        """Return the scores of all networks, on the CPU."""
        wrong, undecided, loss = self._wrong.cpu(), self._undecided.cpu(), self._loss.cpu()
        return Scores(wrong, facts.samples, loss / facts.samples, undecided, facts.has_error, facts.variance)


def _finite(values: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def joined(parts: Sequence[Scores]) -> Scores:
    """Return the scores of all networks of several, on the same split."""
    wrong, loss, undecided = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("wrong", "loss", "undecided")
    )
    return replace(parts[0], wrong=wrong, loss=loss, undecided=undecided)


def score_columns(scores: Mapping[str, Scores], k: int, *, loss: bool) -> dict[str, float]:
    """Return the columns of a result that hold the scores of network k (`Quantity.columns`)."""
    errors = {split: score.error[k] for split, score in scores.items()}
    losses = {split: score.loss[k] for split, score in scores.items()}
    columns = quantity_of(scores).columns(errors, losses, loss=loss)
    return {name: float(value) for name, value in columns.items()}


def quantity_of(scores: Mapping[str, Scores | SplitFacts]) -> Quantity:
    """Return what measurements that gave these scores, or will give such, are of."""
    variances = {split: score.variance for split, score in scores.items() if score.variance is not None}
    return Quantity(all(score.has_error for score in scores.values()), variances)
