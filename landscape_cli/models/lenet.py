"""LeNet as in the paper: two convolutions of 5x5, each with max-pooling, and one hidden layer.

See docs/method.md: Findings.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import ModelError
from landscape_cli.models.dropout import check_dropout

KERNEL = 5
POOL = 2


class LeNet(nn.Module):
    """Convolution, pooling, ReLU, twice; then two fully connected layers: (n, c, h, w) to (n, outputs)."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        outputs: int,
        filters: Sequence[int],
        hidden: int,
        bias: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        channels, *size = input_shape
        rows, columns = (((s - KERNEL + 1) // POOL - KERNEL + 1) // POOL for s in size)
        self.conv1 = nn.Conv2d(channels, filters[0], KERNEL, bias=bias)
        self.conv2 = nn.Conv2d(filters[0], filters[1], KERNEL, bias=bias)
        self.fc1 = nn.Linear(filters[1] * rows * columns, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, outputs, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        # Pooling first gives exactly the values of ReLU first, and the ReLU then works on a quarter of them.
        x = self.dropout(F.relu(F.max_pool2d(self.conv1(x), POOL)))
        x = self.dropout(F.relu(F.max_pool2d(self.conv2(x), POOL)))
        out: Tensor = self.fc2(self.dropout(F.relu(self.fc1(x.flatten(1)))))
        return out


def lenet(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    filters: Sequence[int] = (20, 50),
    hidden: int = 500,
    bias: bool = True,
    dropout: float = 0.0,
) -> nn.Module:
    """Return a LeNet for images of shape (channels, height, width), both at least 16.

    While it trains, a fraction `dropout` of what every layer but the first reads is dropped.

    Raises:
        ModelError: if the inputs are no images or too small, a width is not positive, or the fraction is none.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < 16:
        raise ModelError(
            f"lenet needs images of shape (channels, height, width), at least 16x16, not {input_shape}: "
            "use `model=` mlp"
        )
    if len(filters) != 2 or min(*filters, hidden) < 1:
        raise ModelError(f"lenet needs two positive numbers of filters and one hidden width, not {filters}, {hidden}")
    check_dropout(dropout)
    return LeNet(input_shape, outputs, filters, hidden, bias, dropout)
