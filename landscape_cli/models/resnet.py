"""The residual networks for small images of He et al. (2015), section 4.2: 6n + 2 layers, ResNet20 for n = 3."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import ModelError

SMALLEST = 4
MOST_BLOCKS = 200
"""A stage's most blocks: 1202 layers, the deepest of the paper."""


class ChannelNorm(nn.LayerNorm):
    """Layer-norm over the channels at each position of an image, shape (n, c, h, w): Git Re-Basin's ResNet20 has it."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised image."""
        channels_last = input.permute(0, 2, 3, 1)
        return F.layer_norm(channels_last, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


NORMS = {"batch": nn.BatchNorm2d, "layer": ChannelNorm}


class Block(nn.Module):
    """Two convolutions of 3x3 and a shortcut round them: a projection where the size changes, else the identity."""

    def __init__(self, fan_in: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = NORMS[norm](width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = NORMS[norm](width)
        self.shortcut = nn.Sequential()
        if stride != 1 or fan_in != width:
            # With the paper's padding by zeros instead, the streams of two stages could not be permuted apart.
            self.shortcut = nn.Sequential(nn.Conv2d(fan_in, width, 1, stride=stride, bias=False), NORMS[norm](width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream after this block."""
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """A convolution, three stages of blocks with 1, 2 and 4 times the width, a mean over positions, a linear layer."""

    def __init__(self, channels: int, outputs: int, width: int, blocks: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm1 = NORMS[norm](width)
        self.stage1 = _stage(width, width, 1, blocks, norm)
        self.stage2 = _stage(width, 2 * width, 2, blocks, norm)
        self.stage3 = _stage(2 * width, 4 * width, 2, blocks, norm)
        self.fc = nn.Linear(4 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (n, outputs), of images of shape (n, c, h, w)."""
        x = F.relu(self.norm1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        out: Tensor = self.fc(x.mean(dim=(2, 3)))
        return out


def resnet20(
    input_shape: tuple[int, ...], outputs: int, *, width: int = 16, blocks: int = 3, norm: str = "batch"
) -> nn.Module:
    """Return a residual network of 6 * blocks + 2 layers for images of shape (channels, height, width).

    Args:
        input_shape: height and width at least 4.
        outputs: the number of outputs.
        width: filters of the first stage; the others have 2 and 4 times as many.
        blocks: blocks in each of the three stages.
        norm: "batch" for batch-norm, "layer" for layer-norm over channels.

    Raises:
        ModelError: if the inputs are no images or too small, or an option has a value that it cannot have.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < SMALLEST:
        raise ModelError(
            f"resnet20 needs images of shape (channels, height, width), at least {SMALLEST}x{SMALLEST}, "
            f"not {input_shape}: use `model=` mlp"
        )
    if norm not in NORMS:
        raise ModelError(f"resnet20 has no norm {norm!r}: choose {' or '.join(NORMS)}")
    if width < 1 or not 1 <= blocks <= MOST_BLOCKS:
        raise ModelError(
            f"resnet20 needs a positive width and 1 to {MOST_BLOCKS} blocks a stage, not {width} and {blocks}"
        )
    return ResNet(input_shape[0], outputs, width, blocks, norm)


def _stage(fan_in: int, width: int, stride: int, blocks: int, norm: str) -> nn.Sequential:
    first = Block(fan_in, width, stride, norm)
    return nn.Sequential(first, *(Block(width, width, 1, norm) for _ in range(blocks - 1)))
