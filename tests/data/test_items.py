"""What data sets give, turned into tensors."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from landscape_cli.data.items import pair_of
from landscape_cli.errors import DataError

TOKENS = {"input_ids": torch.tensor([5, 6]), "labels": torch.tensor(1)}


@pytest.mark.parametrize(
    ("item", "x", "y"),
    [
        ((torch.ones(2), 1), torch.ones(2), torch.tensor(1)),
        (
            [np.arange(3, dtype=">i4"), np.int32(2)],
            torch.arange(3, dtype=torch.int32),
            torch.tensor(2, dtype=torch.int32),
        ),
        (([1, 2], 0.5), torch.tensor([1, 2]), torch.tensor(0.5, dtype=torch.float64)),
        (TOKENS, TOKENS["input_ids"], TOKENS["labels"]),
        (TOKENS | {"attention_mask": torch.ones(2), "token_type_ids": [0, 0]}, TOKENS["input_ids"], TOKENS["labels"]),
        (UserDict(text="ab", label=3, pixels=[1.0]), torch.tensor([1.0]), torch.tensor(3)),
    ],
)
def test_pairs(item: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    got = pair_of(item, "sample 0")
    for tensor, expected in zip(got, (x, y), strict=True):
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected)


def test_images() -> None:
    numbers = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for array, mode in ((numbers, "RGB"), (numbers[..., 0].copy(), "L")):
        x, _ = pair_of((Image.fromarray(array, mode), 0), "sample 0")
        assert x.dtype == torch.uint8
        assert torch.equal(x, torch.from_numpy(array.reshape(2, 3, -1)).permute(2, 0, 1))
    palette = Image.fromarray(numbers, "RGB").convert("P", palette=Image.Palette.ADAPTIVE)
    assert pair_of((palette, 0), "sample 0")[0].shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (torch.ones(2), "sample 7 is a Tensor, expected a pair of input and label"),
        ((1, 2, 3), "sample 7 has 3 parts, expected a pair"),
        (None, "is a NoneType, expected a pair"),
        (("a cat", 1), "the input of sample 7 is a str, expected a tensor"),
        (([[1, 2], [3]], 1), "the input of sample 7 is no tensor"),
        ((torch.ones(2), "cat"), "the label of sample 7 is a str"),
        ((torch.ones(2), [None]), "the label of sample 7 is no tensor"),
        ((torch.ones(2, device="meta"), 1), "has no values"),
        ((torch.eye(2).to_sparse(), 1), "not stored densely"),
        ((np.array([object()]), 1), "the input of sample 7 is no tensor"),
        ({"input_ids": torch.ones(2)}, "a dictionary of input_ids, and none is the label: call it labels or label"),
        (
            TOKENS | {"attention_mask": torch.tensor([1, 0])},
            r"several inputs \(input_ids, attention_mask\), and .* on one",
        ),
        ({"label": 1, "text": "ab"}, "no input beside its label"),
    ],
)
def test_nonsense(item: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        pair_of(item, "sample 7")
    assert "\n" not in str(refused.value)
