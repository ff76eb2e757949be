"""The options that commands share; nothing here imports torch."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Algorithm(str, Enum):
    """The samplers."""

    SGD = "sgd"
    RSGD = "rsgd"
    ADV = "adv"
    SAM = "sam"
    SWA = "swa"
    ESGD = "esgd"


class Optimizer(str, Enum):
    """The optimisers."""

    SGD = "sgd"
    ADAM = "adam"


class Schedule(str, Enum):
    """How the learning rate falls."""

    COSINE = "cosine"
    CONSTANT = "constant"
    STEP = "step"


class GammaSchedule(str, Enum):
    """How the coupling of replicas grows."""

    EXP = "exp"
    LINEAR = "linear"


class Augment(str, Enum):
    """How images are changed at random while training."""

    OFF = "off"
    CROP = "crop"
    FLIP = "flip"
    BOTH = "crop+flip"


class Precision(str, Enum):
    """In which numbers training computes."""

    FLOAT32 = "float32"
    BF16 = "bf16"


class Kind(str, Enum):
    """The paths between two networks."""

    LINEAR = "linear"
    GEODESIC = "geodesic"
    SHORTEST = "shortest"


class Method(str, Enum):
    """The ways to match units."""

    COSINE = "cosine"
    WEIGHT = "weight"
    ACTIVATION = "activation"


class Pairing(str, Enum):
    """The ways to pair the networks of families."""

    ALL = "all"
    ZIP = "zip"
    CROSS = "cross"


class Statistics(str, Enum):
    """What becomes of batch-norm statistics when networks are moved."""

    KEEP = "keep"
    RECOMPUTE = "recompute"


class Metric(str, Enum):
    """The distances between two networks."""

    GEODESIC = "geodesic"
    RMS_ANGLE = "rms_angle"
    EUCLIDEAN = "euclidean"
    COSINE = "cosine"
    HAMMING = "hamming"
    HAMMING_FRACTION = "hamming_fraction"
    TRAIN_DISAGREEMENT = "train_disagreement"
    TEST_DISAGREEMENT = "test_disagreement"


class Task(str, Enum):
    """What is to be told from the labels of the data."""

    PARITY = "parity"


class Norm(str, Enum):
    """The normalisations of resnet20."""

    BATCH = "batch"
    LAYER = "layer"


class Nonlinearity(str, Enum):
    """The nonlinearities of the hidden manifold."""

    SIGN = "sign"
    TANH = "tanh"
    RELU = "relu"


Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:k]", help="Where to compute; auto prefers a GPU.")
]
LARGEST_SEED = (1 << 63) - 1
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of everything random in this command.")
]
UnusedSeed = Annotated[
    int, typer.Option("--seed", min=0, help="Recorded with the result; this command draws nothing at random.")
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Result file, .json or .csv; without it, standard output."),
]
CheckpointOutput = Annotated[
    Path | None, typer.Option("-o", "--output", help="Checkpoint to write, .st or .safetensors.")
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
    typer.Option("--data", help="Measure on other data: hmm, mnist, fashion-mnist, cifar10, FILE.safetensors."),
]
DataTask = Annotated[
    Task | None,
    typer.Option("--task", help="With --data mnist or a file: parity, of the labels, in place of the labels."),
]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Where the data lies; by default where training found it.")
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
    typer.Option("--align", help="First align the second network of each pair to the first, as landscape align does."),
]
ALIGN_SAMPLES = 2000
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
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse operators without a symmetry rule, and parameters never used.")
]


# of `path` alone
Points = Annotated[int, typer.Option("--points", min=2, help="Points on the path, evenly spaced, ends included.")]
PathKind = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="Straight line, or geodesic between normalised networks; shortest: fewest flips of signs, between binary "
        "networks. By default linear, for binary networks shortest.",
    ),
]
Orders = Annotated[
    int,
    typer.Option("--orders", min=1, help="Binary networks: random orders of the flips, over which means are taken."),
]
OptimizeMidpoint = Annotated[
    bool,
    typer.Option("--optimize-midpoint", help="Train the middle of the path by SGD, and measure the path through it."),
]
MidpointEpochs = Annotated[
    int, typer.Option("--epochs", min=1, help="Midpoint: passes over the training set, at most.")
]
MidpointRate = Annotated[
    float | None,
    typer.Option("--lr", help="Midpoint: learning rate; a cosine anneals it to zero.  [default: 0.02; binary: 20]"),
]
MidpointMomentum = Annotated[float, typer.Option("--momentum", help="Midpoint: Nesterov momentum.")]
MidpointBatch = Annotated[int, typer.Option("--batch-size", min=1, help="Midpoint: samples in a mini-batch.")]
MidpointUntil = Annotated[
    float, typer.Option("--until-error", help="Midpoint: stop once the training error is this low.")
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
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{option} takes numbers separated by commas, not {text!r}") from None


def whole_numbers(text: str, option: str) -> list[int]:
    """Parse whole numbers separated by commas; an empty text is none of them.

    Raises:
        BadParameter: if one is no whole number.
    """
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise typer.BadParameter(f"{option} takes whole numbers separated by commas, not {text!r}") from None
