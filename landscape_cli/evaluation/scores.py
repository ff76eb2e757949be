"""What networks score on a split: errors, losses, and where outputs are NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


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


def _finite(values: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def score_columns(scores: Mapping[str, Scores], k: int, *, loss: bool) -> dict[str, float]:
    """Return the columns of a result that hold the scores of network k; losses too where there are no errors."""
    return {name: float(values[k]) for name, values in score_tensors(scores, loss=loss).items()}


def score_tensors(scores: Mapping[str, Scores], *, loss: bool) -> dict[str, Tensor]:
    """Return the columns of a result that hold the scores of all networks, each of shape (networks,), float64."""
    columns = {f"{split}_error": score.error for split, score in scores.items()}
    columns |= {f"{split}_loss": score.loss for split, score in scores.items() if loss or not score.has_error}
    return columns | {f"{split}_r2": score.r2 for split, score in scores.items() if score.r2 is not None}
