"""Samples that are read when they are asked for, all of a split or a part, into tensors that memory has room for."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from landscape_cli.arguments import available_memory
from landscape_cli.data.part import Reservoir, check_size, choose, classes_of
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, Remark
from landscape_cli.rng import seeded_globally
from landscape_cli.user_code.callables import running

FLOAT_BYTES = 4
"""Of a number as a network sees it."""
REMEDIES = {
    "train": "fewer, with `train_size=` to train on or `train_samples=` to measure on",
    "test": "fewer to measure on, with `test_samples=`",
}


class Batch(NamedTuple):
    """Samples as they are read: their numbers in the set, and their tensors, the first axis of each the sample's."""

    indices: Sequence[int]
    x: Tensor
    y: Tensor


class Samples(ABC):
    """The samples of a split, not in memory.

    Attributes:
        name: what messages call them.
        split: "train" or "test".
        length: how many there are, or a little more; None if that is not known before they end.
        balances: whether labels are of classes, of which a part holds as many of each.
        unlike: what to do about samples of different shapes.
    """

    unlike = "resize, crop or pad them to one"

    def __init__(self, name: str, split: str, length: int | None) -> None:
        """Keep what they are called, and how many they are.

        Raises:
            DataError: if there is none.
        """
        self.name, self.split, self.length = name, split, length
        self.balances = True
        self._labels: Tensor | None = None
        self._has_looked = False
        if length == 0:
            raise DataError(f"{name} is empty: there is nothing to measure on")

    @abstractmethod
    def batches(self, indices: Sequence[int] | None) -> Iterator[Batch]:
        """Yield all samples in their order, or those of the indices.

        Raises:
            DataError: if one is no sample.
        """

    def find_labels(self) -> Tensor | None:
        """Return the classes of all samples, shape (n,), int64, if that takes no reading of them; else None."""
        return None

    def labels(self) -> Tensor | None:
        """Return the same, found once; once all samples have been seen on the way to a part, their classes.

        Raises:
            DataError: if code of others fails at it.
        """
        if not self.balances and self.length is not None:
            return torch.zeros(self.length, dtype=torch.int64)
        if not self._has_looked:
            with seeded_globally(0), running(f"reading {self.called(0)}", DataError):
                self._labels = self.find_labels()
            self._has_looked = True
        return self._labels

    @property
    def known_labels(self) -> Tensor | None:
        """The same, if they have been found."""
        return self._labels

    def called(self, index: int) -> str:
        """Return what messages call a sample."""
        return f"{self.name}: sample {index}"

    def work(self, size: int | None) -> int:
        """Return how many samples are read for a part of that size; 0 if it is not known."""
        read_alone = size is not None and (self.length is None or self.labels() is not None)
        return size or 0 if read_alone else self.length or 0

    def read(
        self,
        size: int | None = None,
        *,
        seed: int = 0,
        global_seed: int = 0,
        advance: Callable[[int], None] | None = None,
    ) -> Split:
        """Return all samples, or a part, in their order.

        Code of others runs meanwhile, with global randomness seeded, and put back after.

        Args:
            size: how many; by default all.
            seed: of the choice.
            global_seed: of what code of others draws, such as the order of a loader.
            advance: called with the number of samples read.

        Raises:
            DataError: if they cannot be read, are not alike, not as many, or more than memory has room for.
        """
        if size is not None and self.length is not None:
            check_size(f"{self.split}_samples", size, self.length)
        labels = None if size is None else self.labels()
        indices = None if size is None or labels is None else choose(labels, size, seed).tolist()
        reservoir = None
        if size is not None and indices is None and self.length is not None:
            reservoir = Reservoir(size, seed)
        rows = Rows(self, self.length if size is None else size)
        done, seen = 0, []
        with seeded_globally(global_seed), running(lambda: f"reading {self.called(_next(indices, done))}", DataError):
            for batch in self.batches(indices):
                rows.add(batch, reservoir)
                done += len(batch.y)
                if advance is not None:
                    advance(len(batch.y))
                if reservoir is not None:
                    seen.append(classes_of(batch.y, balances=self.balances))
                if size is not None and self.length is None and rows.count >= size:
                    warnings.warn(
                        f"{self.name} does not say how many samples it has: the first {size:,} are taken",
                        Remark,
                        stacklevel=2,
                    )
                    break
        if seen:
            self._labels = torch.cat(seen)
        return rows.split(size)


