"""Units that trade places across groups that were found, or across the blocks or tensors of one: tried one by one.

Gradients tell entries of different tensors apart from the first, so that colors say nothing of these. A unit of one
group is exchanged with one of another that lives alike, and the outputs compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, islice

import numpy as np

from landscape_cli.symmetry.checking.moves import Entries, Move, Moves
from landscape_cli.symmetry.spec import Axis, PermutationGroup

MOST = 60
"""How many exchanges are tried at most."""
Kind = tuple[str, int]
"""The role of an axis, and how many entries a unit has there."""


def exchanges_across(moves: Moves, size: int) -> Iterator[Move]:
    """Yield exchanges of two units of different groups, of two blocks of one, or of what a unit has in two tensors.

    Args:
        moves: what the symmetries found do.
        size: how many entries there are.
    """
    yield from islice(_all(moves, size), MOST)


def _all(moves: Moves, size: int) -> Iterator[Move]:
    groups = moves.symmetry.permutations
    kinds = {group.name: _by_kind(moves, group) for group in groups}
    for group in groups:
        if group.blocks > 1:
            every = [axis for axes in kinds[group.name].values() for axis in axes]
            blocks = [(moves.entries_of(axis, 0), moves.entries_of(axis, group.size)) for axis in every]
            yield from _exchange(blocks, size)
    for first, second in combinations(groups, 2):
        mine, theirs = kinds[first.name], kinds[second.name]
        if {kind: len(axes) for kind, axes in mine.items()} == {kind: len(axes) for kind, axes in theirs.items()}:
            pairs = [pair for kind in mine for pair in zip(mine[kind], theirs[kind], strict=True)]
            yield from _exchange([(moves.entries_of(a, 0), moves.entries_of(b, 0)) for a, b in pairs], size)
    for group in groups:
        of_kinds = kinds[group.name].values()
        for split in (_halves, _in_turn):
            pairs = [pair for axes in of_kinds for pair in split(axes)]
            yield from _exchange([(moves.entries_of(a, 0), moves.entries_of(b, 0)) for a, b in pairs], size)


def _halves(axes: list[Axis]) -> list[tuple[Axis, Axis]]:
    middle = len(axes) // 2
    return list(zip(axes[:middle], axes[middle : 2 * middle], strict=True))


def _in_turn(axes: list[Axis]) -> list[tuple[Axis, Axis]]:
    return list(zip(axes[: len(axes) // 2 * 2 : 2], axes[1::2], strict=True))


def _by_kind(moves: Moves, group: PermutationGroup) -> dict[Kind, list[Axis]]:
    """Return the axes of a group by their kind, those of one kind in order."""
    kinds: defaultdict[Kind, list[Axis]] = defaultdict(list)
    for axis in group.axes:
        if moves.is_seen(axis):
            kinds[axis.role.value, len(moves.entries_of(axis, 0))].append(axis)
    return dict(kinds)


def _exchange(pairs: list[tuple[Entries, Entries]], size: int) -> Iterator[Move]:
    """Yield the exchange of entries, pair by pair, unless some are on both sides."""
    if not pairs or any(len(left) != len(right) for left, right in pairs):
        return
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if len(np.unique(np.concatenate([left, right]))) == 2 * len(left):
        move = np.arange(size)
        move[left], move[right] = right, left
        yield move
