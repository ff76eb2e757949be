"""Which stream of randomness each part of training draws from, so that a seed means one thing everywhere."""

from __future__ import annotations

import torch

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.models import create_model
from landscape_cli.seeds import derive_seed, generator

INITIALISATION, ORDER, CORRUPTION, CORRUPTED_ORDER = range(4)


def initial_params(spec: ModelSpec, seed: int, replica: int) -> Params:
    """Return a new network for one replica of one seed."""
    return create_model(spec, seed=derive_seed(seed, INITIALISATION, replica)).state_dict()


def order_generator(seed: int, replica: int) -> torch.Generator:
    """Return the generator of the order in which one replica sees the training set."""
    return generator(seed, ORDER, replica)
