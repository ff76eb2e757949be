"""The samplers of solutions (SPEC 8), and the one training loop that they share."""

from landscape_cli.samplers.adversarial import Adversarial, train_adv
from landscape_cli.samplers.loop import EpochRecord, Recipe, Watcher
from landscape_cli.samplers.replicated import Replication, train_rsgd
from landscape_cli.samplers.sgd import train_sgd

__all__ = [
    "Adversarial",
    "EpochRecord",
    "Recipe",
    "Replication",
    "Watcher",
    "train_adv",
    "train_rsgd",
    "train_sgd",
]
