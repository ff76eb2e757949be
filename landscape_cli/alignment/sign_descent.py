"""When the signs of each group are chosen, and by which tensors: as soon as what tells them is settled.

See docs/method.md: Align.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from landscape_cli.alignment.labelling import UnitMatching
from landscape_cli.alignment.sign_system import solve_signs
from landscape_cli.alignment.signs import choose_signs
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind, Term, voting
from landscape_cli.symmetry import Axis, Role, SignGroup


class SignDescent:
    """Chooses the signs of one group after another, the rest being as `matching` says.

    Attributes:
        chosen: the sign groups whose signs have been chosen by what tells them.
        tried: those whose one sign has been chosen by how well units then match.
        versions: by sign group, how often its signs have changed.
    """

    def __init__(
        self, similarity: Similarity, matching: UnitMatching, correlations: Mapping[str, Tensor] | None = None
    ) -> None:
        """Start with no signs chosen.

        Args:
            similarity: of the networks.
            matching: which changes as signs are chosen.
            correlations: by sign group: of units with their sign, shape (units, units), that tell instead of weights.
        """
        self.similarity, self.matching, self.axis_table = similarity, matching, similarity.axis_table
        self.correlations = dict(correlations or {})
        self.chosen: set[str] = set()
        self.versions: Counter[str] = Counter()
        self.tried: set[str] = set()

    def choose_settled(self, settled: Collection[str]) -> None:
        """Choose the signs of all units that have evidence of them that is settled: of settled permutation groups."""
        while self._choose_where_settled(self.axis_table.symmetry.signs, settled):
            pass

    def choose_common(self, common: Mapping[str, int], settled: Collection[str]) -> bool:
        """Choose signs that several units have in common by what is settled.

        Args:
            common: their sign groups, and how many units these have.
            settled: the permutation groups that are matched.

        Returns:
            Whether they are not the signs that the units were matched by.
        """
        before = {name: self.matching.signs[name] for name in common}
        self._choose_where_settled([group for group in self.axis_table.symmetry.signs if group.name in common], settled)
        return any(
            name in self.chosen and (size > 1 or not torch.equal(before[name], self.matching.signs[name]))
            for name, size in common.items()
        )

    @cached_property
    def entangled(self) -> set[str]:
        """The sign groups of which each waits for another's signs, even where all units are matched."""
        all_settled = {group.name for group in self.axis_table.symmetry.permutations}
        left = {group.name: group for group in self.axis_table.symmetry.signs}
        while True:
            told = {group.name for group in self.axis_table.symmetry.signs} - left.keys()
            found = [name for name, group in left.items() if self._settled_axes(group, all_settled, told)]
            if not found:
                return set(left)
            for name in found:
                del left[name]

    def choose_entangled(self, settled: Collection[str] | None = None) -> bool:
        """Choose the signs of groups that tell each other's, jointly; tell whether that changed anything.

        Args:
            settled: the permutation groups that are matched, if not all are: those signs alone are chosen that are
                told by these, and were not chosen before.
        """
        groups = [
            group
            for group in self.axis_table.symmetry.signs
            if group.name in self.entangled and (settled is None or group.name not in self.chosen)
        ]
        if settled is not None:
            known = self.chosen | {group.name for group in groups}
            told = {
                group.name: [
                    axis
                    for axis in group.writers
                    if self._permuted_by(axis) <= set(settled) and self._flipped_by(axis) <= known
                ]
                for group in groups
            }
            groups = [group for group in groups if told[group.name]]
            axes = [axis for of_group in told.values() for axis in of_group]
        else:
            axes = [axis for group in groups for axis in self._counted(group)]
        if not groups:
            return False
        similarity, cosine = self.similarity, self.similarity.kind is Kind.COSINE
        axes += [axis for group in groups for axis in group.axes if axis.role is Role.GAIN and axis not in axes]
        chosen = solve_signs(groups, axes, self.matching, similarity.reference, similarity.params, cosine=cosine)
        changed = [name for name, signs in chosen.items() if self.matching.flip(name, signs)]
        self.versions.update(changed)
        self.chosen |= chosen.keys()
        return bool(changed) or settled is not None

    def choose_left(self, settled: Collection[str]) -> None:
        """Choose the signs that nothing settled tells, group by group, and what these settle."""
        for group in self.axis_table.symmetry.signs:
            if group.name not in self.chosen:
                self._choose(group, group.writers)
                self.chosen.add(group.name)
                self.choose_settled(settled)

    def choose_inside(self, settled: Collection[str]) -> None:
        """Choose anew the signs that are told by what settled groups alone permute, if nothing had told them before.

        Those of which all that tells them is settled are chosen for good.
        """
        for group in self.axis_table.symmetry.signs:
            if group.name not in self.chosen:
                axes = [axis for axis in group.writers if self._permuted_by(axis) <= set(settled)]
                axes = axes or [axis for axis in group.axes if self._permuted_by(axis) <= set(settled)]
                if axes:
                    self._choose(group, axes)

    def choose_all(self) -> bool:
        """Choose all signs anew by all that tells them; tell whether that changed anything."""
        changed = False
        for group in self.axis_table.symmetry.signs:
            changed |= self._choose(group, self._counted(group))
        return self.choose_entangled() or changed

    def _counted(self, group: SignGroup) -> tuple[Axis, ...]:
        every = voting(group.axes, self.axis_table.symmetry) or group.axes
        every = tuple(axis for axis in every if not axis.places.are_shared) or every  # where others' signs show too
        return every if self.similarity.kind is Kind.WEIGHT else group.writers

    def common_signs_left(self, terms: Mapping[str, Sequence[Term]]) -> dict[str, int]:
        """Return the signs yet to be chosen that several units have in common: by sign group, how many there are."""
        groups = [group for of_leaf in terms.values() for term in of_leaf for group, *_ in term.common_signs]
        return {group.name: group.size for group in groups if group.name not in self.chosen | self.tried}

    def _choose_where_settled(self, groups: Iterable[SignGroup], settled: Collection[str]) -> bool:
        """Choose the signs of those groups that are yet to be chosen and can be; tell whether there were any."""
        any_chosen = False
        for group in groups:
            axes = [] if group.name in self.chosen else self._settled_axes(group, settled, self.chosen)
            if axes:
                self.chosen.add(group.name)
                self._choose(group, axes)
                any_chosen = True
        return any_chosen

    def _settled_axes(self, group: SignGroup, settled: Collection[str], chosen: Collection[str]) -> list[Axis]:
        """Return the axes that tell a group's signs and are settled themselves."""
        axes = group.writers
        if group.name in self.correlations:
            axes = group.axes
        elif group.name in self.similarity.gains:
            axes = tuple(axis for axis in group.axes if axis.role is Role.GAIN)
        return [axis for axis in axes if self._is_settled(group, axis, settled, chosen)]

    def _is_settled(self, group: SignGroup, axis: Axis, settled: Collection[str], chosen: Collection[str]) -> bool:
        """Tell whether all that is permuted along with an axis is settled, and all other signs that show there."""
        flipped_by = self._flipped_by(axis)
        if group.name in self.similarity.gains or group.name in self.correlations:
            flipped_by = set()
        return self._permuted_by(axis) <= set(settled) and flipped_by - {group.name} <= set(chosen)

    def _flipped_by(self, axis: Axis) -> set[str]:
        signs = self.axis_table.signs[axis.tensor]
        return {member.name for member, along in signs if along.shares_entries_with(axis)}

    def _permuted_by(self, axis: Axis) -> set[str]:
        return {member.name for member, _ in self.axis_table.permutations[axis.tensor]}

    def _choose(self, group: SignGroup, axes: Iterable[Axis]) -> bool:
        """Choose the signs of a group by what some axes tell; tell whether that changed anything."""
        signs = choose_signs(
            group,
            axes,
            self.matching,
            self.similarity.reference,
            self.similarity.params,
            self.similarity.gains,
            cosine=self.similarity.kind is Kind.COSINE,
            correlations=self.correlations.get(group.name),
        )
        changed = self.matching.flip(group.name, signs)
        self.versions[group.name] += changed
        return changed
