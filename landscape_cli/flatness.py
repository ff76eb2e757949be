"""Flatness as local energy: how the error grows under multiplicative noise (SPEC 7)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_cli.checkpoint import Params
from landscape_cli.evaluate import Evaluator
from landscape_cli.seeds import generator


@dataclass(frozen=True)
class LocalEnergy:
    """The local energy of one network, for several strengths of noise.

    Attributes:
        sigma: the strengths.
        error: E(θ), by split.
        draws: E(θ + σ z ⊙ θ) - E(θ) of every draw, by split, shape (strengths, draws), float64.
    """

    sigma: tuple[float, ...]
    error: dict[str, float]
    draws: dict[str, Tensor]

    def mean(self, split: str) -> Tensor:
        """Return δE(σ), shape (strengths,)."""
        return self.draws[split].mean(dim=1)

    def standard_error(self, split: str) -> Tensor:
        """Return the standard error of the mean over draws, shape (strengths,); NaN for a single draw."""
        draws = self.draws[split]
        count = draws.shape[1]
        if count == 1:
            return torch.full_like(draws[:, 0], math.nan)
        return draws.std(dim=1) / math.sqrt(count)


def local_energy(
    params: Params,
    evaluator: Evaluator,
    *,
    weights: Sequence[str],
    sigma: Sequence[float],
    samples: int = 20,
    seed: int = 0,
) -> LocalEnergy:
    """Measure δE(σ) = E_z[E(θ + σ z ⊙ θ)] - E(θ), z ~ N(0, 1) for each weight.

    Multiplicative noise commutes with rescaling units: the same seed gives the same result before and after
    normalising. A draw uses the same z for every σ, for every network of the same model, and under all names of a
    parameter that several modules share.

    Args:
        params: the network.
        evaluator: measures the error on its splits.
        weights: names of the tensors to perturb.
        sigma: the strengths of the noise.
        samples: M, the number of draws.
        seed: of the draws.
    """
    owners = _owners(evaluator.model)
    networks = (
        _perturbed(params, noise, strength)
        for noise in _noises(params, {name: owners.get(name, name) for name in weights}, samples, seed)
        for strength in sigma
    )
    scores = evaluator.evaluate(_with_first(params, networks))
    draws = {
        name: (score.error[1:] - score.error[0]).reshape(samples, len(sigma)).T.contiguous()
        for name, score in scores.items()
    }
    return LocalEnergy(tuple(sigma), {name: float(score.error[0]) for name, score in scores.items()}, draws)


def _with_first(first: Params, rest: Iterator[Params]) -> Iterator[Params]:
    yield first
    yield from rest


def _owners(model: nn.Module) -> dict[str, str]:
    """Return for every name of a parameter the first one it has."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(p), name) for name, p in model.named_parameters(remove_duplicate=False)}


def _noises(params: Params, owners: Mapping[str, str], samples: int, seed: int) -> Iterator[Params]:
    """Yield draws of z, one for each owner; draw k is the same however many are asked for."""
    for k in range(samples):
        source = generator(seed, k)
        drawn = {owner: torch.randn(params[owner].shape, generator=source) for owner in dict.fromkeys(owners.values())}
        yield {name: drawn[owner] for name, owner in owners.items()}


def _perturbed(params: Params, noise: Params, strength: float) -> Params:
    result = dict(params)
    for name, z in noise.items():
        tensor = params[name]
        result[name] = tensor + strength * z.to(tensor.device, tensor.dtype) * tensor
    return result
