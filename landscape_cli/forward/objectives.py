"""The objectives with names, a class each; `choices.ObjectiveName` registers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.errors import DataError, ModelError, shown
from landscape_cli.forward.objective import (
    Objective,
    Sums,
    check_labels,
    check_same_shape,
    check_whole_numbers,
    count_classes,
    count_numbers,
)
from landscape_cli.forward.outputs import UNDECIDED, all_outputs, cross_entropy, decide, default_outputs, outputs_fit
from landscape_cli.network import all_finite

BLOCK = 1 << 22
"""Numbers of outputs that are turned to float64 at a time, where there are many decisions a sample."""
IGNORED = -100
"""The label of places that do not count, as PyTorch has it."""


class Decisions(Objective):
    """Objectives of decisions between classes: cross-entropy, and the fraction of decisions that are wrong."""

    def score(self, outputs: Tensor, y: Tensor) -> Sums:
        """Return the sums, over blocks where there are many decisions."""
        logits, labels = self.rows(outputs, y)
        parts = [(logits, labels)]
        if logits is not outputs and logits.numel() > BLOCK:
            size = max(1, BLOCK // logits.shape[1])
            parts = list(zip(logits.split(size), labels.split(size), strict=True))
        sums = [_sums(*part) for part in parts]
        return sums[0] if len(sums) == 1 else Sums(*(torch.stack(each).sum() for each in zip(*sums, strict=True)))

    def loss_sum(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the cross-entropies, in nats."""
        return cross_entropy(*self.rows(outputs, y), reduction="sum")

    def wrong(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return how many decisions are wrong."""
        logits, labels = self.rows(outputs, y)
        return torch.count_nonzero(decide(logits) != labels)

    def guess_error(self, y: Tensor) -> float:
        """Return the fraction of decisions that are not for the commonest class."""
        labels = self.labels(y)
        return 1 - float(torch.bincount(labels).max()) / len(labels) if len(labels) else 0.0


@dataclass(frozen=True)
class Classification(Decisions):
    """One class a sample: labels, shape (n,), whole numbers from 0; outputs, shape (n, classes), or (n, 1) for two."""

    name = "classification"
    balances = True

    def check_targets(self, name: str, y: Tensor, samples: int, part: str) -> None:
        """Check that there is one whole number a sample."""
        if y.shape != (samples,):
            raise DataError(
                f"{name}: {part} has shape {tuple(y.shape)}, expected ({samples},): one label a sample of "
                f"{part.replace('y', 'x', 1)}, or else name the `objective=`"
            )
        check_whole_numbers(name, y, part)

    def check_fit(self, name: str, outputs: Tensor, y: Tensor) -> None:
        """Check that labels are of the classes that the outputs decide between."""
        check_labels(name, y, outputs.shape[1])

    def classes(self, name: str, train: Tensor, test: Tensor) -> int:
        """Return the number of classes, which count from 0."""
        return count_classes(name, train, test)

    def new_outputs(self, classes: int) -> int:
        """Return one output, with a sign, for two classes; else one a class."""
        return default_outputs(classes)

    def fits(self, outputs: int, classes: int) -> bool:
        """Tell whether there is an output a class, or one for two."""
        return outputs_fit(outputs, classes)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy, in nats."""
        return cross_entropy(outputs, y)

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy of each network, of all in one set of kernels."""
        return cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)

    def wrongs(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return how many samples each network misclassifies, of all in one set of kernels."""
        return (decide(outputs.flatten(0, 1)).view(y.shape) != y).sum(1)

    def scores(self, outputs: Tensor, y: Tensor) -> Sums:
        """Return the sums of each network, of all in one set of kernels."""
        decisions = decide(outputs.flatten(0, 1)).view(len(outputs), -1)
        losses = _losses(outputs.flatten(0, 1), y.repeat(len(outputs))).view(len(outputs), -1)
        wrong, undecided = ((decisions != y).sum(1), (decisions == UNDECIDED).sum(1))
        return Sums(wrong, undecided, losses.sum(1, dtype=torch.float64))

    def rows(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and labels as they are."""
        return outputs, y

    def random_targets(self, y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
        """Return random labels."""
        return torch.randint(classes, (len(y),), generator=generator)


@dataclass(frozen=True)
class Multilabel(Decisions):
    """Several yes-or-no labels a sample: 0 or 1, shape (n, labels); an output for each, which says yes from 0 on."""

    name = "multilabel"

    def check_targets(self, name: str, y: Tensor, samples: int, part: str) -> None:
        """Check that there are rows of zeros and ones."""
        if y.ndim < 2 or len(y) != samples or not y.numel():
            raise DataError(f"{name}: {part} has shape {tuple(y.shape)}, expected ({samples}, labels): 0 or 1 for each")
        if y.is_complex() or (not y.is_meta and not bool(((y == 0) | (y == 1)).all())):
            raise DataError(f"{name}: {part} holds other numbers than 0 and 1, which are what multilabel targets are")

    def check_fit(self, name: str, outputs: Tensor, y: Tensor) -> None:
        """Check that there is an output for each label."""
        check_same_shape(name, outputs, y, "label")

    def classes(self, name: str, train: Tensor, test: Tensor) -> int:
        """Return the number of labels."""
        return count_numbers(name, train, test)

    def count(self, y: Tensor) -> int:
        """Return the number of label bits."""
        return y.numel()

    def rows(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return each bit as a decision of one output."""
        return outputs.reshape(-1, 1), y.reshape(-1)

    def guess_error(self, y: Tensor) -> float:
        """Return the fraction of bits that are not the commoner ones of their label."""
        ones = y.double().mean(0)
        return float(torch.minimum(ones, 1 - ones).mean())

    def random_targets(self, y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
        """Return random bits."""
        return torch.randint(2, y.shape, generator=generator)


@dataclass(frozen=True)
class Dense(Decisions):
    """A class for every place of a sample, as of pixels or tokens: labels, shape (n, ...), whole numbers from 0.

    Attributes:
        class_axis: where the outputs have their classes, the samples being axis 0: 1 for (n, classes, ...), -1 for
            (n, ..., classes). One class alone is an output with a sign, for two.
        ignore_index: the label of places that do not count.

    Raises:
        ModelError: if the axis is that of samples.
    """

    name = "dense"

    class_axis: int = 1
    ignore_index: int = IGNORED

    def __post_init__(self) -> None:
        if self.class_axis == 0:
            raise ModelError("`class_axis=` 0 is the axis of samples: use 1 for (n, classes, ...), -1 for the last")

    def record(self) -> dict[str, Any]:
        """Return the name, and what is not as usual."""
        usual = asdict(Dense())
        return {"name": self.name} | {key: value for key, value in asdict(self).items() if value != usual[key]}

    def check_targets(self, name: str, y: Tensor, samples: int, part: str) -> None:
        """Check that there are whole numbers, some of which count."""
        if y.ndim < 2 or len(y) != samples or not y.numel():
            raise DataError(f"{name}: {part} has shape {tuple(y.shape)}, expected ({samples}, ...): a class a place")
        check_whole_numbers(name, y, part)
        if not y.is_meta and not bool((y != self.ignore_index).any()):
            raise DataError(f"{name}: {part} holds {self.ignore_index} alone, by `ignore_index=`: no place counts")

    def check_fit(self, name: str, outputs: Tensor, y: Tensor) -> None:
        """Check that outputs have an axis of classes, else the shape of labels, and labels are of those classes."""
        shape = list(outputs.shape)
        if not -len(shape) < self.class_axis < len(shape):
            raise DataError(f"{name}: the model returns shape {tuple(shape)}, which has no axis {self.class_axis}")
        classes = shape.pop(self.class_axis)
        if tuple(shape[1:]) != tuple(y.shape[1:]):
            raise DataError(
                f"{name}: the model returns shape {tuple(outputs.shape)} for {len(outputs)} samples, classes on axis "
                f"{self.class_axis} by `class_axis=`, and labels have shape {tuple(y.shape)}"
            )
        check_labels(name, y[y != self.ignore_index], classes, "; or is one of them `ignore_index=`?")

    def classes(self, name: str, train: Tensor, test: Tensor) -> int:
        """Return the number of classes among the places of both splits that count: some may be rare."""
        count_numbers(name, train, test)
        counted = torch.cat([y[y != self.ignore_index] for y in (train, test)])
        if int(counted.min()) < 0:
            raise DataError(
                f"{name}: labels out of range: they must count from 0, and the lowest is {int(counted.min())}: places "
                "that do not count have the label `ignore_index=`"
            )
        return max(2, int(counted.max()) + 1)

    def new_outputs(self, classes: int) -> int:
        """Refuse landscape's own models, which return one row of outputs a sample."""
        raise ModelError("no model of landscape's own returns a class for every place: name one of yours with `model=`")

    def fits(self, outputs: int, classes: int) -> bool:
        """Leave it to the shapes (`check_fit`)."""
        return True

    def count(self, y: Tensor) -> int:
        """Return how many places count."""
        return int(torch.count_nonzero(y != self.ignore_index))

    def rows(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places that count."""
        logits = outputs.movedim(self.class_axis, -1)
        rows, labels = logits.reshape(-1, logits.shape[-1]), y.reshape(-1)
        counts = labels != self.ignore_index
        return (rows, labels) if bool(counts.all()) else (rows[counts], labels[counts])

    def labels(self, y: Tensor) -> Tensor:
        """Return the classes of the places that count."""
        return y[y != self.ignore_index]

    def random_targets(self, y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
        """Return random classes where places count."""
        drawn = torch.randint(classes, y.shape, generator=generator)
        return torch.where(y.cpu() == self.ignore_index, y.cpu(), drawn)


@dataclass(frozen=True)
class Regression(Objective):
    """Numbers to be predicted, shape (n,) or (n, ...): the loss is the mean squared error, and there is no error."""

    name = "regression"
    decides = False

    @property
    def has_error(self) -> bool:
        """There is none."""
        return False

    def outputs(self, returned: Any) -> Tensor:
        """Return the first output, whatever its shape."""
        return all_outputs(returned)[0]

    def targets(self, y: Tensor) -> Tensor:
        """Return real numbers."""
        return y if y.is_floating_point() else y.float()

    def check_targets(self, name: str, y: Tensor, samples: int, part: str) -> None:
        """Check that there are finite numbers."""
        if y.ndim < 1 or len(y) != samples or not y.numel():
            raise DataError(f"{name}: {part} has shape {tuple(y.shape)}, expected ({samples},) or ({samples}, numbers)")
        if y.is_complex() or (not y.is_meta and not all_finite(y)):
            raise DataError(f"{name}: {part} holds NaN, Inf or complex numbers, which nothing can predict")

    def check_fit(self, name: str, outputs: Tensor, y: Tensor) -> None:
        """Check that there is an output for each number; shapes (n,) and (n, 1) are the same."""
        check_same_shape(name, _as_rows(outputs), _as_rows(y), "number")

    def classes(self, name: str, train: Tensor, test: Tensor) -> int:
        """Return how many numbers there are to predict of each sample."""
        return count_numbers(name, train, test)

    def count(self, y: Tensor) -> int:
        """Return how many numbers there are."""
        return y.numel()

    def score(self, outputs: Tensor, y: Tensor) -> Sums:
        """Return the sum of squared errors; nothing is decided."""
        loss = self.loss_sum(outputs.double(), y.double())
        nothing = torch.zeros((), dtype=torch.int64, device=outputs.device)
        return Sums(nothing, torch.count_nonzero(outputs.isnan()), loss)

    def loss_sum(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the sum of squared errors."""
        return F.mse_loss(_as_rows(outputs), _as_rows(y).to(outputs.dtype), reduction="sum")

    def wrong(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return 0."""
        return torch.zeros((), dtype=torch.int64, device=outputs.device)

    def variance(self, y: Tensor) -> float:
        """Return the mean squared deviation of the targets from their mean, each number of a sample by itself."""
        return float(y.double().var(dim=0, correction=0).mean())


CLASSIFICATION = Classification()


def record_of(objective: Objective) -> dict[str, Any] | None:
    """Return what a checkpoint keeps of an objective: nothing of classification."""
    return None if objective == CLASSIFICATION else objective.record()


def objective_of_record(record: Mapping[str, Any] | None, kinds: Mapping[str, type[Objective]]) -> Objective:
    """Return the objective that a checkpoint records, if it is one with a name; None is classification.

    Args:
        record: what `Objective.record` returned.
        kinds: the objectives with names.

    Raises:
        DataError: if it is malformed.
    """
    if record is None:
        return CLASSIFICATION
    settings = {key: value for key, value in record.items() if key != "name"}
    try:
        kind = kinds[record["name"]]
        if not all(type(value) is int for value in settings.values()):
            raise ValueError("settings are whole numbers")
        return kind(**settings)
    except (KeyError, TypeError, ValueError) as cause:
        raise DataError(f"the checkpoint's metadata key 'objective' is malformed ({shown(repr(cause))})") from cause


def _sums(logits: Tensor, labels: Tensor) -> Sums:
    decisions = decide(logits)
    return Sums(
        torch.count_nonzero(decisions != labels),
        torch.count_nonzero(decisions == UNDECIDED),
        _losses(logits, labels).sum(dtype=torch.float64)
        if logits.is_cuda
        else cross_entropy(logits.double(), labels, reduction="sum"),
    )


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each sample in float32 or better: a GPU may take long for float64, but for a sum of these."""
    return cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels, reduction="none")


def _as_rows(values: Tensor) -> Tensor:
    return values[:, None] if values.ndim == 1 else values
