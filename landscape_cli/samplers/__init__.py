"""The samplers of solutions (SPEC 8), and the one training loop that they share."""

from landscape_cli.samplers.adversarial import Adversarial
from landscape_cli.samplers.flat import Averaging, LocalEntropy, Sharpness
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.records import EpochRecord, Watcher
from landscape_cli.samplers.replicated import Replication
from landscape_cli.samplers.state import State, records_of
from landscape_cli.samplers.train import Sampler, Solution, adv, esgd, rsgd, sam, sgd, swa, train

__all__ = [
    "Adversarial",
    "Averaging",
    "EpochRecord",
    "LocalEntropy",
    "Recipe",
    "Replication",
    "Sampler",
    "Sharpness",
    "Solution",
    "State",
    "Watcher",
    "adv",
    "esgd",
    "records_of",
    "rsgd",
    "sam",
    "sgd",
    "swa",
    "train",
]
