"""The order in which groups are matched: settled ones first, then sweeps (SPEC 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array
from landscape_cli.alignment.labelling import Labelling
from landscape_cli.alignment.signs import choose_signs, tellers
from landscape_cli.alignment.similarity import Kind, Similarity, Term
from landscape_cli.alignment.ties import untied
from landscape_cli.symmetry import Axis, Role, SignGroup

MOST_SWEEPS = 100
LEAST_GAIN = {torch.float64: 1e-12, torch.float32: 1e-6}
"""A better assignment must be better by this much of the sum of similarities: rounding may not undo an exact match."""


class Descent:
    """Matches one group after another, the rest being as `labelling` says."""

    def __init__(
        self,
        similarity: Similarity,
        labelling: Labelling,
        given: Mapping[str, Tensor] | None = None,
        given_signs: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Start at a labelling, which changes as groups are matched.

        Args:
            similarity: what units are matched by.
            labelling: where to start.
            given: similarities of groups of units, shape (units, units), that need nothing settled and stay as
                they are.
            given_signs: the same with their sign, by sign group.
        """
        self.similarity, self.labelling, self.map = similarity, labelling, similarity.map
        self.given, self.given_signs = dict(given or {}), dict(given_signs or {})
        self._pending = [group.name for group in self.map.symmetry.permutations]
        self._settled: set[str] = set()
        self._told: set[str] = set()
        self._tried: set[str] = set()
        self._versions: dict[str, int] = {}
        self._seen: dict[str, tuple[int, ...]] = {}

    def settle(self) -> None:
        """Match every group once, in an order in which the next has writers whose other axes are settled.

        A group that has none is matched by its readers, if what else they have is settled, or by whatever it has.
        """
        self._tell()
        while self._pending:
            name, terms = self._next()
            untold = self._untold(terms)
            self._try_signs(name, terms)
            self._match(name, terms, only_if_better=False)
            self._break_ties(terms)
            done = [name, *(leaf for leaf in terms if leaf in self.given or terms[leaf])]
            self._settled |= set(done) | self._between(name, done)
            self._pending = [one for one in self._pending if one not in self._settled]
            if self._tell_joint(untold):
                self._match(name, terms, only_if_better=False)
                self._break_ties(terms)
            if terms == self._all_terms(name) and not self._untold(terms):
                self._note(name, terms)
            self._tell()
        for group in self.map.symmetry.signs:  # what only others tell that are not told either
            if group.name not in self._told:
                self._choose(group, tellers(group))
                self._told.add(group.name)
                self._tell()

    def sweep(self, orders: Iterable[Sequence[str]] | None = None) -> None:
        """Match every group with all that counts, until none changes.

        Where only writers count, what one group gains can cost its readers more. So sweeps end when the sum of all
        similarities no longer rises, with the labelling that had the largest.

        Args:
            orders: the order of the groups' names, sweep after sweep; by default always the forward order.
        """
        names = [group.name for group in self.map.symmetry.permutations]
        source = iter(orders) if orders is not None else None
        cosine = self.similarity.kind is Kind.COSINE
        best, total = self.labelling.copy(), None
        for _ in range(MOST_SWEEPS):
            changed = False
            for name in next(source, names) if source is not None else names:
                terms = self._all_terms(name)
                if self._seen.get(name) != self._stamp(terms):
                    changed |= self._match(name, terms)
                    self._note(name, terms)
            changed |= self._choose_signs(everything=True)
            if not changed:
                return
            if cosine:
                total = self.similarity.total(best) if total is None else total
                reached = self.similarity.total(self.labelling)
                if reached <= total:
                    self.labelling.restore(best)
                    return
                best, total = self.labelling.copy(), reached

    def finish(self) -> None:
        """Match units that what counts leaves a choice between, all else being labelled, by all that they have.

        Small whole numbers, as products of signs are, often tie.
        """
        for _ in range(MOST_SWEEPS):
            changed = False
            for group in self.map.symmetry.permutations:
                changed |= not self.map.nesting.inside[group.name] and self._finish(group.name)
            if not changed:
                return
            self.sweep()

    def _finish(self, name: str) -> bool:
        score = self.given.get(name)
        if score is None:
            score = self.similarity.score(name, self.similarity.writers(name), self.labelling)
        pairs = untied(name, score, self.similarity, self.labelling, as_labelled=True, given_signs=self.given_signs)
        if pairs is None or not self.labelling.pair({name: pairs}):
            return False
        self._versions[name] = self._versions.get(name, 0) + 1
        self._choose_signs(everything=True)
        return True

    def _break_ties(self, terms: Mapping[str, Sequence[Term]]) -> None:
        """Match units that their similarity does not tell apart by all else that they have."""
        for leaf, found in terms.items():
            score = self.given.get(leaf) if self.map.symmetry.latents else None
            if found and leaf not in self.given:
                score = self.similarity.score(leaf, found, self.labelling, self._untold(terms))
            if score is not None:
                pairs = untied(leaf, score, self.similarity, self.labelling)
                if pairs is not None and self.labelling.pair({leaf: pairs}):
                    self._versions[leaf] = self._versions.get(leaf, 0) + 1

    def _next(self) -> tuple[str, dict[str, list[Term]]]:
        """Return the group to match next, and by what."""
        roots = [
            name
            for name in self._pending
            if self.map.nesting.outer.get(name) is None or self.map.nesting.outer[name] in self._settled
        ]
        for readers in (False, True):
            for name in roots:
                terms = {leaf: self._settled_terms(leaf, name, readers=readers) for leaf in self._leaves(name)}
                if any(terms.values()) or any(leaf in self.given for leaf in terms):
                    return name, terms
        name = roots[0]
        return name, self._all_terms(name)

    def _leaves(self, name: str) -> list[str]:
        return self.map.nesting.leaves(name)

    def _between(self, name: str, done: Sequence[str]) -> set[str]:
        """Return the groups of blocks between a group and the units inside that have been matched."""
        return {outer for leaf in done for outer in self.map.nesting.outers(leaf) if name in self._outers(outer)}

    def _outers(self, name: str) -> list[str]:
        return self.map.nesting.outers(name)

    def _settled_terms(self, leaf: str, name: str, *, readers: bool) -> list[Term]:
        if leaf in self.given:
            return []
        terms = self.similarity.terms[leaf] if readers else self.similarity.writers(leaf)
        return [term for term in terms if term.depends <= self._settled - {leaf, name} and self._signs_told(term)]

    def _signs_told(self, term: Term) -> bool:
        return {group.name for group, _ in term.flips} <= self._told

    def _all_terms(self, name: str) -> dict[str, list[Term]]:
        """Return what counts for a group; blocks are matched by what does not depend on labels inside, if possible."""
        leaves = self._leaves(name)
        terms = {leaf: [] if leaf in self.given else self.similarity.writers(leaf) for leaf in leaves}
        if leaves == [name]:
            return terms
        within = {name, *leaves, *self._between(name, leaves)}
        apart = {leaf: [t for t in found if not t.depends & within] for leaf, found in terms.items()}
        return apart if any(apart.values()) or any(leaf in self.given for leaf in leaves) else terms

    def _note(self, name: str, terms: Mapping[str, Sequence[Term]]) -> None:
        """Remember what a group was matched by, so that it is not matched again before anything of that changes."""
        if not _is_tied(terms):
            self._seen[name] = self._stamp(terms)

    def _stamp(self, terms: Mapping[str, Sequence[Term]]) -> tuple[int, ...]:
        used: dict[str, None] = {}
        for leaf, found in terms.items():
            used[leaf] = None
            for term in found:
                used |= dict.fromkeys(sorted(term.depends)) | dict.fromkeys(_flipping(term))
        return tuple(self._versions.get(key, 0) for key in used)

    def _scores(self, terms: Mapping[str, Sequence[Term]], free: Collection[str]) -> dict[str, Tensor]:
        """Return how well units match; signs of `free`, which several have in common, do not count."""
        scores = {}
        for leaf, found in terms.items():
            if leaf in self.given:
                scores[leaf] = self.given[leaf]
            elif found:
                scores[leaf] = self.similarity.score(leaf, found, self.labelling, free)
        return scores

    def _untold(self, terms: Mapping[str, Sequence[Term]]) -> dict[str, int]:
        """Return the signs yet to be told that several units have in common, by sign group, and how many there are."""
        joint = [group for found in terms.values() for term in found for group, _ in term.joint]
        return {group.name: group.size for group in joint if group.name not in self._told | self._tried}

    def _try_signs(self, name: str, terms: Mapping[str, Sequence[Term]]) -> None:
        """Choose the one sign that all units of a group have in common, if it is yet to be told, by how they match."""
        for group, size in self._untold(terms).items():
            if size > 1:  # each of several: their signs do not count until those matched tell them
                continue
            self._tried.add(group)
            free, values = self._untold(terms), []
            for sign in (1.0, -1.0):
                self.labelling.flip(group, torch.tensor([sign]))
                scores = self._scores(terms, free)
                pairs = self.map.nesting.solve(name, scores, self.labelling.pairs)
                values.append(sum(_matched(score, pairs[leaf]) for leaf, score in scores.items()))
            self.labelling.flip(group, torch.tensor([1.0 if values[0] >= values[1] else -1.0]))

    def _match(self, name: str, terms: Mapping[str, Sequence[Term]], *, only_if_better: bool = True) -> bool:
        """Match one group, and the units inside; tell whether that changed anything."""
        scores = self._scores(terms, free=() if only_if_better else self._untold(terms))
        nesting, before = self.map.nesting, self.labelling.pairs
        if not scores:
            return False
        pairs = nesting.solve(name, scores, before)
        if only_if_better:
            values = [
                [score[torch.arange(len(score)), torch.from_numpy(p[leaf])].double() for leaf, score in scores.items()]
                for p in (before, pairs)
            ]
            was, now = (float(sum(value.sum() for value in value_of)) for value_of in values)
            least = max(LEAST_GAIN[score.dtype] for score in scores.values())
            if now - was <= least * float(sum(value.abs().sum() for value in values[0])):
                return False
        changed = [one for one, found in pairs.items() if bool((before[one] != found).any())]
        kept = self.labelling.copy()
        if not self.labelling.pair(pairs):
            return False
        # Where a group is on both sides of a tensor, what is best with one side held still may be worse.
        check = only_if_better and self.similarity.kind is Kind.WEIGHT and _is_tied(terms)
        if check and self.similarity.total(self.labelling) <= self.similarity.total(kept):
            self.labelling.restore(kept)
            return False
        for one in changed:
            self._versions[one] = self._versions.get(one, 0) + 1
        return True

    def _tell(self) -> None:
        """Choose the signs of all units that have settled evidence of them."""
        while self._choose_signs(everything=False):
            pass

    def _tell_joint(self, untold: Mapping[str, int]) -> bool:
        """Choose signs that several units have in common; tell whether they are not those that the units matched by."""
        before = {group: self.labelling.signs[group] for group in untold}
        self._choose_signs(everything=False, among=untold)
        return any(
            group in self._told and (size > 1 or not torch.equal(before[group], self.labelling.signs[group]))
            for group, size in untold.items()
        )

    def _choose_signs(self, *, everything: bool, among: Collection[str] | None = None) -> bool:
        changed = False
        for group in self.map.symmetry.signs:
            if among is not None and group.name not in among:
                continue
            if everything:
                axes = list(group.axes if self.similarity.kind is Kind.WEIGHT else tellers(group))
            elif group.name in self._told:
                continue
            else:
                axes = [axis for axis in tellers(group) if self._is_settled(group, axis)]
                if group.name in self.given_signs:
                    axes = [axis for axis in group.axes if self._is_settled(group, axis)]
                elif group.name in self.similarity.gains:
                    axes = [axis for axis in group.axes if axis.role is Role.GAIN and self._is_settled(group, axis)]
                if not axes:
                    continue
                self._told.add(group.name)
            changed |= self._choose(group, axes) or not everything
        return changed

    def _choose(self, group: SignGroup, axes: Iterable[Axis]) -> bool:
        """Choose the signs of a group by what some axes tell; tell whether that changed anything."""
        signs = choose_signs(
            group,
            axes,
            self.labelling,
            self.similarity.reference,
            self.similarity.params,
            self.similarity.gains,
            cosine=self.similarity.kind is Kind.COSINE,
            given=self.given_signs.get(group.name),
        )
        if not self.labelling.flip(group.name, signs):
            return False
        self._versions[f"±{group.name}"] = self._versions.get(f"±{group.name}", 0) + 1
        return True

    def _is_settled(self, group: SignGroup, axis: Axis) -> bool:
        moves = {other.name for other, _ in self.map.permutations[axis.tensor]}
        flips = {other.name for other, place in self.map.signs[axis.tensor] if not _is_apart(place, axis)}
        flips -= {group.name}
        if group.name in self.similarity.gains or group.name in self.given_signs:
            flips = set()
        return moves <= self._settled and flips <= self._told


def _matched(score: Tensor, pairs: Array) -> float:
    return float(score[torch.arange(len(score)), torch.from_numpy(pairs)].sum(dtype=torch.float64))


def _flipping(term: Term) -> list[str]:
    return [f"±{group.name}" for group, _ in (*term.flips, *term.joint)]


def _is_tied(terms: Mapping[str, Sequence[Term]]) -> bool:
    """Tell whether a group is on both sides of some tensor."""
    return any(leaf in term.depends for leaf, found in terms.items() for term in found)


def _is_apart(one: Axis, other: Axis) -> bool:
    """Tell whether two axes of one tensor have no entries in common."""
    return one.dims == other.dims and not bool(np.isin(one.places.table, other.places.table).any())
