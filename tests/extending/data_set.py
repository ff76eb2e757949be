"""Points on concentric rings, a class each: `RINGS = "rings", "tests.extending.data_set:SOURCE"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from landscape_cli.data.source import DataSource, Split

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSpec

CLASSES, DIMENSION, TRAINING, TEST = 3, 8, 120, 60


class Rings(DataSource):
    """Random directions, of as many lengths as there are classes."""

    tasks = ("parity",)

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split, Split]:
        """Return the points, the same for the same seed."""
        generator = torch.Generator().manual_seed(spec.seed)

        def draw(count: int) -> Split:
            labels = torch.arange(count) % CLASSES
            points = torch.randn(count, DIMENSION, generator=generator)
            return Split(points / points.norm(dim=1, keepdim=True) * (1 + labels[:, None]), labels)

        return draw(TRAINING), draw(TEST)


SOURCE = Rings()
