"""One operator at work: what its rule may ask and state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.equations import Equations, clusters
from landscape_cli.symmetry.tracing.integers import different, is_function
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import (
    Layer,
    Power,
    Terms,
    Value,
    aligned,
    compress,
    covered,
    distinct,
    reshaped,
    to_layer,
)
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.parameters import ParameterTable
from landscape_cli.symmetry.tracing.relate import is_above, meet, summed
from landscape_cli.symmetry.tracing.tensors import TIED, Names, TensorTable
from landscape_cli.symmetry.tracing.told import are_told, tell_apart


class NoRule(Exception):
    """A rule does not cover a case: what reaches the operator is fixed."""


@dataclass
class Call:
    """One operator at work.

    Attributes:
        tensors: what is known of all tensors of the run.
        operator: what is known of the operator.
        function: the operator itself.
        args: its positional arguments, defaults left out as ATen leaves them.
        kwargs: its keyword arguments.
        shapes: the shapes of its outputs.
        where: the operator and the module it runs in, for reasons.
        in_place: whether it writes into its first argument.
        told: whether what it puts side by side may trade places, and is told by units of its own.
        named: what the outputs that a rule says nothing of name, or why they name nothing.
    """

    tensors: TensorTable
    operator: Operator
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    shapes: Sequence[tuple[int, ...]]
    where: str
    in_place: bool = False
    told: bool = False
    named: Names | str = ""

    @property
    def labels(self) -> Labels:
        """Who is who."""
        return self.tensors.labels

    @property
    def equations(self) -> Equations:
        """The equations between scales, and between signs."""
        return self.tensors.equations

    @property
    def parameters(self) -> ParameterTable:
        """The model's tensors."""
        return self.tensors.parameters

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first output."""
        return self.shapes[0]

    def operand(self, index: int) -> Value:
        """Return what is known of the tensor given as argument `index`."""
        return self.tensors.value(self.args[index])

    def raw(self, index: int) -> Value:
        """Return the same, for a rule that passes copies on as such, or lets them `meet` what tells them apart."""
        return self.tensors.raw(self.args[index])

    def copied(self, index: int, axes: Sequence[int] = ()) -> Value:
        """Return the same, for a rule that passes copies on and treats places along `axes` otherwise than one by one.

        What is no copies along these may be such along others.
        """
        value = self.raw(index)
        if value.copies and (value.zero or not are_told(self.labels, value.labels, value.shape, axes)):
            return self.operand(index)
        return value

    def numbers(self, arg: Any) -> Any:
        """Return an argument as it is for an operator that looks at its numbers.

        Raises:
            NoRule: if they depend on the input or on parameters.
        """
        if isinstance(arg, list | tuple):
            return type(arg)(self.numbers(item) for item in arg)
        if not isinstance(arg, Tensor):
            return arg
        numbers = self.tensors.numbers(arg)
        if numbers is None:
            raise NoRule
        return numbers

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """Return an argument, or its default where ATen left it out."""
        return self.args[index] if len(self.args) > index else self.kwargs.get(name, default)

    def operands(self, count: int = 2) -> list[Value]:
        """Return what is known of the tensors among the first arguments, which will `meet`."""
        return [self.tensors.raw(arg) for arg in self.args[:count] if isinstance(arg, Tensor)]

    def equal_scales(self, left: Terms, right: Terms = (), rank: int | None = None) -> None:
        """State that two scales are equal everywhere; one alone is 1."""
        self.equations.equate("scale", left, right, rank=len(self.shape) if rank is None else rank)

    def equal_signs(self, left: Terms, right: Terms = (), rank: int | None = None) -> None:
        """State that two signs are equal everywhere; one alone is +."""
        self.equations.equate("sign", left, right, rank=len(self.shape) if rank is None else rank)

    def equal(self, left: Value, right: Value) -> None:
        """State that two values have equal scales and signs."""
        rank = max(len(left.shape), len(right.shape))
        self.equal_scales(left.scale, right.scale, rank)
        self.equal_signs(left.sign, right.sign, rank)

    def unscaled(self, value: Value) -> Value:
        """State that a value's scale is 1; return it without."""
        self.equal_scales(self._by_owner("scale", value), rank=len(value.shape))
        return value.only(scale=False)

    def unsigned(self, value: Value) -> Value:
        """State that a value's sign is +; return it without."""
        self.equal_signs(self._by_owner("sign", value), rank=len(value.shape))
        return value.only(sign=False)

    def _by_owner(self, kind: str, value: Value) -> Terms:
        """Return what multiplies to 1 wherever a scale (or sign) does, of units that meet in blocks: one a block each.

        Within each block, as an attention head, all units along one axis meet all those along another.
        """
        terms: Terms = getattr(value, kind)
        along = [covered(layer) for layer, _ in terms if covered(layer)]
        common = frozenset.intersection(*along) if along else frozenset()
        axes = clusters([these - common for these in along])
        owners = self._blocks_along(value.labels, common) if common and len(axes) > 1 else []
        if not owners:
            return terms
        rest = [term for term in terms if covered(term[0]) <= common]
        for part in axes:
            here = tuple(term for term in terms if covered(term[0]) & part)
            rest += self.dropped(here, sorted(part), kind, len(value.shape), owners)
        return tuple(rest)

    def _blocks_along(self, labels: Sequence[Layer], axes: frozenset[int]) -> list[Layer]:
        """Return a layer of the blocks that units are in, if these run along axes that they tell all of."""
        for layer in labels:
            above = to_layer(self.labels.above(layer.numpy()))
            if covered(layer) > axes and int(above.min()) >= 0 and covered(blocks := compress(above)) == axes:
                return [blocks]
        return []

    def is_mask(self, value: Value) -> bool:
        """Tell whether a value is a buffer of zeros and ones, which have no scale or sign."""
        return value.parameter is not None and value.parameter.name in self.parameters.zero_one

    def plain(self, value: Value) -> Value:
        """State that a value's scale is 1 and its sign +; return it without: buffers of zeros and ones are masks."""
        if self.is_mask(value):
            self.follow(value, Role.MASK)
        return self.unsigned(self.unscaled(value))

    def meet(self, *values: Value, shape: Sequence[int] | None = None) -> tuple[Layer, ...]:
        """State that values meet place by place, broadcast; return the labels there, which tell copies apart."""
        met = self.met(*values, shape=shape)
        return tell_apart(self.labels, met.labels, met.shape, None) if met.copies else met.labels

    def met(self, *values: Value, shape: Sequence[int] | None = None) -> Value:
        """State that values meet place by place, broadcast; return labels, and whether that is copies all the same."""
        shape = self.shape if shape is None else tuple(shape)
        self._note_stacks(values)
        labels = values[0].labels
        for value in values[1:]:
            labels = meet(self.labels, labels, value.labels, len(shape), self.where)
        labels = tuple(aligned(layer, len(shape)) for layer in labels)
        copies = any(value.copies for value in values)
        return Value(shape, labels, copies=copies and not are_told(self.labels, labels, shape, range(len(shape))))

    def _note_stacks(self, values: Sequence[Value]) -> None:
        """Note parameters that meet units that run along several of their axes at once, as those of several heads."""
        for value in values:
            long = {axis - len(value.shape) for axis, size in enumerate(value.shape) if size > 1}
            others = [other for other in values if other.parameter is None] if value.behind and len(long) > 1 else []
            for layer in (layer for other in others for layer in other.labels if int(layer.max()) >= 0):
                along = {axis - layer.ndim for axis in covered(layer)} & long
                if len(along) > 1 and value.behind:
                    self.parameters.cuts.note_stack(value.behind)
                    if value.parameter is not None:
                        self.parameters.cuts.note_joint(value.parameter, [len(value.shape) + axis for axis in along])

    def summed(self, labels: Sequence[Layer], axes: Sequence[int]) -> tuple[Layer, ...]:
        """State that places along these axes are summed over; return labels with those axes of size 1."""
        return summed(self.labels, labels, axes, self.where)

    def dropped(
        self,
        terms: Terms,
        axes: Sequence[int],
        kind: str,
        rank: int,
        kept: Sequence[Layer] = (),
        *,
        pinned: bool = False,
    ) -> Terms:
        """State that a scale or sign is the same all along these axes; return what it is there.

        Where it depends on other axes as well it is that of what lives there, which `kept` tells, perhaps one thing
        along some and another along others; else it is one for all, of no unit's own, or 1 if `pinned`.
        """
        gone = tuple(term for term in terms if covered(term[0]) & set(axes))
        rest = tuple(term for term in terms if not covered(term[0]) & set(axes))
        if not gone:
            return rest
        owners = self._beside(gone, axes, kept)
        if not owners and pinned:
            self.equations.equate(kind, gone, rank=rank)
            return rest
        if not owners:
            gone += tuple(term for term in rest if term[0].numel() == 1)
            rest = tuple(term for term in rest if term[0].numel() > 1)
            owners = [to_layer(self.labels.slots(1, "all")).view([1] * rank)]
        common: Terms
        if len(owners) == 2 and not covered(owners[0]) & covered(owners[1]) and _tell_all(gone, owners):
            first, second = torch.broadcast_tensors(*owners)
            common = ((to_layer(self.equations.of_pairs(first.numpy(), second.numpy())).view(first.shape), 1),)
        else:
            common = tuple(
                (to_layer(self.equations.variables("", (), each.numpy())).view(each.shape), 1) for each in owners
            )
        self.equations.equate(kind, gone, common, rank=rank)
        return (*rest, *common)

    def _beside(self, gone: Terms, axes: Sequence[int], kept: Sequence[Layer]) -> list[Layer]:
        """Return what lives along the axes that terms depend on other than `axes`, if units do, or blocks of them.

        Where no layer tells of all of them, units along some have a part each.
        """
        beside = frozenset().union(*(covered(layer) for layer, _ in gone)) - set(axes)
        units = [layer for layer in kept if covered(layer) and int(layer.max()) >= 0]
        owners = [layer for layer in units if covered(layer) == beside][:1]
        owners = owners or (self._blocks_along(kept, beside) if beside else [])
        parts = [layer for layer in units if covered(layer) < beside]
        return owners or [layer for layer in parts if not any(is_above(self.labels, layer, part) for part in parts)]

    def name(self, operand: Value, axis: int, places: Value, largest: Sequence[bool]) -> None:
        """Note that outputs which the rule says nothing of name places along an axis, if units live there alone.

        Numbers there that may be repeated come last in their order, the largest first or the smallest, after others.
        """
        along = [layer for layer in operand.labels if axis in covered(layer)]
        numbers = self.tensors.ties.of(self.args[0])
        if not all(numbers.told(axis, operand.shape, largest=first) for first in largest):
            self.named = TIED
            return
        if len(along) == 1 and covered(along[0]) == {axis} and int(along[0].min()) >= 0:
            self.named = Names(along[0].reshape(-1), Value(places.shape, places.labels))

    def move(self, value: Value, change: Callable[[Tensor], Tensor], shape: Sequence[int], *, apart: bool) -> Value:
        """Return what is known after moving places about; `apart`: some may be left out or copied.

        Copies are told apart by slots where nothing but such tells places.
        """
        lone: list[Layer] = []

        def follow(layer: Layer) -> Layer:
            taken = compress(change(layer.expand(value.shape)))
            if apart and taken.numel() == 1 and any(layer is label for label in value.labels):
                lone.append(taken)
            return taken

        result = value.layers(follow, shape)
        if not apart:
            return result
        labels = tell_apart(
            self.labels, self.blanks_fixed(result).labels, shape, f"a place of {self.where}", of_units=False
        )
        copies = value.copies or not are_told(self.labels, labels, shape, range(len(shape)))
        return replace(result, labels=labels, lone=tuple(lone), unread=True, copies=copies)

    def apart(self, labels: Sequence[Layer], shape: Sequence[int], reason: str = "") -> tuple[Layer, ...]:
        """Return labels with slots added where they do not tell all places apart."""
        return tell_apart(self.labels, labels, shape, reason or f"a place of {self.where}")

    def slots(self, size: int, axis: int, rank: int, reason: str) -> Layer:
        """Return a layer of fixed positions along one axis."""
        return to_layer(self.labels.slots(size, reason)).view([-1 if k == axis else 1 for k in range(rank)])

    def fix(self, value: Value) -> None:
        """Fix all that lives in a value, with its scale and sign: what becomes of it is not known."""
        self.tensors.fix(value, self.where)

    def follow(self, value: Value, role: Role = Role.FOLLOWER) -> None:
        """Note that a parameter is used element by element; axes of one place then need no scale of their own."""
        if value.parameter is None:
            return
        if not self.parameters.shapes[value.parameter.name]:
            self.parameters.note_role(value.parameter.name, -1, role)
        for dim in value.parameter.dims:
            if dim is not None:
                self.parameters.note_role(value.parameter.name, dim, role)
        lone = [term for term in value.scale if term[0].numel() == 1]
        for layer, _ in lone if len(lone) < len(value.scale) else lone[1:]:
            for kind in ("scale", "sign"):
                self.equations.equate(kind, ((layer, 1),), rank=len(value.shape))

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Return what is known after a row-major reshape; fixed places are told apart by each axis they come to."""
        result = self.blanks_fixed(reshaped(value, shape))
        return replace(result, labels=distinct(part for layer in result.labels for part in self._by_axis(layer)))

    def blanks_fixed(self, value: Value, axis: int | None = None) -> Value:
        """Fix zeros beside fixed places where windows or blocks hold some of each, or along an axis to be cut so."""
        if not self.labels.blank:
            return value
        layers = [
            self._blank_as_slots(layer) if axis in covered(layer) or len(covered(layer)) > 1 else layer
            for layer in value.labels
        ]
        return replace(value, labels=distinct(layers))

    def _blank_as_slots(self, layer: Layer) -> Layer:
        roots = self.labels.find(layer.numpy())
        blank = np.isin(roots, self.labels.find(np.array(sorted(self.labels.blank), dtype=np.int64)))
        if not blank.any() or not (self.labels.why_fixed(roots[~blank]) > 0).any():
            return layer
        reason = f"a place of {self.where}"
        self.labels.fix(roots[blank], reason)
        which, places = np.unique(roots[blank], return_inverse=True)
        slots = roots.copy()
        slots[blank] = self.labels.slots(len(which), reason)[places.ravel()]
        return to_layer(slots)

    def _by_axis(self, layer: Layer) -> Sequence[Layer]:
        """Return layers of slots along one axis each that tell as much as one along several, if it has but slots."""
        axes = sorted(covered(layer))
        if len(axes) < 2 or int(layer.max()) >= 0 or len(layer.unique()) < layer.numel():
            return [layer]
        reasons = different(self.labels.why_fixed(layer.numpy()))
        if len(reasons) > 1:
            return [layer]
        text = self.labels.reasons[int(reasons[0])]
        return [self.slots(layer.shape[axis], axis, layer.ndim, text) for axis in axes]


def _tell_all(terms: Terms, owners: Sequence[Layer]) -> bool:
    """Tell whether one term alone tells all owners, as the scale of a weight tells its row's head and place."""
    for layer, _ in terms:
        pairs = [torch.broadcast_tensors(layer, owner) for owner in owners]
        if all(is_function(term.reshape(-1).numpy(), owner.reshape(-1).numpy()) for term, owner in pairs):
            return True
    return False


def scaled_terms(terms: Terms, factor: Power) -> Terms:
    """Return the scale (or sign) of a power."""
    return tuple((layer, power * factor) for layer, power in terms)


def padded(value: Value, rank: int) -> Value:
    """Return a value with axes of size 1 in front, as broadcasting puts them."""
    if len(value.shape) == rank:
        return value
    return value.layers(lambda layer: aligned(layer, rank), (1,) * (rank - len(value.shape)) + value.shape)


def is_number(value: Any) -> bool:
    """Tell whether an argument is a number rather than a tensor."""
    return isinstance(value, int | float) and not isinstance(value, torch.Tensor)
