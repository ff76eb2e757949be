"""Flatness as local energy: how the error grows under multiplicative noise, or as signs are flipped.

See docs/method.md: Flatness.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn

from landscape_cli.arguments import check_whole
from landscape_cli.binary.layers import latent_names
from landscape_cli.errors import GeometryError, LandscapeWarning, listed
from landscape_cli.evaluation.evaluator import Evaluator, evaluator_of
from landscape_cli.evaluation.splits import Data
from landscape_cli.forward.combination import Combination, Part, combine
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.measures.effective import in_effect
from landscape_cli.measures.flips import ExactFlips, SignFlips
from landscape_cli.measures.items import count_compared, measure_items
from landscape_cli.measures.local_energy import EnergyFrame, LocalEnergy
from landscape_cli.measures.noise import MultiplicativeNoise
from landscape_cli.measures.perturbation import WeightPerturbation
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.sharing.share import ALONE
from landscape_cli.symmetry import Symmetry, trace_symmetry
from landscape_cli.symmetry.checks import check_symmetry


def local_energy(
    model: nn.Module | Evaluator,
    params: Params,
    data: Data | None = None,
    *,
    weights: Sequence[str] | None = None,
    symmetry: Symmetry | None = None,
    sigma: Sequence[float] = MultiplicativeNoise.default,
    samples: int = 20,
    seed: int = 0,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> LocalEnergy:
    """Measure δE(σ) = E_z[E(θ + σ z ⊙ θ)] - E(θ), z ~ N(0, 1) for each weight.

    The local energy of Pittorino et al. (2022); see docs/method.md: Flatness.

    Multiplicative noise commutes with rescaling units: the same seed gives the same result before and after
    normalising. A draw uses the same z for every σ, for every network of the same model, and under all names of a
    parameter that several modules share.

    Args:
        model: the architecture, put in evaluation mode; or an `Evaluator`, which has its data and device.
        params: the network, any floating-point dtype.
        data: what to measure on, with a model: a data set, a split, or several by name.
        weights: names of the tensors to perturb; by default the symmetry's.
        symmetry: of the model, which tells weights from biases and gains; by default it is derived.
        sigma: the strengths of the noise.
        samples: M, the number of draws.
        seed: of the draws; draw k is the same however many are asked for.
        device: where to compute, with a model.
        advance: called with the number of samples done, with a model.

    Returns:
        By split, in fractions of samples: E, in [0, 1], and δE in every draw, in [-1, 1], shape (strengths, draws),
        float64; NaN where outputs are.

    Raises:
        GeometryError: if a σ is negative or not finite, there is no draw, or the network is binary.
        ModelError: if the network does not fit the model.
        DataError: if there is no data, or it is malformed.
        TraceError: if there is no symmetry to tell weights from the rest.
    """
    evaluator = evaluator_of(model, data, device=device, advance=advance)
    check_networks(evaluator.model, {"the network": params})
    example = next(iter(evaluator.splits.values())).x
    if symmetry is not None:
        check_symmetry(symmetry, params)
    evaluator, [params], symmetry = in_effect(evaluator, [params], symmetry, example)
    if weights is None:
        if latent_names(evaluator.model):
            raise GeometryError("the network is binary, which noise on its weights makes no sense for: use flip_energy")
        weights = (symmetry or trace_symmetry(evaluator.model, example[:2].cpu())).weights
    noise = MultiplicativeNoise("sigma")
    return perturbed_energy(params, evaluator, noise, sigma, names=weights, samples=samples, seed=seed)


def flip_energy(
    model: nn.Module | Evaluator,
    params: Params,
    data: Data | None = None,
    *,
    latents: Sequence[str] | None = None,
    flip: Sequence[float] = SignFlips.default,
    exact: bool = False,
    samples: int = 20,
    seed: int = 0,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> LocalEnergy:
    """Measure δE(p) of a binary network: the mean growth of the error when every sign is flipped with probability p.

    The local energy of binary networks (Pittorino et al., 2022); see docs/method.md: Flatness.

    A draw is one uniform number for each weight, whose sign is flipped where that is less than p: the same for every
    network of the same model, and so that what a smaller p flips, a larger one does too.

    Args:
        model: the architecture, put in evaluation mode; or an `Evaluator`, which has its data and device.
        params: the network, any floating-point dtype.
        data: what to measure on, with a model: a data set, a split, or several by name.
        latents: names of the tensors of latent weights; by default all of the model's.
        flip: the probabilities.
        exact: flip this fraction of all signs in every draw, to the nearest whole number of them.
        samples: the number of draws.
        seed: of the draws; draw k is the same however many are asked for.
        device: where to compute, with a model.
        advance: called with the number of samples done, with a model.

    Returns:
        By split, in fractions of samples: E, in [0, 1], and δE in every draw, in [-1, 1], shape (probabilities, draws),
        float64; NaN where outputs are.

    Raises:
        GeometryError: if a probability is none, there is no draw, or the network is not binary.
        ModelError: if the network does not fit the model.
        DataError: if there is no data, or it is malformed.
    """
    evaluator = evaluator_of(model, data, device=device, advance=advance)
    check_networks(evaluator.model, {"the network": params})
    names = latent_names(evaluator.model) if latents is None else latents
    if not names:
        raise GeometryError("`flip=` is for binary networks, and this one is not: use local_energy")
    flips = ExactFlips("flip_exact") if exact else SignFlips("flip")
    return perturbed_energy(params, evaluator, flips, flip, names=names, samples=samples, seed=seed)


def perturbed_energy(
    params: Params,
    evaluator: Evaluator,
    kind: WeightPerturbation,
    strengths: Sequence[float],
    *,
    names: Sequence[str],
    samples: int = 20,
    seed: int = 0,
) -> LocalEnergy:
    """Measure the mean growth of the error when a network is perturbed.

    Args:
        params: the network.
        evaluator: measures the error on its splits.
        kind: of the perturbation.
        strengths: of it; each draw is the same for all of them.
        names: of the tensors to perturb.
        samples: the number of draws.
        seed: of the draws; draw k is the same however many are asked for.

    Raises:
        GeometryError: if a strength is none, there is no draw, or no such tensor.
    """
    perturbed = PerturbedNetworks(params, evaluator.model, kind, strengths, names=names, samples=samples, seed=seed)
    frame = EnergyFrame(kind.name, tuple(map(float, strengths)), samples, evaluator.facts)
    values = ALONE.collect(measure_items(evaluator, frame.group(), perturbed.at, params))
    count_compared(evaluator.arithmetic, values)
    return frame.energy(values)


class PerturbedNetworks:
    """A network, and then what it is perturbed to: draw by draw, each with all strengths."""

    def __init__(
        self,
        params: Params,
        model: nn.Module,
        kind: WeightPerturbation,
        strengths: Sequence[float],
        *,
        names: Sequence[str],
        samples: int,
        seed: int,
    ) -> None:
        """Check what is asked for, as `perturbed_energy` takes it.

        Raises:
            GeometryError: if a strength is none, there is no draw, or no such tensor.
        """
        kind.check(strengths)
        check_whole("samples", samples, GeometryError)
        if samples < 1:
            raise GeometryError(f"`samples=` must be at least 1 draw, not {samples}")
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise GeometryError(f"the tensors to perturb are a list of names, not {names!r}")
        unknown = [repr(name) for name in names if name not in params]
        if unknown:
            raise GeometryError(f"the network has no tensors {listed(unknown)} to perturb")
        owners = parameter_owners(model)
        self._params, self._kind, self._strengths, self._seed = params, kind, strengths, seed
        self._owners = {name: owners.get(name, name) for name in names}
        self._prepared = kind.prepare(params, names)
        self._drawn: tuple[int, Params, Params] | None = None

    def at(self, keys: Sequence[str]) -> Iterator[Params]:
        """Yield some of them by the keys that a frame's `group` gives them: first the network as it is."""
        for key in keys:
            draw, strength = divmod(int(key.rpartition("/")[2]) - 1, len(self._strengths))
            yield self._params if draw < 0 else self._perturbed(draw, self._strengths[strength])

    def _perturbed(self, draw: int, strength: float) -> Params:
        """Return the network with the tensors perturbed for which there are draws."""
        numbers, along = self._draw(draw)
        params, kind = self._prepared, self._kind
        network = dict(params)
        for name, of_tensor in numbers.items():
            network[name] = (
                combine(_parts(params, along, strength, name))
                if name in along
                else kind.perturb(params[name], of_tensor, strength)
            )
        shared = len(along) == len(numbers) and len(self._strengths) > 1
        return Combination(network, partial(_parts, params, along, strength)) if shared else network

    def _draw(self, k: int) -> tuple[Params, Params]:
        """Return a draw's random numbers for every weight, once for each owner, and the directions they lead in.

        Draw k is the same however many there are. The last is kept, as tensors that networks of it share.
        """
        if self._drawn is None or self._drawn[0] != k:
            params, owners = self._prepared, dict.fromkeys(self._owners.values())
            drawn = self._kind.draw_all({owner: self._params[owner] for owner in owners}, generator(self._seed, k))
            numbers = {name: drawn[owner].to(params[name].device) for name, owner in self._owners.items()}
            directions = {name: self._kind.direction(params[name], of_tensor) for name, of_tensor in numbers.items()}
            along = {name: direction for name, direction in directions.items() if direction is not None}
            self._drawn = k, numbers, along
        return self._drawn[1:]


