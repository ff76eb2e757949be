"""The local energy of a network: how its error grows as weights are perturbed (docs/method.md: Flatness)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from landscape_cli.evaluation.scores import ERROR, Quantity, SplitFacts, quantity_of
from landscape_cli.io.results import finite
from landscape_cli.measures.items import scores_from
from landscape_cli.sharing.share import Values


@dataclass(frozen=True, eq=False)
class LocalEnergy:
    """The local energy of one network, for several strengths of a perturbation.

    Attributes:
        kind: what the strengths are: "sigma" of multiplicative noise, "flip" for probabilities of flipped signs.
        strengths: the strengths.
        error: E(θ), by split, in [0, 1]; the loss where there is no error.
        draws: the growth of the error in every draw, by split, shape (strengths, draws), float64; NaN where outputs
            are.
        quantity: what E is: the error, or the loss where there is no error.
    """

    kind: str
    strengths: tuple[float, ...]
    error: dict[str, float]
    draws: dict[str, Tensor] = field(repr=False)
    quantity: Quantity = ERROR

    def mean(self, split: str) -> Tensor:
        """Return δE, shape (strengths,)."""
        return self.draws[split].mean(dim=1)

    def standard_error(self, split: str) -> Tensor:
        """Return the standard error of the mean over draws, shape (strengths,); NaN for a single draw."""
        draws = self.draws[split]
        count = draws.shape[1]
        if count == 1:
            return torch.full_like(draws[:, 0], math.nan)
        return draws.std(dim=1) / math.sqrt(count)

    @property
    def missing(self) -> int:
        """How many draws have no error, of all strengths."""
        return int(torch.count_nonzero(torch.stack([draws.isnan() for draws in self.draws.values()]).any(dim=0)))

    def rows(self) -> list[dict[str, float]]:
        """Return δE and its standard error for each strength: `sigma` (or `flip`), `train_energy`, …; mean R²."""
        r2 = self.quantity.r2({split: self.error[split] + self.mean(split) for split in self.draws})
        rows = []
        for k, strength in enumerate(self.strengths):
            row = {self.kind: strength}
            for split in self.draws:
                row[f"{split}_energy"] = float(self.mean(split)[k])
                row[f"{split}_standard_error"] = float(self.standard_error(split)[k])
            rows.append(row | {column: float(means[k]) for column, means in r2.items()})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return what the result of `landscape flatness` says of a network: errors, and every draw; None for NaN."""
        energies = [
            row | {f"{split}_draws": draws[k].tolist() for split, draws in self.draws.items()}
            for k, row in enumerate(self.rows())
        ]
        values = {split: torch.tensor(value, dtype=torch.float64) for split, value in self.error.items()}
        columns = self.quantity.columns(self.quantity.without(values), values, loss=False)
        scores: dict[str, Any] = {name: float(value) for name, value in columns.items()}
        return dict(finite(self.quantity.about() | scores | {"local_energy": energies}))


@dataclass(frozen=True)
class EnergyFrame:
    """Local energies but for their scores.

    Attributes:
        kind: as in `LocalEnergy`.
        strengths: likewise.
        samples: how many draws there are.
        splits: what scores are of, by split.
    """

    kind: str
    strengths: tuple[float, ...]
    samples: int
    splits: Mapping[str, SplitFacts]

    def group(self, network: str = "") -> list[str]:
        """Return the keys of what is measured of one network: itself, and draw by draw all strengths."""
        return [f"{network}{k}" for k in range(1 + self.samples * len(self.strengths))]

    def energy(self, values: Values, network: str = "") -> LocalEnergy:
        """Return the local energy of one network, of what was measured of all.

        Raises:
            ResultError: if a value is none of a network's.
        """
        scores = scores_from(values, self.group(network), self.splits)
        draws = {
            split: (of.measured[1:] - of.measured[0]).reshape(self.samples, len(self.strengths)).T.contiguous()
            for split, of in scores.items()
        }
        errors = {split: float(of.measured[0]) for split, of in scores.items()}
        return LocalEnergy(self.kind, self.strengths, errors, draws, quantity_of(self.splits))
