"""Random changes of images while training: off unless asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape_cli.choices import Augment
from landscape_cli.errors import TrainingError

MARGIN = 4
"""Black pixels around an image before a crop of its old size is taken from a random position."""


def check_augment(x: Tensor, kind: str) -> None:
    """Check that inputs are images where they are to be augmented.

    Raises:
        TrainingError: if they are not.
    """
    if kind != Augment.OFF and x.ndim != 4:
        raise TrainingError(f"only images can be augmented, and inputs have shape {tuple(x.shape[1:])}")


def augment(x: Tensor, kind: str, *, black: Tensor, generator: torch.Generator) -> Tensor:
    """Return images shifted by up to 4 pixels ("crop") and mirrored half of the time ("flip"), each by its own draw.

    Args:
        x: images, shape (n, channels, height, width).
        kind: which of the two: "off", "crop", "flip" or "crop+flip".
        black: the value of a black pixel, shape (channels,).
        generator: on the CPU, so that all devices draw alike.

    Raises:
        TrainingError: if inputs are no images.
    """
    if kind == Augment.OFF:
        return x
    check_augment(x, kind)
    count, channels, height, width = x.shape
    level = black.to(x).view(1, -1, 1, 1).expand(1, channels, 1, 1)
    shifts = torch.randint(0, 2 * MARGIN + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    rows, columns = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
    if kind in {Augment.FLIP, Augment.BOTH}:
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if kind in {Augment.CROP, Augment.BOTH}:
        x = F.pad(x - level, (MARGIN,) * 4) + level
        rows, columns = rows + shifts[0], columns + shifts[1]
    rows, columns = rows.to(x.device), columns.to(x.device)
    image = torch.arange(count, device=x.device)[:, None, None]
    return x.movedim(1, -1)[image, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
