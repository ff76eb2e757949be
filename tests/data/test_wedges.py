"""The data of the surrogate landscape."""

from __future__ import annotations

import torch

from landscape_cli import DataSpec, load_data


def test_standardising_leaves_the_two_samples_apart() -> None:
    data = load_data(DataSpec("wedges"))
    for split in (data.train, data.test):
        assert torch.equal(split.x, torch.tensor([[-1.0], [1.0]]))
        assert split.y.tolist() == [0, 1]
    assert (float(data.mean), float(data.deviation), data.classes, data.input_shape) == (0, 1, 2, (1,))
    again = load_data(DataSpec("wedges", seed=3, train_size=2), preprocessing=data.record)
    assert torch.equal(again.train.x, data.train.x)
    assert again.record["sha256"] == data.record["sha256"]
