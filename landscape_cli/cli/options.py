"""The options that commands share; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import Format, InputType, Method, Pairing, Precision, ProgressStyle, Statistics
from landscape_cli.cli.groups import Group
from landscape_cli.cli.parsing import numbers
from landscape_cli.cli.progress import choose_progress

if TYPE_CHECKING:
    from landscape_cli.figures.figure import Look

Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:k]", help="Where to compute; auto prefers a GPU.")
]
LARGEST_SEED = (1 << 63) - 1
LARGEST_COUNT = 10**7
"""Of networks that are evaluated, draws and the like: more is a slip."""
LARGEST_STACK = 10**5
"""Of networks that are trained as one, and copies of data."""
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of everything random in this command.")
]
UnusedSeed = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=LARGEST_SEED, help="Recorded with the result; this command draws nothing at random."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Result file, .json or .csv; without it, standard output."),
]
CheckpointOutput = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="Checkpoint to write, .st or .safetensors; .pt, .pth or .bin: a plain state_dict."
    ),
]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export",
        help="Also write a plain state_dict, for the code that the network came from: .pt, .pth, .bin or .safetensors; "
        "of several networks 'back/{name}.pt', of the stems of the files.",
    ),
]
OutDir = Annotated[
    Path | None, typer.Option("--out-dir", help="Folder to write to, for several networks; made if missing.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace output files that exist.")]
Form = Annotated[
    Format | None,
    typer.Option("--format", help="Form of standard output: by default a table on a terminal, else JSON."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, remarks or warnings.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Loss = Annotated[bool, typer.Option("--loss", help="Report the mean cross-entropy beside the error.")]
BatchNorm = Annotated[
    Statistics,
    typer.Option(
        "--bn",
        help="Batch-norm statistics: keep those that move along with the networks, or recompute them over the training "
        "set for every network measured, the given ones too.",
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", help="Also draw the result: .png, .pdf or .svg (needs the extra 'plot')."),
]
Pairs = Annotated[
    Pairing | None,
    typer.Option(
        "--pairs",
        help="Take arguments as families, quoted patterns like 'sgd-*.st', and measure pairs: all, cross (between "
        "families only), zip (k-th with k-th of two).",
    ),
]
Align = Annotated[
    Method | None,
    typer.Option(
        "--align",
        help="First align the second network of each pair to the first, as landscape align does; of a set (connector, "
        "ensemble) all to its first. Not learned: align first.",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="Model of files that are not landscape's: torchvision:NAME?num_classes=10, package.module:factory?arg=1.",
    ),
]
InputShape = Annotated[
    str | None, typer.Option("--input-shape", help="Shape of one input of that model, as in 3,32,32.")
]
Key = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="NAME",
        help="Entry of such files that holds the network, dotted for nesting, as in ema or model.net; or what names "
        "begin with. Given several times, of one file each, in their order; '' of one that needs none.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse what is not understood: operators without a symmetry rule, units not followed, parameters unused.",
    ),
]


@dataclass(frozen=True)
class ModelOptions(Group):
    """The model of files that are not landscape's."""

    panel = "Files that are not landscape's"

    model_name: ModelName = None
    input_shape: InputShape = None
    input_dtype: Annotated[
        InputType | None,
        typer.Option("--input-dtype", help="Type of its inputs if they are whole numbers, as token ids are.  [int64]"),
    ] = None
    input_range: Annotated[
        str | None,
        typer.Option(
            "--input-range",
            metavar="LOW,HIGH",
            help="The least of these and one too many, as in 0,30000; found from an nn.Embedding that reads them.",
        ),
    ] = None
    model_output: Annotated[
        str | None,
        typer.Option(
            "--model-output",
            metavar="NAME",
            help="Which of its outputs is measured and proved, by name or number.  [logits, or the first]",
        ),
    ] = None
    key: Key = None

    @property
    def keys(self) -> Sequence[str]:
        """The entries of files that hold networks: one for all, or one for each; one that is empty, if none is named.

        Raises:
            BadParameter: if the only one is empty.
        """
        if self.key == [""]:
            raise typer.BadParameter("--key names an entry of the file, and is empty: leave it out")
        return self.key or [""]


@dataclass(frozen=True)
class ComputeOptions(Group):
    """Where to compute, and the seed."""

    panel = "Computing"

    device: Device = "auto"
    seed: Seed = 0


