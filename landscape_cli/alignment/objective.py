"""What a method of aligning makes large, of any labelling: no method may return less of it than it was given."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch

from landscape_cli.alignment.activations import Correlations
from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.similarity import Similarity

ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Objective:
    """The sum of the similarities of matched units, or of the correlations of those that have some.

    Attributes:
        similarity: of the networks.
        correlations: of their units, where these are matched by them.
    """

    similarity: Similarity
    correlations: Correlations | None = None

    def value(self, matching: UnitMatching) -> float:
        """Return the sum for a matching; groups that have correlations count by these alone."""
        if self.correlations is None:
            return self.similarity.total(matching)
        matched: Collection[str] = self.correlations.units
        rest = [group.name for group in matching.axis_table.symmetry.permutations if group.name not in matched]
        total = self.similarity.total(matching, rest)
        for name, correlations in self.correlations.units.items():
            pairs = torch.from_numpy(matching.pairs[name]).to(correlations.device)
            total += float(correlations[torch.arange(len(pairs)), pairs].sum(dtype=torch.float64))
        return total

    def better(self, matching: UnitMatching, other: UnitMatching) -> UnitMatching:
        """Return a matching, or another one if that has more by more than rounding."""
        value = self.value(matching)
        return other if self.value(other) > value + ROUNDING * abs(value) else matching

    def no_less(self, matching: UnitMatching) -> UnitMatching:
        """Return a matching, or a better one if the networks as they are resemble each other more than it says.

        That is where a descent from these ends: coordinate descent sees one group at a time, so that where it begins
        may be better than where it leads to from elsewhere.
        """
        start = UnitMatching(matching.axis_table)
        if self.value(matching) >= self.value(start):
            return matching
        descended = start.copy()
        units, signs = (self.correlations.units, self.correlations.signs) if self.correlations else ({}, {})
        Descent(self.similarity, descended, units, signs).sweep()
        return max(descended, start, key=self.value)
