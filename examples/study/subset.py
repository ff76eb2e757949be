"""Write the data that networks are measured on: the subset they were trained on, and part of the test set.

python examples/study/subset.py DATA_SET[:TASK] DATA_DIR TRAIN_SIZE TEST_SIZE FILE.safetensors
python examples/study/subset.py --held-out DATA_SET[:TASK] DATA_DIR TRAIN_SIZE FILE.safetensors

With --held-out, data to tune on: nine tenths of the subset, and in place of the test set the tenth that is left, both
with as many samples of each class. The pixels are those of the data set, so that measured training errors are the same
as on the data set itself.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch
from safetensors.torch import save_file
from torch import Tensor

from landscape_cli.data.datasets import DataSet, Split, load_data
from landscape_cli.data.spec import DataSpec
from landscape_cli.data.subset import balanced_subset

PART = 10
"""One in so many samples is held out."""


def pixels(split: Split, data: DataSet) -> Tensor:
    """Return images as they were before they were standardised, uint8."""
    shape = (1, -1, *[1] * (split.x.ndim - 2))
    x = split.x.double() * data.deviation.reshape(shape) + data.mean.reshape(shape)
    return x.round().byte()


def held_out(data: DataSet) -> tuple[Split, Split]:
    """Return a training set without a tenth of it, and that tenth."""
    train = data.train
    numbered = replace(train, x=torch.arange(len(train.y))[:, None])
    kept = balanced_subset(numbered, data.classes, len(train.y) * (PART - 1) // PART, seed=0).x.flatten()
    left = torch.ones(len(train.y), dtype=torch.bool)
    left[kept] = False
    return Split(train.x[kept], train.y[kept]), Split(train.x[left], train.y[left])


def main() -> None:
    """Read the data set and write the file."""
    tuning = sys.argv[1] == "--held-out"
    asked, directory, train_size, *sizes, file = sys.argv[1 + tuning :]
    name, _, task = asked.partition(":")
    data = load_data(DataSpec(name, directory, train_size=int(train_size) or None, task=task or None))
    train, test = held_out(data) if tuning else (data.train, data.test)
    test = test if tuning else Split(test.x[: int(sizes[0])], test.y[: int(sizes[0])])
    tensors = {
        "x_train": pixels(train, data),
        "y_train": train.y,
        "x_test": pixels(test, data),
        "y_test": test.y,
    }
    save_file(tensors, file)


if __name__ == "__main__":
    main()
