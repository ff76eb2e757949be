"""Which stream of randomness each part of training draws from, so that a seed means one thing everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.models import create_model
from landscape_cli.seeds import derive_seed, generator

INITIALISATION, ORDER, CORRUPTION, CORRUPTED_ORDER, MODULES = range(5)


def initial_params(spec: ModelSpec, seed: int, replica: int) -> Params:
    """Return a new network for one replica of one seed."""
    return create_model(spec, seed=derive_seed(seed, INITIALISATION, replica)).state_dict()


def order_generator(seed: int, replica: int) -> torch.Generator:
    """Return the generator of the order in which one replica sees the training set."""
    return generator(seed, ORDER, replica)


@contextmanager
def module_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Give modules that draw at random while they train, as dropout does, a stream of their own."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, MODULES))
        yield
