"""What is no split is refused in one line."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from landscape_cli.data.datasets import Split, check_split
from landscape_cli.errors import DataError

X, Y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])


def test_splits_pass() -> None:
    check_split(Split(X, Y))
    check_split(Split(X, Y), 3, (3,))
    check_split(Split(X, Y % 2), 1)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (DataLoader(TensorDataset(X, Y)), "data is a Split of two tensors, not a DataLoader"),
        (TensorDataset(X, Y), "not a TensorDataset"),
        ((X, Y), "not a tuple"),
        (X, "not a Tensor"),
        (Split(X, [0, 1, 2, 0, 1, 2]), "Split of two tensors"),  # type: ignore[arg-type]
        (Split(X[:0], Y[:0]), "none empty"),
        (Split(X[:, 0], Y), "expected \\(samples, ...\\)"),
        (Split(X, Y[:5]), "one label a sample"),
        (Split(X, Y[:, None]), "one label a sample"),
        (Split(X, Y.float()), "labels hold torch.float32"),
        (Split(X, Y.bool()), "labels hold torch.bool"),
        (Split(X, Y.int()), "make them torch.int64"),
        (Split(X, Y - 1), "labels out of range: they reach from -1 to 1"),
        (Split(X, Y + 5), "they reach from 5 to 7, expected 0 to 2"),
        (Split(X[:, :2], Y), "the model takes"),
    ],
)
def test_nonsense_is_refused(split: object, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        check_split(split, 3, (3,))
    assert len(str(caught.value).splitlines()) == 1


def test_labels_of_one_output_are_two() -> None:
    """A network with one output of a sign decides between two classes; labels of 7 have no loss there."""
    with pytest.raises(DataError, match="expected 0 to 1"):
        check_split(Split(X, Y + 5), 1)
    with pytest.raises(DataError, match="expected 0 or more"):
        check_split(Split(X, Y - 3))
