"""The data of the surrogate landscape: two samples, that its loss is a cross-entropy (docs/method.md: Surrogate)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from landscape_cli.data.source import DataSource, Split

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec


class Wedges(DataSource):
    """One sample of each class, -1 and 1, in both splits: of mean 0 and deviation 1, so that standardising is none."""

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split, Split]:
        """Return the two samples, twice."""
        samples = Split(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]))
        return samples, samples


SOURCE = Wedges()
