"""Data sets as in-memory tensors (docs/method.md: Data)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from landscape_cli.arguments import check_kind, check_settings, check_whole
from landscape_cli.choices import DataName, Task, check_choice
from landscape_cli.data.checks import check_splits
from landscape_cli.data.files import SUFFIXES, SafetensorsFile
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.data.preprocessing import channel_statistics, recorded_statistics, standardize
from landscape_cli.data.source import DataSource, Split
from landscape_cli.data.subset import balanced_subset
from landscape_cli.errors import DataError, shown
from landscape_cli.forward.objective import Objective, count_classes
from landscape_cli.forward.objectives import CLASSIFICATION

__all__ = ["DataSet", "DataSpec", "Split", "load_data"]


@dataclass(frozen=True)
class DataSpec:
    """Which data: what a user asks for, and what a checkpoint records so that it can be loaded again.

    Attributes:
        name: "hmm", "mnist", "fashion-mnist", "cifar10", or the path of a safetensors file.
        directory: where torchvision finds (or puts) its files.
        train_size: size of a class-balanced subset of the training set, or None for all of it.
        seed: seed of that subset, and of the generated data.
        hmm: sizes of the generated data.
        task: what is to be told from the labels: None for the labels themselves, "parity" for labels modulo 2.
        objective: what networks are held against, which says what the targets are; it is no part of the record of the
            data.
    """

    name: str
    directory: str = "data"
    train_size: int | None = None
    seed: int = 0
    hmm: HiddenManifold = field(default_factory=HiddenManifold)
    task: str | None = None
    objective: Objective = CLASSIFICATION

    @classmethod
    def from_record(cls, record: Mapping[str, Any], directory: str | None = None) -> DataSpec:
        """Return the data that a checkpoint's record names, looked for in `directory` if given.

        Raises:
            DataError: if the record is malformed.
        """
        try:
            return cls(
                name=str(record["name"]),
                directory=directory or str(record["directory"]),
                train_size=None if record["train_size"] is None else int(record["train_size"]),
                seed=_seed(record["seed"]),
                hmm=HiddenManifold.from_record(record["hmm"]),
                task=record.get("task"),  # checkpoints from before there were tasks have none
            )
        except (KeyError, TypeError, ValueError, OverflowError) as cause:
            raise DataError(
                f"the checkpoint's metadata key 'data' is malformed ({shown(repr(cause))}): name the data with `data=`"
            ) from cause


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in memory.

    Attributes:
        train: the training split.
        test: the test split.
        classes: the number of classes; of label bits or numbers to predict, where those are the targets.
        mean: what was subtracted from each channel.
        deviation: what each channel was divided by.
        record: what a checkpoint keeps of it, as JSON values.
    """

    train: Split = field(repr=False)
    test: Split = field(repr=False)
    classes: int
    mean: Tensor = field(repr=False)
    deviation: Tensor = field(repr=False)
    record: Mapping[str, Any]

    @property
    def objective(self) -> Objective:
        """What networks are held against."""
        return self.train.objective

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.x.shape[1:])


def load_data(spec: DataSpec, *, preprocessing: Mapping[str, Any] | None = None, download: bool = False) -> DataSet:
    """Load, check, subset and standardise a data set (docs/method.md: Data).

    Args:
        spec: which data.
        preprocessing: the record whose "mean" and "deviation" to standardise with, instead of those of
            this training set: a network sees new data as it saw its own.
        download: let torchvision fetch what is missing.

    Returns:
        Both splits on the CPU: inputs, shape (n, *input_shape), float32, in units of the training set's deviation from
        its mean by channel; labels, shape (n,), int64, from 0, or the targets of another objective.

    Raises:
        DataError: if the data is unknown, missing or malformed.
    """
    check_kind("spec", spec, DataSpec, 'give a DataSpec, as in DataSpec("mnist")', DataError)
    check_kind("name", spec.name, str, "give the name of a data set, or a file", DataError)
    check_kind("hmm", spec.hmm, HiddenManifold, "give a HiddenManifold", DataError)
    check_kind("objective", spec.objective, Objective, "give one, such as Regression()", DataError)
    check_whole("seed", spec.seed, DataError, least=0)
    if spec.seed >= 1 << 63:
        raise DataError(f"the seed must be below 2^63, and is {spec.seed}")
    check_settings(spec.hmm, DataError)
    if spec.train_size is not None:
        check_whole("train_size", spec.train_size, DataError)
    source = _checked_source(spec)
    objective = spec.objective
    train, test = (replace(split, objective=objective) for split in source.load(spec, download=download))
    check_splits(spec.name, train, test)
    train, test = (replace(split, y=objective.targets(split.y)) for split in (train, test))
    classes = objective.classes(spec.name, train.y, test.y)
    if spec.task is not None:
        target = Task(spec.task).load()
        train, test = (replace(split, y=target(split.y)) for split in (train, test))
        classes = count_classes(spec.name, train.y, test.y)
    if spec.train_size is not None:
        train = balanced_subset(train, classes, spec.train_size, spec.seed)
    if preprocessing is None:
        mean, deviation = channel_statistics(train.x)
    else:
        mean, deviation = recorded_statistics(preprocessing, train.x)
    asked = asdict(replace(spec, objective=CLASSIFICATION))
    del asked["objective"]
    if spec.task is None:  # without one, the record is what it was before there were tasks
        del asked["task"]
    record = asked | {
        "classes": classes,
        "input_shape": list(train.x.shape[1:]),
        "train_samples": len(train.y),
        "test_samples": len(test.y),
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "sha256": _digest(train, test),
    }
    return DataSet(
        replace(train, x=standardize(train.x, mean, deviation)),
        replace(test, x=standardize(test.x, mean, deviation)),
        classes,
        mean,
        deviation,
        record,
    )


def _seed(value: Any) -> int:
    seed = int(value)
    if seed != value:
        raise ValueError("the seed must be a whole number")
    if not 0 <= seed < 1 << 63:
        raise ValueError("the seed must lie between 0 and 2^63 - 1")
    return seed


def _checked_source(spec: DataSpec) -> DataSource:
    """Return where the samples come from, having checked that what is asked for is there.

    Raises:
        DataError: if there is no such data set or task, or the task is not one of this data.
    """
    if spec.task is not None:
        check_choice("task", spec.task, Task, DataError)
        if not spec.objective.balances:
            raise DataError(f"the task {spec.task} is told from one label a sample, not for {spec.objective.name}")
    source: DataSource = SafetensorsFile()
    if spec.name in list(DataName) or Path(spec.name).suffix not in SUFFIXES:
        check_choice("data set", spec.name, DataName, DataError, more=", or a FILE.safetensors")
        source = DataName(spec.name).load()
    if spec.task is not None and spec.task not in source.tasks:
        suited = [name.value for name in DataName if spec.task in name.load().tasks]
        raise DataError(f"the task {spec.task} is for {', '.join(suited)} or a FILE.safetensors, not {spec.name}")
    return source


def _digest(train: Split, test: Split) -> str:
    digest = hashlib.sha256()
    for tensor in (*train, *test):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(memoryview(tensor.contiguous().numpy().data))
    return digest.hexdigest()
