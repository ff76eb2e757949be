"""Options of the data that networks are measured on; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import ObjectiveName, Task
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_COUNT
from landscape_cli.cli.parsing import whole_numbers

if TYPE_CHECKING:
    from landscape_cli.data.part import Part

DataName = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Measure on other data: hmm, mnist, fashion-mnist, cifar10, wedges, FILE.safetensors, FILE.npz, a folder "
        "of images by class, or package.module:function?arg=1, code of yours that returns a training and a test set.",
    ),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        help="Folders of images: bring them to so many pixels, S or H,W, by resizing and cutting out the middle.",
    ),
]
DataTask = Annotated[
    Task | None,
    typer.Option(
        "--task", help="mnist, FILE.safetensors, FILE.npz: parity, whether labels are odd, in place of the labels."
    ),
]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Where the data lies; by default where training found it.")
]
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
class ObjectiveOptions(Group):
    """What outputs are held against."""

    panel = "Data"

    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            metavar="NAME",
            help=f"What outputs are held against: {', '.join(name.value for name in ObjectiveName)}, or "
            "package.module:function?arg=1, a loss of yours.  [default: the networks', or classification]",
        ),
    ] = None
    class_axis: Annotated[
        int | None,
        typer.Option("--class-axis", help="dense: the axis of classes, -1 for (n, ..., classes).  [default: 1]"),
    ] = None
    ignore_index: Annotated[
        int | None,
        typer.Option("--ignore-index", help="dense: the label of places that do not count.  [default: -100]"),
    ] = None


@dataclass(frozen=True)
class DataOptions(ObjectiveOptions):
    """The data that networks are measured on, and what outputs are held against."""

    data: DataName = None
    task: DataTask = None
    data_dir: DataDir = None
    image_size: ImageSize = None

    def part(self, seed: int) -> Part:
        """Return how much of the data is measured on, drawn with a seed: here all."""
        from landscape_cli.data.part import Part

        return Part(seed=seed)


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


def image_size(text: str | None) -> tuple[int, int] | None:
    """Parse the size of images: of a square, or height and width.

    Raises:
        BadParameter: if it is none.
    """
    if text is None:
        return None
    sizes = whole_numbers(text, "--image-size")
    if len(sizes) not in {1, 2} or min(sizes) < 1:
        raise typer.BadParameter(f"--image-size takes S or H,W, as in 224 or 32,48, not {text!r}")
    return sizes[0], sizes[-1]
