"""What a data set with a name is: where its samples come from, and what can be told from its labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landscape_cli.forward.objectives import CLASSIFICATION

if TYPE_CHECKING:
    from landscape_cli.data.samples import Samples
    from landscape_cli.data.spec import DataSpec
    from landscape_cli.forward.objective import Objective


@dataclass(frozen=True, eq=False)
class Split:
    """Samples, as tensors, and what networks are held against; `x, y = split` takes the tensors alone.

    Attributes:
        x: inputs, shape (n, *input_shape), float32, standardised.
        y: targets: of a classification labels, shape (n,), int64, from 0; else what the objective takes.
        objective: the objective.
    """

    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    objective: Objective = CLASSIFICATION

    def __iter__(self) -> Iterator[Tensor]:
        """Yield inputs and targets."""
        yield from (self.x, self.y)

    def to(self, device: torch.device) -> Split:
        """Return the split on `device`."""
        return replace(self, x=self.x.to(device), y=self.y.to(device))


class DataSource(ABC):
    """Where the samples of a data set come from; `choices.DataName` registers those with names.

    Attributes:
        tasks: the names of what can be told from the labels in place of them (`choices.Task`).
    """

    tasks: tuple[str, ...] = ()

    @abstractmethod
    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split | Samples, Split | Samples]:
        """Return the training and the test set, before they are checked, subset and standardised.

        Args:
            spec: what the user asks for; of generated data `spec.seed` is the seed.
            download: whether what is missing may be fetched.

        Returns:
            Inputs of any plain number type, shape (n, *input_shape), and targets, shape (n, ...); or samples that can
            be read, where that takes time or memory.

        Raises:
            DataError: if the data is missing or malformed.
        """
