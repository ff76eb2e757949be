"""Whether all symmetries of a small network were found: what tracing says against what its outputs say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from landscape_cli.arguments import check_kind
from landscape_cli.binary.layers import latent_names
from landscape_cli.errors import GeometryError
from landscape_cli.network import Params
from landscape_cli.symmetry.checking.exchanges import ExchangeSearch
from landscape_cli.symmetry.checking.moves import Move, Moves, orbits
from landscape_cli.symmetry.checking.parts import found_parts, missed_parts
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.scales import ScaleSpace
from landscape_cli.symmetry.checking.signs import Basis, SignSearch
from landscape_cli.symmetry.checking.words import pair_in_words, places_in_words, powers_in_words
from landscape_cli.symmetry.checks import check_symmetry
from landscape_cli.symmetry.spec import Symmetry


@dataclass(frozen=True)
class Count:
    """How many symmetries of one kind were found, of how many there are.

    Attributes:
        kind: "scales", "signs", "groups" or "exchanges of parts".
        found: how many were found, and are.
        missed: how many are there and were not found.
        wrong: how many were found and are not.
        examples: those missed, in words: the tensors and axes that each ties.
    """

    kind: str
    found: int
    missed: int
    wrong: int
    examples: tuple[str, ...]

    @property
    def there(self) -> int:
        """How many there are."""
        return self.found + self.missed


@dataclass(frozen=True)
class Completeness:
    """What a numerical check says of a symmetry.

    Attributes:
        scales: independent scales: of units, of whole tensors, of all outputs.
        signs: independent flips of signs.
        groups: groups of units that trade places.
        parts: pairs of modules that trade places.
        undecided: exchanges that could neither be shown nor ruled out, in words; empty for those not looked at.
        blind: whether that is as outputs are NaN or Inf where numbers are equal, as of weights over their own spread.
        unseen: tensors that change outputs in steps alone, by what is nearest or largest: what was found of them was
            checked, and their signs, but other scales and exchanges were not looked for.
    """

    scales: Count
    signs: Count
    groups: Count
    parts: Count
    undecided: tuple[str, ...]
    blind: bool = False
    unseen: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[Count, ...]:
        """All counts, that of parts if there are any."""
        counts = self.groups, self.scales, self.signs
        return (*counts, self.parts) if self.parts.there or self.parts.wrong else counts

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missed, wrong or undecided."""
        return not self.undecided and not self.unseen and not any(count.missed or count.wrong for count in self.counts)


def check_completeness(
    model: nn.Module, params: Params, symmetry: Symmetry, *, generator: torch.Generator
) -> Completeness:
    """Compare a symmetry with what a model's outputs say, whatever its operators (docs/method.md: Completeness).

    Args:
        model: small, in any mode; it stays as it is.
        params: a network of it, whose numbers say how large random ones are to be.
        symmetry: what `trace_symmetry` found.
        generator: on the CPU; it is advanced.

    Returns:
        What was found of what is there.

    Raises:
        GeometryError: if the symmetry is of another network.
        ModelError: if the network is too large, fails, has no finite outputs, or makes gradients up.
    """
    check_symmetry(symmetry, params)
    check_kind("generator", generator, torch.Generator, "give one of torch", GeometryError)
    probe = Probe(model, params, symmetry, seed=generator)
    moves = Moves(probe, symmetry)
    random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    scales, idle, unseen = _scales(probe, moves, random, latent=bool(latent_names(model)))
    search = ExchangeSearch(probe, moves, random)
    wrong = int((~search.keep(search.found)).sum())
    exchanges = search.run(idle)
    groups = _grouped(probe, exchanges.missed)
    return Completeness(
        scales=scales,
        signs=_signs(probe, moves, idle & ~unseen, unseen),
        groups=Count("groups", len(symmetry.permutations), len(groups), wrong, tuple(groups)),
        parts=_parts(probe, moves, search),
        undecided=tuple(pair_in_words(probe, pair) for pair in exchanges.open),
        blind=exchanges.blind,
        unseen=tuple(
            name
            for name, (start, end) in zip(probe.names, pairwise(probe.starts), strict=True)
            if unseen[start:end].any()
        ),
    )


def _scales(
    probe: Probe, moves: Moves, random: np.random.Generator, *, latent: bool
) -> tuple[Count, NDArray[np.bool_], NDArray[np.bool_]]:
    """Count scales; also return which entries have no gradient, and which of these change outputs nevertheless.

    Latent weights have no scale: their signs alone count.
    """
    powers, none = moves.powers(), np.zeros(probe.size, dtype=bool)
    if latent:
        return Count("scales", len(powers), 0, 0, ()), none, none
    probe.check_gradients()
    scaled = {axis.axis.tensor for group in moves.symmetry.scales for axis in group.axes}
    space = ScaleSpace(probe, powers, random, probe.unlearned_but(scaled))
    kept = space.kept_by(powers)
    missed = space.beyond(powers[kept])
    examples = tuple(powers_in_words(probe, row) for row in missed)
    return (
        Count("scales", space.rank(powers[kept]), len(missed), int((~kept).sum()), examples),
        space.idle,
        space.unseen,
    )


def _parts(probe: Probe, moves: Moves, search: ExchangeSearch) -> Count:
    kept = search.keep(list(found_parts(moves)))
    missed = tuple(f"{first} and {second}" for first, second in missed_parts(probe, moves.symmetry, search))
    return Count("exchanges of parts", int(kept.sum()), len(missed), int((~kept).sum()), missed)


def _signs(probe: Probe, moves: Moves, idle: NDArray[np.bool_], unseen: NDArray[np.bool_]) -> Count:
    known = Basis()
    flipped = {axis.tensor for group in moves.symmetry.signs for axis in group.axes}
    search = SignSearch(probe, moves, idle | probe.unlearned_but(flipped), unseen)
    found = [bits for bits in moves.signs(search.idle) if bits and known.add(bits)]
    wrong = sum(not search.keeps(bits) for bits in found)
    missed = 0
    examples: list[str] = []
    for flips in search.flips():
        new = [bits for bits in flips if known.add(bits)]
        missed += len(new)
        examples += [places_in_words(probe, search.entries(bits)) for bits in new[:1]]
    return Count("signs", len(found) - wrong, missed, wrong, tuple(examples))


def _grouped(probe: Probe, missed: Sequence[Move]) -> list[str]:
    """Return each group of exchanges that move common entries, in words."""
    orbit = orbits(probe.size, list(missed))
    groups: dict[int, NDArray[np.bool_]] = {}
    for move in missed:
        moved = move != np.arange(probe.size)
        touched = set(orbit[moved].tolist())
        joined = [key for key, entries in groups.items() if touched & set(orbit[entries].tolist())]
        groups[len(groups) + len(missed)] = np.any([moved, *(groups.pop(key) for key in joined)], axis=0)
    return [places_in_words(probe, np.flatnonzero(entries)) for entries in groups.values()]
