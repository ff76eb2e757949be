"""Distances between what two networks predict; `choices.Metric` registers them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from landscape_cli.evaluation.evaluator import Evaluator, evaluator_of
from landscape_cli.evaluation.splits import Data
from landscape_cli.forward.outputs import UNDECIDED
from landscape_cli.geometry.distances import Distance
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params

Predictions = Mapping[str, Tensor]
"""The class that a network decides for, by split, shape (samples,), int64; UNDECIDED where outputs are NaN."""


class PredictionDistance(ABC):
    """A distance between the predictions of two networks, of whichever kind.

    Attributes:
        itself: the distance of a network to itself.
    """

    itself: ClassVar[float] = 0.0

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


def fraction_differing(a: Tensor, b: Tensor) -> float | None:
    """Return on which fraction of the samples two predictions differ; None where any is missing.

    Args:
        a: the class decided for, shape (samples,), int64; UNDECIDED where there is none.
        b: the other's, of the same shape.
    """
    if bool(((a == UNDECIDED) | (b == UNDECIDED)).any()):
        return None
    return float((a != b).double().mean())


def is_undecided(predictions: Predictions) -> bool:
    """Tell whether any prediction is missing, as outputs are NaN."""
    return any(bool((classes == UNDECIDED).any()) for classes in predictions.values())


def predict(
    networks: Sequence[Params], evaluator: Evaluator, *, advance: Callable[[int], None] | None = None
) -> Sequence[Predictions]:
    """Return the predictions of each network on every split of the evaluator.

    Args:
        networks: of the evaluator's model.
        evaluator: holds the data.
        advance: called with 1 for every network and split.
    """
    predictions: list[dict[str, Tensor]] = [{} for _ in networks]
    for split in evaluator.splits:
        for params, classes in zip(networks, predictions, strict=True):
            classes[split] = evaluator.predictions(params, split)
            if advance:
                advance(1)
    return predictions


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
