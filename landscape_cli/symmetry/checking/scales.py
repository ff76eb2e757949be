"""The powers of entries that leave a model's outputs unchanged, from their gradients alone.

Multiplying entry e by `exp(t λ_e)` changes the outputs at the rate `Σ_e λ_e θ_e ∂f/∂θ_e`. The λ for which that is 0
whatever the numbers θ are a linear space, the null space of as many such rows as it takes: all scales there are,
whatever the model is made of. One more column lets all outputs grow by one factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from landscape_cli.errors import ModelError
from landscape_cli.symmetry.checking.agreement import CLOSE, agree
from landscape_cli.symmetry.checking.probe import ACTIVE, Probe, Vector
from landscape_cli.symmetry.checking.short import short_rows, span

COLUMNS = 1_500
"""The most powers that are told apart."""
SIZES = (1.0, 3.0, 0.5, 8.0)
"""Of the numbers of networks that are tried, so that what saturates is also seen saturated."""
BATCHES = 4
"""Of networks, at most, while they rule out more."""
NULL = 1e-11
"""Relative to the largest singular value."""
IDLE = 1e-11
"""Relative to the largest change: what an entry that does nothing changes."""
WILD = 1e6
"""Relative to the outputs: by more they do not change with the logarithm of a number, but where rounding is divided."""
WAYS = (0.7, 16.0, -16.0)
"""How far networks are moved along powers: by factors of up to ten million."""
TRIES = 12
"""The most networks that are moved along powers, until the outputs of some depend on all their entries."""


class ScaleSpace:
    """All powers of entries that leave outputs unchanged, or let all of them grow alike.

    Attributes:
        unseen: which entries change outputs in steps alone, as by what is nearest: gradients do not show what.
    """

    def __init__(
        self, probe: Probe, known: Vector, random: np.random.Generator, held: NDArray[np.bool_] | None = None
    ) -> None:
        """Narrow the space down until only the known powers are left, or it gets no smaller.

        Args:
            probe: the model.
            known: powers found otherwise, shape (n, entries + 1), the last of the outputs.
            random: where combinations of outputs are drawn from.
            held: which entries have no power.

        Raises:
            ModelError: if there are too many numbers.
        """
        self._probe, self._random = probe, random
        self._basis = _variables(probe)
        if held is not None:
            self._basis = self._basis[:, ~held[self._basis.argmax(axis=0)]]
        columns = self._basis.shape[1] + 1
        if columns > COLUMNS:
            raise ModelError(
                f"the network has {columns - 1:,} rows and columns of numbers, and one of at most {COLUMNS:,} can be "
                "checked for completeness: build the same model with smaller sizes"
            )
        self._rows = np.zeros((0, probe.size + 1))
        self._null = np.eye(columns)
        self._tries = 0
        self.unseen = np.zeros(probe.size, dtype=bool)
        for _ in range(BATCHES):
            before = len(self._null)
            self._narrow(columns + 20)
            if len(self._null) in (before, self.rank(known)):
                break
        self.unseen = probe.unseen(self.idle)

    @property
    def idle(self) -> NDArray[np.bool_]:
        """Which entries never change an output."""
        quiet: NDArray[np.bool_] = np.abs(self._rows[:, :-1]).max(axis=0, initial=0) <= IDLE
        return quiet

    def _narrow(self, count: int) -> None:
        """Leave the powers that suit so many more changes of outputs of random networks."""
        each = min(count, max(1, self._probe.outputs_count // 2))
        rows = [self._rows]
        for _ in range(max(len(SIZES), -(-count // each))):
            rows.append(self._changes(each, SIZES[self._tries % len(SIZES)]))
            self._tries += 1
        self._rows = np.concatenate(rows)
        jacobian = np.concatenate([self._rows[:, :-1] @ self._basis, self._rows[:, -1:]], axis=1)
        norms = np.linalg.norm(jacobian, axis=0)
        used = norms > IDLE * norms.max(initial=0)
        triangle = np.linalg.qr(jacobian[:, used] / norms[used], mode="r")
        _, singular, right = np.linalg.svd(triangle)
        null = right[int((singular > NULL * singular.max(initial=0)).sum()) :]
        self._null = np.zeros((len(null), len(norms)))
        self._null[:, used] = null / norms[used]

    def _changes(self, count: int, size: float) -> Vector:
        """Return how combinations of outputs of a random network change with the powers of entries, and with theirs."""
        vector = self._probe.draw(size)
        cotangents = torch.from_numpy(self._random.standard_normal((count, self._probe.outputs_count)))
        outputs, gradients = self._probe.gradients(vector, cotangents)
        rows = np.concatenate([gradients * vector, -(cotangents.numpy() @ outputs)[:, None]], axis=1)
        most = WILD * max(np.abs(outputs).max(initial=0), 1e-300)  # beyond it a rate is that of rounding
        rows = rows[(np.isfinite(rows) & (np.abs(rows) <= most)).all(axis=1)]
        relative: Vector = rows / max(np.abs(rows).max(initial=0), 1e-300)
        return relative

    def kept_by(self, powers: Vector) -> NDArray[np.bool_]:
        """Tell which rows of powers, shape (n, entries + 1), leave outputs unchanged, as rates tell, or else moves."""
        rows = self._busy(self._rows, self.idle)  # what idle entries have is rounding: those in steps are moved below
        rates = np.abs(rows @ powers.T).max(axis=0, initial=0)
        sizes = (np.abs(rows) @ np.abs(powers.T)).max(axis=0, initial=0)
        kept: NDArray[np.bool_] = rates <= CLOSE * np.maximum(sizes, IDLE)
        in_steps = (powers[:, :-1][:, self.unseen] != 0).any(axis=1)
        for k in np.flatnonzero(in_steps | ~kept):  # rates of large numbers that cancel may be rounding alone
            kept[k] = self._keeps(powers[k])
        return kept

    def _keeps(self, row: Vector) -> bool:
        """Tell whether networks moved along a row of powers, by a good deal, have the same outputs.

        So far, also, that a small ε shows beside what it is added to. Not if no network is found whose outputs depend
        on an entry that is moved, as of a unit that is off.
        """
        unseen, sizes = (row[:-1] != 0) & ~self.unseen, (1.0, 3.0, 0.1)
        for number in range(TRIES):
            vector = self._probe.draw(sizes[number % len(sizes)])
            before = self._probe.outputs(vector)
            if not self._same_along(row, vector, before):
                return False
            unseen &= ~self._probe.active(vector)
            if number + 1 >= len(sizes) and self.unseen.any():
                for entry, stepped in self._stepped(vector, before, unseen):
                    if not self._same_along(row, stepped, self._probe.outputs(stepped)):
                        return False
                    unseen[entry] = False
            if number + 1 >= len(sizes) and not unseen.any():
                return True
        return False

    def _same_along(self, row: Vector, vector: Vector, before: Vector) -> bool:
        """Tell whether a network moved along a row of powers, by a good deal, has the outputs that it had before."""
        ways = np.array(WAYS)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):  # what is no longer finite differs
            after = self._probe.outputs(vector * np.exp(ways * row[:-1])) * np.exp(-ways * row[-1])
        return bool(agree(after, before).all())

    def _stepped(self, vector: Vector, before: Vector, entries: NDArray[np.bool_]) -> Iterator[tuple[int, Vector]]:
        """Yield networks in each of which one of some entries is another number, where that changes outputs.

        So entries are seen whose gradients are nearly always 0, as of all weights but the largest that sets a step.
        """
        numbers, other = np.flatnonzero(entries), self._probe.draw()
        if len(numbers):
            moved = np.tile(vector, (len(numbers), 1))
            moved[np.arange(len(numbers)), numbers] = other[numbers]
            changes = np.abs(self._probe.outputs(moved) - before).max(axis=1)
            for k in np.flatnonzero(changes > ACTIVE * np.abs(before).max()):
                yield int(numbers[k]), moved[k]

    def beyond(self, known: Vector) -> Vector:
        """Return powers that leave outputs unchanged and are no combination of those known: rows of few entries."""
        full = self._busy(np.concatenate([self._null[:, :-1] @ self._basis.T, self._null[:, -1:]], axis=1), self.idle)
        numbers = np.diff(self._probe.starts)
        each = np.linspace(1, 0.99, len(numbers)) / np.maximum(numbers, 1)  # a tensor as much as another, but for ties
        costs = np.append(np.repeat(each, numbers), 1e-3)
        known = self._busy(known, self.idle)
        more = np.zeros((0, full.shape[1]))
        for row in short_rows(full, known, costs):  # rounded, as one that is all but outside, it may be a known one
            together = np.concatenate([known, more, row[None]])
            if len(span(together)) > len(span(together[:-1])) and self._keeps(row):
                more = np.concatenate([more, row[None]])
        return more

    def rank(self, powers: Vector) -> int:
        """Return how many different scales rows of powers amount to, entries that do nothing left out."""
        return len(span(self._busy(powers, self.idle & ~self.unseen)))

    @staticmethod
    def _busy(powers: Vector, idle: NDArray[np.bool_]) -> Vector:
        """Return powers without those of entries that do nothing."""
        return np.where(np.append(idle, False), 0.0, powers)


def _variables(probe: Probe) -> Vector:
    """Return powers of entries, a column each: of every single one, or, where these are too many, of whole slices."""
    if probe.size < COLUMNS:
        return np.eye(probe.size)
    columns: list[NDArray[np.int64]] = []
    for name, start in zip(probe.names, probe.starts, strict=False):
        shape = probe.shapes[name]
        numbers = start + np.arange(math.prod(shape)).reshape(shape)
        long = [dim for dim, size in enumerate(shape) if size > 1]
        for k, dim in enumerate(long):  # of all axes but one, one index less: their products would say the same
            columns += [numbers.take(index, axis=dim).ravel() for index in range(k > 0, shape[dim])]
        if not long:
            columns.append(numbers.ravel())
    basis = np.zeros((probe.size, len(columns)))
    for k, entries in enumerate(columns):
        basis[entries, k] = 1
    return basis
