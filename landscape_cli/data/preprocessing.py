"""Inputs with mean zero and deviation one in every channel of the training set (docs/method.md: Samplers)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from landscape_cli.errors import DataError, shown


def channel_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel, shape (channels,), float64; a constant channel is only centred.

    Args:
        x: inputs, shape (n, channels, ...) or (n, features), of any plain number type.
    """
    channels = _as_channels(x).transpose(0, 1).flatten(1)
    mean, deviation = [], []
    for channel in channels:  # one at a time: float64 copies of a whole image set are large
        values = channel.double()
        mean.append(values.mean())
        deviation.append(values.std(correction=0))
    spread = torch.stack(deviation)
    return torch.stack(mean), torch.where(spread > 0, spread, torch.ones_like(spread))


def recorded_statistics(record: Mapping[str, Any], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and deviation that a checkpoint records, float64, for inputs `x`.

    Raises:
        DataError: if they are malformed, or of another number of channels.
    """
    try:
        mean = torch.tensor(record["mean"], dtype=torch.float64)
        deviation = torch.tensor(record["deviation"], dtype=torch.float64)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as cause:
        raise DataError(
            f"the checkpoint's metadata key 'data' lacks mean or deviation ({shown(repr(cause))})"
        ) from cause
    channels = _as_channels(x[:1]).shape[1]
    if mean.shape != (channels,) or deviation.shape != (channels,):
        raise DataError(f"the checkpoint was trained on {mean.numel()} channels, this data has {channels}")
    if not bool((torch.isfinite(mean) & torch.isfinite(deviation) & (deviation > 0)).all()):
        raise DataError("the checkpoint's metadata key 'data' holds a mean or deviation that is no usable number")
    return mean, deviation


def standardize(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return `x` less each channel's mean, by its deviation: float32, of the same shape."""
    channels = _as_channels(x).float()
    standard = (channels - mean.float()[:, None]) / deviation.float()[:, None]
    return standard.reshape(x.shape).contiguous()


def _as_channels(x: Tensor) -> Tensor:
    """Return inputs in shape (samples, channels, pixels); a plain vector is one channel."""
    return x.reshape(len(x), 1 if x.ndim == 2 else x.shape[1], -1)
