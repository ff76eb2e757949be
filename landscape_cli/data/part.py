"""A part of a data set, drawn with a seed: as many samples of each class as there can be."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from landscape_cli.arguments import check_whole
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError
from landscape_cli.rng import derive_seed

KEYS, PRECEDENCE = 0, 1
"""Streams of random numbers: of samples, and of classes."""


@dataclass(frozen=True)
class Part:
    """How much of a data set is measured on.

    Where classes hold samples enough, there are as many of each (one more of some, if it must be); of a class with
    fewer there are all. Samples keep their order.

    Attributes:
        train_samples: of the training set; None for all.
        test_samples: of the test set; None for all.
        seed: of the choice.

    Raises:
        DataError: if one is no whole number, or not positive.
    """

    train_samples: int | None = None
    test_samples: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("train_samples", "test_samples"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), DataError, least=1)
        check_whole("seed", self.seed, DataError, least=0)

    def size(self, split: str) -> int | None:
        """Return how many samples of "train" or "test" are measured on; None for all."""
        size: int | None = getattr(self, f"{split}_samples")
        return size

    @property
    def is_all(self) -> bool:
        """Whether both sets are measured on whole."""
        return self.train_samples is None and self.test_samples is None

    def of(self, samples: Split, split: str) -> Split:
        """Return the part of a split, "train" or "test", that is measured on; what is no larger already, as it is.

        Raises:
            DataError: if it has fewer samples than that.
        """
        size = self.size(split)
        if size is None or size == len(samples.y):
            return samples
        check_size(f"{split}_samples", size, len(samples.y))
        chosen = choose(classes_of(samples.y, balances=samples.objective.balances), size, self.seed)
        return replace(samples, x=samples.x[chosen], y=samples.y[chosen])


def check_size(name: str, size: int, there_are: int) -> None:
    """Check that a part is no larger than what it is a part of.

    Args:
        name: the parameter that gives its size.
        size: of the part.
        there_are: how many samples there are.

    Raises:
        DataError: if it is.
    """
    if size > there_are:
        raise DataError(f"`{name}=` {size:,} is more than the {there_are:,} samples that there are: lower it")


def classes_of(y: Tensor, *, balances: bool = True) -> Tensor:
    """Return labels, shape (n,), where they are of classes, and else zeros: such samples are all alike.

    Args:
        y: targets, shape (n, ...).
        balances: whether those of one whole number a sample are of classes.
    """
    is_class = balances and y.ndim == 1 and not y.is_floating_point() and not y.is_complex()
    return y.long() if is_class else torch.zeros(len(y), dtype=torch.int64)


def choose(classes: Tensor, size: int, seed: int) -> Tensor:
    """Return which samples are a part, shape (size,), int64, increasing.

    Args:
        classes: of all samples, shape (n,), int64.
        size: of the part, at most n.
        seed: of the choice.
    """
    keys = np.random.default_rng(derive_seed(seed, KEYS)).random(len(classes))
    labels, which, counts = np.unique(classes.numpy(), return_inverse=True, return_counts=True)
    quotas = _quotas(counts, size, [_precedence(int(label), seed) for label in labels])
    order = np.lexsort((keys, which))
    rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[which[order]]
    return torch.from_numpy(np.sort(order[rank < quotas[which[order]]]))


class Reservoir:
    """The same choice, of samples that come one after another and of which no more is kept than the part.

    The class of which most are held gives up its last, which is what reaching the same quotas takes (Chrysakis and
    Moens, 2020, "Online continual learning from imbalanced data").
    """

    def __init__(self, size: int, seed: int) -> None:
        """Begin with nothing held of a part of that size."""
        self.size, self._seed = size, seed
        self._keys = np.random.default_rng(derive_seed(seed, KEYS))
        self._held: dict[int, list[list[float]]] = {}  # of each class [-key, slot], the largest key first
        self._order: dict[int, int] = {}
        self._count = 0

    def offer(self, label: int) -> int | None:
        """Return in which of `size` slots the next sample, of that class, is to be kept; None if it is not."""
        key = float(self._keys.random())
        if label not in self._held:
            self._held[label], self._order[label] = [], _precedence(label, self._seed)
        kept = [-key, self._count]
        heapq.heappush(self._held[label], kept)
        if self._count < self.size:
            self._count += 1
        else:
            largest = max(self._held, key=lambda each: (len(self._held[each]), self._order[each]))
            evicted = heapq.heappop(self._held[largest])
            if evicted is kept:
                return None
            kept[1] = evicted[1]
        return int(kept[1])


def _precedence(label: int, seed: int) -> int:
    """Return a random number by which a class is among those that have one more; the least have."""
    return derive_seed(seed, PRECEDENCE, label % (1 << 63))


def _quotas(counts: np.ndarray, size: int, precedence: Sequence[int]) -> np.ndarray:
    """Return how many of each class are chosen: a number that is the same for all, or all that there are."""
    low, high = 0, size
    while low < high:
        level = (low + high + 1) // 2
        low, high = (level, high) if np.minimum(counts, level).sum() <= size else (low, level - 1)
    quotas: np.ndarray = np.minimum(counts, low)
    more = [k for k in np.argsort(np.array(precedence, dtype=np.uint64)) if counts[k] > low]
    quotas[more[: size - int(quotas.sum())]] += 1
    return quotas
