"""Permutations relaxed to doubly stochastic matrices, by the Sinkhorn operator (Peña et al., 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import FAINT, Array, assign
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.relaxation import PermutationRelaxation
from landscape_cli.alignment.signs import Gains
from landscape_cli.network import Params
from landscape_cli.symmetry import permute_softly

ROUNDS = 20
"""Of the Sinkhorn operator, as in Peña et al."""
START = 0.5
"""How much of each unit is itself at the start; the others share the rest alike."""


def sinkhorn(logits: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Return the matrices that rows and columns of exp(logits), normalised in turn, lead to (Sinkhorn, 1964).

    Args:
        logits: shape (..., units, units); those far below their row's largest count as FAINT below it.
        rounds: how often rows and then columns are normalised.

    Returns:
        Of the same shape, not negative; columns sum to 1, rows nearly so.
    """
    kernel = (logits - logits.detach().amax(dim=-1, keepdim=True)).clamp(min=FAINT).exp()
    # Factors of rows and columns, not the matrix, are what the rounds change: a hundredth of the work.
    columns = torch.ones_like(kernel[..., :1])
    rows = columns
    for _ in range(rounds):
        rows = 1 / (kernel @ columns)
        columns = 1 / (kernel.mT @ rows)
    return rows * kernel * columns.mT


class SinkhornRelaxation(PermutationRelaxation):
    """A matrix of logits for each block of units, of which the Sinkhorn operator makes a doubly stochastic one.

    The permutations are of the network as the start matches it, whose signs stay.
    """

    def __init__(
        self, reference: Params, network: Params, start: UnitMatching, gains: Gains, learning: Learning
    ) -> None:
        """Start near the identity of every group that has more than one unit to permute."""
        super().__init__(reference, network, start, gains, learning)
        self._matched = {name: start.apply(name, tensor) for name, tensor in network.items()}
        example = next(tensor for tensor in network.values() if tensor.is_floating_point())
        self._logits: dict[str, Tensor] = {}
        for group in start.axis_table.symmetry.permutations:
            if group.size > 1:
                on_diagonal = learning.temperature * math.log((group.size - 1) * START / (1 - START))
                logits = on_diagonal * torch.eye(group.size, dtype=example.dtype, device=example.device)
                self._logits[group.name] = logits.repeat(group.blocks, 1, 1).requires_grad_(True)

    def parameters(self) -> list[Tensor]:
        """Return the logits, shape (blocks, size, size) each."""
        return list(self._logits.values())

    def permuted(self) -> Params:
        """Return the network, each unit a mean of units."""
        matrices = {name: sinkhorn(logits / self.learning.temperature) for name, logits in self._logits.items()}
        return permute_softly(self._matched, self.start.axis_table.symmetry, matrices)

    def matching(self) -> UnitMatching:
        """Return the start, permuted by the assignments with the largest sums of logits."""
        nesting, matching = self.start.axis_table.nesting, self.start.copy()
        permutations: dict[str, Array] = {name: np.arange(len(pairs)) for name, pairs in self.start.pairs.items()}
        for name, logits in self._logits.items():
            blocks = [assign(block)[0] for block in logits.detach().cpu().numpy()]
            permutations[name] = np.concatenate([k * logits.shape[1] + block for k, block in enumerate(blocks)])
        pairs: Mapping[str, Array] = nesting.pairs(permutations)
        matching.pair({name: self.start.pairs[name][matched] for name, matched in pairs.items()})
        return matching
