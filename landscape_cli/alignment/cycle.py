"""Matches that are consistent around every cycle, seen from one of the networks (docs/method.md: Align)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.align import Alignment
from landscape_cli.alignment.cosines import mean_cosine
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.rounds import SetAlignment, SetMatcher, match_set
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry, burn_in, flip, permute

MOST_ROUNDS = 100
"""A round that changes nothing ends them: of independent networks, that takes 2 to 10."""
STARTS = 4
"""Of how many networks, at most, each is once the one that all are matched to at the beginning."""


def match_cycle(
    networks: Sequence[Params], symmetry: Symmetry, matcher: SetMatcher, rounds: int, advance: Callable[[int], None]
) -> SetAlignment:
    """Match networks as a set by rounds until one changes nothing, from several beginnings; return the best match.

    Best is the largest sum over all pairs of their inner product; the first network stays as it is.

    Args:
        networks: two or more.
        symmetry: of all of them.
        matcher: by "weight".
        rounds: at most.
        advance: called with 1 for every match of two networks.
    """
    best: SetAlignment | None = None
    for k in range(min(len(networks), STARTS)):
        turned = match_set([*networks[k:], *networks[:k]], symmetry, matcher, rounds, advance, watched=True)
        if best is None or turned.objective[-1] > best.objective[-1]:
            back = len(networks) - k
            best = replace(turned, alignments=[*turned.alignments[back:], *turned.alignments[:back]])
    assert best is not None
    return replace(best, alignments=seen_from_first(networks, best.alignments, symmetry))


def seen_from_first(networks: Sequence[Params], alignments: Sequence[Alignment], symmetry: Symmetry) -> list[Alignment]:
    """Return the same matches, all units in the first network's order and of its signs, so that it stays as it is.

    Where π_k and s_k match network k to an order that all have in common, its match to the first is π_1⁻¹ π_k, flipped
    by what π_1⁻¹ makes of s_1 s_k. So of any three networks the three matches compose to the identity.

    Args:
        networks: as they were given.
        alignments: what brought each to the common order.
        symmetry: of all of them.

    Returns:
        Of each network how it comes to resemble the first, and the mean cosines with that.
    """
    table = AxisTable(symmetry)
    own = [matching_of(alignment, table) for alignment in alignments]
    first = own[0]
    inverse = {name: np.argsort(pairs) for name, pairs in first.pairs.items()}
    writers = {group.name: group.writers for group in symmetry.permutations}
    result = []
    for network, matching in zip(networks, own, strict=True):
        matching.pair({name: pairs[inverse[name]] for name, pairs in matching.pairs.items()})
        signs = {
            name: moved * first.signs[name].long() if matching is not first else torch.ones_like(moved)
            for name, moved in matching.final_signs().items()
        }
        params = flip(permute(network, symmetry, matching.permutations), symmetry, _flipped(signs))
        seen = burn_in(networks[0], symmetry)
        after, before = (
            mean_cosine(seen, burn_in(each, symmetry), writers, symmetry.joined) for each in (params, network)
        )
        result.append(Alignment(params, matching.permutations, signs, after, before))
    return result


def matching_of(alignment: Alignment, table: AxisTable) -> UnitMatching:
    """Return the matching that gave an alignment: its signs are of the network's units in their own order."""
    matching = UnitMatching(table)
    permutations = {name: permutation.cpu().numpy() for name, permutation in alignment.permutations.items()}
    matching.pair(table.nesting.pairs(permutations))
    for group in table.symmetry.signs:
        signs = torch.ones(group.size)
        signs[matching.sign_sources(group)] = alignment.signs[group.name].float()
        matching.flip(group.name, signs)
    return matching


def _flipped(signs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: values for name, values in signs.items() if bool((values < 0).any())}
