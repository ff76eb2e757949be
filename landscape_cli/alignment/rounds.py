"""Rounds to the mean of the others, in which networks are matched as a set (docs/method.md: Align)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.activations import Correlations
from landscape_cli.alignment.align import Alignment, match_networks
from landscape_cli.alignment.cosines import mean_cosine
from landscape_cli.alignment.verified import correlate
from landscape_cli.choices import Method
from landscape_cli.errors import Remark
from landscape_cli.evaluation.equivalence import cast_like
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry, burn_in

RISE = 1e-9
"""By which share a new match to the mean of the others must be better than the one before."""


class SetMatcher:
    """Matches networks to references, and tells which of two matches is the better one."""

    def __init__(self, model: nn.Module, symmetry: Symmetry, *, method: str, inputs: Tensor | None, **setting: Any):
        self._model, self._symmetry, self._method, self._inputs = model, symmetry, method, inputs
        self._orders, self._seed, self._device = setting["orders"], setting["seed"], setting["device"]

    @property
    def sums_pairs(self) -> bool:
        """Whether what matches make large is, of a set, the sum over its pairs: by inner products it is."""
        return self._method == Method.WEIGHT

    def first(self, reference: Params, network: Params) -> Alignment:
        """Match a network."""
        return self._match(reference, network, self._correlations(reference, network))

    def better(self, mean: Params, network: Params, before: Alignment) -> Alignment:
        """Match a network again, to a mean; return the match that there was before if the new one is not better."""
        reference = cast_like(mean, network)
        correlations = self._correlations(reference, network)
        after = self._match(reference, network, correlations)
        exact = mean if self._method == Method.WEIGHT else reference
        values = [self._value(exact, alignment, correlations) for alignment in (before, after)]
        return after if values[1] > values[0] + RISE * abs(values[0]) else before

    def _correlations(self, reference: Params, network: Params) -> Correlations | None:
        if self._inputs is None:
            return None
        return correlate(
            self._model, reference, network, self._symmetry, self._inputs, device=self._device, advance=None
        )

    def _match(self, reference: Params, network: Params, correlations: Correlations | None) -> Alignment:
        setting = {"orders": self._orders, "seed": self._seed, "correlations": correlations}
        return match_networks(reference, network, self._symmetry, method=self._method, **setting)

    def _value(self, reference: Params, alignment: Alignment, correlations: Correlations | None) -> float:
        """Return what the method makes large, of a match."""
        aligned = burn_in(alignment.params, self._symmetry)
        if correlations is not None and correlations.units:
            of_group = correlations.units
            chosen = {name: permutation.cpu() for name, permutation in alignment.permutations.items()}
            return sum(float(of_group[name][torch.arange(len(chosen[name])), chosen[name]].sum()) for name in of_group)
        if self.sums_pairs:
            names = self._symmetry.parameters
            return sum(float((reference[name].double() * aligned[name].double()).sum()) for name in names)
        groups = self._symmetry.permutations
        cosines = mean_cosine(
            reference, aligned, {group.name: group.writers for group in groups}, self._symmetry.joined
        )
        return sum(group.units * cosines.get(group.name, 0.0) for group in groups)


@dataclass(frozen=True, eq=False)
class SetAlignment:
    """Networks whose units are permuted, and flipped where signs are free, to resemble each other.

    Attributes:
        alignments: of each network, how it came to be from the one given: similarities are with what it was matched to
            last, the first network or the mean of the others; of "cycle" with the first.
        rounds: how many rounds to the mean of the others were made.
        settled: whether the last of them changed nothing; False of no rounds.
        objective: of "cycle": the sum over all pairs of networks of their inner product, before the first round and
            after each; it never falls.
    """

    alignments: Sequence[Alignment] = field(repr=False)
    rounds: int
    settled: bool
    objective: tuple[float, ...] = ()

    @property
    def networks(self) -> list[Params]:
        """The networks, in their dtypes."""
        return [alignment.params for alignment in self.alignments]

    def to_dict(self) -> dict[str, Any]:
        """Return all but the tensors of the networks as JSON values."""
        return {
            "rounds": self.rounds,
            "settled": self.settled,
            **({"objective": list(self.objective)} if self.objective else {}),
            "networks": [alignment.to_dict() for alignment in self.alignments],
        }


def match_set(
    networks: Sequence[Params],
    symmetry: Symmetry,
    matcher: SetMatcher,
    rounds: int,
    advance: Callable[[int], None],
    *,
    watched: bool = False,
) -> SetAlignment:
    """Align networks as `align_set` does, each time anew from what was given, so that nothing is to be composed.

    Where it is `watched`, the sum of inner products is noted before the first round and after each.
    """
    objective: list[float] = []

    def total(alignments: Sequence[Alignment]) -> float:
        return inner_products([burn_in(each.params, symmetry) for each in alignments], symmetry.parameters)

    def note() -> None:
        if watched:
            objective.append(total(alignments))

    alignments = [_as_it_is(networks[0], symmetry, networks[0])]
    with warnings.catch_warnings():
        for network in networks[1:]:
            alignments.append(matcher.first(networks[0], network))
            warnings.simplefilter("ignore", Remark)  # the same of every two networks
            advance(1)
        if rounds and matcher.sums_pairs:  # good matches to the first are not always good ones to each other
            unmatched = [_as_it_is(network, symmetry, networks[0]) for network in networks]
            alignments = unmatched if total(unmatched) > total(alignments) else alignments
        note()
        for done in range(rounds):
            changed = False
            for k, network in enumerate(networks):
                others = [burn_in(alignment.params, symmetry) for j, alignment in enumerate(alignments) if j != k]
                alignment = matcher.better(_mean(others), network, alignments[k])
                changed |= alignment is not alignments[k]
                alignments[k] = alignment
                advance(1)
            note()
            if not changed:
                return SetAlignment(alignments, done + 1, True, tuple(objective))
    return SetAlignment(alignments, rounds, False, tuple(objective))


def _as_it_is(network: Params, symmetry: Symmetry, reference: Params) -> Alignment:
    writers = {group.name: group.writers for group in symmetry.permutations}
    similarity = dict.fromkeys(writers, 1.0)
    if network is not reference:
        similarity = mean_cosine(burn_in(reference, symmetry), burn_in(network, symmetry), writers, symmetry.joined)
    return Alignment(
        dict(network),
        {group.name: torch.arange(group.units) for group in symmetry.permutations},
        {group.name: torch.ones(group.size, dtype=torch.int64) for group in symmetry.signs},
        similarity=similarity,
        similarity_before=similarity,
    )


def _mean(networks: Sequence[Params]) -> dict[str, Tensor]:
    """Return the mean of networks in float64; what is no floating-point number is the first's.

    It is the straight one also of normalised networks: what it is multiplied by is the mean of what they are.
    """
    result: dict[str, Tensor] = {}
    for name, tensor in networks[0].items():
        if not tensor.is_floating_point():
            result[name] = tensor
            continue
        total = tensor.double()
        for network in networks[1:]:
            total = total + network[name].double()
        result[name] = total / len(networks)
    return result


def inner_products(networks: Sequence[Params], names: Sequence[str]) -> float:
    """Return the sum over all pairs of networks of the inner product of these tensors, in float64."""
    total = 0.0
    for name in names:
        tensors = [network[name].double() for network in networks]
        whole = torch.stack(tensors).sum(dim=0).square().sum()
        total += float(whole - sum(tensor.square().sum() for tensor in tensors)) / 2
    return total
