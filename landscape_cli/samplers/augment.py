"""Random changes of images while training: off unless asked for."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.errors import TrainingError

KINDS = ("crop", "flip")
MARGIN = 4
"""Black pixels around an image before a crop of its old size is taken from a random place."""


def check_augment(x: Tensor, kinds: Collection[str]) -> None:
    """Check that inputs are images where they are to be augmented.

    Raises:
        TrainingError: if they are not.
    """
    if kinds and x.ndim != 4:
        raise TrainingError(f"only images can be augmented, and inputs have shape {tuple(x.shape[1:])}")


def augment(x: Tensor, kinds: Collection[str], *, black: Tensor, generator: torch.Generator) -> Tensor:
    """Return images shifted by up to 4 pixels ("crop") and mirrored half of the time ("flip"), each by its own draw.

    Args:
        x: images, shape (n, channels, height, width).
        kinds: which of the two.
        black: the value of a black pixel, shape (channels,).
        generator: on the CPU, so that all devices draw alike.

    Raises:
        TrainingError: if inputs are no images.
    """
    if not kinds:
        return x
    check_augment(x, kinds)
    count, channels, height, width = x.shape
    level = black.to(x).view(1, -1, 1, 1).expand(1, channels, 1, 1)
    shifts = torch.randint(0, 2 * MARGIN + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    rows, columns = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
    if "flip" in kinds:
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if "crop" in kinds:
        x = F.pad(x - level, (MARGIN,) * 4) + level
        rows, columns = rows + shifts[0], columns + shifts[1]
    rows, columns = rows.to(x.device), columns.to(x.device)
    chosen = torch.arange(count, device=x.device)[:, None, None]
    return x.movedim(1, -1)[chosen, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
