"""Which units may trade places, from a model's gradients and outputs alone.

Colour refinement (`colors`) bounds from above what any symmetry can do: it takes no entry to one of another colour. The
symmetries found bound it from below: by their orbits. Where the two agree, nothing is missed. Where a colour holds
several orbits, slices of tensors through them are exchanged, with whatever has to go along, and the outputs compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.checking.colors import Colors
from landscape_cli.symmetry.checking.moves import Entries, Move, Moves, orbits
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.spec import Places
from landscape_cli.symmetry.tracing.integers import Hash

CLOSE = 1e-9
"""By how much outputs may differ for rounding, relative to the largest."""
TRIES = 60
"""The most exchanges that are tried."""
THIRDS = 40
"""Up to how many entries a third may be taken to, as two trade places."""


@dataclass
class Exchanges:
    """Exchanges of units that are there and were not found.

    Attributes:
        missed: what each does.
        open: pairs of entries that look alike and could not be exchanged: nothing tells them apart, and nothing shows
            that they may trade places; None for those that were not looked at.
        blind: whether a reason is that equal numbers have no finite outputs, so that nothing tells entries apart there.
    """

    missed: list[Move] = field(default_factory=list)
    open: list[tuple[int, int] | None] = field(default_factory=list)
    blind: bool = False


class ExchangeSearch:
    """Looks for exchanges of units that the symmetry found does not hold.

    Attributes:
        found: moves that generate what was found.
        result: what has come of the search.
    """

    def __init__(self, probe: Probe, moves: Moves, random: np.random.Generator) -> None:
        """Take up a model and its symmetry."""
        self._probe, self._moves = probe, moves
        self._colors = Colors(probe, random)
        self._tensor = np.repeat(np.arange(len(probe.names)), np.diff(probe.starts))
        self.found = list(moves.generators())
        self._networks = [probe.draw(), probe.draw()]
        self._before = [probe.outputs(network) for network in self._networks]
        self._tries = 0
        self._held: list[Entries] = []
        self.result = Exchanges()

    def run(self, idle: NDArray[np.bool_]) -> Exchanges:
        """Look among all entries but those that do nothing; then once more with one unit of each group held.

        That is, one place of it: where units live at several, as in several heads, those of each may move alone. Where
        units fall into blocks, it is one of each block: which may trade places unbeknown.
        """
        self._idle = idle
        for group in self._moves.symmetry.permutations:
            axes = [axis for axis in group.axes if axis.tensor in self._probe.shapes]
            most = max((axis.places.table.shape[1] for axis in axes), default=0)
            axes.sort(key=lambda axis: axis.places.table.shape[1] < most)
            first = [replace(axis, places=Places(axis.places.table[:, :1])) for axis in axes]
            units = range(0, group.units, group.size)
            held = [np.concatenate([self._moves.entries_of(axis, unit) for unit in units]) for axis in first]
            self._held += [entries for entries in held if not idle[entries].any()][:1]
        plain = self._colors.plain()
        for start in (plain, *(self._colors.mark(plain, entries) for entries in self._held)):
            self._extend(start)
        self.result.blind = self._colors.blind
        return self.result

    def _extend(self, start: Hash) -> None:
        """Add exchanges to those known, of those that keep the colours, until they explain the refined ones."""
        held = start
        for entries in self._held:
            held = self._colors.mark(held, entries)
        (colors,), (finer,) = self._colors.refine([start]), self._colors.refine([held])
        known = [move for move in [*self.found, *self.result.missed] if (start[move] == start).all()]
        apart: set[tuple[int, int]] = set()
        split: set[int] = set()
        pair = None
        while self._tries < TRIES and not self._colors.blind:
            orbit = orbits(self._probe.size, known)
            pair = next(self._pairs(colors, finer, orbit, apart), None)
            if pair is None:
                return
            color = int(colors[pair[0]])
            if color not in split:
                split.add(color)
                alike = np.unique(orbit, return_index=True)[1]
                apart |= self._told_apart(start, alike[(colors[alike] == colors[pair[0]]) & ~self._idle[alike]])
                continue
            move = self._exchange(start, colors, *pair, known)
            if move is None:
                apart.add(pair)
            else:
                known.append(move)
                self.result.missed.append(move)
        self.result.open.append(pair)

    def _pairs(
        self, colors: Hash, finer: Hash, orbit: Entries, apart: set[tuple[int, int]]
    ) -> Iterator[tuple[int, int]]:
        """Yield pairs of entries of one colour and several orbits, the first of each, that are not told apart.

        Units that are all alike may hide what tells others apart. So what takes one orbit to another must also do so
        with the first unit of each group held, as those found take that back to where it was: the orbits must have one
        of the finer colours in common.
        """
        first, which = np.unique(orbit, return_index=True)[1], np.unique(orbit, return_inverse=True)[1]
        shades: list[set[int]] = [set() for _ in first]
        for number, shade in zip(which.tolist(), finer.tolist(), strict=True):
            shades[number].add(shade)
        by_color: dict[int, list[int]] = {}
        for entry in np.sort(first[~self._idle[first]]).tolist():
            alike = by_color.setdefault(int(colors[entry]), [])
            for before in alike:
                if (before, entry) not in apart and shades[which[before]] & shades[which[entry]]:
                    yield before, entry
            alike.append(entry)

    def _told_apart(self, start: Hash, entries: Entries) -> set[tuple[int, int]]:
        """Return the pairs of these entries that are told apart once either is told from all others."""
        apart: set[tuple[int, int]] = set()
        parts = [entries.tolist()]
        while parts:
            part = parts.pop()
            refined = self._colors.refine([self._colors.mark(start, np.array([entry])) for entry in part])
            kinds: dict[bytes, list[int]] = {}
            for entry, coloring in zip(part, refined, strict=True):
                kinds.setdefault(np.sort(coloring).tobytes(), []).append(entry)
            for one, other in combinations(kinds.values(), 2):
                apart |= {(min(a, b), max(a, b)) for a in one for b in other}
            parts += [kind for kind in kinds.values() if len(kinds) > 1 and len(kind) > 1]
        return apart

    def _slices(self, a: int, b: int) -> Iterator[tuple[Entries, Entries]]:
        """Yield the slices of a tensor through two of its entries, along each axis on which they differ; at last both.

        Where they differ on several, a slice through one of them may do for the others.
        """
        tensor = int(self._tensor[a])
        shape, start = self._probe.shapes[self._probe.names[tensor]], int(self._probe.starts[tensor])
        here, there = (np.unravel_index(entry - start, shape) for entry in (a, b))
        numbers = start + np.arange(int(np.prod(shape))).reshape(shape)
        for dim, (i, j) in enumerate(zip(here, there, strict=True)):
            if i != j:
                yield numbers.take(int(i), axis=dim).ravel(), numbers.take(int(j), axis=dim).ravel()
        yield np.array([a]), np.array([b])

    def _exchange(self, start: Hash, colors: Hash, a: int, b: int, known: Sequence[Move]) -> Move | None:
        """Return an exchange that takes one entry to another, with all that has to go along; None if there is none."""
        undecided = False
        for first, second in self._slices(a, b):
            if not np.array_equal(np.sort(colors[first]), np.sort(colors[second])):
                continue
            self._tries += 1
            marked = [self._colors.mark(start, first), self._colors.mark(start, second)]
            one, other = self._colors.refine(marked)
            if _alike(one, other):
                move = _involution(one, other)
                if move is not None and move[a] == b and self.keep([move]).all():
                    return move
                undecided |= bool(move is None or move[a] == b)
        if undecided and not self._ruled_out(start, colors, a, b, known):
            self.result.open.append((a, b))
        return None

    def _ruled_out(self, start: Hash, colors: Hash, a: int, b: int, known: Sequence[Move]) -> bool:
        """Tell whether nothing takes one entry to another: wherever it took some third, it would be seen.

        Of the entries that the third might go to, those are tried that no known move which keeps `b` takes to others.
        """
        one, other = self._colors.mark(start, np.array([a])), self._colors.mark(start, np.array([b]))
        reach = orbits(self._probe.size, [move for move in known if move[b] == b])
        busy = np.flatnonzero(~self._idle & (colors != colors[a]))
        for third in busy[np.unique(colors[busy], return_index=True)[1]].tolist():
            like = busy[colors[busy] == colors[third]]
            targets = like[np.unique(reach[like], return_index=True)[1]]
            marked = self._colors.mark(one, np.array([third]))
            if 1 < len(targets) <= THIRDS and not any(
                _alike(*self._colors.refine([marked, self._colors.mark(other, np.array([target]))]))
                for target in targets.tolist()
            ):
                return True
        return False

    def keep(self, moves: Sequence[Move]) -> NDArray[np.bool_]:
        """Tell of each move whether random networks have the same outputs once moved."""
        kept = np.ones(len(moves), dtype=bool)
        for vector, before in zip(self._networks, self._before, strict=True):
            if kept.any():
                after = self._probe.outputs(
                    np.stack([vector[move] for move, is_kept in zip(moves, kept, strict=True) if is_kept])
                )
                kept[kept] = np.abs(after - before).max(axis=1) <= CLOSE * np.abs(before).max()
        return kept


def _alike(one: Hash, other: Hash) -> bool:
    """Tell whether two colorings have the same colors equally often."""
    return np.array_equal(np.sort(one), np.sort(other))


def _involution(one: Hash, other: Hash) -> Move | None:
    """Return the exchange of entries that two colourings tell: of one colour here and another there, with the reverse.

    Those that several entries have alike are paired in their order.
    """
    move = np.arange(len(one))
    moved = np.flatnonzero(one != other)
    if not len(moved):
        return None
    there = np.lexsort((moved, other[moved], one[moved]))
    back = np.lexsort((moved, one[moved], other[moved]))
    sources, targets = moved[there], moved[back]
    if not (np.array_equal(one[sources], other[targets]) and np.array_equal(other[sources], one[targets])):
        return None
    move[sources] = targets
    return move
