"""Which units may trade places, from a model's gradients and outputs alone.

Colour refinement (`colors`) bounds from above what any symmetry can do: it takes no entry to one of another colour. The
symmetries found bound it from below: by their orbits. Both are compared for a chain of symmetries, each keeping one
entry more (`chain`), from the last on, so that what is missed is found where the least can move. Where an entry that is
held next might go to another of its color, and nothing known takes it there, an exchange that does is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.checking.across import exchanges_across
from landscape_cli.symmetry.checking.agreement import agree
from landscape_cli.symmetry.checking.chain import Chain
from landscape_cli.symmetry.checking.colors import Colors, are_alike
from landscape_cli.symmetry.checking.moves import Entries, Exchange, Move, Moves, orbits
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.slices import slice_exchanges
from landscape_cli.symmetry.tracing.integers import Hash

TRIES = 60
"""The most exchanges that are tried."""
THIRDS = 40
"""Up to how many entries a third may be taken to, as two trade places."""
DEEP = 8
"""How many entries more are held, at most, to tell what goes along with an exchange."""
NETWORKS = 12
"""The most networks whose outputs are compared."""
LONG = 60
"""How many steps the chain may have, beyond those that what was found needs."""


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


@dataclass(frozen=True)
class _Step:
    """A coloring in which entries are held, and those that are held next.

    Attributes:
        colors: the coloring.
        shades: what becomes of it once an entry of the first unit is held that each group may still move.
        held: the entries that are held.
        next: those that are held next.
    """

    colors: Hash
    shades: Hash
    held: Entries
    next: Entries


class ExchangeSearch:
    """Looks for exchanges of units that the symmetry found does not hold.

    Attributes:
        found: what generates each group that was found and keeps outputs.
        wrong: how many groups that were found change outputs.
        result: what has come of the search.
    """

    def __init__(self, probe: Probe, moves: Moves, random: np.random.Generator) -> None:
        """Take up a model and its symmetry."""
        self._probe, self._moves = probe, moves
        self._colors = Colors(probe, random)
        self._networks = [probe.draw(), probe.draw()]
        self._before = [probe.outputs(network) for network in self._networks]
        self._tries = 0
        self._exchanges: list[Exchange] = []
        self.found: list[list[Move]] = []
        self.wrong = 0
        for group in moves.symmetry.permutations:
            generators = list(moves.generators(group))
            if self.keep(generators).all():
                self._exchanges += moves.exchanges(group)
                self.found.append(generators)
            else:
                self.wrong += 1
        self._idle = np.zeros(probe.size, dtype=bool)
        self.result = Exchanges()

    @property
    def generators(self) -> list[Move]:
        """Fewer moves that generate the same as all that are known to keep outputs."""
        return [*(move for moves in self.found for move in moves), *self.result.missed]

    @property
    def known(self) -> list[Move]:
        """Moves that keep outputs: found, and missed."""
        return [*(exchange.move for exchange in self._exchanges), *self.result.missed]

    def run(self, idle: NDArray[np.bool_]) -> Exchanges:
        """Look among all entries but those that do nothing."""
        self._idle = idle
        self._draw_until_seen()
        for step in reversed(list(self._chain())):
            known = [move for move in self.known if (move[step.held] == step.held).all()]
            for entry in step.next.tolist():
                self._extend(step, entry, known)
        self.result.blind = self._colors.blind
        if self._colors.blind or self._colors.has_ties():
            for move in slice_exchanges(self._probe, self._networks):
                if not self.is_known(move) and self._is_confirmed(move):
                    self.result.missed.append(move)
        for move in exchanges_across(self._moves, self._probe.size):
            if not self.is_known(move) and self.keep([move]).all() and self._is_confirmed(move):
                self.result.missed.append(move)
        return self.result

    def _draw_until_seen(self) -> None:
        """Draw networks until each entry that does something mattered to two: what is off may go anywhere.

        What never mattered counts as doing nothing.
        """
        seen = np.sum([self._probe.active(network) for network in self._networks], axis=0)
        while len(self._networks) < NETWORKS and (seen[~self._idle] < 2).any():
            self._networks.append(self._probe.draw())
            self._before.append(self._probe.outputs(self._networks[-1]))
            seen += self._probe.active(self._networks[-1])
        self._idle = self._idle | (seen == 0)

    def is_known(self, move: Move) -> bool:
        """Tell whether a move is put together of those known, each of other entries, where it does something."""
        left, numbers = move.copy(), np.arange(len(move))
        for known in self.known:
            moved = known != numbers
            if (left[moved] == known[moved]).all():
                left[moved] = numbers[moved]
        return bool(self._idle[left != numbers].all())

    def _chain(self) -> Iterator[_Step]:
        """Yield colorings in which more and more is held: what was found moves, then what looks alike all the same."""
        chain = Chain(self._moves, self._exchanges, self._idle)
        added = [np.zeros(0, dtype=np.int64), *chain.steps()]
        held = [np.concatenate(added[: k + 1]) for k in range(len(added))]
        colorings = [self._marked(self._colors.plain(), entries) for entries in held]
        shaded = [
            self._colors.mark(coloring, chain.first_units(entries), self._probe.size)
            for coloring, entries in zip(colorings, held, strict=True)
        ]
        refined = self._colors.refine([*colorings, *shaded[:-1]])
        colorings, shaded = refined[: len(held)], refined[len(held) :]
        for k in range(len(held) - 1):
            yield _Step(colorings[k], shaded[k], held[k], added[k + 1])
        colors, entries = colorings[-1], held[-1]
        for _ in range(LONG * (not self._colors.blind)):
            alike = self._smallest(colors)
            if not len(alike):
                return
            yield _Step(colors, colors, entries, alike[:1])
            (colors,) = self._colors.refine([self._colors.mark(colors, alike[:1], len(entries))])
            entries = np.append(entries, alike[0])
        self.result.open.append(None)

    def _marked(self, colors: Hash, entries: Entries) -> Hash:
        for number, entry in enumerate(entries):
            colors = self._colors.mark(colors, entry, number)
        return colors

    def _smallest(self, colors: Hash) -> Entries:
        """Return the entries of the color with the fewest of those with several; none if there is none."""
        busy = np.flatnonzero(~self._idle)
        _, which, counts = np.unique(colors[busy], return_inverse=True, return_counts=True)
        several = np.flatnonzero(counts > 1)
        return busy[which == several[counts[several].argmin()]] if len(several) else busy[:0]

    def _extend(self, step: _Step, entry: int, known: list[Move]) -> None:
        """Add exchanges to those known until they take an entry to all places that it may be taken to."""
        apart: set[int] = set()
        colors = step.colors
        while (others := self._unreached(step, entry, known, apart)).size:
            if self._tries >= TRIES:
                self.result.open.append(None)
                return
            start = self._colors.mark(colors, np.array([entry]))
            marked = [self._colors.mark(colors, np.array([other])) for other in others[:THIRDS]]
            here, *there = self._colors.refine([start, *marked], alike=True)
            like = [k for k, coloring in enumerate(there) if are_alike(here, coloring)]
            apart |= {int(others[k]) for k in range(len(there)) if k not in like}
            if not like:
                continue
            other = int(others[like[0]])
            move = self._exchange(colors, entry, other, (here, there[like[0]]), known)
            if move is None:
                apart.add(other)
            else:
                known.append(move)
                self.result.missed.append(move)

    def _unreached(self, step: _Step, entry: int, known: list[Move], apart: set[int]) -> Entries:
        """Return one entry of each orbit that an entry has a color in common with, but that it is not known to reach.

        None of the orbits of those that are told apart. Units that are all alike may hide what tells others apart. So
        what takes one entry to another must also do so with a first unit of each group held, as those found take that
        back to where it was: the orbits must have one of the shades in common.
        """
        orbit = orbits(self._probe.size, known)
        alike = np.flatnonzero((step.colors == step.colors[entry]) & ~self._idle)
        first = alike[np.unique(orbit[alike], return_index=True)[1]]
        first = first[~np.isin(orbit[first], orbit[[entry, *apart]])]
        shades = np.unique(step.shades[orbit == orbit[entry]])
        return first[np.isin(orbit[first], np.unique(orbit[np.isin(step.shades, shades)]))]

    def _exchange(self, colors: Hash, a: int, b: int, refined: tuple[Hash, Hash], known: Sequence[Move]) -> Move | None:
        """Return an exchange that takes one entry to another, with all that has to go along; None if there is none.

        Where several entries look alike, more of them are held, as long as the colorings stay alike.
        """
        self._tries += 1
        one, other = refined
        for _ in range(DEEP):
            move = _involution(one, other)
            if move is not None and move[a] == b and self.keep([move]).all() and self._is_confirmed(move):
                return move
            pair = None if self._colors.blind else self._held_alike(one, other)
            if pair is None:
                break
            one, other = pair
        if self._colors.blind or not self._ruled_out(refined, colors, known, a, b):
            self.result.open.append((a, b))
        return None

    def _held_alike(self, one: Hash, other: Hash) -> tuple[Hash, Hash] | None:
        """Return two colorings that are alike with one entry more held in each, the same if it may be; None if none."""
        alike = self._smallest(one)
        if not len(alike):
            return None
        third = int(alike[0])
        targets = np.flatnonzero((other == one[third]) & ~self._idle)
        targets = targets[np.argsort(targets != third, kind="stable")][:THIRDS]
        marked = [self._colors.mark(other, np.array([target])) for target in targets.tolist()]
        here, *there = self._colors.refine([self._colors.mark(one, np.array([third])), *marked], alike=True)
        return next(((here, coloring) for coloring in there if are_alike(here, coloring)), None)

    def _ruled_out(self, refined: tuple[Hash, Hash], colors: Hash, known: Sequence[Move], a: int, b: int) -> bool:
        """Tell whether nothing takes one entry to another: wherever it took some third, it would be seen.

        Of the entries that the third might go to, those are tried that no known move which keeps `b` takes to others.
        """
        one, other = refined
        reach = orbits(self._probe.size, [move for move in known if move[b] == b])
        busy = np.flatnonzero(~self._idle & (colors != colors[a]))
        for third in busy[np.unique(colors[busy], return_index=True)[1]].tolist():
            like = np.flatnonzero(~self._idle & (other == one[third]))
            targets = like[np.unique(reach[like], return_index=True)[1]]
            if not 1 < len(targets) <= THIRDS:
                continue
            marked = [self._colors.mark(other, np.array([target])) for target in targets.tolist()]
            here, *there = self._colors.refine([self._colors.mark(one, np.array([third])), *marked], alike=True)
            if not any(are_alike(here, coloring) for coloring in there):
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
                kept[kept] = agree(after, before)
        return kept

    def _is_confirmed(self, move: Move) -> bool:
        """Tell whether more networks keep their outputs: by chance a few may, as where only the signs of two count."""
        networks = (self._probe.draw() for _ in range(NETWORKS))
        rows = (self._probe.outputs(np.stack([vector, vector[move]])) for vector in networks)
        return all(agree(after, before) for before, after in rows)


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