def perturbed_names(model: nn.Module, symmetry: Symmetry | None, *, all_parameters: bool = False) -> tuple[str, ...]:
    """Return the names of the tensors to perturb: of binary networks the latent weights, of others the weights.

    Args:
        model: the architecture.
        symmetry: of a continuous one, which tells weights from the rest.
        all_parameters: perturb biases and gains as well.

    Warns:
        LandscapeWarning: naming parameters of several axes that are left as they are.
    """
    latents = latent_names(model)
    if latents:
        return latents
    if all_parameters:
        return tuple(name for name, _ in model.named_parameters())
    assert symmetry is not None
    if symmetry.tables:
        warnings.warn(
            f"without noise, as biases and gains are: {listed(symmetry.tables)} (`all_parameters=` perturbs them too)",
            LandscapeWarning,
            stacklevel=2,
        )
    return symmetry.weights


def warn_of_missing_draws(energy: LocalEnergy, path: str) -> None:
    """Say how many draws have no error, as outputs are NaN.

    Warns:
        LandscapeWarning: if there are any.
    """
    if energy.missing:
        total = next(iter(energy.draws.values())).numel()
        warnings.warn(
            f"{energy.missing} of {total} draws for {path} have no {energy.quantity.name}, so that their means are "
            "missing (null) too: outputs are NaN there",
            LandscapeWarning,
            stacklevel=2,
        )


def _parts(params: Params, along: Params, strength: float, name: str) -> list[Part]:
    """Return what a perturbed tensor is the sum of."""
    return [(params[name], 1.0), *([(along[name], float(strength))] if name in along else [])]
