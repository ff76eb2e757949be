"""Which stream of randomness each part of training draws from, so that a seed means one thing everywhere.

A draw depends on where training is and on nothing that went before, so that training can be taken up anywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.rng import derive_seed, generator

INITIALIZATION, ORDER, CORRUPTION, MODULES, AUGMENTATION, NOISE, SUBSPACE, POINTS = range(8)


def initial_params(spec: ModelSpec, seed: int, replica: int = 0) -> Params:
    """Return a new network for one replica of one seed."""
    return create_model(spec, seed=derive_seed(seed, INITIALIZATION, replica)).state_dict()


def epoch_order(samples: int, seed: int, replica: int = 0, phase: int = 0, epoch: int = 0) -> Tensor:
    """Return the order in which one replica sees the training set in an epoch, shape (samples,), int64."""
    return torch.randperm(samples, generator=generator(seed, ORDER, replica, phase, epoch))
