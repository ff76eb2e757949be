"""VGG16 with batch-norm (Simonyan and Zisserman, 2015), for small images and for ImageNet's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from landscape_cli.errors import ModelError

STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Filters of the convolutions of each stage, in units of the first; a pooling that halves both sides ends a stage."""
SHRINK = 2 ** len(STAGES)
LARGE = 224
"""Sides from which on images get the hidden layers of the original."""


class VGG(nn.Module):
    """Thirteen convolutions of 3x3 in five stages, then fully connected layers: (n, c, h, w) to (n, outputs)."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        fan_in, height, columns = input_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for s, stage in enumerate(STAGES, start=1):
            for k, factor in enumerate(stage, start=1):
                # No bias: batch-norm would subtract it again.
                layers[f"conv{s}_{k}"] = nn.Conv2d(fan_in, factor * width, 3, padding=1, bias=False)
                layers[f"norm{s}_{k}"] = nn.BatchNorm2d(factor * width)
                layers[f"relu{s}_{k}"] = nn.ReLU()
                fan_in = factor * width
            layers[f"pool{s}"] = nn.MaxPool2d(2)
        self.features = nn.Sequential(layers)
        fan_in *= (height // SHRINK) * (columns // SHRINK)
        layers = OrderedDict()
        for k, size in enumerate(hidden, start=1):
            layers[f"fc{k}"] = nn.Linear(fan_in, size)
            layers[f"relu{k}"] = nn.ReLU()
            fan_in = size
        layers[f"fc{len(hidden) + 1}"] = nn.Linear(fan_in, outputs)
        self.classifier = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        out: Tensor = self.classifier(self.features(x).flatten(1))
        return out


def default_hidden(input_shape: tuple[int, ...]) -> list[int]:
    """Return the hidden widths for images of this size: none for small ones, the original's two of 4096 from 224 on."""
    return [4096, 4096] if min(input_shape[1:], default=0) >= LARGE else []


def vgg16(
    input_shape: tuple[int, ...], outputs: int, *, width: int = 64, hidden: Sequence[int] | None = None
) -> nn.Module:
    """Return a VGG16 with batch-norm and without dropout for images of shape (channels, height, width).

    Args:
        input_shape: height and width at least 32.
        outputs: the number of outputs.
        width: filters of the first stage; the others have 2, 4, 8 and 8 times as many.
        hidden: widths of the hidden fully connected layers; None for `default_hidden`.

    Raises:
        ModelError: if the inputs are no images or too small, or a width is not positive.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < SHRINK:
        raise ModelError(
            f"vgg16 needs images of shape (channels, height, width), at least {SHRINK}x{SHRINK}, not {input_shape}: "
            "use `model=` lenet, or mlp"
        )
    widths = default_hidden(input_shape) if hidden is None else hidden
    if min([width, *widths]) < 1:
        raise ModelError(f"vgg16 needs a positive width and positive hidden widths, not {width}, {list(widths)}")
    return VGG(input_shape, outputs, width, widths)
