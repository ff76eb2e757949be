"""Profiles of the error away from a network, and their widths (docs/method.md: Angular width)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from landscape_cli.choices import Direction
from landscape_cli.evaluation.scores import ERROR, Quantity
from landscape_cli.io.results import finite

RANDOM = Direction.RANDOM.value


@dataclass(frozen=True)
class AngularWidth:
    """The least angle at which an error has grown by so much, in the mean over directions.

    Attributes:
        growth: by how much.
        angle: in degrees, interpolated linearly; NaN if the mean never grows so much, or lacks numbers before it does.
        standard_error: of the angle, by the jackknife over directions; NaN for one direction, and where leaving one out
            leaves no angle.
        reached: in how many single directions the error grows so much.
        directions: how many have any error.
    """

    growth: float
    angle: float
    standard_error: float
    reached: int
    directions: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; None for NaN."""
        return dict(
            finite(
                {
                    "growth": self.growth,
                    "angle": self.angle,
                    "standard_error": self.standard_error,
                    "reached": self.reached,
                    "directions": self.directions,
                }
            )
        )


@dataclass(frozen=True, eq=False)
class RadialProfile:
    """Errors and losses of a network moved in one direction, or in several of one kind.

    Attributes:
        direction: its name: "random", "-gradient", "+gradient", "radial", or the file of the network that lies there.
        strengths: the angles, in degrees, by which all units turn; of "radial" the factors of all weights.
        turns: whether they are angles.
        errors: by split, in every draw of the direction, shape (strengths, draws), float64; NaN where outputs are, and
            where there is no direction to go in.
        losses: the same of the mean loss.
        quantity: what `errors` are: "error", or "loss" where there is no error.
    """

    direction: str
    strengths: tuple[float, ...]
    turns: bool
    errors: dict[str, Tensor] = field(repr=False)
    losses: dict[str, Tensor] = field(repr=False)
    quantity: str = "error"

    def width(self, split: str, error: float, growth: float) -> AngularWidth:
        """Return the angular width, by an error at angle 0."""
        grown = self.errors[split] - error
        angle = _reaches(self.strengths, grown.mean(dim=1), growth)
        count = grown.shape[1]
        total = grown.sum(dim=1)
        without = [_reaches(self.strengths, (total - grown[:, k]) / max(count - 1, 1), growth) for k in range(count)]
        spread = math.nan
        if count > 1 and not any(map(math.isnan, without)):
            mean = math.fsum(without) / count
            spread = math.sqrt((count - 1) / count * math.fsum((value - mean) ** 2 for value in without))
        measured = int((~grown.isnan()).any(dim=0).sum())
        return AngularWidth(growth, angle, spread, int((grown >= growth).any(dim=0).sum()), measured)

    def to_dict(self, *, loss: bool) -> dict[str, Any]:
        """Return it as JSON values, losses where they are asked for; None for NaN."""
        columns = {split: _statistics(draws) for split, draws in self.errors.items()}
        if loss:
            columns |= {f"{split}_loss": _statistics(draws) for split, draws in self.losses.items()}
        strengths = {"angles" if self.turns else "factors": list(self.strengths)}
        return dict(finite({"direction": self.direction} | strengths | columns))

    def rows(self, *, loss: bool) -> list[dict[str, Any]]:
        """Return a row for each angle or factor: means and their standard errors."""
        kinds = [(self.quantity, "standard_error", self.errors)]
        if loss:
            kinds.append(("loss", "loss_standard_error", self.losses))
        rows = []
        for k, strength in enumerate(self.strengths):
            row: dict[str, Any] = {"direction": self.direction, "angle" if self.turns else "factor": strength}
            for mean, deviation, values in kinds:
                for split, draws in values.items():
                    row[f"{split}_{mean}"] = float(draws[k].mean())
                    row[f"{split}_{deviation}"] = _standard_error(draws[k])
            rows.append(row)
        return rows


@dataclass(frozen=True, eq=False)
class RadialProfiles:
    """How a network's error grows away from it.

    Attributes:
        error: E(θ), by split, in [0, 1]; the loss where there is no error.
        mean_loss: its mean loss, by split.
        profiles: in the order of the directions that were asked for.
        growth: of the error, at which widths are taken.
        shows_loss: whether `to_dict` and `rows` show losses as well.
        quantity: what `error` is: the error, or the loss where there is no error.
    """

    error: dict[str, float]
    mean_loss: dict[str, float]
    profiles: tuple[RadialProfile, ...]
    growth: float
    shows_loss: bool = False
    quantity: Quantity = ERROR

    @property
    def width(self) -> dict[str, AngularWidth]:
        """The angular width by split, over random directions; empty if none were measured."""
        random = next((profile for profile in self.profiles if profile.direction == RANDOM), None)
        if random is None:
            return {}
        return {split: random.width(split, error, self.growth) for split, error in self.error.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each direction and angle or factor; of random directions with the angular width."""
        widths: dict[str, float] = {}
        for split, width in self._named_widths():
            widths |= {split: width.angle, f"{split}_standard_error": width.standard_error}
        return [
            row | {name: means[k] for name, means in r2.items()} | (widths if profile.direction == RANDOM else {})
            for profile in self.profiles
            for r2 in [self._r2(profile)]
            for k, row in enumerate(profile.rows(loss=self.shows_loss))
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return what the result of `landscape flatness` says of a network; None for NaN."""
        values, losses = (
            {split: torch.tensor(value, dtype=torch.float64) for split, value in of.items()}
            for of in (self.error, self.mean_loss)
        )
        columns = self.quantity.columns(self.quantity.without(values), losses, loss=self.shows_loss)
        body: dict[str, Any] = self.quantity.about() | {name: float(value) for name, value in columns.items()}
        body["profiles"] = [
            profile.to_dict(loss=self.shows_loss) | finite(self._r2(profile)) for profile in self.profiles
        ]
        body |= {name: width.to_dict() for name, width in self._named_widths()}
        return dict(finite(body))

    def _r2(self, profile: RadialProfile) -> dict[str, list[float]]:
        """Return the mean R² at each angle or factor, by column, where there is one."""
        means = {split: draws.mean(dim=1) for split, draws in profile.errors.items()}
        return {column: values.tolist() for column, values in self.quantity.r2(means).items()}

    def _named_widths(self) -> list[tuple[str, AngularWidth]]:
        """Return the widths as results name them: of the first split, which is the training set, just `width`."""
        return [("width" if k == 0 else f"{split}_width", width) for k, (split, width) in enumerate(self.width.items())]


def _reaches(angles: Sequence[float], grown: Tensor, growth: float) -> float:
    """Return the first angle at which a curve from 0 at 0, straight between its points, reaches a growth; else NaN."""
    before, lower = 0.0, 0.0
    values: list[float] = grown.tolist()
    for angle, value in zip(angles, values, strict=True):
        if math.isnan(value):
            return math.nan
        if value >= growth:
            return before + (angle - before) * (growth - lower) / (value - lower)
        before, lower = angle, value
    return math.nan


def _statistics(draws: Tensor) -> dict[str, Any]:
    return {
        "mean": draws.mean(dim=1).tolist(),
        "standard_error": [_standard_error(row) for row in draws],
        "draws": draws.tolist(),
    }


def _standard_error(values: Tensor) -> float:
    """Return the standard error of a mean; NaN for a single number."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
