"""RSGD: replicated SGD (Pittorino et al., 2021), which seeks flat minima (SPEC 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from landscape_cli.batch_norm import recompute_statistics
from landscape_cli.checkpoint import ModelSpec, Params
from landscape_cli.data import Split
from landscape_cli.errors import TrainingError
from landscape_cli.evaluate import Evaluator
from landscape_cli.samplers.loop import Coupling, Recipe, Watcher, fit
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import initial_params, order_generator

ROUNDING = 1e-12
"""Relative mean squared distance of replicas below which they are the same network."""


@dataclass(frozen=True)
class Replication:
    """How replicas are coupled.

    Attributes:
        replicas: y, how many.
        gamma: γ in the first epoch; None for the value that makes the coupling equal the training loss there.
        growth: the factor by which γ grows from the first epoch to the last.
    """

    replicas: int = 3
    gamma: float | None = None
    growth: float = 1e4

    def __post_init__(self) -> None:
        if self.replicas < 2:
            raise TrainingError("RSGD needs at least 2 replicas: for one, use --algo sgd")
        if self.gamma is not None and not (math.isfinite(self.gamma) and self.gamma >= 0):
            raise TrainingError(f"γ must not be negative, and is {self.gamma}")
        if not (math.isfinite(self.growth) and self.growth > 0):
            raise TrainingError(f"γ's growth must be positive, and is {self.growth}")


def train_rsgd(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    replication: Replication,
    *,
    seed: int,
    device: torch.device,
    initial: Sequence[Params] | None = None,
    watcher: Watcher | None = None,
) -> Params:
    """Return the centre of replicas that are pulled together ever more strongly while they train.

    Its batch-norm statistics are computed anew over the training set: those of the replicas belong to other weights.

    Args:
        spec: the model.
        data: the training set.
        recipe: the learning rate is that of one network: it is multiplied by the number of replicas here,
            because each replica's loss carries the inverse.
        replication: the coupling.
        seed: of the replicas' initialisations and mini-batches.
        device: where to train.
        initial: the replicas to start from, instead of new ones.
        watcher: whom to tell.

    Raises:
        TrainingError: if training diverges, or the replicas start as one and γ is to be found from their distance.
        ModelError: if `initial` does not fit the model.
    """
    count = replication.replicas
    stack = Stack(spec, initial or [initial_params(spec, seed, replica) for replica in range(count)], device)
    data = data.to(device)
    gamma = replication.gamma
    if gamma is None:
        gamma = balanced_gamma(stack, data)
    last = max(1, recipe.epochs - 1)
    coupling = Coupling([gamma * replication.growth ** (epoch / last) for epoch in range(recipe.epochs)])
    generators = [order_generator(seed, replica) for replica in range(count)]
    fit(stack, data, recipe, generators=generators, coupling=coupling, rate_factor=count, watcher=watcher)
    return recompute_statistics(stack.networks[0], stack.centre(), data.x)


def balanced_gamma(stack: Stack, data: Split) -> float:
    """Return the γ for which the coupling equals the replicas' mean training loss.

    Batch-norm layers normalise with the statistics of the training set, as they do while training: new networks'
    running statistics are of no data yet.

    Raises:
        TrainingError: if the replicas do not differ.
    """
    spread = stack.spread()
    if spread <= ROUNDING * float(stack.weights.square().sum(1).mean()):
        raise TrainingError("all replicas start from the same network, so γ cannot be found: pass --gamma-init")
    evaluator = Evaluator(stack.networks[0], data, device=stack.weights.device, recompute_on="data")
    scores = evaluator.evaluate([stack.params(k) for k in range(len(stack.networks))])
    return float(scores["data"].loss.mean()) / spread
