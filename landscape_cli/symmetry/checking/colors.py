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

from landscape_cli.symmetry.checking.probe import Probe, Vector
from landscape_cli.symmetry.tracing.integers import Hash, mix

TOLERANCE = 1e-8
ROUNDS = 40
DRAWS = 6
"""How often numbers are drawn for the same colors, at most, until outputs are finite."""
NUDGE = 1e-8
"""By how much numbers are moved, relative to them, to see whether gradients jump."""
NUDGES = 6
"""How many times, each in another way."""
JUMP = 1e-4
"""What gradients change by that, relative to the largest, if they jump."""
QUIET = 2
"""After how many rounds that tell nothing apart none will."""


class Colors:
    """Refines colourings of a model's entries: whole numbers of 64 bits each, the same for the same history.

    Attributes:
        blind: whether outputs were NaN or Inf at some coloring, whatever numbers its colors had: it is not refined.
    """

    def __init__(self, probe: Probe, random: np.random.Generator) -> None:
        """Draw the combination of outputs whose gradient is compared: one tells what any would."""
        self._probe = probe
        self._round = 0
        self.blind = False
        self._cotangents = torch.from_numpy(random.standard_normal((1, probe.outputs_count)))
        self._tensor = np.repeat(np.arange(len(probe.names)), np.diff(probe.starts))

    def plain(self) -> Hash:
        """Return one colour for each tensor."""
        colors: Hash = mix(mix(self._tensor.astype(np.uint64)))
        return colors

    def mark(self, colors: Hash, entries: NDArray[np.int64], number: int = 0) -> Hash:
        """Return a colouring in which these entries are told from others of their colours, and of other numbers."""
        marked: Hash = colors.copy()
        marked[entries] = mix(marked[entries] + np.uint64(1 + number))
        return marked

    def refine(self, colorings: Sequence[Hash], *, alike: bool = False) -> list[Hash]:
        """Return the coarsest refinements that gradients do not refine further, comparable between the colourings.

        Args:
            colorings: which to refine.
            alike: whether to go on only with those that have the colors of the first equally often; what tells one
                from the first ends its refinement.
        """
        colors = list(colorings)
        going = list(range(len(colors)))
        idle = 0
        for _ in range(ROUNDS):
            finer = self._step([colors[k] for k in going], together=alike)
            same = all(count_of(colors[k]) == count_of(new) for k, new in zip(going, finer, strict=True))
            idle = idle + 1 if same else 0
            if idle == QUIET:
                break
            for k, new in zip(going, finer, strict=True):
                colors[k] = new
            if alike:
                going = [0, *(k for k in going[1:] if are_alike(colors[0], colors[k]))]
                if len(going) == 1 < len(colors):
                    break
        return colors

    def has_ties(self) -> bool:
        """Tell whether gradients jump where all numbers of each tensor are equal, as where the largest are chosen."""
        numbers = np.abs(self._probe.scaled(self._numbers(self.plain(), np.uint64(1))))
        nudges = 1 + NUDGE * np.cos(np.outer(np.arange(NUDGES) + 1, np.arange(1, self._probe.size + 1)))
        _, gradients = self._probe.gradients_of(np.vstack([numbers, numbers * nudges]), self._cotangents)
        still, *moved = gradients[:, 0]
        return not bool(np.abs(np.array(moved) - still).max() <= JUMP * np.abs(still).max())

    @staticmethod
    def _numbers(colors: Hash, salt: np.uint64) -> Vector:
        """Return a standard normal number for each entry, the same for those of one color."""
        uniform = ((mix(colors ^ mix(np.full(1, salt))) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
        normal: Vector = ndtri(uniform)
        return normal

    def _step(self, colors: Sequence[Hash], *, together: bool) -> list[Hash]:
        """Tell entries of one colour apart by gradients, at numbers that are the same for the same colour.

        Where outputs of some are not finite, these stay as they are; all do that are refined together.
        """
        self._round += 1
        finite, signatures = np.zeros(len(colors), dtype=bool), np.zeros((len(colors), self._probe.size))
        for attempt in range(DRAWS):
            salt = np.uint64((self._round * DRAWS + attempt) * 2 + 1)
            are_finite, rows = self._gradients(np.stack(colors), salt)
            if are_finite.sum() > finite.sum():
                finite, signatures = are_finite, rows
            if finite.all():
                break
        if not finite.all():
            self.blind = True
            finite = finite & (not together)
        finer = _split(np.concatenate(colors), np.where(finite[:, None], signatures, 0).ravel())
        return np.split(finer, len(colors))

    def _gradients(self, colors: Hash, salt: np.uint64) -> tuple[NDArray[np.bool_], Vector]:
        """Return whether outputs are finite, and the gradient of a random combination, in units of what matters.

        A row for each coloring. Every other round all numbers are positive, so that units which are alike are not all
        dead.
        """
        vector = self._probe.scaled(self._numbers(colors, salt))
        if self._round % 2:
            vector = np.abs(vector)
        outputs, gradients = self._probe.gradients_of(vector, self._cotangents)
        rows = gradients[:, 0]
        finite = np.isfinite(np.concatenate([rows, outputs], axis=1)).all(axis=1)
        sizes = np.abs(np.where(finite[:, None], rows, 0)).max(axis=1, keepdims=True, initial=0)
        return finite, rows / np.where(sizes > 0, sizes, 1)


def count_of(colors: Hash) -> int:
    """Return how many colors there are."""
    return len(np.unique(colors))


def are_alike(one: Hash, other: Hash) -> bool:
    """Tell whether two colorings have the same colors equally often."""
    return np.array_equal(np.sort(one), np.sort(other))


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
