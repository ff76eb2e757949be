"""Where units live: the places of each on the axes of parameters, in an order that corresponds from unit to unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscape_cli.errors import InconsistencyError
from landscape_cli.symmetry.solving.refinement import Run
from landscape_cli.symmetry.tracing.integers import NONE, Array, different
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
class _Column:
    """The units in one column of a part's run: `counts[i]` of `places`, from `starts[i]` on, are `units[i]`'s."""

    units: Array
    starts: Array
    counts: Array
    places: Array


class PlaceTable:
    """At which places of which axes each unit lives, and which units are in which blocks."""

    def __init__(self, labels: Labels, parts: Sequence[Part]) -> None:
        """Look up all units on the axes of parameters."""
        self.parts = parts
        self._columns = [(k, column) for k, part in enumerate(parts) for column in _columns_of(part)]
        numbers = np.concatenate([np.zeros(0, dtype=np.int64), *(column.units for _, column in self._columns)])
        which = np.repeat(np.arange(len(self._columns)), [len(column.units) for _, column in self._columns])
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._which = numbers[order], which[order]
        self._first = np.full(labels.count, np.iinfo(np.int64).max)
        for k, column in self._columns:
            key = (0 if parts[k].writes else LATER) + k * PART + column.places[column.starts]
            self._first[column.units] = np.minimum(self._first[column.units], key)
        living = np.flatnonzero(self._first < np.iinfo(np.int64).max)
        self.children: dict[int, Array] = {}
        self._orders: dict[int, list[tuple[int, bytes]]] = {}
        levels = [living]
        while len(levels[-1]):
            above = labels.above(levels[-1])
            levels.append(different(above[above >= 0]))
        for level in levels:
            self._add_blocks(level, labels.above(level))
        self._put_in_order()
        depth = labels.depths()
        blocks = np.array(sorted(self.children, key=lambda block: -depth[block]), dtype=np.int64)
        for block in blocks.tolist():
            inner = int((self._first[self.children[block]] % LATER).min())
            self._first[block] = min(self._first[block], inner)
        units = np.union1d(living, blocks)
        self.units = units[np.argsort(self._first[units] % LATER, kind="stable")]

    def _add_blocks(self, units: Array, above: Array) -> None:
        inside = above >= 0
        blocks, units = above[inside], units[inside]
        if not len(blocks):
            return
        order = np.argsort(blocks, kind="stable")
        blocks, starts = np.unique(blocks[order], return_index=True)
        for block, members in zip(blocks.tolist(), np.split(units[order], starts[1:]), strict=True):
            earlier = self.children.get(block, members)
            self.children[block] = np.union1d(earlier, members)

    def _put_in_order(self) -> None:
        """Put the units of each block in the order that corresponds from block to block.

        Grouped weights move as whole rows and thereby set an order of the units that they read; all of them in which
        order the units are is noted, for blocks to be compared.
        """
        blocks = list(self.children)
        sizes = np.array([len(self.children[block]) for block in blocks], dtype=np.int64)
        units = np.concatenate([np.zeros(0, dtype=np.int64), *self.children.values()])
        ends, block_of = np.cumsum(sizes), np.repeat(np.arange(len(blocks)), sizes)
        by_number = np.argsort(units)
        told, place = np.full(len(units), NONE), np.zeros(len(units), dtype=np.int64)
        read: list[tuple[int, Array, Array]] = []
        for k, column in self._columns if len(units) else ():
            if len(self.parts[k].dims) > 1:
                at, here = _find(units[by_number], column.units)
                at, places = by_number[at[here]], column.places[column.starts[here]]
                new = told[at] < 0
                told[at[new]], place[at[new]] = k, places[new]
                read += [(k, at, places)] if len(at) else []
        order = np.lexsort((place, told, block_of))
        where = np.empty_like(order)
        where[order] = np.arange(len(order))
        self._orders = {block: [] for block in blocks}
        for k, at, places in read:
            touched = different(block_of[at])
            for number, ranks in zip(
                touched.tolist(), _ranks(where[at], places, (ends - sizes)[touched], sizes[touched]), strict=True
            ):
                self._orders[blocks[number]].append((k, ranks.tobytes()))
        for block, members in zip(blocks, np.split(units[order], ends[:-1]), strict=True) if blocks else ():
            self.children[block] = members

    def in_one_order(self, blocks: Sequence[int]) -> bool:
        """Tell whether the units of blocks are in one order from block to block wherever grouped weights read them."""
        return all(self._orders.get(block) == self._orders.get(blocks[0]) for block in blocks)

    def first(self, unit: int) -> tuple[int, int]:
        """Return the part, of those that write the unit if there are, and the place in it where it first occurs."""
        key = int(self._first[unit]) % LATER
        return key // PART, key % PART

    def tables(self, units: Sequence[int]) -> list[tuple[int, Array]]:
        """Return the places of units of one kind, shape (units, places), each with its part; blocks' with all in them.

        Of a part whose rows and columns they both are, there are two.

        Raises:
            InconsistencyError: if they do not live alike.
        """
        places: dict[int, list[Array]] = {}
        level = np.array(units, dtype=np.int64)[:, None]
        while level.shape[1]:
            for number in self._columns_with(level[0]):
                k, column = self._columns[number]
                _, here = _find(column.units, level[0])
                places.setdefault(k, []).append(_table(column, level[:, here]))
            level = self._next_level(level)
        joined = [(k, np.concatenate(tables, axis=1), tables) for k, tables in sorted(places.items())]
        return [(k, table) for k, together, tables in joined for table in (tables if _meet(together) else [together])]

    def _next_level(self, level: Array) -> Array:
        """Return what the units of each row hold."""
        if not any(unit in self.children for unit in level[0].tolist()):
            return level[:, :0]
        rows = [[self.children.get(unit, ()) for unit in row] for row in level.tolist()]
        return np.array([np.concatenate([*row, []]) for row in rows], dtype=np.int64)

    def _columns_with(self, units: Array) -> list[int]:
        """Return the numbers of the columns that units live in."""
        starts = np.searchsorted(self._numbers, units)
        ends = np.searchsorted(self._numbers, units, side="right")
        pieces = [self._which[start:end] for start, end in zip(starts, ends, strict=True)]
        return different(np.concatenate(pieces)).tolist()  # type: ignore[no-any-return] # ints

    def inside(self, unit: int) -> Array:
        """Return the units that a block holds."""
        return self.children.get(unit, np.zeros(0, dtype=np.int64))


def _meet(table: Array) -> bool:
    """Tell whether a place belongs to several units."""
    ordered = np.sort(table, axis=1)
    of_rows = ordered[:, :1].size + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1])
    return bool(of_rows > len(different(table)))


def _columns_of(part: Part) -> Iterable[_Column]:
    for k in part.run.units():
        rest = [values for j, values in enumerate(part.run.columns) if j != k]
        numbers = part.run.columns[k]
        order = np.lexsort((*rest, numbers)) if rest else np.argsort(numbers, kind="stable")
        units, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
        real = units >= 0
        yield _Column(units[real], starts[real], counts[real], order)


def _find(numbers: Array, units: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return where units are among numbers in order, and whether they are there at all."""
    at = np.searchsorted(numbers, units).clip(max=max(len(numbers) - 1, 0))
    return at, (numbers[at] == units if len(numbers) else np.zeros(len(units), dtype=bool))


