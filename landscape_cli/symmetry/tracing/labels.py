"""Who is who: the labels that places on a network's axes carry, and what tracing learns about them.

A label is a whole number. From 0 upward it is a *unit*: something that a symmetry may permute. Below 0 it is a *slot*:
a fixed position, such as a pixel. Operators state facts about units:

* two are one (`unite`): a row of weights and the entry of the bias added to it;
* one moves with several others (`derive`): a column behind a flatten is one channel's, at one fixed place of the image;
* one belongs to another (`respect`): a unit of an attention head goes where its head goes;
* one may not move (`fix`).

Whatever does not fit these patterns is fixed, which is always true, if less than everything.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.tracing.integers import (
    NONE,
    SPAN,
    Array,
    components,
    different,
    different_rows,
    first_places,
    is_function,
    pairs_of,
    ranked,
    ranked_rows,
    split_rows,
)
from landscape_cli.symmetry.tracing.origins import Origins


class Labels:
    """A growing collection of units, and the facts known about them; those that are one by union-find (Tarjan, 1975).

    `crossed` are units in blocks of two kinds that cross, and stay where they are. `first` are units at the first of
    two places in their block, which those at the second do not take. `blank` are units of zeros beside fixed places.
    `_same` leads from each to one that it was united with, at last the lowest of all; `find` shortens the paths.
    """

    def __init__(self) -> None:
        self.reasons: list[str] = [""]
        self.count = 0
        self.crossed: set[int] = set()
        self.first: set[int] = set()
        self.blank: set[int] = set()
        self._merged = False
        self._same = np.zeros(1, dtype=np.int64)
        self._above = np.full(1, NONE)
        self._fixed = np.zeros(1, dtype=np.int64)
        self._row = np.full(1, NONE)
        self._origin = np.zeros(1, dtype=np.int64)
        self._parts = np.zeros((0, 3), dtype=np.int64)
        self._origins = Origins()

    def units(self, count: int, *, together: bool = False) -> Array:
        """Return new units; `together`: of one axis of one parameter, on which no two of them are one."""
        start, self.count = self.count, self.count + count
        if self.count > len(self._same):
            size = max(1024, 2 * self.count)
            old = len(self._same)
            self._same = np.concatenate([self._same, np.arange(old, size)])
            fill = np.full(size - old, NONE)
            self._above = np.concatenate([self._above, fill])
            self._row = np.concatenate([self._row, fill])
            self._fixed = np.concatenate([self._fixed, fill + 1])
            self._origin = np.concatenate([self._origin, fill + 1])
        if together:
            self._origin[start : self.count] = self._origins.new_axis()
        return np.arange(start, self.count)

    def slots(self, count: int, reason: str) -> Array:
        """Return fixed positions."""
        return -1 - np.arange(count) - SPAN * self.reason(reason)

    def reason(self, text: str) -> int:
        """Return the number of a reason."""
        if text not in self.reasons:
            self.reasons.append(text)
        return self.reasons.index(text)

    def find(self, labels: Array) -> Array:
        """Return the units that stand for all those united with these; slots are themselves."""
        if self.count == 0:
            return labels
        whole = not labels.size or int(labels.min()) >= 0
        if self._merged and labels.size < self.count:
            at = labels if whole else labels[labels >= 0]
            root = self._same[at]
            while ((further := self._same[root]) != root).any():
                root = self._same[at] = further
            if whole:
                return root
        elif self._merged:
            same = self._same[: self.count]
            while ((further := same[same]) != same).any():
                same = further
            self._same[: self.count] = same
            self._merged = False
        if whole:
            return self._same[labels]
        return np.where(labels >= 0, self._same[np.maximum(labels, 0)], labels)

    def resolve(self, labels: Array, *, lone: bool = False) -> list[Array]:
        """Return what labels come to: arrays whose tuples tell apart what the labels do, of underived units and slots.

        Arrays that say the same everywhere are left out, unless nothing else would remain, or it is a unit that they
        say and `lone` asks for such.
        """
        roots = self.find(labels)
        if not len(self._parts):
            return [roots]
        rows = np.where(roots >= 0, self._row[np.maximum(roots, 0)], NONE)
        derived = rows >= 0
        if not derived.any():
            return [roots]
        columns = [
            np.where(derived, self._parts[rows, k], roots if k == 0 else NONE) for k in range(self._parts.shape[1])
        ]
        parts = [part for column in columns[:2] if column.max() >= 0 for part in self.resolve(column, lone=lone)]
        parts += [column for column in (*columns[1:2], columns[2]) if column.max() < 0]
        telling = [
            part for part in parts if part.size and ((part != part.flat[0]).any() or (lone and part.flat[0] >= 0))
        ]
        return telling or parts[:1]

    def above(self, units: Array) -> Array:
        """Return the unit that each belongs to, or NONE; slots belong to nothing."""
        roots = self.find(units)
        blocks = np.where(roots >= 0, self._above[np.maximum(roots, 0)], NONE)
        return np.where(blocks >= 0, self.find(np.maximum(blocks, 0)), NONE)

    def of_one_axis(self, first: Array, second: Array) -> bool:
        """Tell whether some of two sets of labels are units of one axis of one parameter, on which no two are one."""
        origins = [different(self._origin[units[units >= 0]]) for units in (self.find(first), self.find(second))]
        return any(self._origins.meet(a, b) for a, b in product(*origins))

    def why_fixed(self, units: Array) -> Array:
        """Return the number of the reason why each may not move, 0 for those that may."""
        roots = self.find(units)
        return np.where(roots >= 0, self._fixed[np.maximum(roots, 0)], (-1 - roots) // SPAN)

    def fix(self, labels: Array, reason: str | int) -> None:
        """Forbid units to move, and whatever they come to."""
        number = self.reason(reason) if isinstance(reason, str) else reason
        for part in self.resolve(different(labels)):
            roots = part[part >= 0]
            self._fixed[roots] = np.where(self._fixed[roots] > 0, self._fixed[roots], number)

    def unite(self, first: Array, second: Array, reason: str) -> None:
        """State that labels of the same place are one, pair by pair; with a slot, that the unit is fixed.

        Units are underived (`resolve`). Where two would thereby coincide on one axis of one parameter, as the two
        halves of a gated layer do, they become two slots of a new unit.
        """
        pairs = pairs_of(self.find(first).ravel(), self.find(second).ravel())
        for side in (0, 1):
            numbers = np.where(pairs[:, 1 - side] < 0, self.why_fixed(pairs[:, 1 - side]), 0)
            for number in different(numbers[numbers > 0]) if numbers.any() else ():
                self.fix(pairs[numbers == number, side], int(number))
        pairs = pairs[(pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])]
        original, blocks = pairs, self.above(pairs)
        while len(pairs):
            _, lowest = first_places(pairs.min(axis=1))
            origins = self._origin[pairs]
            collides = [self._origins.meet(a, b) for a, b in different_rows(origins)]
            if any(collides):
                colliding = np.array(collides)[ranked_rows(origins)]
                self._pair_up(pairs[colliding], reason)
                if not colliding.all():
                    self.fix(pairs[~colliding], reason)
                return
            _, highest = first_places(pairs[lowest].max(axis=1))
            self._merge(pairs[lowest][highest])
            pairs = self.find(pairs)
            pairs = different_rows(pairs[pairs[:, 0] != pairs[:, 1]])
        for side in (0, 1):
            belongs = blocks[:, side] >= 0
            if (
                len(blocks) == 1
                and blocks[0, side] >= 0 > blocks[0, 1 - side]
                and self._stays(original[0], blocks[0, side])
            ):
                continue
            if belongs.any():
                self.respect(original[belongs, side], blocks[belongs, side], reason)

    def _stays(self, pair: Array, block: int) -> bool:
        """Put two units that are one now into the block that one of them was in before, unless that is in them."""
        [root, outer] = self.find(np.array([pair[0], block]))
        up = outer
        while up >= 0 and up != root:
            up = self.above(up[None])[0]
        if up < 0:
            self._above[root] = outer
        return bool(up < 0)

    def _merge(self, pairs: Array) -> None:
        """Make one of each pair of units; no unit occurs twice."""
        low, high = pairs.min(axis=1), pairs.max(axis=1)
        self._fixed[low] = np.where(self._fixed[low] > 0, self._fixed[low], self._fixed[high])
        self._add_origins(low, self._origin[high])
        self._above[low] = NONE
        self._same[high] = low
        self._merged = True

    def _pair_up(self, pairs: Array, reason: str) -> None:
        """Make each pair two slots of a new unit, or fix all where they do not come in pairs."""
        in_order, pairs = pairs, different_rows(np.sort(pairs, axis=1))  # each of two may meet the other
        flat = pairs.ravel()
        above = self._above[: self.count]
        if len(different(flat)) < len(flat):
            self.fix(flat, reason)
            return
        if np.isin(flat, self.find(above[above >= 0])).any():  # blocks: that at the second place is part of the first
            outer = self.above(pairs)
            alike = (outer[:, 0] == outer[:, 1]).all() and not self._fixed[flat].any()
            if alike and not (self._row[flat] >= 0).any():
                inner = np.isin(pairs[:, 1], in_order[:, 1])[:, None]
                outer_first = np.where(inner, pairs, pairs[:, ::-1])
                self._above[outer_first[:, 1]] = outer_first[:, 0]
            else:
                self.fix(flat, reason)
            return
        units, slots = self.units(len(pairs)), self.slots(2, "")
        for side in (0, 1):
            self.derive(pairs[:, side], units, np.full(len(pairs), NONE), np.full(len(pairs), slots[side]), reason)

    def derive(self, units: Array, first: Array, second: Array, slot: Array, reason: str) -> None:
        """State that each unit moves with one or two others, at a fixed place among those that do."""
        units = self.find(units)
        if len(different(units)) < len(units) or np.isin(units, np.concatenate([first, second])).any():
            for labels in (units, first, second):
                self.fix(labels, reason)
            return
        if self._are_told(units, first, second, slot):
            slot = np.full(len(units), self.slots(1, f"one of several {reason}")[0])
        blocks, fixed = self.above(units), self._fixed[units]
        for number in different(fixed[fixed > 0]):
            self.fix(first[fixed == number], int(number))
            self.fix(second[fixed == number], int(number))
        for part in (first, second):
            real = part >= 0
            self._add_origins(self.find(part[real]), self._origin[units[real]])
        self._row[units] = len(self._parts) + np.arange(len(units))
        self._parts = np.concatenate([self._parts, np.stack([first, second, slot], axis=1)])
        if len(units) and (first >= 0).all() and (second >= 0).all():
            self.share(np.stack([first, second], axis=1), np.ones(len(units), dtype=np.int64), reason)
        belongs = blocks >= 0
        if not belongs.any():
            return
        blocks, followed = blocks[belongs], [part[belongs] for part in (first, second)]
        for leaders in followed:
            if (leaders >= 0).all() and is_function(leaders, blocks):
                for part in self.resolve(leaders)[:1]:
                    self.respect(part, blocks, reason, in_order=bool((slot[belongs] != NONE).any()))
                return
        self.fix(blocks, reason)
        if not is_function(slot[belongs], blocks):
            for leaders in followed:
                self.fix(leaders, reason)

    def _are_told(self, units: Array, first: Array, second: Array, slot: Array) -> bool:
        """Tell whether others of an axis that some of these are on move with the same two, as queries beside keys."""
        derived = np.flatnonzero(self._row[: self.count] >= 0)
        if not len(derived) or not ((first >= 0) & (second >= 0) & (slot == NONE)).all():
            return False
        before = self._parts[self._row[derived]]
        told = before[:, 2] == NONE
        leaders = np.concatenate([self.find(before[told, :2]), self.find(np.stack([first, second], axis=1))])
        old, new = np.split(ranked_rows(leaders), [int(told.sum())])
        origins = [self._origin[derived[told][np.isin(old, new)]], self._origin[units[np.isin(new, old)]]]
        return any(self._origins.meet(a, b) for a, b in product(*map(np.unique, origins)))

    def respect(self, units: Array, blocks: Array, reason: str, *, in_order: bool = False) -> None:
        """State that each unit goes where its block goes: units are permuted within blocks, or blocks as wholes.

        A unit may thereby come to be in two blocks of one kind, one at each of its slots if they are `in_order`.
        """
        pairs = pairs_of(self.find(units).ravel(), self.find(blocks).ravel())
        units, blocks = pairs[(pairs[:, 0] != pairs[:, 1]) & ~self._follow(*pairs.T)].T
        units, blocks = self._leaders_respect(units, blocks, reason)
        if len(different(units)) < len(units):
            self.fix(units, reason)
            self.fix(blocks, reason)
            return
        self.fix(blocks[units < 0], reason)
        units, blocks = units[units >= 0], self._as_units(blocks[units >= 0])
        if len(different(blocks)) == len(units) and not (self._row[blocks] >= 0).any():
            self.unite(units, blocks, reason)  # alone in its block
            return
        old = self.above(units)
        self._above[units[old < 0]] = blocks[old < 0]
        differ = (old >= 0) & (old != blocks)
        if not differ.any():
            return
        units, old, blocks = units[differ], old[differ], blocks[differ]
        both = different_rows(np.stack([old, blocks], axis=1))
        coarser, finer = (len(different(both[:, side])) == len(both) for side in (0, 1))
        if (self._row[both] >= 0).any():
            single = self._parts[self._row[blocks]]
            if len(both) == len(units) and ((self._row[blocks] >= 0) & (single[:, 1] < 0) & (self._row[old] < 0)).all():
                self._above[units] = NONE  # each goes with a block and with whom the other goes with, at its slot
                self.derive(units, old, single[:, 0], single[:, 2], reason)
                return
            self.fix(both, reason)
            self.fix(units, reason)
        elif coarser and finer and len(both) > 1 and any(self._origins.meet(a, b) for a, b in self._origin[both]):
            self._put_in_step(both, units, old, reason)
            if in_order:
                self.first |= set(both[:, 0].tolist())
        elif coarser and finer:
            self.unite(both[:, 0], both[:, 1], reason)
        elif coarser:
            self.respect(both[:, 0], both[:, 1], reason)
        elif finer:
            self._above[units] = blocks
            self.respect(both[:, 1], both[:, 0], reason)
        elif len(both) == len(units):
            self._above[units] = NONE
            self.derive(units, old, blocks, np.full(len(units), NONE), reason)
        else:  # blocks of two kinds that cross: those stay, and units keep to where they cross
            self.fix(both, reason)
            cell = ranked_rows(np.stack([old, blocks], axis=1))
            cells = self.units(int(cell.max()) + 1)
            self.fix(cells, reason)
            self._above[units] = cells[cell]
            self.crossed |= set(units.tolist())

    def _leaders_respect(self, units: Array, blocks: Array, reason: str) -> tuple[Array, Array]:
        """State that what units move with goes where the blocks go; return the rest of the units, with their blocks."""
        rows = np.where(units >= 0, self._row[np.maximum(units, 0)], NONE)
        derived = rows >= 0
        if not derived.any():
            return units, blocks
        leaders, of = self._parts[rows[derived], :2], blocks[derived]
        for leader in leaders.T:
            if (leader >= 0).all() and is_function(ranked(self.find(leader))[1], of):
                self.respect(leader, of, reason)
                break
        else:
            self.fix(units[derived], reason)
            self.fix(of, reason)
        return units[~derived], blocks[~derived]

    def _put_in_step(self, both: Array, units: Array, old: Array, reason: str) -> None:
        """Make pairs of blocks of one kind, each with units in both, what a new block holds, which moves as a whole."""
        made, outer = self.units(len(both), together=True), self.above(both)
        self._above[both] = made[:, None]
        self._above[units] = made[np.searchsorted(both[:, 0], old)]
        for side in (0, 1):
            inside = outer[:, side] >= 0
            if inside.any():
                self.respect(made[inside], outer[inside, side], reason)

    def share(self, pairs: Array, times: Array, reason: str) -> bool:
        """State that units that meet, pair by pair, are in common blocks, and tell whether that is so.

        A block holds all that are joined by meeting; in it each of the one must meet each of the other, equally often.

        Args:
            pairs: the units, shape (pairs, 2).
            times: how often each pair meets.
            reason: why.
        """
        pairs, which = split_rows(self.find(pairs))
        times = np.bincount(which, weights=times)
        blocks = components(pairs)
        sides = [pairs_of(blocks, pairs[:, side])[:, 0] for side in (0, 1)]
        full = np.bincount(sides[0]) * np.bincount(sides[1])
        alike = bool((times == times[0]).all()) and np.array_equal(full, np.bincount(blocks))
        if not alike or ((pairs < 0).any() and int(blocks.max()) > 0):
            return False
        if int(blocks.max()) > 0:
            units = self.units(int(blocks.max()) + 1, together=True)
            for side in (0, 1):
                self.respect(pairs[:, side], self.find(units)[blocks], reason)
        return True

    def _follow(self, units: Array, leaders: Array) -> NDArray[np.bool_]:
        """Tell of units, pair by pair, whether they move with others, of which the leader is one."""
        rows = np.where(units >= 0, self._row[np.maximum(units, 0)], NONE)
        told = (rows >= 0) & (leaders >= 0)
        told[told] = (self.find(self._parts[rows[told], :2]) == leaders[told, None]).any(axis=1)
        return told

    def _as_units(self, blocks: Array) -> Array:
        """Return blocks, those that are slots replaced by units that may not move."""
        slots = different(blocks[blocks < 0])
        if not len(slots):
            return blocks
        made = self.units(len(slots))
        self._fixed[made] = np.maximum(self.why_fixed(slots), 1)
        which = np.searchsorted(slots, np.minimum(blocks, -1)).clip(max=len(slots) - 1)
        return np.where(blocks < 0, made[which], blocks)

    def _add_origins(self, units: Array, origins: Array) -> None:
        for number in different(origins):
            chosen = different(units[origins == number])
            for before in different(self._origin[chosen]):
                merged = self._origins.union(before, number)
                self._origin[chosen[self._origin[chosen] == before]] = merged

    def fixed_count(self) -> int:
        """Return how many units may not move."""
        return int((self._fixed[: self.count] > 0).sum())

    def fix_above(self) -> None:
        """Fix the blocks that hold a unit that may not move, and theirs in turn."""
        while True:
            before = self.fixed_count()
            units = np.flatnonzero(self._fixed[: self.count] > 0)
            above = self.above(units)
            for unit, block in zip(units[above >= 0], above[above >= 0], strict=True):
                self._fixed[block] = self._fixed[block] or self._fixed[unit]
            if self.fixed_count() == before:
                return

    def depths(self) -> Array:
        """Return for each unit how many blocks, one within another, it lies in."""
        above = self.above(np.arange(self.count))
        depth, up = np.zeros(self.count, dtype=np.int64), above
        while (up >= 0).any():
            depth += up >= 0
            up = np.where(up >= 0, above[np.maximum(up, 0)], NONE)
        return depth