def _next(indices: Sequence[int] | None, done: int) -> int:
    """Return which sample comes after so many."""
    return done if indices is None or done >= len(indices) else indices[done]


class Rows:
    """Samples gathered in tensors."""

    def __init__(self, samples: Samples, expected: int | None) -> None:
        """Make room for as many as are expected once the first has come."""
        self._samples, self._expected = samples, expected
        self._x = self._y = torch.zeros(0)
        self._indices: list[int] = []
        self.count = 0

    def add(self, batch: Batch, reservoir: Reservoir | None) -> None:
        """Take samples, all or those that a reservoir has a slot for.

        Raises:
            DataError: if they are unlike the first, or there is no room.
        """
        if not self._indices:
            self._make_room(batch, self._expected or len(batch.y))
        self._check_alike(batch)
        if reservoir is None:
            self._put(batch)
        else:
            for k, label in enumerate(classes_of(batch.y, balances=self._samples.balances).tolist()):
                self.count += 1
                slot = reservoir.offer(label)
                if slot is not None:
                    self._x[slot], self._y[slot] = batch.x[k], batch.y[k]
                    self._indices[slot : slot + 1] = [batch.indices[k]]

    def split(self, size: int | None) -> Split:
        """Return what was gathered, in order.

        Raises:
            DataError: if it is nothing, or less than `size`.
        """
        if not self._indices:
            raise DataError(f"{self._samples.name} is empty: there is nothing to measure on")
        if size is not None:
            check_size(f"{self._samples.split}_samples", size, self.count)
        x, y = self._x[: len(self._indices)], self._y[: len(self._indices)]
        order = torch.tensor(self._indices).argsort()
        if not bool((order[1:] > order[:-1]).all()):
            x, y = x[order], y[order]
        return Split(x[:size], y[:size])

    def _put(self, batch: Batch) -> None:
        """Put samples behind the others."""
        end = self.count + len(batch.y)
        if end > len(self._x):
            self._make_room(batch, max(end, len(self._x) * 3 // 2))
        self._x[self.count : end], self._y[self.count : end] = batch.x, batch.y
        self._indices.extend(batch.indices)
        self.count = end

    def _make_room(self, batch: Batch, count: int) -> None:
        """Make room for so many samples like those of a batch.

        Raises:
            DataError: if memory has none, saying for how many it has.
        """
        x, y = batch.x[0], batch.y[0]
        of_each = x.numel() * (x.element_size() + FLOAT_BYTES) + y.numel() * y.element_size()
        free = available_memory()
        if count * of_each > free:
            raise DataError(
                f"{self._samples.name}: {count:,} samples take {count * of_each / 1e9:,.1f} GB (their own numbers, and "
                f"what a network sees), and {free / 1e9:,.1f} GB are free: about {free // of_each:,} fit; take "
                f"{REMEDIES[self._samples.split]}"
            )
        held_x, held_y = self._x, self._y
        self._x, self._y = (torch.empty(count, *each.shape, dtype=each.dtype) for each in (x, y))
        if self._indices:
            self._x[: len(held_x)], self._y[: len(held_y)] = held_x, held_y

    def _check_alike(self, batch: Batch) -> None:
        """Check that samples have the shapes and types of the first.

        Raises:
            DataError: naming one that has not.
        """
        for what, new, first in (("input", batch.x, self._x), ("label", batch.y, self._y)):
            called = self._samples.called(batch.indices[0])
            if new.shape[1:] != first.shape[1:]:
                raise DataError(
                    f"{called}: its {what} has shape {tuple(new.shape[1:])}, and the first's {tuple(first.shape[1:])}: "
                    f"{self._samples.unlike}"
                )
            if new.dtype != first.dtype:
                raise DataError(f"{called}: its {what} holds {new.dtype}, and the first's {first.dtype}: give one type")
