"""Binary networks by their signs: Hamming distances, random shortest paths, midpoints.

See docs/method.md: Geodesics and distances, Paths and barriers, Binary networks.

The latents that count are given as a mapping from the name of each tensor of them to the name that owns it: one that
several layers share is one tensor, counted and flipped once, under all its names (`binary.latent_owners`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from landscape_cli.binary.layers import binarize
from landscape_cli.errors import GeometryError, listed
from landscape_cli.geometry.barrier import as_fraction
from landscape_cli.geometry.linear import check_alike
from landscape_cli.network import Params
from landscape_cli.rng import generator

Latents = Mapping[str, str]

PATHS = 1000
"""The stream that the orders of flips are drawn from."""
FLIPS = 1002
"""The stream that flips at random are drawn from."""


@dataclass(frozen=True)
class Hamming:
    """How far apart two binary networks are.

    Attributes:
        flips: the Hamming distance: how many signs differ.
        weights: how many there are.
    """

    flips: int
    weights: int

    @property
    def fraction(self) -> float:
        """The fraction of the signs that differ."""
        return self.flips / self.weights

    @property
    def cosine(self) -> float:
        """The cosine between the vectors of signs."""
        return 1 - 2 * self.flips / self.weights


def hamming(a: Params, b: Params, latents: Latents) -> Hamming:
    """Return the Hamming distance between two networks.

    Raises:
        GeometryError: if they do not have the same tensors, or others of floating point than latents.
    """
    signs_a, signs_b = _signs(a, b, latents)
    return Hamming(int(torch.count_nonzero(signs_a != signs_b)), len(signs_a))


def planned_flips(distance: int, points: int) -> list[int]:
    """Return after how many flips each of so many points of a shortest path lies: τ times the distance, half up."""
    return [flips_at(Fraction(k, points - 1), distance) for k in range(points)]


def flips_at(tau: float | Fraction, distance: int) -> int:
    """Return after how many flips τ lies on a shortest path: τ times the distance, half up."""
    return math.floor(as_fraction(tau) * distance + Fraction(1, 2))


def random_path(
    start: Params, end: Params, latents: Latents, flips: Sequence[int], *, seed: int, order: int
) -> Iterator[dict[str, Tensor]]:
    """Yield networks on a random shortest path, whose latents are their signs.

    The signs in which the ends differ flip one by one, in the order that they have in a random order of all weights:
    so that the draws do not depend on the ends, and one order is the same for every pair.

    Args:
        start: the network at no flips.
        end: that at as many as the Hamming distance.
        latents: names of the latents, and their owners.
        flips: after how many flips there is a point, in ascending order.
        seed: of all orders.
        order: which of them.

    Raises:
        GeometryError: if the networks do not have the same tensors, or others of floating point than latents.
    """
    signs, target, differing = _differing(start, end, latents, seed, order)
    done = 0
    for count in flips:
        now = differing[done:count]
        signs = signs.clone()  # those yielded before stay as they are
        signs[now] = target[now]
        done = count
        yield _with(start, latents, signs)


def midpoint(start: Params, end: Params, latents: Latents, *, seed: int, order: int = 0) -> dict[str, Tensor]:
    """Return a network at equal Hamming distance from two (to one, where theirs is odd), to train on.

    Its signs are those half-way on a random shortest path. Where the ends differ, its latent is that of the end whose
    sign it has; where they agree, the mean of both, which has that sign too.

    Args:
        start: one network.
        end: the other.
        latents: names of the latents, and their owners.
        seed: of all orders.
        order: which of them.

    Raises:
        GeometryError: if the networks do not have the same tensors, or others of floating point than latents.
    """
    signs, target, differing = _differing(start, end, latents, seed, order)
    u, v = _flat(start, latents), _flat(end, latents)
    mixed = torch.where(signs == target, ((u.double() + v.double()) / 2).to(u.dtype), u)
    flipped = differing[: planned_flips(len(differing), 3)[1]]
    mixed[flipped] = v[flipped]
    return _with(start, latents, mixed)


def flip_at_random(params: Params, latents: Latents, flips: int, *, seed: int, number: int = 0) -> dict[str, Tensor]:
    """Return a network at a Hamming distance in a random direction: so many latents, drawn among all, negated.

    Args:
        params: the network.
        latents: names of the latents, and their owners.
        flips: the distance.
        seed: of all draws.
        number: which of them.

    Raises:
        GeometryError: if it has tensors of floating point other than latents.
    """
    _signs(params, params, latents)
    flat = _flat(params, latents)
    chosen = torch.randperm(len(flat), generator=generator(seed, FLIPS, number))[:flips].to(flat.device)
    # Zero counts as +, and so has no negative: the largest number below it stands for -.
    negative = torch.where(flat == 0, -torch.finfo(flat.dtype).tiny, -flat)
    return _with(params, latents, flat.index_copy(0, chosen, negative[chosen]))


def _signs(a: Params, b: Params, latents: Latents) -> tuple[Tensor, Tensor]:
    """Return the signs of two networks, each in a row, having checked that there is nothing else to them."""
    check_alike(a, b)
    signless = [name for name, tensor in a.items() if tensor.is_floating_point() and name not in latents]
    if signless:
        raise GeometryError(
            f"besides latent weights the networks have {listed(map(repr, signless))}, which have no signs to flip: "
            "Hamming distances and shortest paths are for networks of binary weights alone"
        )
    return binarize(_flat(a, latents)), binarize(_flat(b, latents))


def _owners(latents: Latents) -> list[str]:
    return list(dict.fromkeys(latents.values()))


def _flat(params: Params, latents: Latents) -> Tensor:
    return torch.cat([params[name].flatten() for name in _owners(latents)])


def _differing(a: Params, b: Params, latents: Latents, seed: int, order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the signs of two networks, and the indices where they differ, as they come in a random order of all."""
    signs, target = _signs(a, b, latents)
    drawn = torch.randperm(len(signs), generator=generator(seed, PATHS, order)).to(signs.device)
    return signs, target, drawn[(signs != target)[drawn]]


def _with(params: Params, latents: Latents, flat: Tensor) -> dict[str, Tensor]:
    """Return a network with other latents, given in a row, of which they are views."""
    owners = _owners(latents)
    parts = flat.split([params[name].numel() for name in owners])
    views = {name: part.view(params[name].shape) for name, part in zip(owners, parts, strict=True)}
    return dict(params) | {name: views[owner] for name, owner in latents.items()}
