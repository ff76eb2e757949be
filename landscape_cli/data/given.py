"""Both sets of a data set as somebody's code has them, a function's or in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from landscape_cli.data.loaders import is_tensors, samples_of
from landscape_cli.data.samples import Samples
from landscape_cli.data.source import DataSource, Split
from landscape_cli.errors import DataError

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

GIVEN = "data given in Python"
"""What records and messages call a data set without a name."""


class GivenSets(DataSource):
    """What was handed over in Python, of which no command can know again."""

    def __init__(self, sets: Any) -> None:
        """Keep the sets, (train, test) or by these names."""
        self._sets = sets

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split | Samples, Split | Samples]:
        """Return both sets, read or not.

        Raises:
            DataError: if they are something else than two sets.
        """
        return sets_in(self._sets, "`spec=` is", GIVEN)


def sets_in(returned: Any, what: str, name: str, verb: str = "give") -> tuple[Split | Samples, Split | Samples]:
    """Return the training and the test set of whatever holds both.

    Args:
        returned: a pair of them, or a dictionary with "train" and "test".
        what: the beginning of a message, as in "f returned".
        name: what messages call the whole.
        verb: what whoever made them does with them.

    Raises:
        DataError: if it holds something else.
    """
    both = f"{verb} a training and a test set, (train, test)"
    if isinstance(returned, Mapping):
        if not {"train", "test"} <= set(returned):
            raise DataError(f"{what} a dictionary without 'train' or 'test': {both}")
        returned = (returned["train"], returned["test"])
    if not isinstance(returned, tuple | list) or is_tensors(returned):
        kind = "tensors (x, y)" if is_tensors(returned) else f"a {type(returned).__name__}"
        raise DataError(f"{what} {kind}: {both}, each of tensors (x, y), a Dataset or a DataLoader")
    if len(returned) != 2:
        raise DataError(f"{what} {len(returned)} things: {both}")
    for each, words in zip(returned, ("training", "test"), strict=True):
        if each is None:
            raise DataError(f"{what} no {words} set: {both}; where there is none, set some samples apart")
    train, test = returned
    return samples_of(train, f"the training set of {name}", "train"), samples_of(
        test, f"the test set of {name}", "test"
    )
