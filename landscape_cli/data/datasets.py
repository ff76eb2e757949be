"""Data sets as in-memory tensors (docs/method.md: Data)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_settings, check_whole
from landscape_cli.choices import Task
from landscape_cli.data.checks import check_splits, computable
from landscape_cli.data.find import find_source
from landscape_cli.data.given import GIVEN, GivenSets
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.data.part import Part
from landscape_cli.data.preprocessing import Preprocessing, network_preprocessing
from landscape_cli.data.reading import Reading, read_split
from landscape_cli.data.source import DataSource, Split
from landscape_cli.data.spec import DataSpec, asked_for
from landscape_cli.data.subset import balanced_subset
from landscape_cli.data.user_function import allow_function, is_function
from landscape_cli.errors import DataError
from landscape_cli.forward.objective import Objective, count_classes
from landscape_cli.forward.objectives import CLASSIFICATION
from landscape_cli.io.checkpoint import Checkpoint

__all__ = ["DataSet", "DataSpec", "Split", "load_data"]


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in memory: its own numbers, and how a network sees them.

    Attributes:
        raw_train: the training split, inputs as the data set has them.
        raw_test: the test split.
        classes: the number of classes; of label bits or numbers to predict, where those are the targets.
        preprocessing: how inputs are seen.
        record: what a checkpoint keeps of it, as JSON values; a preprocessing that is not `standardize` it keeps
            beside that (`Checkpoint.preprocessing`). It is of the whole, of which this may be a part; "sha256" is
            None there if no more than that part has been read.
        part: what the record would say of the part: "train_samples", "test_samples", "sha256"; empty for all.
    """

    raw_train: Split = field(repr=False)
    raw_test: Split = field(repr=False)
    classes: int
    preprocessing: Preprocessing
    record: Mapping[str, Any]
    part: Mapping[str, Any] = field(default_factory=dict)
    _whole: Tensor | None = field(default=None, repr=False)
    _views: dict[Preprocessing, DataSet] = field(default_factory=dict, repr=False)

    @cached_property
    def train(self) -> Split:
        """The training split as the network sees it."""
        return replace(self.raw_train, x=self.preprocessing.apply(self.raw_train.x))

    @cached_property
    def test(self) -> Split:
        """The test split as the network sees it."""
        return replace(self.raw_test, x=self.preprocessing.apply(self.raw_test.x))

    @property
    def objective(self) -> Objective:
        """What networks are held against."""
        return self.raw_train.objective

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.raw_train.x.shape[1:])

    @property
    def mean(self) -> Tensor:
        """What is subtracted from the numbers of each channel (or of all), float64."""
        return self.preprocessing.affine(self.raw_train.x)[0]

    @property
    def deviation(self) -> Tensor:
        """What they are divided by, float64."""
        return self.preprocessing.affine(self.raw_train.x)[1]

    def seen_by(self, network: Checkpoint) -> DataSet:
        """Return the same data as a network sees it, by what its checkpoint says; as it is here where that is silent.

        Raises:
            DataError: if what the checkpoint says is malformed, or does not suit the data.
        """
        own = network_preprocessing(network.preprocessing, network.data)
        return self if own is None else self.under(own)

    def by_network(self, make: Callable[[DataSet], T]) -> Callable[[Checkpoint], T]:
        """Return what gives each network what is made of the data as it sees them, made once for all that see alike."""
        made: dict[Preprocessing, T] = {}

        def of(network: Checkpoint) -> T:
            seen = self.seen_by(network)
            if seen.preprocessing not in made:
                made[seen.preprocessing] = make(seen)
            return made[seen.preprocessing]

        return of

    def under(self, preprocessing: Preprocessing) -> DataSet:
        """Return the same data as another network sees it; prepared once, when it is first looked at.

        Raises:
            DataError: if the preprocessing does not suit the data.
        """
        fitted = preprocessing.fitted(self.raw_train.x if self._whole is None else self._whole)
        if fitted == self.preprocessing:
            return self
        if fitted not in self._views:
            self._views[fitted] = replace(self, preprocessing=fitted, record=_with_statistics(self.record, fitted))
        return self._views[fitted]


