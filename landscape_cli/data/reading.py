"""A split brought into memory: all of it, or as much as is trained or measured on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from landscape_cli.data.part import Part
from landscape_cli.data.samples import Samples
from landscape_cli.data.source import Split

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

Reading = Callable[[int], AbstractContextManager[Callable[[int], None] | None]]
"""Makes what is called with the samples read, for as long as so many are read; 0 where that is not known."""


@dataclass(frozen=True)
class ReadSplit:
    """A split in memory.

    Attributes:
        split: its samples, or some of them.
        labels: of all samples, as far as they are known.
        count: how many samples there are; None if that is not known.
        is_part: whether some have not been read, because others are all that is measured on.
    """

    split: Split
    labels: Tensor
    count: int | None
    is_part: bool = False


def read_split(samples: Split | Samples, spec: DataSpec, part: Part, reading: Reading) -> ReadSplit:
    """Bring a split into memory, if it is not there: all that is trained on, or else the part that is measured on.

    Raises:
        DataError: if it cannot be read, or there is no room for it.
    """
    if isinstance(samples, Split):
        return ReadSplit(samples, samples.y, len(samples.y))
    samples.balances = spec.objective.balances
    train_size = spec.train_size if samples.split == "train" else None
    size, seed = (part.size(samples.split), part.seed) if train_size is None else (train_size, spec.seed)
    with reading(samples.work(size)) as advance:
        split = samples.read(size, seed=seed, global_seed=spec.seed, advance=advance)
    labels = samples.known_labels
    if labels is None or not samples.balances or split.y.ndim != 1 or split.y.is_floating_point():
        labels = split.y
    is_part = train_size is None and size is not None
    return ReadSplit(split, labels, samples.length if is_part else len(split.y), is_part)
