"""Every choice that has names: the one list of each, in which the library and the command line look them up."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from typing import Any


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
        module, _, attribute = self.home.partition(":")
        return getattr(import_module(module), attribute)


class Format(Choice):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Algorithm(Choice):
    """The samplers, each with the class of its settings: all that the rest knows of one, it reads there."""

    SGD = "sgd", "landscape_cli.samplers.sgd:SGD"
    RSGD = "rsgd", "landscape_cli.samplers.rsgd:RSGD"
    ADV = "adv", "landscape_cli.samplers.adversarial:Adversarial"
    SAM = "sam", "landscape_cli.samplers.sam:SAM"
    SWA = "swa", "landscape_cli.samplers.swa:SWA"
    ESGD = "esgd", "landscape_cli.samplers.entropy_sgd:EntropySGD"


class Optimizer(Choice):
    """The optimisers."""

    SGD = "sgd"
    ADAM = "adam"


class Schedule(Choice):
    """How the learning rate falls."""

    COSINE = "cosine"
    CONSTANT = "constant"
    STEP = "step"


class GammaSchedule(Choice):
    """How the coupling of replicas grows."""

    EXP = "exp"
    LINEAR = "linear"


class Augment(Choice):
    """How images are changed at random while training."""

    OFF = "off"
    CROP = "crop"
    FLIP = "flip"
    BOTH = "crop+flip"


class Precision(Choice):
    """In which numbers training computes."""

    FLOAT32 = "float32"
    BF16 = "bf16"


class Kind(Choice):
    """The paths between two networks."""

    LINEAR = "linear"
    GEODESIC = "geodesic"
    SHORTEST = "shortest"


class Method(Choice):
    """The ways to match units."""

    COSINE = "cosine"
    WEIGHT = "weight"
    ACTIVATION = "activation"


class Pairing(Choice):
    """The ways to pair the networks of families."""

    ALL = "all"
    ZIP = "zip"
    CROSS = "cross"


class Statistics(Choice):
    """What becomes of batch-norm statistics when networks are moved."""

    KEEP = "keep"
    RECOMPUTE = "recompute"


class Metric(Choice):
    """The distances between two networks."""

    GEODESIC = "geodesic"
    RMS_ANGLE = "rms_angle"
    EUCLIDEAN = "euclidean"
    COSINE = "cosine"
    HAMMING = "hamming"
    HAMMING_FRACTION = "hamming_fraction"
    TRAIN_DISAGREEMENT = "train_disagreement"
    TEST_DISAGREEMENT = "test_disagreement"


class Task(Choice):
    """What is to be told from the labels of the data."""

    PARITY = "parity"


class Norm(Choice):
    """The normalisations of resnet20."""

    BATCH = "batch"
    LAYER = "layer"


class Nonlinearity(Choice):
    """The nonlinearities of the hidden manifold."""

    SIGN = "sign"
    TANH = "tanh"
    RELU = "relu"
