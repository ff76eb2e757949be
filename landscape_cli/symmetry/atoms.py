"""Axes as products of atoms, and what tracing learns about them.

Every axis of every tensor is a product, outermost first, of *atoms*: sets of places that a symmetry may permute.
Relating two axes unites their atoms, and splits one where the other is finer: a flattened axis is the product of
the channel, height and width that it came from. A scale is an unknown on an atom; operators relate them by linear
equations between their logarithms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from landscape_cli.errors import TraceError


@dataclass(eq=False)
class Atom:
    """A set of `size` places; `fixed` says why they may not be permuted, if they may not."""

    size: int
    order: int
    fixed: str | None = None
    parent: Atom | None = None
    parts: tuple[Atom, Atom] | None = None

    def root(self) -> Atom:
        """Return the atom that stands for all those united with this one."""
        atom = self
        while atom.parent is not None:
            atom = atom.parent
        return atom

    def leaves(self) -> list[Atom]:
        """Return the finest atoms whose product this is, outermost first."""
        root = self.root()
        if root.parts is None:
            return [root]
        return [leaf for part in root.parts for leaf in part.leaves()]


Dim = tuple[Atom, ...]
"""An axis: a product of atoms, outermost first; the empty product has one place."""


@dataclass(frozen=True)
class Unknown:
    """The logarithm of a scale on an atom, belonging to one axis of one tensor of the model."""

    tensor: str
    dim: int
    order: int


Scale = Mapping[tuple[Unknown, Atom], int]
"""The logarithm of a tensor's scale: a sum of unknowns on atoms, with their coefficients."""


@dataclass
class Relations:
    """Makes atoms, and keeps what is known about them."""

    equations: list[Scale] = field(default_factory=list)
    _count: int = 0

    def atom(self, size: int, fixed: str | None = None) -> Atom:
        """Return a new atom."""
        self._count += 1
        return Atom(size, self._count, fixed)

    def unknown(self, tensor: str, dim: int) -> Unknown:
        """Return a new unknown scale."""
        self._count += 1
        return Unknown(tensor, dim, self._count)

    def fix(self, dims: Iterable[Dim], reason: str) -> None:
        """Forbid permuting the places of these axes."""
        for leaf in leaves(dims):
            leaf.fixed = leaf.fixed or reason

    def split(self, leaf: Atom, outer: int) -> tuple[Atom, Atom]:
        """Make a leaf the product of an atom of size `outer` and the rest.

        Raises:
            TraceError: if `outer` does not divide it.
        """
        if leaf.size % outer:
            raise TraceError(f"a reshape cuts an axis of {leaf.size} places into pieces of unequal meaning")
        parts = self.atom(outer, leaf.fixed), self.atom(leaf.size // outer, leaf.fixed)
        leaf.parts = parts
        return parts

    def unite(self, one: Dim, other: Dim) -> None:
        """State that two axes of the same size are the same axis: what permutes one permutes the other.

        Raises:
            TraceError: if their products cannot be matched.
        """
        left, right = leaves([one])[::-1], leaves([other])[::-1]  # outermost last, to pop
        while left and right:
            a, b = left.pop().root(), right.pop().root()
            if a is b:
                continue
            if a.parts or b.parts:  # split by an earlier step of this very loop
                left += a.leaves()[::-1]
                right += b.leaves()[::-1]
            elif a.size == b.size:
                keep, drop = (a, b) if a.order < b.order else (b, a)
                drop.parent = keep
                keep.fixed = keep.fixed or drop.fixed
            elif a.size < b.size:
                left.append(a)
                right += self.split(b, a.size)[::-1]
            else:
                right.append(b)
                left += self.split(a, b.size)[::-1]

    def reshape(self, dims: Iterable[Dim], shape: Iterable[int]) -> tuple[Dim, ...]:
        """Return the axes of a tensor after a row-major reshape.

        Raises:
            TraceError: if an axis would have to be cut unevenly.
        """
        rest = leaves(dims)[::-1]
        result: list[Dim] = []
        for size in shape:
            taken: list[Atom] = []
            while rest and (prod(a.size for a in taken) < size or (not taken and rest[-1].size == 1)):
                leaf = rest.pop()
                if leaf.parts:  # an axis that occurs twice was split on its first occurrence
                    rest += leaf.leaves()[::-1]
                    continue
                product = prod(a.size for a in taken)
                if size % product:
                    raise TraceError("a reshape cuts an axis into pieces of unequal meaning")
                need = size // product
                if leaf.size > need:
                    leaf, remainder = self.split(leaf, need)
                    rest.append(remainder)
                taken.append(leaf)
            if prod(a.size for a in taken) != size:
                raise TraceError("a reshape cuts an axis into pieces of unequal meaning")
            result.append(tuple(taken))
        if rest and result:
            result[-1] += tuple(rest[::-1])  # axes of one place
        return tuple(result)

    def project(self, scale: Scale, dims: Iterable[Dim]) -> Scale:
        """Return the part of a scale that lives on these axes, stating that what is left out is 1.

        So the scales along an axis that is summed over cancel, and those of an axis that is dropped are not free.
        """
        kept = restrict(scale, dims)
        self.equate({key: power for key, power in on_leaves(scale).items() if key not in kept})
        return kept

    def equate(self, scale: Scale, other: Scale | None = None) -> None:
        """State that two scales are equal; one alone is the scale 1."""
        equation = combine(scale, other or {}, -1)
        if equation:
            self.equations.append(equation)


def leaves(dims: Iterable[Dim]) -> list[Atom]:
    """Return the finest atoms of these axes in row-major order."""
    return [leaf for dim in dims for atom in dim for leaf in atom.leaves()]


def combine(one: Scale, other: Scale, factor: int = 1) -> Scale:
    """Return `one + factor * other`."""
    total = dict(one)
    for key, power in other.items():
        total[key] = total.get(key, 0) + factor * power
    return {key: power for key, power in total.items() if power}


def restrict(scale: Scale, dims: Iterable[Dim]) -> Scale:
    """Return the part of a scale that lives on these axes."""
    kept = set(leaves(dims))
    return {key: power for key, power in on_leaves(scale).items() if key[1] in kept}


def on_leaves(scale: Scale) -> Scale:
    """Return the same scale as a sum over the finest atoms."""
    total: dict[tuple[Unknown, Atom], int] = {}
    for (unknown, atom), power in scale.items():
        for leaf in atom.leaves():
            total[unknown, leaf] = total.get((unknown, leaf), 0) + power
    return {key: power for key, power in total.items() if power}
