"""What was measured of several networks as an ensemble."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from landscape_cli.io.results import finite
from landscape_cli.measures.disagreement import normalised


@dataclass(frozen=True)
class EnsembleScores:
    """How several networks do on one split, together and alone.

    Attributes:
        error: of the mean of their distributions over classes; NaN where outputs of one are.
        loss: the mean cross-entropy of that mean, in nats.
        member_errors: of each network.
        member_losses: of each network.
        disagreement: the mean over pairs; None where a prediction is missing.
        kl: the mean over ordered pairs of the Kullback-Leibler divergence, in nats; None likewise.
        weights_error: of the network whose weights are the mean; None where there is none.
        weights_loss: of that network.
    """

    error: float
    loss: float
    member_errors: tuple[float, ...]
    member_losses: tuple[float, ...]
    disagreement: float | None
    kl: float | None
    weights_error: float | None
    weights_loss: float | None

    @property
    def member_error(self) -> float:
        """The mean error of a network alone."""
        return statistics.fmean(self.member_errors)

    @property
    def gain(self) -> float:
        """By how much the error is below the mean error of a network alone."""
        return self.member_error - self.error

    @property
    def normalised_disagreement(self) -> float | None:
        """The disagreement over the mean error of a network alone (Fort, Hu & Lakshminarayanan, 2019)."""
        return None if self.disagreement is None else normalised(self.disagreement, self.member_errors)

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values, None for what is missing; without a mean of weights nothing is said of one."""
        least = math.nan if any(map(math.isnan, self.member_errors)) else min(self.member_errors)
        weights = {"weights_error": self.weights_error, "weights_loss": self.weights_loss}
        values = {
            "error": self.error,
            "loss": self.loss,
            "member_error": {"mean": self.member_error, "least": least},
            "member_loss": statistics.fmean(self.member_losses),
            "gain": self.gain,
            **({} if self.weights_error is None else weights),
            "disagreement": self.disagreement,
            "normalised_disagreement": self.normalised_disagreement,
            "kl": self.kl,
        }
        return dict(finite(values))


@dataclass(frozen=True)
class Ensemble:
    """Several networks of one model as an ensemble.

    Attributes:
        networks: how many they are.
        scores: by split.
        wedges: the networks by wedge, each list of indices in ascending order; None where weights have no mean.
        spherical: whether means of weights were taken on spheres; None where there is none.
        doubtful: the networks that share a wedge only as they err so much: about as much as guessing does, or so much
            more than the one they share it with that this one's error alone would not allow it.
    """

    networks: int
    scores: Mapping[str, EnsembleScores]
    wedges: tuple[tuple[int, ...], ...] | None
    spherical: bool | None
    doubtful: tuple[int, ...] = ()

    def to_dict(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return all as JSON values, wedges by the names of the networks, or else their indices."""
        shown: list[Any] = list(range(self.networks)) if names is None else list(names)
        body: dict[str, Any] = {"networks": shown}
        if self.spherical is not None:
            body["geometry"] = "spherical" if self.spherical else "linear"
        body |= {split: scores.to_dict() for split, scores in self.scores.items()}
        if self.wedges is not None:
            body["wedges"] = [[shown[k] for k in wedge] for wedge in self.wedges]
        return body
