"""Colour refinement by gradients: entries keep one colour as long as nothing that a model computes tells them apart.

A symmetry that maps a network to itself maps the gradient of its outputs to itself too. So if all entries of a colour
have the same number, and two of them have different gradients, no symmetry takes one to the other: they get different
colours, and so on to the end (1-WL, with the model in place of a graph's edges).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from landscape_cli.symmetry.checking.probe import DRAWS, Probe, Vector
from landscape_cli.symmetry.tracing.integers import Hash, mix

COMBINATIONS = 3
"""Of outputs, whose gradients are compared."""
TOLERANCE = 1e-8
ROUNDS = 40


class Colors:
    """Refines colourings of a model's entries: whole numbers of 64 bits each, the same for the same history.

    Attributes:
        blind: whether outputs were NaN or Inf at some coloring, whatever numbers its colors had: it is not refined.
    """

    def __init__(self, probe: Probe, random: np.random.Generator) -> None:
        """Draw the combinations of outputs whose gradients are compared."""
        self._probe = probe
        self._random = random
        self._round = 0
        self.blind = False
        drawn = random.standard_normal((COMBINATIONS, probe.outputs_count))
        self._cotangents = torch.from_numpy(drawn)
        self._tensor = np.repeat(np.arange(len(probe.names)), np.diff(probe.starts))

    def plain(self) -> Hash:
        """Return one colour for each tensor."""
        colors: Hash = mix(mix(self._tensor.astype(np.uint64)))
        return colors

    def mark(self, colors: Hash, entries: NDArray[np.int64]) -> Hash:
        """Return a colouring in which these entries are told from others of their colours."""
        marked: Hash = colors.copy()
        marked[entries] = mix(marked[entries] + np.uint64(1))
        return marked

    def refine(self, colorings: Sequence[Hash]) -> list[Hash]:
        """Return the coarsest refinements that gradients do not refine further, comparable between the colourings.

        Of several, what tells them apart ends it.
        """
        colors = list(colorings)
        idle = 0
        for _ in range(ROUNDS):
            finer = self._step(colors)
            if all(len(np.unique(a)) == len(np.unique(b)) for a, b in zip(colors, finer, strict=True)):
                idle += 1
                if idle == 2:
                    break
            else:
                idle = 0
            colors = finer
            first = np.sort(colors[0])
            if any(not np.array_equal(first, np.sort(coloring)) for coloring in colors[1:]):
                break
        return colors

    def _step(self, colors: Sequence[Hash]) -> list[Hash]:
        """Tell entries of one colour apart by gradients, at numbers that are the same for the same colour."""
        self._round += 1
        for attempt in range(DRAWS):
            salt = np.uint64((self._round * DRAWS + attempt) * 2 + 1)
            signatures = self._gradients(np.stack(colors), salt)
            if signatures is not None:
                break
        else:
            self.blind = True
            return list(colors)
        finer = _split(np.concatenate(colors), signatures.ravel())
        return np.split(finer, len(colors))

    def _gradients(self, colors: Hash, salt: np.uint64) -> Vector | None:
        """Return one number for each entry: a random combination of its gradients, in units of what matters; or None.

        A row for each coloring.

        Every other round all numbers are positive, so that units which are alike are not all dead.
        """
        uniform = ((mix(colors ^ mix(np.full(1, salt))) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
        normal = ndtri(uniform)
        vector = self._probe.scaled(normal)
        if self._round % 2:
            vector = np.abs(vector)
        outputs, rows = self._probe.gradients_of(vector, self._cotangents)
        if not (np.isfinite(rows).all() and np.isfinite(outputs).all()):
            return None
        sizes = np.abs(rows).max(axis=2, keepdims=True, initial=0)
        rows = rows / np.where(sizes > 0, sizes, 1)
        weights = ndtri((mix(np.arange(1, COMBINATIONS + 1, dtype=np.uint64)) >> np.uint64(11)) / 2.0**53 + 2.0**-54)
        combined: Vector = weights @ rows
        return combined


def _split(colors: Hash, numbers: Vector) -> Hash:
    """Return colours that also tell apart numbers more than rounding apart."""
    order = np.lexsort((numbers, colors))
    color, number = colors[order], numbers[order]
    new_color = np.concatenate([[True], color[1:] != color[:-1]])
    largest = np.maximum.reduceat(np.abs(number), np.flatnonzero(new_color))[np.cumsum(new_color) - 1]
    gap = np.concatenate([[0.0], np.diff(number)]) > TOLERANCE * np.maximum(largest, 1e-5)
    group = np.cumsum(new_color | gap)
    first = np.maximum.accumulate(np.where(new_color, group, 0))
    rank = (group - first).astype(np.uint64)
    finer = np.empty_like(colors)
    finer[order] = np.where(rank > 0, mix(color + mix(rank)), color)
    return finer
