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
        wrong: misclassified samples, shape (networks,), int64.
        samples: how many samples there were.
        loss: mean cross-entropy in nats, shape (networks,), float64.
        undecided: samples on which the outputs are NaN, which count as wrong too, shape (networks,), int64.
    """

    wrong: Tensor = field(repr=False)
    samples: int
    loss: Tensor = field(repr=False)
    undecided: Tensor = field(repr=False)

    @property
    def error(self) -> Tensor:
        """The fraction of samples misclassified, shape (networks,), float64; NaN where any output is."""
        return torch.where(self.undecided > 0, math.nan, self.wrong.double() / self.samples)

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values, a list with an entry for each network; None for what is not a number."""
        return {
            "error": _finite(self.error),
            "loss": _finite(self.loss),
            "wrong": self.wrong.tolist(),
            "undecided": self.undecided.tolist(),
            "samples": self.samples,
        }


def _finite(values: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def score_columns(scores: Mapping[str, Scores], k: int, *, loss: bool) -> dict[str, float]:
    """Return the columns of a result that hold the scores of network k."""
    columns = {f"{split}_error": float(score.error[k]) for split, score in scores.items()}
    if loss:
        columns |= {f"{split}_loss": float(score.loss[k]) for split, score in scores.items()}
    return columns
