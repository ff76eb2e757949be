"""The Hidden Manifold Model (Goldt et al., 2020): generated data, two classes (docs/method.md: Data)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.choices import Nonlinearity, check_choice
from landscape_cli.data.source import DataSource, Split
from landscape_cli.errors import DataError, shown

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

LARGEST = (1 << 31) - 1
MOST_NUMBERS = 1 << 26
"""Of all hidden patterns and inputs together, and of the features: half a GiB in float64."""
SIZES = ("latent", "dim", "patterns", "test_patterns")
NONLINEARITIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    Nonlinearity.SIGN.value: lambda z: torch.where(z < 0, -1.0, 1.0),
    Nonlinearity.TANH.value: torch.tanh,
    Nonlinearity.RELU.value: torch.relu,
}


@dataclass(frozen=True)
class HiddenManifold:
    """Sizes of the Hidden Manifold Model, with the paper's letters (docs/method.md: Data).

    Attributes:
        latent: D, the dimension of the teacher and of the hidden patterns.
        dim: N, the dimension of the student's inputs.
        patterns: P, the number of training patterns.
        test_patterns: the number of test patterns.
        nonlinearity: f, one of "sign", "tanh", "relu".
    """

    latent: int = 201
    dim: int = 401
    patterns: int = 603
    test_patterns: int = 2000
    nonlinearity: str = "sign"

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> HiddenManifold:
        """Return the sizes that a checkpoint records.

        Raises:
            KeyError, TypeError, ValueError: if they are malformed.
        """
        for name in SIZES:
            if type(record[name]) is not int:
                raise ValueError(f"{name} is {shown(str(record[name]))}, expected a whole number")
        return cls(**{name: int(record[name]) for name in SIZES}, nonlinearity=str(record["nonlinearity"]))


def generate(sizes: HiddenManifold, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return inputs, shape (patterns, N), float32, and labels, shape (patterns,), int64: for training and for tests.

    Raises:
        DataError: if a size is no size, they are too large, or the nonlinearity is unknown.
    """
    for name in SIZES:
        if getattr(sizes, name) < 1:
            raise DataError(f"the hidden manifold's {name} must be at least 1, not {getattr(sizes, name)}")
        if getattr(sizes, name) > LARGEST:
            raise DataError(f"the hidden manifold's {name} must be at most {LARGEST}")
    count = (sizes.patterns + sizes.test_patterns) * (sizes.latent + sizes.dim) + sizes.latent * sizes.dim
    if count > MOST_NUMBERS:
        raise DataError(
            f"the hidden manifold is too large: {sizes.patterns} and {sizes.test_patterns} patterns of "
            f"{sizes.latent} + {sizes.dim} numbers, and features, make {count:,} numbers: at most {MOST_NUMBERS:,}"
        )
    check_choice("nonlinearity", sizes.nonlinearity, NONLINEARITIES, DataError, of=" of the hidden manifold")
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(sizes.latent, generator=generator, dtype=torch.float64)
    features = torch.randn(sizes.dim, sizes.latent, generator=generator, dtype=torch.float64)

    def patterns(count: int) -> tuple[Tensor, Tensor]:
        hidden = torch.randn(count, sizes.latent, generator=generator, dtype=torch.float64)
        x = NONLINEARITIES[sizes.nonlinearity](hidden @ features.T / sizes.latent**0.5)
        return x.float(), (hidden @ teacher > 0).long()

    return [patterns(sizes.patterns), patterns(sizes.test_patterns)]


class HiddenManifoldData(DataSource):
    """The data set that is generated, by `DataSpec.hmm`."""

    def load(self, spec: DataSpec, *, download: bool) -> tuple[Split, Split]:
        """Return the patterns, the same for the same sizes and seed.

        Raises:
            DataError: if a size is no size, they are too large, or the nonlinearity is unknown.
        """
        train, test = generate(spec.hmm, spec.seed)
        return Split(*train), Split(*test)


SOURCE = HiddenManifoldData()
