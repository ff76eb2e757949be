"""Write the data that networks are measured on: the subset they were trained on, and part of the test set.

python examples/study/subset.py DATA_SET[:TASK] DATA_DIR TRAIN_SIZE TEST_SIZE FILE.safetensors

The pixels are those of the data set, so that measured training errors are the same as on the data set itself.
"""

from __future__ import annotations

import sys

from safetensors.torch import save_file
from torch import Tensor

from landscape_cli.data.datasets import DataSet, Split, load_data
from landscape_cli.data.spec import DataSpec


def pixels(split: Split, data: DataSet) -> Tensor:
    """Return images as they were before they were standardised, uint8."""
    shape = (1, -1, *[1] * (split.x.ndim - 2))
    x = split.x.double() * data.deviation.reshape(shape) + data.mean.reshape(shape)
    return x.round().byte()


def main() -> None:
    """Read the data set and write the file."""
    asked, directory, train_size, test_size, file = sys.argv[1:]
    name, _, task = asked.partition(":")
    data = load_data(DataSpec(name, directory, train_size=int(train_size), task=task or None))
    test = Split(data.test.x[: int(test_size)], data.test.y[: int(test_size)])
    tensors = {
        "x_train": pixels(data.train, data),
        "y_train": data.train.y,
        "x_test": pixels(test, data),
        "y_test": test.y,
    }
    save_file(tensors, file)


if __name__ == "__main__":
    main()
