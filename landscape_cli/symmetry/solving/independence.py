"""Which factors of no unit's own are there: those that do what no factors of units do together, each in few tensors.

A factor of no unit's own multiplies whole tensors, or what several kinds of units own. Rows give its powers, by the
variables that stand for all (`VariableTable.representative`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, groupby

import numpy as np

from landscape_cli.symmetry.solving.elimination import Row, Span, added, quotient, reduced
from landscape_cli.symmetry.solving.variables import VariableTable
from landscape_cli.symmetry.tracing.equations import Block
from landscape_cli.symmetry.tracing.integers import NONE, Array, components, different

MOST = 32
"""Up to how many factors are told in as few tensors as can be."""


def independent(
    variables: VariableTable, members: Mapping[int, Row], shapes: Mapping[str, Sequence[int]], *, modulo: int = 0
) -> list[tuple[int, Row, int]]:
    """Return what is free and does something to tensors, in forward order: the units' kind, the powers, and where.

    Args:
        variables: of scales or signs.
        members: by free variable the powers of all that depend on it.
        shapes: of the tensors.
        modulo: 2 for signs, 0 for scales.
    """
    trades = Trades(variables, shapes)
    real = {free: row for free, row in members.items() if any(variables.in_tensor[member] for member in row)}
    alone = [free for free in sorted(real) if variables.units_of(variables.kind(free)) == 1]
    found = [
        (variables.kind(free), row, free)
        for free, row in real.items()
        if free not in set(alone) and not _is_idle(variables, row, trades, modulo)
    ]
    inner: dict[int, list[Row]] = {}
    for kind, row, _ in found:
        for blocks in variables.around(kind):
            inner.setdefault(blocks, []).append(row)
    of_kind: dict[int, dict[int, Row]] = {}
    for kind, row, free in found:
        of_kind.setdefault(kind, {})[free] = row
    idle = {
        free
        for kind, outer in of_kind.items()
        if kind in inner or len(outer) > 1
        for free in _of_inner(variables, outer, inner.get(kind, ()), trades, modulo)
    }
    found = [one for one in found if one[2] not in idle]
    if alone:
        idle_rows = list(trades.within({variable for row in real.values() for variable in row}))
        span = Span(modulo)
        for row in (*idle_rows, *(row for _, row, _ in found)):
            span.add(_in_tensors(variables, row))
        alone.sort(key=lambda free: (variables.kind(free) < 0, not variables.in_tensor[free]))
        rows = {free: _without_trades(_in_tensors(variables, real[free]), idle_rows, modulo) for free in alone}
        kept = [free for free in alone if span.add(rows[free])]
        for free, row in zip(kept, _sparse([rows[free] for free in kept], idle_rows, modulo), strict=True):
            found.append((NONE, row, free if free in row else min(row)))
    return sorted(found, key=lambda one: one[2])


def _is_idle(variables: VariableTable, row: Row, trades: Trades, modulo: int) -> bool:
    """Tell whether powers do nothing: those of each head along one axis of a tensor, taken back along another."""
    here = _in_tensors(variables, row)
    if len({variables.cells[variables.cells_of[variable]].block.tensor for variable in here}) > 1:
        return False
    return not _without_trades(here, list(trades.within(set(here))), modulo)


def _of_inner(
    variables: VariableTable,
    outer: Mapping[int, Row],
    inner: Sequence[Row],
    trades: Trades,
    modulo: int,
) -> list[int]:
    """Return which factors of blocks do what those of all units in a block, the inner ones, do, or shorter ones too."""
    rows = [_in_tensors(variables, row) for row in inner]
    here = {free: _in_tensors(variables, row) for free, row in outer.items()}
    span = Span(modulo)
    for before in (*trades.within(set().union(*here.values(), *rows)), *rows):
        span.add(before)
    return [free for free in sorted(here, key=lambda free: (len(here[free]), free)) if not span.add(here[free])]


def simplified(variables: VariableTable, row: Row, shapes: Mapping[str, Sequence[int]]) -> Row:
    """Return powers that do the same to tensors, along as few axes as that takes."""
    return _without_trades(row, list(Trades(variables, shapes).within(set(row))), 0)


def _in_tensors(variables: VariableTable, row: Row) -> Row:
    return {variable: power for variable, power in row.items() if variables.in_tensor[variable]}


class Trades:
    """What does nothing to a tensor: all places of one axis multiplied, and all of another divided.

    Where two runs of axes have one in common, as those of a stack's matrices have, each of its places has its own.
    """

    def __init__(self, variables: VariableTable, shapes: Mapping[str, Sequence[int]]) -> None:
        """Look up which variables stand for those of each run of axes of all tensors."""
        runs: defaultdict[str, list[Block]] = defaultdict(list)
        for block in variables.blocks:
            if block.tensor and len(block.variables):
                runs[block.tensor].append(block)
        self._shapes, self._representative = shapes, variables.representative
        self._blocks = [block for blocks in runs.values() for block in blocks]
        held = [different(self._representative[block.variables]) for block in self._blocks]
        numbers = np.concatenate([np.zeros(0, dtype=np.int64), *held])
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._holders = numbers[order], np.repeat(np.arange(len(held)), list(map(len, held)))[order]
        self._known: dict[tuple[int, int], list[tuple[list[int], list[int]]]] = {}

    def within(self, moved: set[int]) -> Iterator[Row]:
        """Yield those of which all variables that stand for others are among some."""
        numbers = np.fromiter(moved, dtype=np.int64, count=len(moved))
        starts, ends = (np.searchsorted(self._numbers, numbers, side=side) for side in ("left", "right"))
        spans = np.repeat(starts - np.cumsum(ends - starts) + (ends - starts), ends - starts)
        touched = different(self._holders[spans + np.arange(len(spans))]).tolist()
        for _, blocks in groupby(touched, key=lambda number: self._blocks[number].tensor):
            for pair in combinations(blocks, 2):
                for plus, minus in self._sides(pair):
                    if moved.issuperset(plus) and moved.issuperset(minus):
                        trade: Row = dict.fromkeys(plus, 1)
                        yield trade | dict.fromkeys(minus, -1)

    def _sides(self, pair: tuple[int, int]) -> list[tuple[list[int], list[int]]]:
        """Return what is multiplied, and what is divided, by each factor of two runs of axes."""
        if pair not in self._known:
            first, second = (self._blocks[number] for number in pair)
            common = [dim for dim in first.dims if dim in second.dims]
            sides = [self._representative[block.variables] for block in (first, second)]
            at = [_places(block.dims, common, self._shapes[block.tensor]) for block in (first, second)]
            which = components(np.stack([np.concatenate(at), np.concatenate(sides)], axis=1))
            parts = np.split(which, [len(sides[0])])
            self._known[pair] = [
                tuple(different(side[part == number]).tolist() for side, part in zip(sides, parts, strict=True))
                for number in range(int(which.max()) + 1)
            ]
        return self._known[pair]


def _places(dims: Sequence[int], common: Sequence[int], shape: Sequence[int]) -> Array:
    """Return for each place of some axes, flattened, which place it is of those in common."""
    sizes = [shape[dim] for dim in dims]
    index = np.zeros(sizes, dtype=np.int64)
    for axis, dim in enumerate(dims):
        if dim in common:
            index = index * shape[dim] + np.arange(shape[dim]).reshape(
                [-1 if k == axis else 1 for k in range(len(dims))]
            )
    return index.ravel()


def _without_trades(row: Row, trades: Sequence[Row], modulo: int) -> Row:
    """Return powers with all that one axis has, the same all along, given to another that has the same."""
    row = dict(row)
    for trade in trades:
        if not trade.keys() <= row.keys():
            continue
        given = {row[variable] for variable, side in trade.items() if side < 0}
        if len(given) == 1 and len({row[variable] for variable, side in trade.items() if side > 0}) == 1:
            [share] = given
            for variable, side in trade.items():
                row[variable] = row[variable] + share if side > 0 else 0
            row = reduced(row, modulo)
    return row


def _sparse(rows: Sequence[Row], trades: Sequence[Row], modulo: int) -> list[Row]:
    """Return rows that come to the same together, each of as few variables as sums of two can have."""
    rows = list(rows)
    changed = len(rows) <= MOST
    while changed:
        changed = False
        for first in range(len(rows)):
            for second in range(len(rows)):
                for variable in rows[first].keys() & rows[second].keys() if first != second else ():
                    if variable not in rows[first] or variable not in rows[second]:
                        continue
                    share = quotient(-rows[first][variable], rows[second][variable])
                    shorter = _without_trades(added(rows[first], rows[second], share, modulo), trades, modulo)
                    if len(shorter) < len(rows[first]):
                        rows[first], changed = shorter, True
    return rows
