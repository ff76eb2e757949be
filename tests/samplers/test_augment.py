"""Random changes of images."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.errors import TrainingError
from landscape_cli.samplers.augment import augment


def test_augmented_images() -> None:
    x = torch.arange(2.0 * 3 * 9 * 7).view(2, 3, 9, 7).repeat(50, 1, 1, 1)
    black = torch.tensor([-1.0, -2.0, -3.0])
    draw = lambda kind: augment(x, kind, black=black, generator=torch.Generator().manual_seed(0))  # noqa: E731
    assert draw("off") is x
    flipped = draw("flip")
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert ((flipped == x).flatten(1).all(1) ^ mirrored).all()
    assert 20 < int(mirrored.sum()) < 80
    cropped = draw("crop")
    shifts = set()
    for image, old in zip(cropped, x, strict=True):
        padded = black.view(3, 1, 1).expand(3, 17, 15).clone()
        padded[:, 4:13, 4:11] = old
        matches = [(i, j) for i in range(9) for j in range(9) if torch.equal(padded[:, i : i + 9, j : j + 7], image)]
        assert matches
        shifts.add(matches[0])
    assert len(shifts) > 20
    with pytest.raises(TrainingError, match="only images"):
        augment(x.flatten(1), "flip", black=black, generator=torch.Generator())
