"""Which flips of signs may leave outputs unchanged, from gradients at networks some of whose numbers are 0.

If a flip leaves outputs unchanged, numbers that are 0 and that it flips have gradients that it flips, too. So of
numbers that are all 0, one after another is given a value. Where others have a gradient then, their signs go with those
given so far: how, the same gradient says where one of these is given the other sign. What is given freely heads a flip,
of all that goes with it. There are no more than these and their sums, as far as outputs are linear in numbers near 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape_cli.symmetry.checking.moves import Entries
from landscape_cli.symmetry.checking.probe import Probe, Vector

HEADS = 200
"""The most numbers that are given freely."""
NOTHING = 1e-9
"""A gradient, relative to the largest, that is none."""
SAME = 1e-6
"""By how much gradients may differ for rounding."""


def candidate_flips(probe: Probe, inside: Entries, random: np.random.Generator) -> list[int] | None:
    """Return flips of some of these entries that may leave outputs unchanged, as bits: short ones, which generate all.

    The first numbers of all tensors are given first, as nothing has an effect while some factor of it is 0. None where
    outputs are NaN or Inf, or too many numbers have to be given freely.
    """
    cotangents = torch.from_numpy(random.standard_normal((1, probe.outputs_count)))
    values = probe.draw()
    networks = values[None].copy()
    networks[:, inside] = 0
    signs = np.ones((1, probe.size), dtype=np.int8)
    order = np.argsort(np.arange(probe.size) - np.repeat(probe.starts[:-1], np.diff(probe.starts)), kind="stable")
    left = np.zeros(probe.size, dtype=bool)
    left[inside] = True
    while left.any():
        row = _gradients(probe, networks[:1], cotangents)
        if row is None:
            return None
        tied = np.flatnonzero(left & (np.abs(row[0]) > NOTHING * np.abs(row[0]).max(initial=0)))
        if len(tied):
            rows = _gradients(probe, networks, cotangents)
            if rows is None:
                return None
            opposite = np.abs(rows[:, tied] + row[0, tied]) <= SAME * np.abs(row[0, tied])
            signs[:, tied] = np.where(opposite, -1, 1)
        else:
            if len(networks) > HEADS:
                return None
            tied = order[left[order]][:1]
            networks, signs = (np.concatenate([table, table[:1]]) for table in (networks, signs))
            signs[-1, tied] = -1
        networks[:, tied] = values[tied] * signs[:, tied]
        left[tied] = False
    return _shortest([_bits(row < 0) for row in signs[1:]])


def _gradients(probe: Probe, networks: Vector, cotangents: Tensor) -> Vector | None:
    """Return the gradients of networks, shape (n, entries); None if something is NaN or Inf."""
    outputs, gradients = probe.gradients_of(networks, cotangents, soft=True)
    rows: Vector = gradients[:, 0]
    return rows if np.isfinite(outputs).all() and np.isfinite(rows).all() else None


def _bits(mask: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")


def _shortest(flips: Sequence[int]) -> list[int]:
    """Return flips that generate the same over GF(2), each shorter than its sum with any other."""
    short = sorted({flip for flip in flips if flip}, key=int.bit_count)
    changed = True
    while changed:
        changed = False
        for i, flip in enumerate(short):
            best = min((flip ^ other for j, other in enumerate(short) if j != i), key=int.bit_count, default=flip)
            if best.bit_count() < flip.bit_count():
                short[i] = best
                changed = True
    return short
