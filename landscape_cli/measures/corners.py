"""What a plane goes through: three networks, or fewer and what stands in for the others (docs/method.md: Planes)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_tensors, check_whole
from landscape_cli.binary.layers import latent_names, latent_owners
from landscape_cli.choices import Third, check_choice
from landscape_cli.errors import GeometryError, LandscapeWarning
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.geometry.hamming import flip_at_random, hamming
from landscape_cli.geometry.plane import Plane, span_plane
from landscape_cli.geometry.random_direction import moved_along, random_direction
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models.fitting import check_networks
from landscape_cli.network import Params
from landscape_cli.symmetry import trace_symmetry

LETTERS = "abc"
WORDS = {Third.ORIGIN: "origin", Third.RANDOM: "random direction"}
RANDOM_SIGNS = "random signs"


@dataclass(frozen=True, eq=False)
class Corners:
    """What a plane goes through.

    Attributes:
        networks: the tensors of all three, on the device to compute on.
        names: of the three: their files, else a, b or c; of what stands in, what it is.
        third: what stands in, if anything does.
        given: how many of the three are networks; the others stand in.
    """

    networks: tuple[Params, ...] = field(repr=False)
    names: tuple[str, ...]
    third: Third | None = None
    given: int = len(LETTERS)


def check_third(given: int, third: Third | str | None, seed: int) -> None:
    """Check that so many networks, and what stands in for others, span a plane.

    Raises:
        GeometryError: if they do not, or the seed is no seed.
    """
    check_whole("seed", seed, GeometryError, least=0)
    if third is None:
        if given < len(LETTERS):
            raise GeometryError(
                f"a plane goes through three networks, and here {'is one' if given == 1 else 'are two'}: name "
                f"three, or let `third=` {' or '.join(choice.value for choice in Third)} stand in for the third"
            )
        return
    check_choice("`third=`", third, Third, GeometryError, joined=" or ")
    if given == len(LETTERS):
        raise GeometryError("`third=` stands in for the third network: name two")
    if given == 1 and third == Third.ORIGIN:
        raise GeometryError("one network and the origin span a line: name two networks, or `third=` random")


def find_corners(
    model: nn.Module,
    networks: Sequence[Params | Checkpoint],
    third: Third | str | None,
    *,
    example: Tensor,
    seed: int,
    device: torch.device,
) -> Corners:
    """Return what a plane goes through, what stands in for networks made.

    Args:
        model: the architecture.
        networks: one to three.
        third: what stands in for those that three lack.
        example: two inputs, whose values do not matter.
        seed: of what is random.
        device: where to compute.

    Raises:
        GeometryError: if they span no plane.
        ModelError: if a network does not fit the model.

    Warns:
        LandscapeWarning: if only some are normalised, or symmetries are not wholly known, from which units are told.
    """
    check_third(len(networks), third, seed)
    names = tuple(
        (network.path if isinstance(network, Checkpoint) else "") or letter
        for network, letter in zip(networks, LETTERS, strict=False)
    )
    tensors = [tensors_on(network, device) for network in networks]
    check_networks(model, dict(zip(names, tensors, strict=True)))
    checkpoints = [network for network in networks if isinstance(network, Checkpoint)]
    if len({network.normalized is None for network in checkpoints}) > 1:
        warnings.warn("some of the networks are normalised and some are not", LandscapeWarning, 2)
    if third is None:
        return Corners(tuple(tensors), names)
    third, lacking = Third(third), len(LETTERS) - len(networks)
    if latent_names(model):
        if third is Third.ORIGIN:
            raise GeometryError("binary networks have no origin, as their weights are signs: use `third=` random")
        made, word = _random_signs(model, tensors, lacking, seed), RANDOM_SIGNS
    elif third is Third.ORIGIN:
        made, word = [_origin(model, tensors[0])], WORDS[third]
    else:
        made, word = _random_directions(model, tensors[0], lacking, example, seed), WORDS[third]
    return Corners((*tensors, *made), (*names, *[word] * lacking), third, len(networks))


def tensors_on(network: Params | Checkpoint, device: torch.device | str) -> Params:
    """Return the tensors of a network, on a device."""
    params = network.params if isinstance(network, Checkpoint) else network
    check_tensors(params)
    return {name: tensor.to(device) for name, tensor in params.items()}


def span_corners(corners: Corners) -> Plane:
    """Return the plane through three networks, or what stands in for them.

    Raises:
        GeometryError: naming them, if the three lie on one line.
    """
    try:
        return span_plane(*corners.networks)
    except GeometryError as error:
        named = "" if corners.names == tuple(LETTERS) else f"{', '.join(corners.names)}: "
        raise GeometryError(f"{named}{error}") from error


def _origin(model: nn.Module, params: Params) -> Params:
    """Return the zero network: all that is learned is zero; running statistics stay."""
    return dict(params) | {name: torch.zeros_like(params[name]) for name in parameter_owners(model)}


def _random_directions(model: nn.Module, params: Params, count: int, example: Tensor, seed: int) -> list[Params]:
    symmetry = trace_symmetry(model, example)
    for note in symmetry.notes:
        warnings.warn(note, LandscapeWarning, 3)
    owners: Mapping[str, str] = parameter_owners(model)
    return [
        moved_along(params, random_direction(params, symmetry, owners, seed=seed, number=number))
        for number in range(count)
    ]


def _random_signs(model: nn.Module, networks: Sequence[Params], count: int, seed: int) -> list[Params]:
    """Return networks as far from the first as the second is; of one network alone, with half of its signs."""
    latents = latent_owners(model)
    distance = hamming(networks[0], networks[-1], latents)
    flips = distance.flips if len(networks) > 1 else distance.weights // 2
    return [flip_at_random(networks[0], latents, flips, seed=seed, number=number) for number in range(count)]
