"""Permutations learned through latent weights, to which the network is matched in every step: straight through.

Git Re-Basin's third method (Ainsworth et al., 2022, algorithm 3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.relaxation import PermutationRelaxation
from landscape_cli.alignment.signs import Gains
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind
from landscape_cli.network import Params


class StraightThrough(PermutationRelaxation):
    """Latent weights, which start as the reference: the network is the match to them, their gradient the network's."""

    def __init__(
        self, reference: Params, network: Params, start: UnitMatching, gains: Gains, learning: Learning
    ) -> None:
        """Start at the reference."""
        super().__init__(reference, network, start, gains, learning)
        self._latent = dict(reference)
        for name in start.axis_table.symmetry.parameters:
            if reference[name].is_floating_point():
                self._latent[name] = reference[name].clone().requires_grad_(True)
        self._current = start.copy()

    def parameters(self) -> list[Tensor]:
        """Return the latent weights."""
        return [tensor for tensor in self._latent.values() if tensor.requires_grad]

    def permuted(self) -> Params:
        """Return the network matched to the latent weights."""
        matching = self.matching()
        result = {}
        for name, tensor in self.network.items():
            latent, matched = self._latent[name], matching.apply(name, tensor)
            result[name] = matched + (latent - latent.detach()) if latent.requires_grad else matched
        return result

    def matching(self) -> UnitMatching:
        """Return the matching with the largest inner product with the latent weights, descending from the last one."""
        with torch.no_grad():
            latent = {name: tensor.detach() for name, tensor in self._latent.items()}
            similarity = Similarity(latent, self.network, self.start.axis_table, self.gains, Kind.WEIGHT)
            Descent(similarity, self._current).sweep()
        return self._current.copy()
