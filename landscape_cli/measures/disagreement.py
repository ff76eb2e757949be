"""Distances between what two networks predict; `choices.Metric` registers them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from landscape_cli.evaluation.evaluator import Evaluator, evaluator_of
from landscape_cli.evaluation.splits import Data
from landscape_cli.forward.outputs import UNDECIDED
from landscape_cli.geometry.distances import Distance
from landscape_cli.measures.predictions import Predictions, predict
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params


class PredictionDistance(ABC):
    """A distance between the predictions of two networks, of whichever kind.

    Attributes:
        itself: the distance of a network to itself.
        usual: whether it is shown where nothing is said; others go with ensembles, or are asked for by name.
    """

    itself: ClassVar[float] = 0.0
    usual: ClassVar[bool] = True

    @abstractmethod
    def between(self, a: Predictions, b: Predictions) -> float | None:
        """Return the distance; None where a prediction that it needs is missing."""


class DisagreementOnTraining(PredictionDistance):
    """The fraction of the training set on which two networks decide for different classes."""

    split: ClassVar[str] = "train"

    def between(self, a: Predictions, b: Predictions) -> float | None:
        """Return the fraction."""
        return fraction_differing(a[self.split], b[self.split])


class DisagreementOnTest(DisagreementOnTraining):
    """The fraction of the test set on which two networks decide for different classes."""

    split = "test"


class NormalisedDisagreementOnTraining(PredictionDistance):
    """The disagreement on the training set over the mean error of both (Fort, Hu & Lakshminarayanan, 2019)."""

    usual = False
    split: ClassVar[str] = "train"

    def between(self, a: Predictions, b: Predictions) -> float | None:
        """Return the ratio; None where neither errs."""
        differing = fraction_differing(a[self.split], b[self.split])
        return None if differing is None else normalised(differing, [a.errors[self.split], b.errors[self.split]])


class NormalisedDisagreementOnTest(NormalisedDisagreementOnTraining):
    """The disagreement on the test set over the mean error of both (Fort, Hu & Lakshminarayanan, 2019)."""

    split = "test"


class DivergenceOnTraining(PredictionDistance):
    """The mean over the training set, and over both directions, of the Kullback-Leibler divergence, in nats."""

    usual = False
    split: ClassVar[str] = "train"

    def between(self, a: Predictions, b: Predictions) -> float | None:
        """Return the divergence."""
        return divergence(a, b, self.split)


class DivergenceOnTest(DivergenceOnTraining):
    """The mean over the test set, and over both directions, of the Kullback-Leibler divergence, in nats."""

    split = "test"


def normalised(disagreement: float, errors: Sequence[float]) -> float | None:
    """Return a disagreement over the mean of errors; None where that is zero, or one is missing."""
    mean = sum(errors) / len(errors)
    return disagreement / mean if mean > 0 else None


def divergence(a: Predictions, b: Predictions, split: str) -> float | None:
    """Return the mean Kullback-Leibler divergence of two networks, over samples and both directions; None for NaN."""
    mean = float(a.divergences[split][b.index] + b.divergences[split][a.index]) / 2
    return mean if math.isfinite(mean) else None


def fraction_differing(a: Tensor, b: Tensor) -> float | None:
    """Return on which fraction of the samples two predictions differ; None where any is missing.

    Args:
        a: the class decided for, shape (samples,), int64; UNDECIDED where there is none.
        b: the other's, of the same shape.
    """
    if bool(((a == UNDECIDED) | (b == UNDECIDED)).any()):
        return None
    return float((a != b).double().mean())


def disagreement(
    model: nn.Module | Evaluator,
    a: Params,
    b: Params,
    data: Data | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Distance:
    """Return on which fraction of each split two networks decide for different classes.

    See docs/method.md: Geodesics and distances.

    Args:
        model: the architecture, put in evaluation mode; or an `Evaluator`, which has its data and device.
        a: one network.
        b: the other.
        data: what to measure on, with a model: a data set, a split, or several by name.
        device: where to compute, with a model.

    Returns:
        `train_disagreement`, `test_disagreement`, one of each split, fractions of samples in [0, 1]; None where outputs
        are NaN.

    Raises:
        ModelError: if a network does not fit the model.
        DataError: if there is no data, or it is malformed.
    """
    evaluator = evaluator_of(model, data, device=device)
    check_networks(evaluator.model, {"the first network": a, "the second network": b})
    first, second = predict([a, b], evaluator)
    return Distance({f"{split}_disagreement": fraction_differing(first[split], second[split]) for split in first})
