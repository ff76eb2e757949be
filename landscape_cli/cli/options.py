"""The options that commands share; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.arguments import decimal_number, whole_number
from landscape_cli.choices import Format, InputType, Kind, Method, ObjectiveName, Pairing, Preprocess, Statistics, Task
from landscape_cli.cli.groups import Group

if TYPE_CHECKING:
    from landscape_cli.data.part import Part
    from landscape_cli.data.preprocessing import Preprocessing

Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:k]", help="Where to compute; auto prefers a GPU.")
]
FLAGS = {
    "form": "--format",
    "learning_rate": "--lr",
    "model_name": "--model",
    "subspace": "--subspace-dim",
    "basis": "--subspace-basis",
    "deviation": "--std",
}
"""Options that are not spelled as the parameters are."""
LARGEST_SEED = (1 << 63) - 1
LARGEST_COUNT = 10**7
"""Of networks that are evaluated, draws and the like: more is a slip."""
LARGEST_STACK = 10**5
"""Of networks that are trained as one, copies of data, and columns that are named."""
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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress or remarks on standard error.")]
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
PreprocessName = Annotated[
    Preprocess | None,
    typer.Option(
        "--preprocess",
        help="How networks see inputs: standardize (less the training set's mean of each channel, by its deviation), "
        "columns (the same of each column of a table), none, unit (bytes to [0, 1]), imagenet, or channels, by --mean "
        "and --std.  [default: as each network records it]",
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        "--mean", help="What is subtracted from each channel, of bytes scaled to [0, 1] first: 0.49,0.48,0.45."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Tables: standardise these columns alone, numbered from 0, as in 0,2-4; others, such as categories, stay "
        "as they are.",
    ),
]
Deviation = Annotated[str | None, typer.Option("--std", help="What each channel is divided by then: 0.25,0.24,0.26.")]
Fold = Annotated[
    bool,
    typer.Option(
        "--fold-preprocessing",
        help="Let networks that see inputs differently meet: the difference goes into their first layers.",
    ),
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
    bool, typer.Option("--strict", help="Refuse operators without a symmetry rule, and parameters never used.")
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
            "package.module:function, a loss of yours.  [default: the networks', or classification]",
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
class PreprocessingOptions(Group):
    """How networks see inputs."""

    panel = "Data"

    preprocess: PreprocessName = None
    mean: Mean = None
    std: Deviation = None
    columns: Columns = None

    def chosen(self) -> Preprocessing | None:
        """Return how networks are to see inputs; None if the user does not say.

        Raises:
            BadParameter: if options contradict each other, or numbers are none.
        """
        if (self.mean is None) != (self.std is None):
            raise typer.BadParameter("--mean and --std go together: give both")
        if self.mean is not None and self.columns is not None:
            raise typer.BadParameter("--columns takes its numbers from the training set: leave out --mean and --std")
        if self.mean is not None and self.preprocess not in {None, Preprocess.CHANNELS}:
            raise typer.BadParameter(f"--mean and --std say how: leave out --preprocess {self.preprocess.value}")
        if self.columns is not None and self.preprocess not in {None, Preprocess.COLUMNS}:
            raise typer.BadParameter(f"--columns is for --preprocess columns, not {self.preprocess.value}")
        if self.preprocess is None and self.mean is None and self.columns is None:
            return None
        from landscape_cli.data.preprocessing import Preprocessing

        if self.columns is not None:
            return Preprocessing.columns(ranges(self.columns, "--columns"))
        if self.mean is None or self.std is None:
            assert self.preprocess is not None
            return Preprocessing(self.preprocess)
        return Preprocessing.channels(numbers(self.mean, "--mean"), numbers(self.std, "--std"))


@dataclass(frozen=True)
class MeetingOptions(PreprocessingOptions):
    """How networks see inputs, and what becomes of those that meet others."""

    fold_preprocessing: Fold = False


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
class ResultOptions(Group):
    """Where the result goes."""

    panel = "Output"

    output: Output = None
    force: Force = False
    form: Form = None


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
class TerminalOptions(Group):
    """What is said on standard error."""

    panel = "Output"

    quiet: Quiet = False
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


# of `path` alone
Points = Annotated[
    int,
    typer.Option(
        "--points",
        min=2,
        max=LARGEST_COUNT,
        help="Points on the path, evenly spaced, ends included; of a connector on each edge [7].",
    ),
]
PathKind = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="Straight line, or geodesic between normalised networks; shortest: fewest flips of signs, between binary "
        "networks; connector: a low-loss set through all networks named. By default linear, for binary networks "
        "shortest.",
    ),
]
Orders = Annotated[
    int,
    typer.Option(
        "--orders",
        min=1,
        max=LARGEST_COUNT,
        help="Binary networks: random orders of the flips, over which means are taken.",
    ),
]
Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Networks without batch-norm: correct the mean and deviation of every hidden unit that a layer puts out "
        "between the two (none inside of attention), over the training set, to between theirs (REPAIR).",
    ),
]
OptimizeMidpoint = Annotated[
    bool,
    typer.Option("--optimize-midpoint", help="Train the middle of the path by SGD, and measure the path through it."),
]
MidpointEpochs = Annotated[
    int, typer.Option("--epochs", min=1, help="Midpoint or vertex: passes over the training set, at most.")
]
MidpointRate = Annotated[
    float | None,
    typer.Option(
        "--lr", help="Midpoint or vertex: learning rate; a cosine anneals it to zero.  [default: 0.02; binary: 20]"
    ),
]
MidpointMomentum = Annotated[float, typer.Option("--momentum", help="Midpoint or vertex: Nesterov momentum.")]
MidpointBatch = Annotated[int, typer.Option("--batch-size", min=1, help="Midpoint or vertex: samples in a mini-batch.")]
MidpointUntil = Annotated[
    float, typer.Option("--until-error", help="Midpoint or vertex: stop once the training error is this low.")
]
MidpointOut = Annotated[
    Path | None,
    typer.Option(
        "--midpoint-out",
        help="Checkpoint to write the midpoint to; with --pairs 'mid-{start}-{end}.st', of the stems of the files.",
    ),
]


def numbers(text: str, option: str) -> list[float]:
    """Parse numbers separated by commas.

    Raises:
        BadParameter: if one is no number.
    """
    try:
        return [decimal_number(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{option} takes numbers separated by commas, not {text!r}") from None


def whole_numbers(text: str, option: str) -> list[int]:
    """Parse whole numbers separated by commas; an empty text is none of them.

    Raises:
        BadParameter: if one is no whole number.
    """
    try:
        return [whole_number(part) for part in text.split(",")] if text else []
    except ValueError:
        raise typer.BadParameter(f"{option} takes whole numbers separated by commas, not {text!r}") from None


def ranges(text: str, option: str) -> list[int]:
    """Parse numbers from 0 and ranges of them, both ends included, separated by commas, as in 0,2-4.

    Raises:
        BadParameter: if a part is neither.
    """
    listed: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and first.isascii() and (not dash or (last.isdecimal() and last.isascii()))):
            raise typer.BadParameter(f"{option} takes numbers and ranges of them, as in 0,2-4, not {text!r}")
        low, high = (whole_numbers(end, option)[0] for end in (first, last or first))
        if not low <= high < LARGEST_STACK:
            raise typer.BadParameter(f"{option} takes ranges from a lower number to a higher one, not {part!r}")
        listed += range(low, high + 1)
    return listed


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


def flag(name: str) -> str:
    """Return an option as people type it."""
    return FLAGS.get(name, f"--{name.replace('_', '-')}")


def given(context: typer.Context, name: str) -> bool:
    """Tell whether the user gave an option, rather than leaving it at its default."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