def _ranks(at: Array, places: Array, starts: Array, sizes: Array) -> list[Array]:
    """Return for each block the ranks of what its units have: places, or nothing, which comes first.

    Args:
        at: at which of all units, those of a block side by side, there are places.
        places: what is there.
        starts: where each block begins; all of them have some.
        sizes: how many units each has.
    """
    ends, block_of = np.cumsum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    shift = starts - (ends - sizes)
    every = np.arange(len(block_of)) + shift[block_of]
    values = np.full(len(every), NONE)
    values[np.searchsorted(every, at)] = places
    order = np.lexsort((values, block_of))
    ranks = np.empty_like(order)
    ranks[order] = np.concatenate([[0], np.cumsum((np.diff(values[order]) != 0) | (np.diff(block_of[order]) != 0))])
    first = np.minimum.reduceat(ranks, ends - sizes) if len(ranks) else ranks
    return np.split(ranks - first[block_of], ends[:-1])


def _table(column: _Column, units: Array) -> Array:
    """Return the places of a matrix of units, row by row."""
    at, here = _find(column.units, units)
    counts = column.counts[at]
    if not here.all() or (counts != counts[:1]).any():
        raise InconsistencyError("units that look alike do not live alike: please report this model")
    if (counts == counts[0, 0]).all():
        places = column.places[column.starts[at][..., None] + np.arange(counts[0, 0])]
        return places.reshape(len(units), -1)
    columns = [_table(column, units[:, [k]]) for k in range(units.shape[1])]
    return np.concatenate(columns, axis=1)