def load_data(
    spec: DataSpec | str | tuple[Any, Any] | Mapping[str, Any],
    *,
    preprocessing: Preprocessing | str | Mapping[str, Any] | None = None,
    part: Part | None = None,
    objective: Objective | None = None,
    download: bool = False,
    reading: Reading = lambda samples: nullcontext(),
) -> DataSet:
    """Load, check and subset a data set, to be seen as a network sees it (docs/method.md: Data).

    Args:
        spec: which data; text is `DataSpec.name`, and allows the code that it names to be run. Or the data themselves,
            as (train, test) or by these names: each tensors (x, y), a `Dataset` or a `DataLoader`, which are read once.
        preprocessing: how: a `Preprocessing`, the name of one without numbers of its own ("unit"), or the record of a
            network's training data, whose "mean" and "deviation" it then is: a network sees new data as it saw its
            own. By default inputs are in units of this training set's deviation from its mean by channel; whole
            numbers that are no bytes stay what they are.
        part: how much to measure on; by default all. What need not be read for that is not read, where samples can be
            had one by one.
        objective: what networks are held against, and what the targets are; by default what `spec`, or data given in
            Python, says.
        download: let torchvision fetch what is missing.
        reading: makes what is called with the samples read, for as long as so many are read (0: it is not known).

    Returns:
        Both splits on the CPU: inputs, shape (n, *input_shape), float32 (or as `Preprocessing.apply` says); labels,
        shape (n,), int64, from 0, or the targets of another objective.

    Raises:
        DataError: if the data is unknown, missing, malformed or too large, or the preprocessing none that suits it.
    """
    spec, source = _asked(spec, objective)
    part = part or Part()
    check_kind("part", part, Part, "give a Part, as in Part(train_samples=1000)", DataError)
    wanted = _preprocessing(preprocessing)
    sets = [read_split(each, spec, part, reading) for each in source.load(spec, download=download)]
    train, test = (each.split for each in sets)
    against = train.objective if spec.name == GIVEN and objective is None else spec.objective
    train, test = (replace(split, x=computable(split.x), objective=against) for split in (train, test))
    check_splits(spec.name, train, test)
    train, test = (replace(split, y=against.targets(split.y)) for split in (train, test))
    classes = against.classes(spec.name, *(against.targets(each.labels) for each in sets))
    if spec.task is not None:
        if not against.balances:
            raise DataError(f"the task {spec.task} is told from one label a sample, not for {against.name}")
        target = Task(spec.task).load()
        train, test = (replace(split, y=target(split.y)) for split in (train, test))
        classes = count_classes(spec.name, train.y, test.y)
    if spec.train_size is not None:
        train = balanced_subset(train, classes, spec.train_size, spec.seed)
    fitted = (wanted or Preprocessing.usual(train.x)).fitted(train.x)
    whole = train.x
    record = asked_for(spec) | {
        "classes": classes,
        "input_shape": list(train.x.shape[1:]),
        "train_samples": sets[0].count if sets[0].is_part else len(train.y),
        "test_samples": sets[1].count,
        "sha256": None if any(each.is_part for each in sets) else _digest(train, test),
    }
    measured = {}
    if not part.is_all:
        train, test = part.of(train, "train"), part.of(test, "test")
        measured = {"train_samples": len(train.y), "test_samples": len(test.y), "sha256": _digest(train, test)}
    return DataSet(train, test, classes, fitted, _with_statistics(record, fitted), measured, whole)


def _asked(spec: object, objective: Objective | None) -> tuple[DataSpec, DataSource]:
    """Return which data are asked for, checked, for an objective if one is given, and where they come from.

    Raises:
        DataError: if that is not said.
    """
    if objective is not None:
        check_kind("objective", objective, Objective, "give one, such as Regression()", DataError)
    if isinstance(spec, tuple | Mapping):
        return DataSpec(GIVEN, objective=objective or CLASSIFICATION), GivenSets(spec)
    if isinstance(spec, str):
        spec = DataSpec(spec)
        if is_function(spec.name):
            allow_function(spec.name)
    check_kind("spec", spec, DataSpec, 'give a DataSpec, as in DataSpec("mnist"), or (train, test)', DataError)
    assert isinstance(spec, DataSpec)
    check_kind("name", spec.name, str, "give the name of a data set, or a file", DataError)
    check_kind("hmm", spec.hmm, HiddenManifold, "give a HiddenManifold", DataError)
    spec = spec if objective is None else replace(spec, objective=objective)
    check_kind("objective", spec.objective, Objective, "give one, such as Regression()", DataError)
    check_whole("seed", spec.seed, DataError, least=0)
    if spec.seed >= 1 << 63:
        raise DataError(f"the seed must be below 2^63, and is {spec.seed}")
    check_settings(spec.hmm, DataError)
    if spec.train_size is not None:
        check_whole("train_size", spec.train_size, DataError)
    return spec, find_source(spec)


def _preprocessing(asked: Preprocessing | str | Mapping[str, Any] | None) -> Preprocessing | None:
    """Return the preprocessing that is asked for in one of the ways that there are.

    Raises:
        DataError: if it is none.
    """
    if asked is None or isinstance(asked, Preprocessing):
        return asked
    if isinstance(asked, Mapping):
        return Preprocessing.of_data(asked)
    check_kind("preprocessing", asked, str, "give a Preprocessing, or the name of one", DataError)
    return Preprocessing(asked)


def _with_statistics(record: Mapping[str, Any], preprocessing: Preprocessing) -> dict[str, Any]:
    """Return what is recorded of a data set, with mean and deviation where these are the preprocessing."""
    plain = {key: value for key, value in record.items() if key not in {"mean", "deviation"}}
    if not preprocessing.is_recorded_with_data:
        return plain
    return plain | {"mean": list(preprocessing.mean), "deviation": list(preprocessing.deviation)}


def _digest(train: Split, test: Split) -> str:
    digest = hashlib.sha256()
    for tensor in (*train, *test):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.contiguous().view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor.contiguous()
        digest.update(memoryview(plain.numpy().data))  # NumPy has no bfloat16
    return digest.hexdigest()
