"""Options of how much of the data commands measure on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.cli.options import LARGEST_COUNT, DataOptions

if TYPE_CHECKING:
    from landscape_cli.data.part import Part

HELP = (
    "Measure (and, where that is asked for, train and recompute statistics) on so many training samples, drawn by "
    "--seed, as many of each class.  [default: all]"
)
TestSamples = Annotated[
    int | None,
    typer.Option(
        "--test-samples", min=1, max=LARGEST_COUNT, help="Measure on so many test samples, likewise.  [default: all]"
    ),
]


@dataclass(frozen=True)
class PartOptions(DataOptions):
    """The data, and how much of them is measured on."""

    train_samples: Annotated[
        int | None, typer.Option("--samples", "--train-samples", min=1, max=LARGEST_COUNT, help=HELP)
    ] = None
    test_samples: TestSamples = None

    def part(self, seed: int) -> Part:
        """Return the part, drawn with a seed."""
        from landscape_cli.data.part import Part

        return Part(self.train_samples, self.test_samples, seed)


@dataclass(frozen=True)
class FlatnessPartOptions(PartOptions):
    """The same where `--samples` are draws."""

    train_samples: Annotated[int | None, typer.Option("--train-samples", min=1, max=LARGEST_COUNT, help=HELP)] = None
