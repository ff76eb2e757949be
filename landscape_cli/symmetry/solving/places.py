"""Where units live: the places of each on the axes of parameters, in an order that corresponds from unit to unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape_cli.errors import InconsistencyError
from landscape_cli.symmetry.solving.refinement import Run
from landscape_cli.symmetry.tracing.integers import NONE, Array
from landscape_cli.symmetry.tracing.labels import Labels

LATER = 1 << 62
PART = 1 << 40


@dataclass(frozen=True)
class Part:
    """What lives along some axes of one parameter.

    Attributes:
        tensor: its name.
        dims: the axes.
        run: what lives at each place of their product.
        writes: whether the units that live there are written there.
    """

    tensor: str
    dims: tuple[int, ...]
    run: Run
    writes: bool


@dataclass(frozen=True)
class _Space:
    """The units of one column of a part: `counts[i]` of `places`, from `starts[i]` on, are `units[i]`'s."""

    units: Array
    starts: Array
    counts: Array
    places: Array


class Spaces:
    """Looks up where units live."""

    def __init__(self, labels: Labels, parts: Sequence[Part]) -> None:
        """Note all places of units on the axes of parameters, and which units are in which blocks."""
        self.parts = parts
        self._spaces = [(k, space) for k, part in enumerate(parts) for space in _spaces_of(part)]
        numbers = np.concatenate([np.zeros(0, dtype=np.int64), *(space.units for _, space in self._spaces)])
        which = np.repeat(np.arange(len(self._spaces)), [len(space.units) for _, space in self._spaces])
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._which = numbers[order], which[order]
        self._first = np.full(labels.count, np.iinfo(np.int64).max)
        for k, space in self._spaces:
            key = (0 if parts[k].writes else LATER) + k * PART + space.places[space.starts]
            self._first[space.units] = np.minimum(self._first[space.units], key)
        living = np.flatnonzero(self._first < np.iinfo(np.int64).max)
        self.children: dict[int, Array] = {}
        levels = [living]
        while len(levels[-1]):
            above = labels.above(levels[-1])
            levels.append(np.unique(above[above >= 0]))
        for units in levels:
            self._add_blocks(units, labels.above(units))
        for units in reversed(levels[1:]):
            for block in units.tolist():
                self.children[block] = self._in_order(labels, block)
        depth = labels.depths()
        blocks = np.array(sorted(self.children, key=lambda block: -depth[block]), dtype=np.int64)
        for block in blocks.tolist():
            inner = int((self._first[self.children[block]] % LATER).min())
            self._first[block] = min(self._first[block], inner)
        found = np.union1d(living, blocks)
        self.units = found[np.argsort(self._first[found] % LATER, kind="stable")]

    def _add_blocks(self, units: Array, above: Array) -> None:
        inside = above >= 0
        blocks, units = above[inside], units[inside]
        if not len(blocks):
            return
        order = np.argsort(blocks, kind="stable")
        blocks, starts = np.unique(blocks[order], return_index=True)
        for block, members in zip(blocks.tolist(), np.split(units[order], starts[1:]), strict=True):
            known = self.children.get(block, members)
            self.children[block] = np.union1d(known, members)

    def _in_order(self, labels: Labels, block: int) -> Array:
        """Return a block's units in the order that corresponds from block to block.

        Grouped weights move as whole rows and thereby set an order of the units that they read; if two set different
        ones, the block may not move.
        """
        units = self.children[block]
        orders = set()
        for k, space in self._spaces:
            if len(self.parts[k].dims) > 1:
                at, here = _find(space, units)
                if here.any():
                    places = np.where(here, space.places[space.starts[at]], NONE)
                    orders.add(tuple(units[np.argsort(places, kind="stable")].tolist()))
        if len(orders) > 1:
            labels.fix(np.array([block]), "read in different orders by grouped weights")
        return np.array(min(orders), dtype=np.int64) if orders else units

    def first(self, unit: int) -> tuple[int, int]:
        """Return the part, of those that write the unit if there are, and the place in it where it first occurs."""
        key = int(self._first[unit]) % LATER
        return key // PART, key % PART

    def tables(self, units: Sequence[int]) -> dict[int, Array]:
        """Return the places of units of one kind by part, shape (units, places), blocks' with those of all in them.

        Raises:
            InconsistencyError: if they do not live alike.
        """
        found: dict[int, list[Array]] = {}
        level = np.array(units, dtype=np.int64)[:, None]
        while level.shape[1]:
            for number in self._where(level[0]):
                k, space = self._spaces[number]
                _, here = _find(space, level[0])
                found.setdefault(k, []).append(_table(space, level[:, here]))
            level = self._next_level(level)
        return {k: np.concatenate(tables, axis=1) for k, tables in sorted(found.items())}

    def _next_level(self, level: Array) -> Array:
        """Return what the units of each row hold."""
        if not any(unit in self.children for unit in level[0].tolist()):
            return level[:, :0]
        rows = [[self.children.get(unit, ()) for unit in row] for row in level.tolist()]
        return np.array([np.concatenate([*row, []]) for row in rows], dtype=np.int64)

    def _where(self, units: Array) -> list[int]:
        """Return the numbers of the spaces that units live in."""
        starts = np.searchsorted(self._numbers, units)
        ends = np.searchsorted(self._numbers, units, side="right")
        pieces = [self._which[start:end] for start, end in zip(starts, ends, strict=True)]
        return np.unique(np.concatenate(pieces)).tolist()  # type: ignore[no-any-return]

    def inside(self, unit: int) -> Array:
        """Return the units that a block holds."""
        return self.children.get(unit, np.zeros(0, dtype=np.int64))


def _spaces_of(part: Part) -> Iterable[_Space]:
    for column in part.run.units():
        rest = [other for j, other in enumerate(part.run.columns) if j != column]
        numbers = part.run.columns[column]
        order = np.lexsort((*rest, numbers)) if rest else np.argsort(numbers, kind="stable")
        units, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
        real = units >= 0
        yield _Space(units[real], starts[real], counts[real], order)


def _find(space: _Space, units: Array) -> tuple[Array, NDArray[np.bool_]]:
    at = np.searchsorted(space.units, units).clip(max=max(len(space.units) - 1, 0))
    return at, (space.units[at] == units if len(space.units) else np.zeros(len(units), dtype=bool))


def _table(space: _Space, units: Array) -> Array:
    """Return the places of a matrix of units, row by row."""
    at, here = _find(space, units)
    counts = space.counts[at]
    if not here.all() or (counts != counts[:1]).any():
        raise InconsistencyError("units that look alike do not live alike: please report this model")
    if (counts == counts[0, 0]).all():
        places = space.places[space.starts[at][..., None] + np.arange(counts[0, 0])]
        return places.reshape(len(units), -1)
    columns = [_table(space, units[:, [k]]) for k in range(units.shape[1])]
    return np.concatenate(columns, axis=1)
