"""The samplers of solutions (docs/method.md: Samplers), and the one training loop that they share.

The names below are loaded on first use, so that reading a sampler's settings does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape_cli.samplers.adversarial import Adversarial
    from landscape_cli.samplers.asam import ASAM
    from landscape_cli.samplers.entropy_sgd import EntropySGD
    from landscape_cli.samplers.fge import FGE
    from landscape_cli.samplers.recipe import Recipe
    from landscape_cli.samplers.records import EpochNetwork, EpochRecord, TrainingObserver, check_keep_epochs
    from landscape_cli.samplers.rsgd import RSGD
    from landscape_cli.samplers.sam import SAM
    from landscape_cli.samplers.sampler import Sampler
    from landscape_cli.samplers.sgd import SGD
    from landscape_cli.samplers.snapshot import SnapshotEnsemble
    from landscape_cli.samplers.state import TrainingState, last_epochs, records_of
    from landscape_cli.samplers.subspace import Displacement, ModelBasis, Subspace, subspace_basis
    from landscape_cli.samplers.swa import SWA
    from landscape_cli.samplers.training import Solution, train

_HOMES = {
    "ASAM": "asam",
    "Adversarial": "adversarial",
    "Displacement": "subspace",
    "EntropySGD": "entropy_sgd",
    "EpochNetwork": "records",
    "EpochRecord": "records",
    "FGE": "fge",
    "ModelBasis": "subspace",
    "RSGD": "rsgd",
    "Recipe": "recipe",
    "SAM": "sam",
    "SGD": "sgd",
    "SWA": "swa",
    "Sampler": "sampler",
    "SnapshotEnsemble": "snapshot",
    "Solution": "training",
    "Subspace": "subspace",
    "TrainingObserver": "records",
    "TrainingState": "state",
    "check_keep_epochs": "records",
    "last_epochs": "state",
    "records_of": "state",
    "subspace_basis": "subspace",
    "train": "training",
}

__all__ = [
    "ASAM",
    "FGE",
    "RSGD",
    "SAM",
    "SGD",
    "SWA",
    "Adversarial",
    "Displacement",
    "EntropySGD",
    "EpochNetwork",
    "EpochRecord",
    "ModelBasis",
    "Recipe",
    "Sampler",
    "SnapshotEnsemble",
    "Solution",
    "Subspace",
    "TrainingObserver",
    "TrainingState",
    "check_keep_epochs",
    "last_epochs",
    "records_of",
    "subspace_basis",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
