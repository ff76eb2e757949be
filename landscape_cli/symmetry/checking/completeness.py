"""Whether all symmetries of a small network were found: what tracing says against what its outputs say."""

from __future__ import annotations

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
from landscape_cli.symmetry.checking.grouping import is_made_of, missed_groups
from landscape_cli.symmetry.checking.moves import Moves
from landscape_cli.symmetry.checking.parts import found_parts, missed_parts
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.scales import ScaleSpace
from landscape_cli.symmetry.checking.signs import SignSearch
from landscape_cli.symmetry.checking.subsets import Basis
from landscape_cli.symmetry.checking.words import (
    more_in_words,
    move_in_words,
    pair_in_words,
    places_in_words,
    powers_in_words,
)
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
    exchanges = search.run(idle)
    return Completeness(
        scales=scales,
        signs=_signs(probe, moves, search, idle & ~unseen, unseen, random),
        groups=_groups(probe, search),
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


def _groups(probe: Probe, search: ExchangeSearch) -> Count:
    """Count groups: one that was found and is nothing but units of several others, taken for one, is none of them."""
    groups = missed_groups(probe.size, search.result.missed, search.generators)
    found = [moves for moves in search.found if not is_made_of(moves, groups, search.generators)]
    examples = tuple(more_in_words(move_in_words(probe, moves[0]), len(moves)) for moves in groups)
    return Count("groups", len(found), len(groups), search.wrong, examples)


def _parts(probe: Probe, moves: Moves, search: ExchangeSearch) -> Count:
    kept = search.keep(list(found_parts(moves)))
    missed = tuple(f"{first} and {second}" for first, second in missed_parts(probe, moves.symmetry, search))
    return Count("exchanges of parts", int(kept.sum()), len(missed), int((~kept).sum()), missed)


def _signs(
    probe: Probe,
    moves: Moves,
    exchanges: ExchangeSearch,
    idle: NDArray[np.bool_],
    unseen: NDArray[np.bool_],
    random: np.random.Generator,
) -> Count:
    known = Basis()
    axes = (axis for group in moves.symmetry.signs for axis in group.axes)
    flipped = {name for axis in axes for name in moves.symmetry.tensors_of(axis.tensor)}
    search = SignSearch(probe, moves, exchanges.generators, idle | probe.unlearned_but(flipped), unseen, random)
    found = [bits for bits in moves.signs(search.idle) if bits and known.add(bits)]
    wrong = len(found) - len(search.kept(found))
    missed = 0
    examples: list[str] = []
    for flips in search.flips():
        new = [bits for bits in flips if known.add(bits)]
        missed += len(new)
        examples += [more_in_words(places_in_words(probe, search.entries(bits)), len(new)) for bits in new[:1]]
    return Count("signs", len(found) - wrong, missed, wrong, tuple(examples))
