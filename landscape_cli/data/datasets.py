"""Data sets as in-memory tensors (SPEC 10)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from landscape_cli.data.hidden_manifold import HiddenManifold, generate
from landscape_cli.data.preprocessing import channel_statistics, recorded_statistics, standardise
from landscape_cli.errors import DataError

TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10"}
NAMES = ("hmm", *TORCHVISION)
TASKS = ("parity",)
DIGITS = ("mnist",)
"""Data sets, beside files, whose labels are numbers that have a parity."""
INPUT_TYPES = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
INPUT_TYPES |= {torch.float16, torch.bfloat16, torch.float32, torch.float64}


class Split(NamedTuple):
    """Inputs, shape (n, *input_shape), float32, standardised; and labels, shape (n,), int64, from 0."""

    x: Tensor
    y: Tensor

    def to(self, device: torch.device) -> Split:
        """Return the split on `device`."""
        return Split(self.x.to(device), self.y.to(device))


def check_split(split: Any, outputs: int | None = None, input_shape: tuple[int, ...] | None = None) -> None:
    """Check that something is a split, and fits a model.

    Args:
        split: what was passed as one.
        outputs: of the model, if they are known: so many classes, or two where there is one, with a sign.
        input_shape: the shape of one input of the model, if it is known.

    Raises:
        DataError: saying what it is instead, and what to do.
    """
    if not isinstance(split, Split) or not all(isinstance(part, Tensor) for part in split):
        kind = type(split).__name__
        raise DataError(f"data is a Split of two tensors, not a {kind}: gather all samples, as in Split(x, y)")
    x, y = split
    if x.ndim < 2 or x.numel() == 0:
        raise DataError(f"inputs have shape {tuple(x.shape)}, expected (samples, ...), none empty")
    if input_shape is not None and tuple(x.shape[1:]) != tuple(input_shape):
        raise DataError(f"inputs have shape {tuple(x.shape[1:])}, and the model takes {tuple(input_shape)}")
    if y.shape != x.shape[:1]:
        raise DataError(f"labels have shape {tuple(y.shape)}, expected ({len(x)},): one label a sample")
    if y.dtype != torch.int64:
        raise DataError(f"labels hold {y.dtype}, expected whole numbers from 0: make them torch.int64")
    low, high = int(y.min()), int(y.max())
    if low < 0 or (outputs is not None and high >= max(2, outputs)):
        known = "" if outputs is None else f" to {max(2, outputs) - 1}, as the model has outputs for {max(2, outputs)}"
        raise DataError(f"labels out of range: they reach from {low} to {high}, expected 0{known or ' or more'}")


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
    """

    name: str
    directory: str = "data"
    train_size: int | None = None
    seed: int = 0
    hmm: HiddenManifold = field(default_factory=HiddenManifold)
    task: str | None = None

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
                f"the checkpoint's metadata key 'data' is malformed ({cause!r}): name the data with `data=`"
            ) from cause


@dataclass(frozen=True)
class DataSet:
    """A data set in memory.

    Attributes:
        train: the training split.
        test: the test split.
        classes: the number of classes.
        mean: what was subtracted from each channel.
        deviation: what each channel was divided by.
        record: what a checkpoint keeps of it, as JSON values.
    """

    train: Split
    test: Split
    classes: int
    mean: Tensor
    deviation: Tensor
    record: Mapping[str, Any]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train.x.shape[1:])


def load_data(spec: DataSpec, *, preprocessing: Mapping[str, Any] | None = None, download: bool = False) -> DataSet:
    """Load, check, subset and standardise a data set.

    Args:
        spec: which data.
        preprocessing: the record whose "mean" and "deviation" to standardise with, instead of those of
            this training set: a network sees new data as it saw its own.
        download: let torchvision fetch what is missing.

    Raises:
        DataError: if the data is unknown, missing or malformed.
    """
    _check_task(spec)
    if spec.name == "hmm":
        train, test = (Split(*made) for made in generate(spec.hmm, spec.seed))
    elif spec.name in TORCHVISION:
        train, test = _torchvision(spec.name, spec.directory, download)
    elif Path(spec.name).suffix in {".st", ".safetensors"}:
        train, test = _safetensors(Path(spec.name))
    else:
        raise DataError(f"unknown data set {spec.name!r}: choose {', '.join(NAMES)}, or a FILE.safetensors")
    _check(spec.name, train, test)
    train, test = Split(train.x, train.y.long()), Split(test.x, test.y.long())
    classes = _count_classes(spec.name, train.y, test.y)
    if spec.task == "parity":
        train, test = Split(train.x, train.y % 2), Split(test.x, test.y % 2)
        classes = _count_classes(spec.name, train.y, test.y)
    if spec.train_size is not None:
        train = _balanced_subset(train, classes, spec.train_size, spec.seed)
    if preprocessing is None:
        mean, deviation = channel_statistics(train.x)
    else:
        mean, deviation = recorded_statistics(preprocessing, train.x)
    asked = asdict(spec)
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
        Split(standardise(train.x, mean, deviation), train.y),
        Split(standardise(test.x, mean, deviation), test.y),
        classes,
        mean,
        deviation,
        record,
    )


