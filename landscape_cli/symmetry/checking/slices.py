"""Exchanges of slices of tensors, tried whether or not gradients say that they look alike.

Where equal numbers tie, as scores of which the largest are chosen, one of them is chosen all the same, and gradients
tell apart what trades places. So two slices are exchanged in all sets of a few axes that have as many of them. Such
exchanges commute and undo themselves: a set leaves outputs unchanged if one part of it does what the rest does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from landscape_cli.symmetry.checking.agreement import CLOSE, agree
from landscape_cli.symmetry.checking.moves import Move
from landscape_cli.symmetry.checking.probe import Probe, Vector
from landscape_cli.symmetry.checking.subsets import ATOMS, Basis, subsets_of

MOST = 32
"""The most slices along an axis that are exchanged."""

Exchanged = Callable[[int, int], Move]
"""What the exchange of two slices along one axis does, given their numbers."""


def slice_exchanges(probe: Probe, networks: Sequence[Vector]) -> Iterator[Move]:
    """Yield exchanges of two slices, along as many axes as it takes, that leave outputs of networks unchanged.

    The first two slices are tried, then, along the same axes, each and the next.
    """
    counts = {
        n for shape in probe.shapes.values() for size in shape for n in range(2, min(size, MOST) + 1) if size % n == 0
    }
    for count in sorted(counts):
        axes = [axis for name in probe.names for axis in _axes(probe, name, count, pieces=True)]
        if len(axes) > ATOMS:
            axes = [axis for name in probe.names for axis in _axes(probe, name, count, pieces=False)]
        known = Basis()
        for chosen in sorted(_unchanged(probe, networks, [axis(0, 1) for axis in axes]), key=len):
            if known.add(sum(1 << k for k in chosen)):
                for k in range(count - 1):
                    move = _product([axes[number](k, k + 1) for number in chosen], probe.size)
                    if all(agree(probe.outputs(vector[move]), probe.outputs(vector)) for vector in networks):
                        yield move


def _axes(probe: Probe, name: str, count: int, *, pieces: bool) -> Iterator[Exchanged]:
    """Yield axes with so many slices, and, if asked, such that have them in pieces, or again and again."""
    shape, start = probe.shapes[name], int(probe.starts[probe.names.index(name)])
    numbers = start + np.arange(int(np.prod(shape))).reshape(shape)
    for dim, size in enumerate(shape):
        if size % count == 0 if pieces else size == count:
            before, after = shape[:dim], shape[dim + 1 :]
            yield _exchanged(numbers.reshape(*before, count, size // count, *after), dim, probe.size)
            if size > count:
                yield _exchanged(numbers.reshape(*before, size // count, count, *after), dim + 1, probe.size)


def _exchanged(numbers: Move, dim: int, size: int) -> Exchanged:
    def exchange(first: int, second: int) -> Move:
        move = np.arange(size)
        here, there = numbers.take(first, axis=dim).ravel(), numbers.take(second, axis=dim).ravel()
        move[here], move[there] = there, here
        return move

    return exchange


def _unchanged(probe: Probe, networks: Sequence[Vector], moves: Sequence[Move]) -> list[tuple[int, ...]]:
    """Return the sets of these moves, by their numbers, that leave outputs unchanged."""
    numbers = range(len(moves))
    if len(moves) <= ATOMS:
        half = len(moves) // 2
        left, right = subsets_of(numbers[:half], half), subsets_of(numbers[half:], len(moves))
    else:
        left = right = subsets_of(numbers, 2 if len(moves) <= 2 * ATOMS else 1)
    products = {chosen: _product([moves[k] for k in chosen], probe.size) for chosen in {*left, *right}}
    pairs = [(a, b) for a in left for b in right if a != b]
    for vector in networks:
        chosen = sorted({*(a for a, _ in pairs), *(b for _, b in pairs)})
        if chosen:
            outputs = probe.outputs(vector[np.stack([products[subset] for subset in chosen])])
            row = {subset: outputs[k] for k, subset in enumerate(chosen)}
            largest = CLOSE * np.abs(outputs).max(axis=1)
            most = dict(zip(chosen, largest.tolist(), strict=True))
            first = {subset: float(row[subset][0]) for subset in chosen}
            pairs = [
                (a, b)
                for a, b in pairs
                if abs(first[a] - first[b]) <= most[a] and np.abs(row[a] - row[b]).max() <= most[a]
            ]
    return sorted({tuple(sorted(set(a) ^ set(b))) for a, b in pairs})


def _product(moves: Sequence[Move], size: int) -> Move:
    product = np.arange(size)
    for move in moves:
        product = product[move]
    return product
