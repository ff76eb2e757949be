"""What a data set with a name is: where its samples come from, and what can be told from its labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSpec
    from landscape_cli.data.samples import Samples


class Split(NamedTuple):
    """Inputs, shape (n, *input_shape), as a network sees them; and labels, shape (n,), int64, from 0."""

    x: Tensor
    y: Tensor

    def to(self, device: torch.device) -> Split:
        """Return the split on `device`."""
        return Split(self.x.to(device), self.y.to(device))


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
            Inputs of any plain number type, shape (n, *input_shape), and whole numbers from 0, shape (n,); or samples
            that can be read, where that takes time or memory.

        Raises:
            DataError: if the data is missing or malformed.
        """
