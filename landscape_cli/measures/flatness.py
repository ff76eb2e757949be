"""Flatness as local energy: how the error grows under multiplicative noise, or as signs are flipped (SPEC 7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_cli.binary.layers import without_zeros
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.network import Params
from landscape_cli.rng import generator


@dataclass(frozen=True)
class LocalEnergy:
    """The local energy of one network, for several strengths of noise.

    Attributes:
        strengths: σ of multiplicative noise, or the probabilities with which signs are flipped.
        error: E(θ), by split.
        draws: the growth of the error in every draw, by split, shape (strengths, draws), float64.
    """

    strengths: tuple[float, ...]
    error: dict[str, float]
    draws: dict[str, Tensor]

    def mean(self, split: str) -> Tensor:
        """Return δE, shape (strengths,)."""
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
    owners = parameter_owners(evaluator.model)
    networks = (
        _perturbed(params, noise, strength)
        for noise in _draws(params, {name: owners.get(name, name) for name in weights}, samples, seed, torch.randn)
        for strength in sigma
    )
    return _measured(params, networks, evaluator, sigma, samples)


def flip_energy(
    params: Params,
    evaluator: Evaluator,
    *,
    latents: Sequence[str],
    flip: Sequence[float],
    samples: int = 20,
    seed: int = 0,
) -> LocalEnergy:
    """Measure δE(p) of a binary network: the mean growth of the error when every sign is flipped with probability p.

    A draw is one uniform number for each weight, whose sign is flipped where that is less than p: the same for every
    network of the same model, and so that what a smaller p flips, a larger one does too.

    Args:
        params: the network.
        evaluator: measures the error on its splits.
        latents: names of the tensors of latent weights.
        flip: the probabilities.
        samples: the number of draws.
        seed: of the draws; draw k is the same however many are asked for.
    """
    owners = parameter_owners(evaluator.model)
    names = {name: owners.get(name, name) for name in latents}
    whole = without_zeros(params, latents)
    networks = (
        _flipped(whole, uniform, probability)
        for uniform in _draws(params, names, samples, seed, torch.rand)
        for probability in flip
    )
    return _measured(params, networks, evaluator, flip, samples)


def _measured(
    params: Params, networks: Iterator[Params], evaluator: Evaluator, strengths: Sequence[float], samples: int
) -> LocalEnergy:
    """Return by how much the errors of perturbed networks, draw by draw, exceed that of the one they are made of."""
    scores = evaluator.evaluate(_with_first(params, networks))
    draws = {
        name: (score.error[1:] - score.error[0]).reshape(samples, len(strengths)).T.contiguous()
        for name, score in scores.items()
    }
    return LocalEnergy(tuple(strengths), {name: float(score.error[0]) for name, score in scores.items()}, draws)


def _with_first(first: Params, rest: Iterator[Params]) -> Iterator[Params]:
    yield first
    yield from rest


def _draws(
    params: Params, owners: Mapping[str, str], samples: int, seed: int, draw: Callable[..., Tensor]
) -> Iterator[Params]:
    """Yield random numbers for every weight, once for each owner; draw k is the same however many are asked for."""
    for k in range(samples):
        source = generator(seed, k)
        drawn = {owner: draw(params[owner].shape, generator=source) for owner in dict.fromkeys(owners.values())}
        yield {name: drawn[owner] for name, owner in owners.items()}


def _perturbed(params: Params, noise: Params, strength: float) -> Params:
    result = dict(params)
    for name, z in noise.items():
        tensor = params[name]
        result[name] = tensor + strength * z.to(tensor.device, tensor.dtype) * tensor
    return result


def _flipped(params: Params, uniform: Params, probability: float) -> Params:
    result = dict(params)
    for name, numbers in uniform.items():
        tensor = params[name]
        result[name] = torch.where(numbers.to(tensor.device) < probability, -tensor, tensor)
    return result