def _seed(value: Any) -> int:
    seed = int(value)
    if not 0 <= seed < 1 << 63:
        raise ValueError("the seed must lie between 0 and 2^63 - 1")
    return seed


def _check_task(spec: DataSpec) -> None:
    if spec.task is None:
        return
    if spec.task not in TASKS:
        raise DataError(f"unknown task {spec.task!r}: choose {', '.join(TASKS)}")
    if spec.name in NAMES and spec.name not in DIGITS:
        raise DataError(f"the task {spec.task} is for {', '.join(DIGITS)} or a FILE.safetensors, not {spec.name}")


def _torchvision(name: str, directory: str, download: bool) -> tuple[Split, Split]:
    from landscape_cli.torchvision_compat import import_torchvision

    datasets = import_torchvision("datasets")
    kind = getattr(datasets, TORCHVISION[name])
    if download:
        Path(directory).mkdir(parents=True, exist_ok=True)
    try:
        train, test = (kind(directory, train=train, download=download) for train in (True, False))
    except (RuntimeError, OSError, EOFError, ValueError, TypeError, AssertionError, IndexError) as cause:
        reason = " ".join(str(cause).split()).partition(". You can use download=True")[0]  # torchvision's remedy
        raise DataError(
            f"cannot load {name} from {directory!r} ({reason}): "
            f"name its folder with `data_dir=`, or fetch it with 'landscape train `download=`'"
        ) from cause
    return _image_split(train), _image_split(test)


def _image_split(source: Any) -> Split:
    images = torch.as_tensor(source.data)
    channels_last = images.ndim == 4  # as CIFAR-10 comes
    images = images.permute(0, 3, 1, 2).contiguous() if channels_last else images.unsqueeze(1)
    return Split(images, torch.as_tensor(source.targets))


def _safetensors(path: Path) -> tuple[Split, Split]:
    keys = ("x_train", "y_train", "x_test", "y_test")
    try:
        tensors = load_file(path)
    except SafetensorError as cause:
        raise DataError(f"{path} is not a whole safetensors file ({cause})") from cause
    except OSError as cause:
        raise DataError(f"cannot read {path}: {cause.strerror or cause}") from cause
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}: a data file holds {', '.join(keys)}")
    x_train, y_train, x_test, y_test = (tensors[key] for key in keys)
    return Split(x_train, y_train), Split(x_test, y_test)


def _check(name: str, train: Split, test: Split) -> None:
    """Check shapes and types."""
    for label, (x, y) in (("train", train), ("test", test)):
        if x.ndim < 2 or x.numel() == 0:
            raise DataError(f"{name}: x_{label} has shape {tuple(x.shape)}, expected (samples, ...), none empty")
        if y.shape != x.shape[:1]:
            raise DataError(
                f"{name}: y_{label} has shape {tuple(y.shape)}, expected ({len(x)},): one label a sample of x_{label}"
            )
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise DataError(f"{name}: y_{label} holds {y.dtype}, expected whole numbers from 0")
        if x.dtype not in INPUT_TYPES:
            raise DataError(f"{name}: x_{label} holds {x.dtype}, expected uint8 or another plain number type")
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise DataError(f"{name}: x_{label} holds NaN or Inf")
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            f"{name}: x_train has samples of shape {tuple(train.x.shape[1:])}, x_test of {tuple(test.x.shape[1:])}"
        )


def _count_classes(name: str, train: Tensor, test: Tensor) -> int:
    """Check labels, int64, and return the number of classes."""
    classes = int(train.max()) + 1
    low = min(int(train.min()), int(test.min()))
    high = int(test.max())
    if low < 0 or high >= classes or classes > len(train):
        raise DataError(
            f"{name}: labels out of range: they must count from 0, and those of y_test occur in y_train; "
            f"y_train reaches {classes - 1}, y_test {high}, the lowest is {low}"
        )
    if classes < 2:
        raise DataError(f"{name}: y_train holds one class only: nothing to classify")
    return classes


def _balanced_subset(train: Split, classes: int, size: int, seed: int) -> Split:
    """Return `size` samples, as many of each class as of any other (one more of some, if it must be)."""
    if size == len(train.y):
        return train
    if not classes <= size <= len(train.y):
        raise DataError(
            f"`train_size=` {size} must lie between {classes}, the number of classes, and {len(train.y)}, the whole set"
        )
    generator = torch.Generator().manual_seed(seed)
    quota = torch.full((classes,), size // classes)
    quota[torch.randperm(classes, generator=generator)[: size % classes]] += 1
    order = torch.randperm(len(train.y), generator=generator)
    chosen = []
    for label in range(classes):
        members = order[train.y[order] == label]
        if len(members) < quota[label]:
            raise DataError(
                f"`train_size=` {size} needs {int(quota[label])} samples of class {label}, which has {len(members)}: "
                f"at most {classes * int(torch.bincount(train.y, minlength=classes).min())} can be balanced"
            )
        chosen.append(members[: int(quota[label])])
    keep = torch.cat(chosen).sort().values
    return Split(train.x[keep], train.y[keep])


def _digest(train: Split, test: Split) -> str:
    digest = hashlib.sha256()
    for tensor in (*train, *test):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(memoryview(tensor.contiguous().numpy().data))
    return digest.hexdigest()
