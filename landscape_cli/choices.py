"""Every choice that has names: the one list of each, in which the library and the command line look them up."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from importlib import import_module
from typing import Any

from landscape_cli.errors import LandscapeError, shown


class Choice(str, Enum):
    """A name, and where what it names is defined, as `package.module:attribute`, if it has a module of its own."""

    home: str

    def __new__(cls, value: str, home: str = "") -> Choice:
        """Keep where it is defined beside the name."""
        choice = str.__new__(cls, value)
        choice._value_ = value
        choice.home = home
        return choice

    def load(self) -> Any:
        """Return what the name stands for."""
        return load(self.home)


def load(home: str) -> Any:
    """Return what is defined at `package.module:attribute`."""
    module, _, attribute = home.partition(":")
    return getattr(import_module(module), attribute)


def check_choice(
    what: str,
    value: object,
    choices: Iterable[str],
    error: type[LandscapeError],
    *,
    of: str = "",
    joined: str = ", ",
    more: str = "",
) -> None:
    """Check that a value is one of several names.

    Args:
        what: what is chosen.
        value: what should be one of the names.
        choices: the names, such as those of a `Choice`.
        error: what to raise.
        of: what the message says after the value.
        joined: what it has between the names.
        more: what it says after them.

    Raises:
        LandscapeError: an `error`, listing the names.
    """
    names = [str.__str__(name) for name in choices]
    if value not in names:
        raise error(f"unknown {what} {shown(repr(value))}{of}: choose {joined.join(names)}{more}")


class Format(Choice):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ProgressStyle(Choice):
    """How long work shows itself."""

    BAR = "bar"
    LINES = "lines"
    NONE = "none"


class Algorithm(Choice):
    """The samplers, each with the class of its settings: all that the rest knows of one, it reads there."""

    SGD = "sgd", "landscape_cli.samplers.sgd:SGD"
    RSGD = "rsgd", "landscape_cli.samplers.rsgd:RSGD"
    ADV = "adv", "landscape_cli.samplers.adversarial:Adversarial"
    SAM = "sam", "landscape_cli.samplers.sam:SAM"
    ASAM = "asam", "landscape_cli.samplers.asam:ASAM"
    SWA = "swa", "landscape_cli.samplers.swa:SWA"
    ESGD = "esgd", "landscape_cli.samplers.entropy_sgd:EntropySGD"
    SNAPSHOT = "snapshot", "landscape_cli.samplers.snapshot:SnapshotEnsemble"
    FGE = "fge", "landscape_cli.samplers.fge:FGE"


class Optimizer(Choice):
    """The optimisers."""

    SGD = "sgd"
    ADAM = "adam"


class Schedule(Choice):
    """How the learning rate falls."""

    COSINE = "cosine"
    CONSTANT = "constant"
    STEP = "step"


class Basis(Choice):
    """How the basis of a random subspace is drawn."""

    DISJOINT = "disjoint", "landscape_cli.samplers.bases:DisjointBasis"
    GAUSSIAN = "gaussian", "landscape_cli.samplers.bases:GaussianBasis"


class GammaSchedule(Choice):
    """How the coupling of replicas grows."""

    EXP = "exp"
    LINEAR = "linear"


class Zeroed(Choice):
    """What the adversarial initialisation makes zero in an image."""

    PIXELS = "pixels"
    ENTRIES = "entries"


class GammaEvery(Choice):
    """When it grows."""

    EPOCH = "epoch"
    STEP = "step"


class Augment(Choice):
    """How images are changed at random while training."""

    OFF = "off"
    CROP = "crop"
    FLIP = "flip"
    BOTH = "crop+flip"


class Precision(Choice):
    """In which numbers networks in float32 are computed; TF32 is float32 on a CPU."""

    FLOAT32 = "float32"
    TF32 = "tf32"
    BF16 = "bf16"


class Kind(Choice):
    """The paths between two networks; of those that suit a model, the first is the default."""

    LINEAR = "linear", "landscape_cli.geometry.linear:LinearPath"
    GEODESIC = "geodesic", "landscape_cli.geometry.geodesic:GeodesicPath"
    SHORTEST = "shortest", "landscape_cli.geometry.shortest:ShortestPath"
    CONNECTOR = "connector", "landscape_cli.measures.connector:connector"

    @property
    def is_path(self) -> bool:
        """Whether it leads from one network to another: a connector goes through any number of them."""
        return self is not Kind.CONNECTOR


class Shape(Choice):
    """The shapes of connectors."""

    COMPLEX = "complex"
    STAR = "star"


class Target(Choice):
    """What is trained of a connector: each vertex alone, or all vertices on points drawn between them."""

    VERTICES = "vertices"
    CONNECTOR = "connector"


class Geometry(Choice):
    """The simplices of a connector: flat, or on the spheres of normalised networks."""

    LINEAR = "linear"
    SPHERICAL = "spherical"


class Method(Choice):
    """The ways to match units."""

    COSINE = "cosine"
    WEIGHT = "weight"
    ACTIVATION = "activation"
    CYCLE = "cycle"
    LEARNED = "learned"


class Relaxation(Choice):
    """The ways to learn permutations by gradients."""

    SINKHORN = "sinkhorn", "landscape_cli.alignment.sinkhorn:SinkhornRelaxation"
    STRAIGHT_THROUGH = "straight-through", "landscape_cli.alignment.straight_through:StraightThrough"


class Pairing(Choice):
    """The ways to pair the networks of families."""

    ALL = "all"
    ZIP = "zip"
    CROSS = "cross"


class Statistics(Choice):
    """What becomes of batch-norm statistics when networks are moved."""

    KEEP = "keep"
    RECOMPUTE = "recompute"


class Third(Choice):
    """What stands in for the third network of a plane."""

    ORIGIN = "origin"
    RANDOM = "random"


class Metric(Choice):
    """The distances between two networks, in the order in which they are shown: in weights, then in predictions."""

    GEODESIC = "geodesic", "landscape_cli.geometry.distances:Geodesic"
    RMS_ANGLE = "rms_angle", "landscape_cli.geometry.distances:RmsAngle"
    EUCLIDEAN = "euclidean", "landscape_cli.geometry.distances:Euclidean"
    COSINE = "cosine", "landscape_cli.geometry.distances:Cosine"
    HAMMING = "hamming", "landscape_cli.geometry.distances:HammingDistance"
    HAMMING_FRACTION = "hamming_fraction", "landscape_cli.geometry.distances:HammingFraction"
    TRAIN_DISAGREEMENT = "train_disagreement", "landscape_cli.measures.disagreement:DisagreementOnTraining"
    TEST_DISAGREEMENT = "test_disagreement", "landscape_cli.measures.disagreement:DisagreementOnTest"
    TRAIN_NORMALISED_DISAGREEMENT = (
        "train_normalised_disagreement",
        "landscape_cli.measures.disagreement:NormalisedDisagreementOnTraining",
    )
    TEST_NORMALISED_DISAGREEMENT = (
        "test_normalised_disagreement",
        "landscape_cli.measures.disagreement:NormalisedDisagreementOnTest",
    )
    TRAIN_KL = "train_kl", "landscape_cli.measures.disagreement:DivergenceOnTraining"
    TEST_KL = "test_kl", "landscape_cli.measures.disagreement:DivergenceOnTest"


class FlatnessKind(Choice):
    """What flatness is taken to be, each with how the command measures it; the first is the default."""

    ENERGY = "energy", "landscape_cli.cli.flatness.energy:EnergyMeasurement"
    CURVATURE = "curvature", "landscape_cli.cli.flatness.curvature:CurvatureMeasurement"
    RADIAL = "radial", "landscape_cli.cli.flatness.radial:RadialMeasurement"


class HessianMetric(Choice):
    """In which coordinates curvature is measured: multiples of the weights, or the numbers in the file."""

    RELATIVE = "relative"
    EUCLIDEAN = "euclidean"


class Perturbation(Choice):
    """The ways to perturb a network, whose strengths are options of the measure of flatness by these names."""

    SIGMA = "sigma", "landscape_cli.measures.noise:MultiplicativeNoise"
    FLIP = "flip", "landscape_cli.measures.flips:SignFlips"
    FLIP_EXACT = "flip_exact", "landscape_cli.measures.flips:ExactFlips"


class Direction(Choice):
    """The directions in which networks are moved away from themselves; the file of a network is one too."""

    RANDOM = "random", "landscape_cli.measures.directions:RandomDirections"
    GRADIENT = "gradient", "landscape_cli.measures.directions:GradientDirections"
    RADIAL = "radial", "landscape_cli.measures.directions:Radius"


class LineDirection(Choice):
    """The directions of lines and planes through one network; the file of a network is one too."""

    RANDOM = "random", "landscape_cli.measures.line_directions:RandomDirection"
    GRADIENT = "gradient", "landscape_cli.measures.line_directions:GradientDirection"
    HESSIAN = "hessian", "landscape_cli.measures.line_directions:HessianDirection"
    PCA = "pca", "landscape_cli.measures.line_directions:PrincipalDirection"


class DirectionNorm(Choice):
    """How long such directions are: as the network, by unit or by layer, or as they are."""

    FILTER = "filter"
    LAYER = "layer"
    NONE = "none"


class DataName(Choice):
    """The data sets that have names; others are files."""

    HMM = "hmm", "landscape_cli.data.hidden_manifold:SOURCE"
    MNIST = "mnist", "landscape_cli.data.images:MNIST"
    FASHION_MNIST = "fashion-mnist", "landscape_cli.data.images:FASHION_MNIST"
    CIFAR10 = "cifar10", "landscape_cli.data.images:CIFAR10"
    WEDGES = "wedges", "landscape_cli.data.wedges:SOURCE"


class Preprocess(Choice):
    """What is done to inputs before a network sees them."""

    STANDARDIZE = "standardize"
    COLUMNS = "columns"
    NONE = "none"
    UNIT = "unit"
    IMAGENET = "imagenet"
    CHANNELS = "channels"


class Task(Choice):
    """What is to be told from the labels of the data."""

    PARITY = "parity", "landscape_cli.data.tasks:parity"


class InputType(Choice):
    """The types in which models take whole numbers."""

    INT64 = "int64"
    FLOAT32 = "float32"


class ObjectiveName(Choice):
    """The objectives that have names; others are functions of the user's."""

    CLASSIFICATION = "classification", "landscape_cli.forward.objectives:Classification"
    MULTILABEL = "multilabel", "landscape_cli.forward.objectives:Multilabel"
    REGRESSION = "regression", "landscape_cli.forward.objectives:Regression"
    DENSE = "dense", "landscape_cli.forward.objectives:Dense"


class Norm(Choice):
    """The normalisations of resnet20."""

    BATCH = "batch"
    LAYER = "layer"


class Nonlinearity(Choice):
    """The nonlinearities of the hidden manifold."""

    SIGN = "sign"
    TANH = "tanh"
    RELU = "relu"
