"""A beginning for matches and signs that wait for each other: units matched by absolute values, whatever their signs.

Where signs of several axes meet in one tensor, units cannot be compared before the signs are known, nor these before
units are matched. Absolute values do without: of a network that is the other, permuted and flipped, they tell all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.network import Params


class _Absolute(Mapping[str, Tensor]):
    """A network's absolute values, made when they are asked for, each time anew."""

    def __init__(self, params: Params) -> None:
        self._params = params

    def __getitem__(self, name: str) -> Tensor:
        return self._params[name].abs()

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


def match_unsigned(similarity: Similarity) -> UnitMatching:
    """Return a matching of units by absolute values, their signs chosen then, and where a descent from it ends."""
    table = similarity.axis_table
    unsigned = AxisTable(replace(table.symmetry, signs=()))
    reference, params = _Absolute(similarity.reference), _Absolute(similarity.params)
    by_size = Descent(Similarity(reference, params, unsigned, {}, similarity.kind), UnitMatching(unsigned))
    by_size.settle()
    by_size.sweep()
    matching = UnitMatching(table)
    matching.pair(by_size.matching.pairs)
    descent = Descent(similarity, matching)
    descent.settled_are([group.name for group in table.symmetry.permutations])
    descent.settle()
    descent.sweep()
    return matching