@dataclass(frozen=True)
class MeasuringOptions(ComputeOptions):
    """The same for commands that evaluate networks, and in which numbers they do."""

    precision: Annotated[
        Precision | None,
        typer.Option(
            "--precision",
            help="In which numbers networks in float32 are evaluated; how many decisions that changes is counted on a "
            "sample. On a CPU tf32 is float32.  [float32]",
        ),
    ] = None


@dataclass(frozen=True)
class ResultOptions(Group):
    """Where the result goes."""

    panel = "Output"

    output: Output = None
    force: Force = False
    form: Form = None
    no_comment: Annotated[
        bool,
        typer.Option(
            "--no-comment",
            help="CSV without the comment above it, as pandas.read_csv(file) reads it: the provenance goes beside the "
            "file, to FILE.csv.meta.json.",
            show_default=False,
        ),
    ] = False

    @property
    def is_csv(self) -> bool:
        """Whether the result is written as CSV."""
        return self.form is Format.CSV or (self.output is not None and self.output.suffix == ".csv")


@dataclass(frozen=True)
class ExportOptions(Group):
    """What is written for the code that networks came from."""

    panel = "Output"

    export: Export = None


@dataclass(frozen=True)
class PictureOptions(ResultOptions):
    """Where the result and its picture go."""

    plot: Plot = None


@dataclass(frozen=True)
class LookOptions(Group):
    """How a picture is to look."""

    panel = "The picture"

    title: Annotated[str | None, typer.Option("--title", help="Title; '' for none.")] = None
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="A,B,...",
            help="Names in place of those of paths, networks, families or runs, in order.",
        ),
    ] = None
    ylim: Annotated[
        str | None, typer.Option("--ylim", metavar="LOW,HIGH", help="Limits of errors and losses.  [what is drawn]")
    ] = None
    width: Annotated[
        float | None,
        typer.Option(
            "--width", min=1.0, max=100.0, help="Width in inches, as of a column of text.  [4.2 for each panel]"
        ),
    ] = None
    dpi: Annotated[int, typer.Option("--dpi", min=10, max=2400, help="Dots per inch, of a PNG.")] = 150
    surface: Annotated[bool, typer.Option("--surface", help="Draw a plane as a surface, its contours below.")] = False

    def look(self, sources: Sequence[str]) -> Look:
        """Return how the picture of results with these names is to look.

        Raises:
            BadParameter: if limits are none.
        """
        from landscape_cli.figures.figure import Look

        limits = None if self.ylim is None else numbers(self.ylim, "--ylim")
        if limits is not None and (len(limits) != 2 or not limits[0] < limits[1]):
            raise typer.BadParameter(f"--ylim takes the lowest and the highest number, as in 0,0.5, not {self.ylim!r}")
        labels = [] if self.labels is None else self.labels.split(",")
        ylim = None if limits is None else (limits[0], limits[1])
        return Look(title=self.title, labels=labels, ylim=ylim, width=self.width, dpi=self.dpi, sources=sources)


@dataclass(frozen=True)
class TerminalOptions(Group):
    """What is said on standard error."""

    panel = "Output"

    quiet: Quiet = False
    progress: Annotated[
        ProgressStyle | None,
        typer.Option(
            "--progress",
            callback=choose_progress,
            help="How long work shows itself: by default a bar on a terminal, else lines (a minute apart, if it takes "
            "more than seconds).",
        ),
    ] = None
    debug: Debug = False


# of `distance` alone
EnsembleFlag = Annotated[
    bool,
    typer.Option(
        "--ensemble",
        help="Also measure the ensemble of all networks, or of each family with --pairs: its predictions, the mean of "
        "its weights, and which networks share a wedge.",
    ),
]
Same = Annotated[
    float,
    typer.Option(
        "--same", help="Networks share a wedge where the mean of their weights errs no more than they do, and this."
    ),
]
MeanBatchNorm = Annotated[
    Statistics,
    typer.Option(
        "--bn",
        help="Batch-norm statistics of a mean of weights: keep the mean of the networks', or recompute them over the "
        "training set.",
    ),
]


@dataclass(frozen=True)
class EnsembleOptions(Group):
    """What is measured of networks together."""

    panel = "Ensembles"

    ensemble: EnsembleFlag = False
    same: Same = 0.01
    bn: MeanBatchNorm = Statistics.KEEP
