"""Data sets of PyTorch's: tensors, a `Dataset` or a `DataLoader`, read once into memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from landscape_cli.data.items import pair_of, tensor_of
from landscape_cli.data.part import classes_of
from landscape_cli.data.samples import Batch, Samples
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, Remark, one_line

EXPECTED = "expected tensors (x, y), a Dataset or a DataLoader"
NO_DATASETS = (str, bytes, list, tuple, Mapping, Tensor, np.ndarray)
TARGETS = ("targets", "labels")
"""Attributes under which torchvision's data sets keep the labels of all samples."""


def samples_of(value: object, name: str, split: str = "train") -> Split | Samples:
    """Return a split in memory, or one that can be read, of whatever PyTorch has for that.

    Args:
        value: tensors or arrays (x, y), a `Dataset` (or what has a length and gives samples by number) or a
            `DataLoader`.
        name: what messages call it.
        split: "train" or "test".

    Raises:
        DataError: if it is something else.
    """
    if isinstance(value, Split):
        return value
    tensors = value.tensors if isinstance(value, TensorDataset) and len(value.tensors) == 2 else value
    if is_tensors(tensors):
        x, y = tensors
        return Split(tensor_of(x, f"the input of {name}"), tensor_of(y, f"the label of {name}"))
    if isinstance(value, DataLoader):
        return LoaderSamples(name, split, value)
    if isinstance(value, IterableDataset):
        return StreamSamples(name, split, value)
    if isinstance(value, Dataset) or (_gives_by_number(value) and not isinstance(value, NO_DATASETS)):
        return DatasetSamples(name, split, value)
    raise DataError(f"{name} is a {type(value).__name__}, {EXPECTED}")


def is_tensors(value: object) -> TypeGuard[Sequence[Tensor | np.ndarray]]:
    """Tell whether something is a pair of tensors or arrays."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    return all(isinstance(part, Tensor | np.ndarray) for part in value)


def _gives_by_number(value: object) -> bool:
    return hasattr(value, "__getitem__") and isinstance(value, Sized)


class DatasetSamples(Samples):
    """A data set that gives samples by number."""

    def __init__(self, name: str, split: str, dataset: Any) -> None:
        """Keep it, having counted its samples.

        Raises:
            DataError: if it does not say how many it has, or has none.
        """
        try:
            length = len(dataset)
        except TypeError as cause:
            raise DataError(f"{name} is a {type(dataset).__name__} without a length: give it `__len__`") from cause
        except Exception as cause:  # code of others
            kind = type(dataset).__name__
            raise DataError(f"{name} is a {kind} whose length cannot be had ({one_line(cause, 100)})") from cause
        super().__init__(name, split, length)
        self._dataset = dataset

    def batches(self, indices: Sequence[int] | None) -> Iterator[Batch]:
        """Yield samples one by one.

        Raises:
            DataError: if one is no sample.
        """
        for index in range(self.length or 0) if indices is None else indices:
            x, y = pair_of(self._dataset[index], self.called(index))
            yield Batch((index,), x[None], y[None])

    def find_labels(self) -> Tensor | None:
        """Return the labels that the data set keeps of all samples; zeros, if the first sample's is of no class."""
        labels = _labels_of(self._dataset)
        if labels is None and self.length:
            _, y = pair_of(self._dataset[0], self.called(0))
            labels = None if y.ndim == 0 and not y.is_floating_point() else torch.zeros(self.length, dtype=torch.int64)
        return labels


class StreamSamples(Samples):
    """A data set that gives samples one after another, and may not say how many."""

    def __init__(self, name: str, split: str, stream: Iterable[Any]) -> None:
        """Keep it, with its length if it has one."""
        super().__init__(name, split, _length(stream))
        self._stream = stream

    def batches(self, indices: Sequence[int] | None) -> Iterator[Batch]:
        """Yield all samples, one by one.

        Raises:
            DataError: if one is no sample.
        """
        for index, item in enumerate(self._stream):
            if self.length is not None and index >= self.length:
                raise DataError(f"{self.name} gives more samples than the {self.length:,} that it says it has")
            x, y = pair_of(item, self.called(index))
            yield Batch((index,), x[None], y[None])


class LoaderSamples(Samples):
    """A loader, read in the order that it gives."""

    def __init__(self, name: str, split: str, loader: DataLoader[Any]) -> None:
        """Keep it, with the number of samples that it is about to give."""
        self._loader = loader
        self._batches = _length(loader)
        stream = isinstance(loader.dataset, IterableDataset)
        super().__init__(name, split, _length(loader.dataset if stream else loader.sampler))
        self._plain = DatasetSamples(name, split, loader.dataset) if _only_batches(loader) else None
        if isinstance(loader.sampler, RandomSampler):
            warnings.warn(
                f"{name} shuffles: its samples are in the order that it gives once global randomness is seeded",
                Remark,
                stacklevel=2,
            )
        if loader.drop_last and self.length and loader.batch_size and self.length % loader.batch_size:
            dropped = self.length % loader.batch_size
            warnings.warn(
                f"{name} drops its last {dropped} samples (drop_last): they are left out", Remark, stacklevel=2
            )

    def batches(self, indices: Sequence[int] | None) -> Iterator[Batch]:
        """Yield all batches; samples that are asked for by number, one by one.

        Raises:
            DataError: if one is no batch.
        """
        if indices is not None and self._plain is not None:
            yield from self._plain.batches(indices)
            return
        start = 0
        for number, item in enumerate(self._loader):
            if self._batches is not None and number >= self._batches:
                raise DataError(f"{self.name} gives more batches than the {self._batches:,} that it says it has")
            called = f"{self.name}: batch {number}"
            x, y = pair_of(item, called)
            if self._loader.batch_size is None and self._loader.batch_sampler is None and y.ndim == 0:
                x, y = x[None], y[None]  # not batched at all
            if not x.ndim or not y.ndim or len(x) != len(y) or not len(x):
                raise DataError(f"{called} has inputs of shape {tuple(x.shape)} and labels of shape {tuple(y.shape)}")
            yield Batch(range(start, start + len(y)), x, y)
            start += len(y)

    def find_labels(self) -> Tensor | None:
        """Return what the data set keeps of all samples, if the loader gives just these."""
        return None if self._plain is None else self._plain.find_labels()


def _only_batches(loader: DataLoader[Any]) -> bool:
    """Tell whether a loader does nothing but batch its data set, in order: then samples can be had without it."""
    is_plain = loader.collate_fn is default_collate and loader.batch_size is not None and not loader.drop_last
    return is_plain and type(loader.sampler) is SequentialSampler


def _labels_of(dataset: Any) -> Tensor | None:
    """Return the classes of all samples, where a data set keeps them and they can be looked up without reading it."""
    if isinstance(dataset, Subset):
        labels = _labels_of(dataset.dataset)
        return None if labels is None else labels[torch.as_tensor(list(dataset.indices), dtype=torch.int64)]
    if isinstance(dataset, ConcatDataset):
        parts = [_labels_of(part) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        return torch.cat(known) if len(known) == len(parts) else None
    if isinstance(dataset, TensorDataset):
        return classes_of(dataset.tensors[-1])
    for name in TARGETS:
        values = getattr(dataset, name, None)
        if isinstance(values, list | tuple | Tensor | np.ndarray) and len(values) == len(dataset):
            try:
                return classes_of(torch.as_tensor(values))
            except (TypeError, ValueError, RuntimeError):
                return None
    return None


def _length(value: Any) -> int | None:
    try:
        return len(value)
    except Exception:  # code of others: it does not say
        return None
