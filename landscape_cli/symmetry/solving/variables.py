"""Which units the variables of scales and signs belong to, and which variables stand for all others like them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from landscape_cli.errors import InconsistencyError
from landscape_cli.symmetry.solving.elimination import Row
from landscape_cli.symmetry.tracing.equations import Block, Equations, Statement
from landscape_cli.symmetry.tracing.integers import (
    NONE,
    Array,
    Hash,
    different,
    different_rows,
    first_places,
    mix,
    ranked,
    ranked_rows,
)
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Power


@dataclass(frozen=True)
class _Cells:
    """The places of a block of variables: whose they are, and which of that unit's places there, in order."""

    block: Block
    units: Array
    ranks: Array


EMPTY: Mapping[int, Iterable[int]] = {}
MOST_UNLIKE = 32
"""Into how many kinds units are told apart by their equations, at most."""
MOST_ALONE = 256
"""Up to how many units that may not move are a kind each where they meet others that do."""


class VariableTable:
    """Which unit each variable belongs to, and which units stand for all of their kind."""

    def __init__(self, labels: Labels, equations: Equations, kinds: Sequence[Sequence[int]]) -> None:
        """Look up the units of all variables; `kinds` lists units of one kind each, in order."""
        self.kinds = [np.array(members, dtype=np.int64) for members in kinds]
        self._labels, self.blocks = labels, equations.blocks
        self.kind_of_unit = np.full(labels.count, NONE)
        for kind, members in enumerate(self.kinds):
            self.kind_of_unit[members] = kind
        self.unit_of = np.full(equations.count, NONE)
        self.rank_of = np.zeros(equations.count, dtype=np.int64)
        self.several = np.zeros(equations.count, dtype=bool)
        self.cells: list[_Cells] = []
        self._cell_kinds: dict[int, Array] = {}
        self.cells_of = np.full(equations.count, NONE)
        for block in equations.blocks:
            self._add(block)
        self.in_tensor = np.array([cell >= 0 and bool(self.cells[cell].block.tensor) for cell in self.cells_of])
        self._index = np.full(labels.count, NONE)  # of the units of one kind at a time, which are in `_indexed`
        self._indexed = np.zeros(0, dtype=np.int64)
        self._link(equations)
        self._sizes = np.array([len(members) for members in self.kinds] + [1])
        self._depth = labels.depths()
        self._above = labels.above(np.arange(labels.count))
        self.kept = self._choose()
        self.kept[0] = True
        self.representative = self._representatives()

    def _add(self, block: Block) -> None:
        columns = block.columns(self._labels)
        holding = [column for column in columns if column.max(initial=NONE) >= 0]
        free = [column for column in holding if not (self._labels.why_fixed(column) > 0).all()]
        holding = free or holding  # beside units that may move, those that may not are places
        units, rest = (holding[0], columns) if holding else (block.owners, columns)
        for column in holding[1:]:
            units = np.where(units >= 0, units, column)
        several = (
            np.sum([column >= 0 for column in holding], axis=0) > 1 if holding else np.zeros(len(units), dtype=bool)
        )
        real = units[units >= 0]
        for unit in different(real[self.kind_of_unit[real] < 0]):
            # alone on an axis of one place, so on no axis that could tell
            self.kind_of_unit[unit] = len(self.kinds)
            self.kinds.append(np.array([unit]))
        variables, first = first_places(block.variables)
        self._rank(variables, units[first], first, *(column[first] for column in rest))
        self.unit_of[variables] = units[first]
        self.several[variables] = several[first]
        self.cells_of[variables] = len(self.cells)
        self.cells.append(_Cells(block, units, self.rank_of[block.variables]))

    def _rank(self, variables: Array, units: Array, *by: Array) -> None:
        """Number the variables of each unit, in the order of the last key, then of those before it."""
        order = np.lexsort((*by, units))
        starts = np.maximum.accumulate(np.where(np.diff(units[order], prepend=-2) != 0, np.arange(len(order)), 0))
        self.rank_of[variables[order]] = np.arange(len(order)) - starts

    def _link(self, equations: Equations) -> None:
        """Take units of two kinds that may not move for one where equations tie each to one of the other kind."""
        fixed = np.append(self._labels.why_fixed(np.arange(self._labels.count)) > 0, False)
        kinds = np.append(self.kind_of_unit, NONE)
        sizes = np.bincount(kinds[kinds >= 0], minlength=1)
        fixed &= np.append(self._outermost(sizes), False) & (sizes[kinds] > 1)
        lead = np.append(np.arange(self._labels.count), NONE)
        for rows, _ in (*equations.rows("scale"), *equations.rows("sign")):
            units = np.where(self.several[rows], NONE, np.maximum(self.unit_of[rows], NONE))
            units = np.where(fixed[units], lead[units], NONE)
            for first, second in combinations(range(rows.shape[1]), 2):
                pairs = units[:, [first, second]]
                pairs = pairs[(pairs >= 0).all(axis=1) & (kinds[pairs[:, 0]] != kinds[pairs[:, 1]])]
                for pair in different_rows(kinds[pairs]) if len(pairs) else ():
                    tied = different_rows(np.sort(pairs[(kinds[pairs] == pair).all(axis=1)], axis=1))
                    alone = all(len(different(tied[:, side])) == len(tied) for side in (0, 1))
                    if alone and (sizes[pair] == len(tied)).all():
                        lead[tied[:, 1]] = tied[:, 0]
                        lead = lead[lead]
                        units = np.where(units >= 0, lead[units], NONE)
        kind_of = kinds[np.maximum(self.unit_of, NONE)]
        self.unit_of = np.where(self.unit_of >= 0, lead[np.maximum(self.unit_of, NONE)], self.unit_of)
        for place, cells in enumerate(self.cells):
            units = np.where(cells.units >= 0, lead[np.maximum(cells.units, NONE)], cells.units)
            if not np.array_equal(units, cells.units):  # which may now have had places of two kinds there
                variables, at = first_places(cells.block.variables)
                self._rank(variables, units[at], self.rank_of[variables], kind_of[variables])
                self.cells[place] = replace(cells, units=units, ranks=self.rank_of[cells.block.variables])

    def _outermost(self, sizes: Array) -> NDArray[np.bool_]:
        """Return which units are in no block, or in none but such as nothing is like, as a piece of a parameter.

        Args:
            sizes: how many units there are of each kind.
        """
        above = self._labels.above(np.arange(self._labels.count))
        outermost, up = np.ones(len(above), dtype=bool), above
        while (up >= 0).any():
            outermost &= (up < 0) | (sizes[self.kind_of_unit[np.maximum(up, 0)]] == 1)
            up = np.where(up >= 0, above[np.maximum(up, 0)], NONE)
        return outermost

    def _choose(self) -> Array:
        """Return which variables are kept: those of one unit of each kind, those within blocks in the chosen block."""
        chosen = np.zeros(self._labels.count, dtype=bool)
        for level in range(int(self._depth.max(initial=0)) + 1):
            for members in self.kinds:
                at = members[self._depth[members] == level]
                within = at if level == 0 else at[chosen[self._above[at]]]
                chosen[within[:1]] = True
        for members in self.kinds:
            if not chosen[members].any():  # in blocks that live on no tensor of the model
                chosen[members[:1]] = True
        kept: Array = np.ones(len(self.unit_of), dtype=bool)
        owned = self.unit_of >= 0
        kept[owned] = chosen[self.unit_of[owned]]
        return kept | self.several

    def _representatives(self) -> Array:
        """Return for each variable the one kept in its stead: in the same place of the same axis of another unit."""
        representative = np.arange(len(self.unit_of))
        kinds = np.where(self.unit_of >= 0, np.append(self.kind_of_unit, NONE)[np.maximum(self.unit_of, 0)], NONE)
        key = np.stack([self.cells_of, kinds, self.rank_of], axis=1)
        sort = ranked_rows(key)
        single = (self.unit_of >= 0) & ~self.several
        first = np.full(int(sort.max()) + 1, NONE)
        first[sort[single & self.kept]] = representative[single & self.kept]
        replaced = single & (first[sort] >= 0)
        representative[replaced] = first[sort[replaced]]
        return representative

    def _kinds_of(self, number: int) -> Array:
        if number not in self._cell_kinds:
            units = self.cells[number].units
            self._cell_kinds[number] = np.where(units >= 0, self.kind_of_unit[np.maximum(units, 0)], NONE)
        return self._cell_kinds[number]

    def kind(self, variable: int) -> int:
        """Return the kind of a variable's unit, NONE for none."""
        return int(self.kind_of_unit[self.unit_of[variable]]) if self.unit_of[variable] >= 0 else NONE

    def units_of(self, kind: int) -> int:
        """Return how many units there are of a kind; 1 of none."""
        return len(self.kinds[kind]) if kind >= 0 else 1

    def around(self, kind: int) -> list[int]:
        """Return the kinds of the units that those of a kind are in, the innermost first; none of none."""
        found: list[int] = []
        unit = int(self.kinds[kind][0]) if kind >= 0 else NONE
        while unit >= 0 and (unit := int(self._above[unit])) >= 0:
            found.append(int(self.kind_of_unit[unit]))
        return found

    def depth(self, variable: int) -> int:
        """Return how deep in the nesting of units a variable lies; units that are alone lie outermost."""
        kind = self.kind(variable)
        if kind < 0 or len(self.kinds[kind]) == 1:
            return 0
        return 1 + int(self._depth[self.unit_of[variable]])

    def represent(self, rows: Array) -> tuple[list[list[int]], list[int]]:
        """Return the rows of variables that stand for all, and the variables whose rows nobody can stand for.

        A row stands for those of its sort if its variables are of one unit, and of blocks that the unit belongs to,
        and if all units of the kind have a row like it. Where there is none, the variables' scales are given up; where
        a row is incoherent only for units that may not move, such as positions, only theirs are.
        """
        if not len(self.kind_of_unit):
            return rows.tolist(), []
        like = self.representative[rows]
        inner, coherent = self._inner(rows)
        loose = self._fixed_among(rows[~coherent]) if not coherent.all() else like[:0, 0]
        if len(loose):
            rows = np.where(np.isin(like, loose), 0, rows)
            like = self.representative[rows]
            inner, coherent = self._inner(rows)
        sort = ranked_rows(like)
        kept = self.kept[rows].all(axis=1)
        bad = self._without(sort, inner, coherent) | ~np.isin(np.arange(sort.max(initial=-1) + 1), sort[kept])
        if not len(loose) and not bad.any():
            return rows[kept].tolist(), []
        unrepresented = np.union1d(different(like[bad[sort]]), loose)
        return rows[~bad[sort] & kept].tolist(), unrepresented[unrepresented > 0].tolist()

    def _without(self, sort: Array, inner: Array, coherent: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which sorts of rows no row stands for."""
        pairs = different(sort * (len(self.kind_of_unit) + 1) + inner + 1)
        have = np.bincount(pairs // (len(self.kind_of_unit) + 1), minlength=sort.max(initial=-1) + 1)
        need = self._sizes[np.where(inner >= 0, self.kind_of_unit[np.maximum(inner, 0)], NONE)]
        return np.bincount(sort, weights=~coherent | (have[sort] != need), minlength=len(have)) > 0

    def unlike(self, statements: Iterable[Statement]) -> list[Array] | None:
        """Return finer kinds of units that may not move, where equations are of some of a kind alone; None if none are.

        Such are places in a row, each of which has come from elsewhere. Where they meet units that do move, as the
        gains of fixed places meet those of every head, each is of a kind of its own.
        """
        units = np.arange(self._labels.count)
        fixed = self._labels.why_fixed(units) > 0
        loose = fixed & self._outermost(self._sizes) & (self._sizes[self.kind_of_unit] > 1)
        of_loose = np.append(loose, False)[np.maximum(self.unit_of, NONE)] & ~self.several
        told: Hash = np.zeros(len(units), dtype=np.uint64)
        single: Array = units[:0]
        for number, (rows, _) in enumerate(statements):
            rows = rows[of_loose[rows].any(axis=1)]
            if not len(rows):
                continue
            inner, coherent = self._inner(rows)
            single = np.union1d(single, self.kind_of_unit[self.unit_of[self._fixed_among(rows[~coherent])]])
            _, sort = ranked(_row_hash(self.representative[rows]))
            bad = self._without(sort, inner, coherent)
            here = bad[sort] & coherent & (inner >= 0)
            pairs = different_rows(np.stack([inner, sort], axis=1)[here])
            np.add.at(told, pairs[:, 0], mix(mix(pairs[:, 1].astype(np.uint64)) + np.uint64(number)))
        finer: list[Array] = []
        for kind, members in enumerate(self.kinds):
            alone = kind in single and len(members) <= MOST_ALONE
            parts, part = np.unique(members if alone else told[members], return_inverse=True)
            apart = loose[members].all() and (alone or len(parts) <= MOST_UNLIKE)
            finer += [members[part == k] for k in range(len(parts))] if apart else [members]
        return finer if len(finer) > len(self.kinds) else None

    def _fixed_among(self, rows: Array) -> Array:
        """Return the variables that stand for those of units that may not move, in rows with others that may."""
        units = self.unit_of[rows]
        fixed = (units >= 0) & (self._labels.why_fixed(np.maximum(units, 0)) > 0)
        mixed = fixed.any(axis=1) & ((units >= 0) & ~fixed).any(axis=1)
        variables: Array = different(self.representative[rows[mixed]][fixed[mixed]])
        return variables

    def _inner(self, rows: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return the innermost unit of each row of variables, and whether all others are of it or of its blocks."""
        units = self.unit_of[rows]
        kinds = np.where(units >= 0, self.kind_of_unit[np.maximum(units, 0)], NONE)
        alone = self._sizes[kinds] == 1
        units = np.where((units < 0) | alone | self.several[rows], NONE, units)
        levels = np.where(units >= 0, self._depth[np.maximum(units, 0)], NONE)
        inner = np.take_along_axis(units, levels.argmax(axis=1)[:, None], axis=1)
        belongs, up = (units < 0) | (units == inner), inner
        while (up >= 0).any():
            up = np.where(up >= 0, self._above[np.maximum(up, 0)], NONE)
            belongs |= units == up
        return inner[:, 0], belongs.all(axis=1)

    def agree(self, rows: Array) -> NDArray[np.bool_]:
        """Tell of each row of variables whether their units, and the blocks of these, are one of each kind at most."""
        over = self._units_over(rows)
        kinds = np.where(over >= 0, self.kind_of_unit[np.maximum(over, 0)], NONE)
        told = (kinds >= 0) & (self._sizes[kinds] > 1)
        kinds = np.where(told, kinds, NONE - np.arange(over.shape[1]))
        agree = np.ones(len(rows), dtype=bool)
        for first, second in combinations(range(over.shape[1]), 2):
            agree &= (kinds[:, first] != kinds[:, second]) | (over[:, first] == over[:, second])
        return agree

    def _units_over(self, rows: Array) -> Array:
        """Return the units of each row of variables, and all blocks that these are in, NONE after the last."""
        over = [self.unit_of[rows]]
        while (over[-1] >= 0).any():
            over.append(np.where(over[-1] >= 0, self._above[np.maximum(over[-1], 0)], NONE))
        return np.concatenate(over, axis=1)

    def tables(
        self, kind: int, powers: Row, given: Mapping[int, Iterable[int]] = EMPTY
    ) -> list[tuple[Block, Power, Array]]:
        """Return where units of a kind are multiplied, given the powers of the variables that were kept.

        Args:
            kind: of the units.
            powers: of the variables kept, and of all that belong to several units at once.
            given: the variables of one unit each that give the latter.

        Raises:
            InconsistencyError: if places do not fall to units evenly.
        """
        members = self.kinds[kind] if kind >= 0 else np.zeros(1, dtype=np.int64)
        self._index_units(members)
        chosen: defaultdict[tuple[int, Power], set[int]] = defaultdict(set)
        shared: defaultdict[tuple[int, Power], set[int]] = defaultdict(set)
        for variable, power in powers.items():
            (shared if variable in given else chosen)[int(self.cells_of[variable]), power].add(variable)
        tables = []
        for (number, power), variables in sorted(chosen.items()):
            cells = self.cells[number]
            if cells.block.tensor:
                tables.append((cells.block, power, self._table(number, variables, len(members))))
        for (number, power), variables in sorted(shared.items()):
            block = self.cells[number].block
            if block.tensor:
                tables.append((block, power, self._shared_table(block, variables, given, len(members))))
        return tables

    def _index_units(self, members: Array) -> None:
        """Number the units of one kind in their order, and no others."""
        self._index[self._indexed] = NONE
        self._index[members] = np.arange(len(members))
        self._indexed = members

    def _table(self, number: int, variables: set[int], units: int) -> Array:
        """Return the places of some cells where variables like these are, unit by unit of the kind indexed.

        Raises:
            InconsistencyError: if they do not fall to units evenly.
        """
        cells = self.cells[number]
        mask = np.zeros(len(cells.units), dtype=bool)
        for variable in variables:
            kind = self.kind(variable)
            if kind >= 0:
                mask |= (self._kinds_of(number) == kind) & (cells.ranks == self.rank_of[variable])
            else:
                mask |= cells.block.variables == variable
        (at,) = np.nonzero(mask)
        index = self._indices(cells.units[at], cells.block.tensor) if units > 1 else np.zeros(len(at), dtype=np.int64)
        if len(at) % units or (np.bincount(index, minlength=units) != len(at) // units).any():
            raise _not_understood(cells.block.tensor)
        order = np.lexsort((at, cells.ranks[at], cells.units[at], index))
        return at[order].reshape(units, -1)

    def _shared_table(self, block: Block, variables: set[int], given: Mapping[int, Iterable[int]], units: int) -> Array:
        """Return the places of variables of several units at once, unit by unit of the kind indexed, in their order.

        Raises:
            InconsistencyError: if they do not fall to units evenly.
        """
        (at,) = np.nonzero(np.isin(block.variables, list(variables)))
        index = np.zeros_like(at)
        if units > 1:
            numbers, which = ranked(block.variables[at])
            parts = [list(given[variable]) for variable in numbers.tolist()]
            lengths = [len(part) for part in parts]
            over = self._units_over(np.array([unit for part in parts for unit in part], dtype=np.int64)[:, None])
            best = np.full(len(numbers), NONE)
            np.maximum.at(
                best,
                np.repeat(np.arange(len(parts)), lengths),
                np.where(over >= 0, self._index[np.maximum(over, 0)], NONE).max(axis=1, initial=NONE),
            )
            index = best[which]
        if (index < 0).any() or len(at) % units or (np.bincount(index, minlength=units) != len(at) // units).any():
            raise _not_understood(block.tensor)
        return at[np.lexsort((at, index))].reshape(units, -1)

    def _indices(self, units: Array, tensor: str) -> Array:
        """Return which unit of the kind indexed each unit is, or else the innermost of the blocks that it is in.

        Raises:
            InconsistencyError: if it is none of them.
        """
        index = self._index[units]
        while (index < 0).any():
            units = np.where(index < 0, self._above[units], units)
            if (units < 0).any():
                raise _not_understood(tensor)
            index = self._index[units]
        return index


def variable_table(labels: Labels, equations: Equations, kinds: Sequence[Sequence[int]]) -> VariableTable:
    """Return the table of all variables, of kinds whose units have equations alike."""
    table = VariableTable(labels, equations, kinds)
    while (finer := table.unlike([*equations.rows("scale"), *equations.rows("sign")])) is not None:
        table = VariableTable(labels, equations, [members.tolist() for members in finer])
    return table


def _not_understood(tensor: str) -> InconsistencyError:
    return InconsistencyError(f"the scales of {tensor!r} were not understood: please report this")


def _row_hash(rows: Array) -> Hash:
    total: Hash = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        total = mix(total + mix(column.astype(np.uint64)))
    return total
