"""Coordinate descent over groups, and the order in which they are matched: settled ones first, then sweeps.

See docs/method.md: Align.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from landscape_cli.alignment.assignment import Array
from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.sign_descent import SignDescent
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind, Term
from landscape_cli.alignment.tied import match_tied
from landscape_cli.alignment.ties import untied

MOST_SWEEPS = 100
LEAST_GAIN = {torch.float64: 1e-12, torch.float32: 1e-6}
"""A better assignment must be better by this much of the sum of similarities: rounding may not undo an exact match."""


class Descent:
    """Matches one group after another, the rest being as `matching` says.

    This is the coordinate descent of Git Re-Basin (Ainsworth et al., 2022, algorithm 1): with all other groups held
    still, the best permutation of one is a linear assignment.
    """

    def __init__(
        self,
        similarity: Similarity,
        matching: UnitMatching,
        correlations: Mapping[str, Tensor] | None = None,
        sign_correlations: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Start at a matching, which changes as groups are matched.

        Args:
            similarity: what units are matched by.
            matching: where to start.
            correlations: by group of units, shape (units, units): what they are matched by instead, which needs
                nothing settled and stays as it is.
            sign_correlations: the same with their sign, by sign group.
        """
        self.similarity, self.matching, self.axis_table = similarity, matching, similarity.axis_table
        self.nesting = self.axis_table.nesting
        self.correlations, self.sign_correlations = dict(correlations or {}), dict(sign_correlations or {})
        self.signs = SignDescent(similarity, matching, self.sign_correlations)
        self._pending = dict.fromkeys(group.name for group in self.axis_table.symmetry.permutations)
        self.settled: set[str] = set()
        self._versions: Counter[str] = Counter()
        self._matched_at: dict[str, tuple[int, ...]] = {}
        self.guessed = False

    def settle(self) -> None:
        """Match every group once, in an order in which the next has writers whose other axes are settled.

        A group that has none is matched by its readers, if what else they have is settled, or by whatever it has.
        """
        self.match_pending()
        self.signs.choose_entangled(self.settled)
        self.signs.choose_left(self.settled)

    def match_pending(self) -> None:
        """Match all groups that are yet to be matched, and choose the signs that what is settled tells."""
        self.signs.choose_settled(self.settled)
        while self._pending:
            if self.signs.choose_entangled(self.settled):
                self.signs.choose_settled(self.settled)
                self.guessed = True
            name, terms = self._next()
            if not terms:
                self.guessed = True
                if match_tied(self):
                    self.signs.choose_settled(self.settled)
                    continue
                terms = self._all_terms(name)
            common = self.signs.common_signs_left(terms)
            self.guessed |= max(common.values(), default=1) > 1
            self._try_signs(name, terms)
            self.match(name, terms)
            self._break_ties(terms)
            self._settle_group(name, [leaf for leaf in terms if leaf in self.correlations or terms[leaf]])
            if self.signs.choose_common(common, self.settled):
                self.match(name, terms)
                self._break_ties(terms)
            if terms == self._all_terms(name) and not self.signs.common_signs_left(terms):
                self._note(name, terms)
            self.signs.choose_settled(self.settled)

    def branch(
        self, similarity: Similarity, matching: UnitMatching, pending: Iterable[str], settled: Collection[str]
    ) -> Descent:
        """Return a descent of another matching with the same signs chosen, with more settled and less to be matched."""
        branch = Descent(similarity, matching, self.correlations, self.sign_correlations)
        branch.signs.chosen, branch.signs.tried = set(self.signs.chosen), set(self.signs.tried)
        branch._pending, branch.settled = dict.fromkeys(pending), self.settled | set(settled)
        return branch

    def roots(self) -> Iterator[str]:
        """Yield the groups to be matched next: those that are in no block yet to be matched."""
        return (name for name in self._pending if self.root_of(name) == name)

    def root_of(self, name: str) -> str:
        """Return the outermost group of blocks yet to be matched that a group's units are in, or itself."""
        return ([outer for outer in self.nesting.outers(name) if outer in self._pending] or [name])[-1]

    def settled_are(self, names: Iterable[str]) -> None:
        """Take groups, and what is inside them, for matched."""
        for name in names:
            self._settle_group(name, self.nesting.leaves(name))

    def _settle_group(self, name: str, leaves: Sequence[str]) -> None:
        done = [name, *leaves]
        self._versions.update(done)
        settled = set(done) | self._between(name, done)
        self.settled |= settled
        for group in settled:
            self._pending.pop(group, None)

    def sweep(self, orders: Iterable[Sequence[str]] | None = None) -> None:
        """Match every group with all that counts, until none changes.

        Where only writers count, what one group gains can cost its readers more. So sweeps end when the sum of all
        similarities no longer rises, with the matching that had the largest.

        Args:
            orders: the order of the groups' names, sweep after sweep; by default always the forward order.
        """
        names = [group.name for group in self.axis_table.symmetry.permutations]
        source = iter(orders) if orders is not None else None
        cosine = self.similarity.kind is Kind.COSINE
        best, total = self.matching.copy(), None
        for _ in range(MOST_SWEEPS):
            changed = False
            for name in next(source, names) if source is not None else names:
                terms = self._all_terms(name)
                if self._matched_at.get(name) != self._stamp(terms):
                    changed |= self.match(name, terms, only_if_better=True)
                    self._note(name, terms)
            changed |= self.signs.choose_all()
            if not changed:
                return
            if cosine:
                total = self.similarity.total(best) if total is None else total
                reached = self.similarity.total(self.matching)
                if reached <= total:
                    if reached < total or not best.has_pairs_of(self.matching):  # else signs that tell no unit's match
                        self.matching.restore(best)
                    return
                best, total = self.matching.copy(), reached

    def finish(self) -> None:
        """Match units that what counts leaves a choice between, all else being matched, by all that they have.

        Small whole numbers, as products of signs are, often tie.
        """
        for _ in range(MOST_SWEEPS):
            changed = False
            for group in self.axis_table.symmetry.permutations:
                changed |= not self.nesting.inside[group.name] and self._finish(group.name)
            if not changed:
                return
            self.sweep()

    def _finish(self, name: str) -> bool:
        score = self.correlations.get(name)
        if score is None:
            score = self.similarity.score(name, self.similarity.writers(name), self.matching)
        pairs = untied(
            name, score, self.similarity, self.matching, as_matched=True, sign_correlations=self.sign_correlations
        )
        if pairs is None or not self.matching.pair({name: pairs}):
            return False
        self._versions[name] += 1
        self.signs.choose_all()
        return True

    def _break_ties(self, terms: Mapping[str, Sequence[Term]]) -> None:
        """Match units that their similarity does not tell apart by all else that they have."""
        for leaf, of_leaf in terms.items():
            score = self.correlations.get(leaf) if self.axis_table.symmetry.latents else None
            if of_leaf and leaf not in self.correlations and not self.nesting.inside[leaf]:
                score = self.similarity.score(leaf, of_leaf, self.matching, self.signs.common_signs_left(terms))
            if score is not None:
                pairs = untied(leaf, score, self.similarity, self.matching)
                if pairs is not None and self.matching.pair({leaf: pairs}):
                    self._versions[leaf] += 1

    def _next(self) -> tuple[str, dict[str, list[Term]]]:
        """Return the group to match next, and by what: nothing if all that there is depends on others."""
        for readers in (False, True):
            for name in self.roots():
                leaves = self.nesting.leaves(name)
                terms = {leaf: self._settled_terms(leaf, name, readers=readers) for leaf in leaves}
                if any(terms.values()) or any(leaf in self.correlations for leaf in terms):
                    return name, terms
        return next(self.roots()), {}

    def _between(self, name: str, done: Sequence[str]) -> set[str]:
        """Return the groups of blocks between a group and the units inside that have been matched."""
        return {outer for leaf in done for outer in self.nesting.outers(leaf) if name in self.nesting.outers(outer)}

    def _settled_terms(self, leaf: str, name: str, *, readers: bool) -> list[Term]:
        """Return the terms of units inside a group, or of its own, that depend on what is settled alone."""
        if leaf in self.correlations:
            return []
        terms = self.similarity.terms[leaf] if readers else self.similarity.writers(leaf)
        return [
            term
            for term in terms
            if term.depends <= self.settled and not term.depends & {leaf, name} and term.waits_for <= self.signs.chosen
        ]

    def _all_terms(self, name: str) -> dict[str, list[Term]]:
        """Return what counts for a group; blocks are matched by what does not depend on matches inside, if possible."""
        leaves = self.nesting.leaves(name)
        terms = {leaf: [] if leaf in self.correlations else self.similarity.writers(leaf) for leaf in leaves}
        if leaves == [name]:
            return terms
        within = {name, *leaves, *self._between(name, leaves)}
        apart = {leaf: [term for term in of_leaf if not term.depends & within] for leaf, of_leaf in terms.items()}
        whole = [term for term in self.similarity.terms.get(name, ()) if not term.depends & within]
        if whole:
            apart[name] = terms[name] = whole
        return apart if any(apart.values()) or any(leaf in self.correlations for leaf in leaves) else terms

    def _note(self, name: str, terms: Mapping[str, Sequence[Term]]) -> None:
        """Remember what a group was matched by, so that it is not matched again before anything of that changes."""
        if not _is_on_both_sides(terms):
            self._matched_at[name] = self._stamp(terms)

    def _stamp(self, terms: Mapping[str, Sequence[Term]]) -> tuple[int, ...]:
        """Return numbers that differ whenever what terms depend on does."""
        groups: dict[str, None] = {}
        sign_groups: dict[str, None] = {}
        for leaf, of_leaf in terms.items():
            groups[leaf] = None
            for term in of_leaf:
                groups |= dict.fromkeys(sorted(term.depends))
                sign_groups |= dict.fromkeys(term.sign_groups)
        return (*(self._versions[name] for name in groups), *(self.signs.versions[name] for name in sign_groups))

    def _scores(self, terms: Mapping[str, Sequence[Term]], free: Collection[str]) -> dict[str, Tensor]:
        """Return how well units match; signs of `free`, which several have in common, do not count."""
        scores = {}
        for leaf, of_leaf in terms.items():
            if leaf in self.correlations:
                scores[leaf] = self.correlations[leaf]
            elif of_leaf:
                scores[leaf] = self.similarity.score(leaf, of_leaf, self.matching, free)
        return scores

    def _try_signs(self, name: str, terms: Mapping[str, Sequence[Term]]) -> None:
        """Choose the one sign that all units of a group have in common, if it is yet to be told, by how they match."""
        for sign_group, size in self.signs.common_signs_left(terms).items():
            if size > 1:  # each of several: their signs do not count until those matched tell them
                continue
            self.signs.tried.add(sign_group)
            free, values = self.signs.common_signs_left(terms), []
            for sign in (1.0, -1.0):
                self.matching.flip(sign_group, torch.tensor([sign]))
                scores = self._scores(terms, free)
                pairs = self.nesting.solve(name, scores, self.matching.pairs)
                values.append(sum(_matched_sum(score, pairs[leaf]) for leaf, score in scores.items()))
            self.matching.flip(sign_group, torch.tensor([1.0 if values[0] >= values[1] else -1.0]))

    def match(self, name: str, terms: Mapping[str, Sequence[Term]], *, only_if_better: bool = False) -> bool:
        """Match one group, and the units inside; tell whether that changed anything."""
        scores = self._scores(terms, free=() if only_if_better else self.signs.common_signs_left(terms))
        if not scores:
            return False
        before = self.matching.pairs
        pairs = self.nesting.solve(name, scores, before)
        if only_if_better and not _is_better(scores, before, pairs):
            return False
        changed = [group for group, matched in pairs.items() if bool((before[group] != matched).any())]
        # Where a group is on both sides of a tensor, what is best with one side held still may be worse.
        check = only_if_better and self.similarity.kind is Kind.WEIGHT and _is_on_both_sides(terms)
        kept = self.matching.copy() if check else None
        if not self.matching.pair(pairs):
            return False
        if kept is not None and self.similarity.total(self.matching) <= self.similarity.total(kept):
            self.matching.restore(kept)
            return False
        self._versions.update(changed)
        return True


def _is_better(scores: Mapping[str, Tensor], before: Mapping[str, Array], pairs: Mapping[str, Array]) -> bool:
    """Tell whether the sum of matched units' scores is larger than before by more than rounding."""
    values_before, values = (
        [_matched(score, pairs_of[leaf]).double() for leaf, score in scores.items()] for pairs_of in (before, pairs)
    )
    total_before, total = (float(sum(value.sum() for value in of_leaves)) for of_leaves in (values_before, values))
    least = max(LEAST_GAIN[score.dtype] for score in scores.values())
    return total - total_before > least * float(sum(value.abs().sum() for value in values_before))


def _matched(score: Tensor, pairs: Array) -> Tensor:
    """Return the scores of matched units, shape (units,)."""
    return score[torch.arange(len(score)), torch.from_numpy(pairs)]


def _matched_sum(score: Tensor, pairs: Array) -> float:
    return float(_matched(score, pairs).sum(dtype=torch.float64))


def _is_on_both_sides(terms: Mapping[str, Sequence[Term]]) -> bool:
    """Tell whether a group is on both sides of some tensor."""
    return any(leaf in term.depends for leaf, of_leaf in terms.items() for term in of_leaf)
