"""What an objective is: which targets it takes, its loss and its error (docs/method.md: Objectives)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from landscape_cli.errors import DataError, ModelError, shown
from landscape_cli.forward.outputs import logits_of


class Sums(NamedTuple):
    """What a network scores on some samples, each without dimensions.

    Attributes:
        wrong: how many decisions are wrong.
        undecided: how many numbers that decide, or are to be compared, are NaN.
        loss: the sum of the losses, float64.
    """

    wrong: Tensor
    undecided: Tensor
    loss: Tensor


class Objective(ABC):
    """What a network's outputs are held against.

    Attributes:
        name: as users and checkpoints write it.
        decides: whether outputs decide between classes, once or several times a sample: then networks can be compared
            by their decisions, and by distributions over classes.
        balances: whether samples have one class each, of which a subset can hold as many of each.
        counted_in: the type of sums of errors: whole numbers, unless a sample's error may be a fraction.
    """

    name: str
    decides: ClassVar[bool] = True
    balances: ClassVar[bool] = False
    counted_in: ClassVar[torch.dtype] = torch.int64

    @property
    def has_error(self) -> bool:
        """Whether there is an error; where there is none, measurements are of the loss."""
        return True

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it, as JSON values."""
        return {"name": self.name}

    def outputs(self, returned: Any) -> Tensor:
        """Return the outputs that are held against targets, of all that a model returns.

        Raises:
            ModelError: if there are none.
        """
        return logits_of(returned)

    def targets(self, y: Tensor) -> Tensor:
        """Return targets in the type that they are computed with."""
        return y.long()

    @abstractmethod
    def check_targets(self, name: str, y: Tensor, samples: int, part: str) -> None:
        """Check shape and type of the targets of so many samples, and their values if they have such.

        Raises:
            DataError: naming them.
        """

    @abstractmethod
    def check_fit(self, name: str, outputs: Tensor, y: Tensor) -> None:
        """Check that targets are of the shape and range of a model's outputs for some samples.

        Raises:
            DataError: if they are not.
        """

    @abstractmethod
    def classes(self, name: str, train: Tensor, test: Tensor) -> int:
        """Return how many classes, label bits or numbers there are to tell, having checked both splits' targets.

        Raises:
            DataError: if they do not go together.
        """

    def new_outputs(self, classes: int) -> int:
        """Return how many outputs a new network has.

        Raises:
            ModelError: if a row of them will not do.
        """
        return classes

    def fits(self, outputs: int, classes: int) -> bool:
        """Tell whether a network with so many outputs may be for so many classes, label bits or numbers."""
        return outputs == classes

    def count(self, y: Tensor) -> int:
        """Return by how many decisions, or numbers, losses and errors of these targets are divided."""
        return len(y)

    @abstractmethod
    def score(self, outputs: Tensor, y: Tensor) -> Sums:
        """Return the sums of a network's scores on some samples."""

    def scores(self, outputs: Tensor, y: Tensor) -> Sums:
        """Return the sums of several networks, each shape (networks,), from a stack of outputs on the same samples."""
        return Sums(*map(torch.stack, zip(*(self.score(of_network, y) for of_network in outputs), strict=True)))

    @abstractmethod
    def loss_sum(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the losses on some samples, differentiable, without dimensions."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss on some samples, differentiable, without dimensions."""
        return self.loss_sum(outputs, y) / max(1, self.count(y))

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of each of several networks, shape (networks,), from stacks of outputs and targets."""
        return torch.stack([self.loss(*both) for both in zip(outputs, y, strict=True)])

    @abstractmethod
    def wrong(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return how many decisions are wrong, without dimensions; 0 where there is no error."""

    def wrongs(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return how many decisions of each of several networks are wrong, shape (networks,), from stacks of both."""
        return torch.stack([self.wrong(*both) for both in zip(outputs, y, strict=True)])

    def labels(self, y: Tensor) -> Tensor:
        """Return the label of each decision, in the order of `rows`, shape (decisions,).

        Raises:
            DataError: if the objective has no decisions.
        """
        return self.rows(y, y)[1]

    def rows(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return all decisions as those of one classification: logits, shape (decisions, outputs), and labels.

        Raises:
            DataError: if the objective has no decisions.
        """
        raise DataError(
            f"networks are compared by what they decide, and the objective {shown(self.name)} has no decisions: "
            "compare their weights alone, with `no_functions=`"
        )

    def guess_error(self, y: Tensor) -> float | None:
        """Return the error of whoever knows no inputs and says what is commonest; None where that is not known."""
        return None

    def variance(self, y: Tensor) -> float | None:
        """Return the mean squared deviation of targets from their mean, by which R² is told from the loss; or None."""
        return None

    def random_targets(self, y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
        """Return random targets of the kind of `y`, on the CPU.

        Raises:
            ModelError: if there is no error by which they are learnt.
        """
        if not self.has_error:
            raise ModelError(f"random targets are learnt to an error, and the objective {shown(self.name)} has none")
        return y.cpu()[torch.randperm(len(y), generator=generator)]


def check_labels(name: str, labels: Tensor, outputs: int, question: str = "") -> None:
    """Check that labels, whole numbers, are of the classes that so many outputs decide between: two, if it is one.

    Otherwise a `question` may ask what else was meant.

    Raises:
        DataError: if they are not.
    """
    low, high, classes = int(labels.min()), int(labels.max()), max(2, outputs)
    if low < 0 or high >= classes:
        raise DataError(
            f"{name}: labels out of range: the model decides between {classes} classes, so they must lie between 0 "
            f"and {classes - 1}; they go from {low} to {high}{question}"
        )


def count_classes(name: str, train: Tensor, test: Tensor) -> int:
    """Return the number of classes of labels, int64, shape (n,), having checked them.

    Raises:
        DataError: if they do not count from 0, or there is one class only.
    """
    classes = int(train.max()) + 1
    low = min(int(train.min()), int(test.min()))
    high = int(test.max())
    if classes > len(train) and low >= 0 and high < classes:
        raise DataError(
            f"{name}: labels out of range: {classes} classes, counted from 0, cannot be told from {len(train)} "
            "training labels"
        )
    if low < 0 or high >= classes:
        raise DataError(
            f"{name}: labels out of range: they must count from 0, and those of y_test occur in y_train; "
            f"y_train reaches {classes - 1}, y_test {high}, the lowest is {low}"
        )
    if classes < 2:
        raise DataError(f"{name}: y_train holds one class only: nothing to classify")
    return classes


def check_whole_numbers(name: str, y: Tensor, part: str) -> None:
    """Check that targets are whole numbers.

    Raises:
        DataError: if they are not.
    """
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise DataError(
            f"{name}: {part} holds {y.dtype}, expected whole numbers from 0, or another `objective=`, as regression"
        )


def check_same_shape(name: str, outputs: Tensor, y: Tensor, what: str) -> None:
    """Check that there is an output for each target, which is called `what`.

    Raises:
        DataError: if there is not.
    """
    if outputs.shape[1:] != y.shape[1:]:
        raise DataError(
            f"{name}: the model returns shape {tuple(outputs.shape)} for {len(outputs)} samples, and targets have "
            f"shape {tuple(y.shape)}: expected an output for each {what}"
        )


def count_numbers(name: str, train: Tensor, test: Tensor) -> int:
    """Return how many numbers the targets of a sample are.

    Raises:
        DataError: if those of both splits differ.
    """
    if train.shape[1:] != test.shape[1:]:
        raise DataError(f"{name}: y_train has rows {tuple(train.shape[1:])}, y_test {tuple(test.shape[1:])}")
    return math.prod(train.shape[1:])
