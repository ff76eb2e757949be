"""What is no split is refused in one line."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from landscape_cli import Preprocessing, load_data
from landscape_cli.data.checks import check_split
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError
from landscape_cli.evaluation.splits import named_splits

X, Y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])


def test_splits_pass() -> None:
    check_split("the data", Split(X, Y))
    check_split("the data", Split(X, Y), 3, (3,))
    check_split("the data", Split(X, Y % 2), 1)
    check_split("the data", Split(X, Y.int()), 3, (3,))


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (
            DataLoader(TensorDataset(X, Y)),
            "the data is a DataLoader, expected .* wrap it: Split\\(x, y\\)",
        ),
        (TensorDataset(X, Y), "is a TensorDataset"),
        ((X, Y), "is a tuple"),
        (X, "is a Tensor"),
        (Split(X, [0, 1, 2, 0, 1, 2]), "y is a list, expected a tensor"),  # type: ignore[arg-type]
        (Split(X[:0], Y[:0]), "none empty"),
        (Split(X[:, 0], Y), "expected \\(samples, ...\\)"),
        (Split(X, Y[:5]), "one label a sample"),
        (Split(X, Y[:, None]), "one label a sample"),
        (Split(X, Y.float()), "y holds torch.float32"),
        (Split(X, Y.bool()), "y holds torch.bool"),
        (Split(X, Y - 1), "labels out of range.* they go from -1 to 1"),
        (Split(X, Y + 5), "between 0 and 2; they go from 5 to 7"),
        (Split(X, Y + 1), "between 0 and 2; they go from 1 to 3"),
        (Split(X[:, :2], Y), "the model takes"),
    ],
)
def test_nonsense_is_refused(split: object, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        check_split("the data", split, 3, (3,))
    assert len(str(caught.value).splitlines()) == 1


def test_labels_of_one_output_are_two() -> None:
    """A network with one output of a sign decides between two classes; labels of 7 have no loss there."""
    with pytest.raises(DataError, match="between 0 and 1"):
        check_split("the data", Split(X, Y + 5), 1)
    with pytest.raises(DataError, match="from -3 to -1"):
        check_split("the data", Split(X, Y - 3), 1)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32])
def test_numbers_without_a_sign_are_computed_with(dtype: torch.dtype) -> None:
    large = torch.arange(18).reshape(6, 3) * int(torch.iinfo(dtype).max) // 17
    data = load_data(((large.to(dtype), Y), (large.to(dtype), Y)), preprocessing="none")
    assert data.train.x.tolist() == named_splits((large.to(dtype), Y))["data"].x.tolist() == large.tolist()
    seen = data.under(Preprocessing.channels([1.0], [2.0])).test.x
    assert torch.allclose(seen, (large - 1) / 2)


def test_short_numbers_have_a_digest_of_their_own() -> None:
    """NumPy, by which others are digested, has no bfloat16."""
    digests = [load_data(((x, Y), (x, Y))).record["sha256"] for x in (X.bfloat16(), -X.bfloat16(), X.half())]
    assert len(set(digests)) == 3
