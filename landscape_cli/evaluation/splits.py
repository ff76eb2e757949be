"""The data that networks are measured on: one split, several by name, or a data set; checked before all else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, Dataset

from landscape_cli.arguments import check_kind
from landscape_cli.data.checks import check_split, computable
from landscape_cli.data.datasets import DataSet
from landscape_cli.data.loaders import is_tensors, samples_of
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, listed
from landscape_cli.forward.functional import readable
from landscape_cli.forward.objective import Objective

OneSplit = Split | tuple[Any, Any] | Dataset[Any] | DataLoader[Any]
"""A split: `Split(x, y)`, tensors or arrays (x, y), or what PyTorch reads samples from."""
Data = DataSet | OneSplit | Mapping[str, OneSplit]
"""What networks are measured on: what `load_data` returns, one split, or several by name; (train, test) are two."""
TRAIN = "train"
"""The name of the split that is trained on, and batch-norm statistics are recomputed over."""


def named_splits(data: Data, model: nn.Module | None = None, objective: Objective | None = None) -> dict[str, Split]:
    """Return the splits of any data by name, targets in the type that they are computed with; one alone is "data".

    A `Dataset` or a `DataLoader` is read once, into memory, in the order that it gives with global randomness seeded.

    Args:
        data: the data.
        model: what is to read them: whole numbers that it cannot read as such become float32.
        objective: what networks are held against, whatever the data says; by default that.

    Raises:
        DataError: if it is something else, cannot be read, a split is malformed, or they are for different objectives.
    """
    given: dict[str, Any]
    if isinstance(data, DataSet):
        given = {TRAIN: data.train, "test": data.test}
    elif isinstance(data, tuple) and not isinstance(data, Split) and len(data) == 2 and not is_tensors(data):
        given = dict(zip((TRAIN, "test"), data, strict=True))
    else:
        given = dict(data) if isinstance(data, Mapping) else {"data": data}
    if not given:
        raise DataError("there is no data to evaluate on: name at least one split")
    splits = {}
    for name, value in given.items():
        check_kind("data", name, str, "give the names of splits as text", DataError)
        samples = samples_of(value, f"the split {name!r}")
        split = samples if isinstance(samples, Split) else samples.read()
        against = split.objective if objective is None else objective
        splits[name] = split = replace(split, x=computable(split.x), objective=against)
        check_split(f"the split {name!r}", split)
    if len({split.objective for split in splits.values()}) > 1:
        names = listed(f"{name!r} for {split.objective.name}" for name, split in splits.items())
        raise DataError(f"the splits are for different objectives: {names}")
    inputs = {name: split.x if model is None else readable(model, split.x) for name, split in splits.items()}
    return {n: replace(split, x=inputs[n], y=split.objective.targets(split.y)) for n, split in splits.items()}


def training_split(splits: Mapping[str, Split]) -> str:
    """Return the name of the training set: "train", or else the first of the splits."""
    return TRAIN if TRAIN in splits else next(iter(splits))


def check_name(name: str, splits: Mapping[str, Split]) -> str:
    """Return the name of a split, checking that there is one.

    Raises:
        DataError: naming those that there are.
    """
    if not isinstance(name, str) or name not in splits:
        raise DataError(f"there is no split {name!r}: choose {', '.join(splits)}")
    return name
