"""Which exchanges that were missed are of one group of units: those that symmetries known take to each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.checking.moves import Move, orbits

IMAGES = 500
"""The most images of an exchange under others that are looked at."""


def missed_groups(size: int, missed: Sequence[Move], known: Sequence[Move]) -> list[list[Move]]:
    """Return the exchanges of each group, those that move least first.

    Exchanges of one group move as many entries of each orbit of the symmetries known. Left out is what smaller ones
    amount to.

    Args:
        size: how many entries there are.
        missed: exchanges of units.
        known: what generates all symmetries, these and those found.
    """
    orbit = orbits(size, list(known))
    alike: defaultdict[tuple[tuple[int, ...], ...], list[Move]] = defaultdict(list)
    for move in missed:
        counts = np.unique(orbit[move != np.arange(size)], return_counts=True)
        alike[tuple(tuple(numbers.tolist()) for numbers in counts)].append(move)
    groups: list[list[Move]] = []
    for moves in sorted(alike.values(), key=lambda moves: _moved(moves[0])):
        beyond = [move for move in moves if not is_made_of([move], groups, known)]
        if beyond:
            groups.append(beyond)
    return groups


def is_made_of(moves: Sequence[Move], groups: Sequence[Sequence[Move]], known: Sequence[Move]) -> bool:
    """Tell whether moves, if there are any, leave everything within orbits of groups whose exchanges move less."""
    most = min(map(_moved, moves), default=0)
    less = [image for group in groups if _moved(group[0]) < most for image in _images(group[0], known)]
    return bool(less) and all(
        (reached[move] == reached).all() for reached in [orbits(len(less[0]), less)] for move in moves
    )


def _moved(move: Move) -> int:
    return int((move != np.arange(len(move))).sum())


def _images(move: Move, known: Sequence[Move]) -> list[Move]:
    """Return what known symmetries make of an exchange: the same of other units."""
    images: dict[bytes, NDArray[np.int64]] = {}
    left = [move]
    while left and len(images) < IMAGES:
        image = left.pop()
        if image.tobytes() not in images:
            images[image.tobytes()] = image
            left += [np.argsort(other)[image[other]] for other in known]
    return list(images.values())
