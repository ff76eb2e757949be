"""What the measurements of the library check of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from landscape_cli.choices import Statistics
from landscape_cli.data.datasets import DataSet, Split
from landscape_cli.errors import DataError, GeometryError, ModelError
from landscape_cli.models.fitting import check_params

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.network import Params

TRAIN = "train"
"""The name of the split that batch-norm statistics are recomputed over."""


def check_networks(model: nn.Module, networks: Mapping[str, Params]) -> None:
    """Check that networks fit the model.

    Args:
        model: the architecture.
        networks: by what errors call them.

    Raises:
        ModelError: naming the network, and the tensors that do not fit.
    """
    for name, network in networks.items():
        try:
            check_params(model, network)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error


def splits_of(data: DataSet | Split | Mapping[str, Split]) -> dict[str, Split]:
    """Return what to measure on as splits by name; one alone is called "data".

    Raises:
        DataError: if it is something else.
    """
    if isinstance(data, DataSet):
        return {TRAIN: data.train, "test": data.test}
    splits = {"data": data} if isinstance(data, Split) else data
    if not isinstance(splits, Mapping) or not splits or not all(isinstance(part, Split) for part in splits.values()):
        raise DataError(
            f"networks are measured on a Split, several by name, or what load_data returns, not a {type(data).__name__}"
        )
    return dict(splits)


def training_split(splits: Mapping[str, Split]) -> str:
    """Return the name of the training set: "train", or else the first of the splits."""
    return TRAIN if TRAIN in splits else next(iter(splits))


def statistics_of(bn: Statistics | str) -> Statistics:
    """Return what becomes of batch-norm statistics.

    Raises:
        GeometryError: if there is no such choice.
    """
    choices = [choice.value for choice in Statistics]
    if bn not in choices:
        raise GeometryError(f"unknown `bn=` {bn!r}: choose {' or '.join(choices)}")
    return Statistics(bn)
