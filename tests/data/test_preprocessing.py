"""Standardizing, one number at a time."""

from __future__ import annotations

import statistics

import pytest
import torch

from landscape_cli.data.preprocessing import channel_statistics, recorded_statistics, standardize
from landscape_cli.errors import DataError

IMAGES = torch.randint(0, 256, (9, 3, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("x", [IMAGES, IMAGES[:, :, 0, 0].float(), IMAGES[:, :, 0].double()])
def test_every_channel_has_mean_zero_and_deviation_one(x: torch.Tensor) -> None:
    mean, deviation = channel_statistics(x)
    channels = [x.double()] if x.ndim == 2 else [x[:, k].double() for k in range(3)]
    assert mean.tolist() == pytest.approx([statistics.fmean(channel.flatten().tolist()) for channel in channels])
    assert deviation.tolist() == pytest.approx([statistics.pstdev(channel.flatten().tolist()) for channel in channels])
    standard = standardize(x, mean, deviation)
    assert (standard.dtype, standard.shape) == (torch.float32, x.shape)
    again = channel_statistics(standard)
    assert torch.allclose(again[0], torch.zeros_like(again[0]), atol=1e-6)
    assert torch.allclose(again[1], torch.ones_like(again[1]), atol=1e-6)


def test_a_constant_channel_is_only_centred() -> None:
    x = torch.full((4, 2, 3), 7.0)
    x[:, 1] = torch.arange(3.0)
    mean, deviation = channel_statistics(x)
    assert deviation[0] == 1
    assert bool((standardize(x, mean, deviation)[:, 0] == 0).all())


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({}, "lacks mean or deviation"),
        ({"mean": ["x"], "deviation": [1.0]}, "lacks mean or deviation"),
        ({"mean": [0.0], "deviation": [1.0]}, "trained on 1 channels, this data has 3"),
        ({"mean": [0.0] * 3, "deviation": [1.0, 0.0, 1.0]}, "no usable number"),
        ({"mean": [float("nan")] * 3, "deviation": [1.0] * 3}, "no usable number"),
    ],
)
def test_records_that_are_malformed(record: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        recorded_statistics(record, IMAGES)
    mean, deviation = recorded_statistics({"mean": [1, 2, 3], "deviation": [4, 5, 6]}, IMAGES)
    assert (mean.tolist(), deviation.tolist()) == ([1, 2, 3], [4, 5, 6])
