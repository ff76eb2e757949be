"""What is known of every tensor of one run: of parameters, of what operators made of them, of constants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod

import numpy as np
import torch
from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.belonging import INPUT
from landscape_cli.symmetry.tracing.branches import UNUSED
from landscape_cli.symmetry.tracing.constants import META, Constants
from landscape_cli.symmetry.tracing.cuts import is_crossed
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.identity import TensorDict
from landscape_cli.symmetry.tracing.integers import NONE, Array
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, Parameter, Terms, Value, along, compress, distinct, to_layer
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.parameters import ParameterTable
from landscape_cli.symmetry.tracing.storage import StorageTable, covers, storage_of
from landscape_cli.symmetry.tracing.ties import TieTable
from landscape_cli.symmetry.tracing.told import tell_apart

CONSTANT = "a constant that differs from place to place"
"""Why what meets the places of one may not move."""
NO_RULE = "no rule for "
"""What reasons begin with that are an operator without a rule."""
NUMBERED = "units that are told by their numbers"
"""Why units may not move that are looked up by where they are."""
TIED = "numbers in their order of which several may be equal, as a mask's zeros among scores of either sign"
"""Why units may not move that such an order names."""
HIDDEN = "numbers in their order of which more are taken than a mask leaves, of what it hides the first ones"
"""Why those may not of which some are named that a mask hides."""
SORTED = "samples sorted by the numbers of units, as of experts: taken by a mask for each, these would be followed"
"""Why units may not move whose numbers are sorted."""
UNKNOWN_PLACE = "an unknown place of "
"""What they begin with of the places of what such an operator returns."""
MOST_COMPARED = 1 << 14
"""Up to how many numbers of a constant are looked at."""
MOST_ON_DIAGONAL = 1 << 22
"""Up to how many of a matrix that may differ on its diagonal alone."""
IN_PLACE = "writing in place "
"""What they begin with where a tensor was written into in a way that is not followed."""


@dataclass(frozen=True)
class Names:
    """Whole numbers that name places along an axis of something, where units live.

    Attributes:
        units: the units there, in order, shape (n,).
        places: what is known of the tensor of numbers, but for which they are.
    """

    units: Layer
    places: Value


@dataclass(frozen=True)
class _Unruled:
    """An output that its operator's rule says nothing of: what it was made of, and by which operator.

    Of whole numbers that name places along an axis also what they name there.
    """

    where: str
    operands: tuple[Value, ...]
    names: Names | None
    why: str


class TensorTable:
    """The values of all tensors of one run.

    Attributes:
        labels: who is who.
        equations: between scales, and between signs.
        parameters: the model's tensors.
        constants: the tensors that depend on neither input nor parameters.
        ties: which numbers of tensors may be repeated.
        seen: the labels of all tensors there were.
        are_named: whether any units were named by whole numbers, as experts that are chosen.
        told_by_number: why units may not move that are looked up by where they are.
    """

    def __init__(self, labels: Labels, equations: Equations, parameters: ParameterTable, constants: Constants) -> None:
        """Start with no tensors but the model's."""
        self.labels, self.equations, self.ties = labels, equations, TieTable(constants)
        self.parameters, self.constants = parameters, constants
        self.seen: list[Sequence[Layer]] = []
        self.are_named, self.told_by_number = False, NUMBERED
        self._values: TensorDict[Value] = TensorDict()
        self._unruled: TensorDict[_Unruled] = TensorDict()
        self._storages = StorageTable(labels)
        self._views: defaultdict[int, dict[int, Tensor]] = defaultdict(dict)
        self._fresh: Tensor | None = None

    def add_input(self, example: Tensor) -> Tensor:
        """Give the input's axes fixed positions; return what stands in for it."""
        stand_in = torch.empty_like(example, device=META)
        layers = [
            along(to_layer(self.labels.slots(size, INPUT if axis else "batch")), axis, stand_in.ndim)
            for axis, size in enumerate(stand_in.shape)
        ]
        self.keep(stand_in, Value(tuple(stand_in.shape), distinct(layers)))
        return stand_in

    def is_known(self, tensor: Tensor) -> bool:
        """Tell whether a tensor depends on the input or on parameters."""
        constant = self.constants.numbers(tensor) is not None
        if (tensor in self._values and not constant) or tensor in self.parameters or tensor in self._unruled:
            return True
        if self._storages.holds(tensor):
            return True
        unaccounted = tensor.is_meta and not constant
        return unaccounted and (self.parameters.name_under(tensor) is not None or bool(self._views_of(tensor)))

    def keep(self, tensor: Tensor, value: Value) -> None:
        """Note what is known of a tensor."""
        self._values[tensor] = value
        self._views[storage_of(tensor)][id(tensor)] = tensor
        if not value.unread:
            self.seen.append(value.labels)

    def keep_unruled(self, tensor: Tensor, where: str, operands: Sequence[Tensor], named: Names | str = "") -> None:
        """Note a tensor that its operator's rule says nothing of: where something reads it, the operands are fixed.

        It may hold numbers of places of units, or there is a reason why it does not.
        """
        made_of = tuple(self.value(operand) for operand in operands)
        self.are_named |= isinstance(named, Names)
        names, why = (named, NUMBERED) if isinstance(named, Names) else (None, named or f"{NO_RULE}{where}")
        self._unruled[tensor] = _Unruled(where, made_of, names, why)
        self._views[storage_of(tensor)][id(tensor)] = tensor

    def named(self, tensor: Tensor) -> Names | None:
        """Return what the numbers in a tensor name, if they name units; None if not, or if that is not known."""
        unruled = self._unruled.get(tensor)
        return None if unruled is None else unruled.names

    def names(self, tensor: Tensor) -> Names | None:
        """Return the same for what reads it: None also if some of what is named is not told from what is not."""
        unruled, order = self._unruled.get(tensor), self.ties.order(tensor)
        if unruled is None or unruled.names is None or (order is not None and order.is_told):
            return None if unruled is None else unruled.names
        self._unruled[tensor] = replace(unruled, names=None, why=HIDDEN)
        return None

    def sort_named(self, tensor: Tensor) -> None:
        """Note that whole numbers are sorted: units that they name may not move for that."""
        unruled = self._unruled.get(tensor)
        if unruled is not None and unruled.names is not None:
            self._unruled[tensor] = replace(unruled, why=SORTED)
            self.told_by_number = SORTED

    def filling(self, tensor: Tensor) -> float | None:
        """Return the number that a constant holds all over, until something is written there; None if there is none."""
        numbers = self.constants.numbers(tensor) if tensor is self._fresh else self.numbers(tensor)
        if numbers is None or not numbers.numel() or bool((numbers != numbers.reshape(-1)[0]).any()):
            return None
        return float(numbers.reshape(-1)[0])

    def pass_unruled(self, source: Tensor, tensor: Tensor, names: Names | None) -> bool:
        """Let a tensor be made of what another is that no rule says anything of; tell whether the other is such."""
        unruled = self._unruled.get(source)
        if unruled is not None:
            self._unruled[tensor] = replace(unruled, names=names)
            self._views[storage_of(tensor)][id(tensor)] = tensor
        return unruled is not None

    def value(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor."""
        value = self.raw(tensor)
        if value.copies:  # anew for each reader: what is alike all along ties them to nothing
            value = self._told_apart(value)
            self.seen.append(value.labels)
        return value

    def raw(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor, with labels that do not tell copies apart."""
        unruled = self._unruled.pop(tensor)
        if unruled is not None:
            for operand in unruled.operands:
                self.fix(operand, unruled.why)
            shape = tuple(tensor.shape)
            self.keep(tensor, Value(shape, tell_apart(self.labels, (), shape, f"a place of {unruled.where}")))
        if tensor not in self._values:
            self._add(tensor)
        value = self._values[tensor]
        if value.unread:
            self.seen += [value.labels, *((layer.reshape(-1),) for layer in value.lone)]
            value = self._values[tensor] = replace(value, lone=(), unread=False)
        return value

    def _told_apart(self, value: Value) -> Value:
        """Return copies with a unit for each, which may trade places; zeros may have any scale and sign."""
        labels = tell_apart(self.labels, value.labels, value.shape, None)
        terms: Terms = (
            ()
            if not value.zero
            else tuple(
                (to_layer(self.equations.variables("", (), layer.numpy())).view(layer.shape), 1) for layer in labels
            )
        )
        return replace(value, labels=labels, scale=value.scale or terms, sign=value.sign or terms, copies=False)

    def numbers(self, tensor: Tensor) -> Tensor | None:
        """Return a constant with its numbers, None for anything else."""
        return None if self.is_known(tensor) else self.constants.numbers(tensor)

    def _add(self, tensor: Tensor) -> None:
        """Find out what is known of a tensor that no operator with a rule returned."""
        if tensor in self.parameters:
            self._add_parameter(tensor)
        elif self._storages.holds(tensor):
            self.keep(tensor, self._storages.load(tensor))
        elif tensor.is_meta and self.constants.numbers(tensor) is None:
            self.keep(tensor, self._alias_value(tensor))
        else:
            self.keep(tensor, self._constant_value(tensor))

    def _views_of(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of one storage with this one."""
        return list(self._views[storage_of(tensor)].values())

    def _alias_value(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor that appeared without an operator: another name for one, or anything."""
        name = self.parameters.name_under(tensor)
        beneath = [self.parameters.stand_ins[name]] if name is not None else []
        sharing = [*beneath, *(view for view in self._views_of(tensor) if view in self._values)]
        for view in sharing:
            if view.shape == tensor.shape and view.stride() == tensor.stride():
                return replace(self.value(view), parameter=None)
        for view in sharing:
            self.fix(self.value(view), "a tensor made without an operator")
        return self._constant_value(tensor)

    def _constant_value(self, tensor: Tensor) -> Value:
        """Return what is known of a constant: what it is the same all along is copies; all else is fixed."""
        shape, rank = tuple(tensor.shape), tensor.ndim
        numbers = self.constants.numbers(tensor)
        sizes = shape if numbers is None or not numbers.numel() else compress(numbers).shape
        if numbers is not None and (axes := diagonal_axes(compress(numbers))) is not None:
            return self._diagonal_value(numbers, axes)
        slots = [along(self._alike(numbers, axis, size), axis, rank) for axis, size in enumerate(sizes)]
        zero = prod(sizes) == 1 and numbers is not None and bool((numbers == 0).all())
        return Value(shape, distinct(slots), zero=zero, copies=tuple(sizes) != shape)

    def _diagonal_value(self, numbers: Tensor, axes: tuple[int, int]) -> Value:
        """Return what is known of a constant that differs on a diagonal alone: units that are its rows and columns.

        If it is 0 elsewhere, each row may have a factor by which the column of the same unit is divided.
        """
        rank, held = numbers.ndim, compress(numbers)
        units = self.labels.units(held.shape[axes[0]])
        beside = [axis for axis, size in enumerate(held.shape) if size > 1 and axis not in axes]
        layers = [along(to_layer(units), axis, rank) for axis in axes]
        layers += [along(self._alike(numbers, axis, held.shape[axis]), axis, rank) for axis in beside]
        terms: Terms = ()
        if not bool(held.movedim(axes, (0, 1))[0, 1].any()):
            free = to_layer(self.equations.variables("", (), units))
            terms = tuple((along(free, axis, rank), power) for axis, power in zip(axes, (1, -1), strict=True))
        return Value(tuple(numbers.shape), distinct(layers), terms, terms, copies=held.shape != numbers.shape)

    def _alike(self, numbers: Tensor | None, axis: int, size: int) -> Layer:
        """Return a layer of the places along an axis of a constant: those that hold the same may trade places."""
        if size == 1 or numbers is None or numbers.numel() > MOST_COMPARED or numbers.is_complex():
            return to_layer(self.labels.slots(size, CONSTANT))
        rows = numbers.movedim(axis, 0).reshape(size, -1)
        _, kind = np.unique(rows.double().numpy(), axis=0, return_inverse=True)
        kinds = self.labels.slots(int(kind.max()) + 1, CONSTANT)
        if len(kinds) == size:
            return to_layer(kinds[kind.ravel()])
        units = self.labels.units(size)
        self.labels.respect(units, kinds[kind.ravel()], CONSTANT)
        return to_layer(units)

    def is_new(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is a parameter that no operator has used yet."""
        return tensor in self.parameters and tensor not in self._values

    def define(self, tensor: Tensor, runs: Sequence[Sequence[Layer]], value: Value) -> None:
        """Say what is known of a new parameter: the labels of each run of its axes, and the value."""
        self._values[tensor] = value
        self.parameters.runs[self.parameters.name(tensor)] = [run for run in runs if run]

    def _add_parameter(self, tensor: Tensor, *, used: bool = True) -> None:
        """Give each axis of a parameter units, scales and signs of its own."""
        name, rank = self.parameters.name(tensor), tensor.ndim
        if used and name in self.parameters.stacks:
            (self._add_crossed if is_crossed(self.parameters.stacks[name]) else self._add_stack)(tensor)
            return
        numbers = [to_layer(self.labels.units(size, together=True)) for size in tensor.shape]
        terms = tuple(
            (along(to_layer(self.equations.variables(name, (dim,), units.numpy())), dim, rank), 1)
            for dim, units in enumerate(numbers)
        )
        if not rank:
            alone = self.equations.variables(name, (), self.labels.slots(1, "a number"))
            terms = ((to_layer(alone).view(()), 1),)
        layers = [along(units, dim, rank) for dim, units in enumerate(numbers)]
        whole = not tensor.is_floating_point()
        scale = () if whole or name in self.parameters.unscaled else terms
        sign = () if whole else terms
        for dim in range(rank) if whole else ():
            self.parameters.note_role(name, dim, Role.MASK)
        for kind, kept in (("scale", scale), ("sign", sign)):
            for term in () if kept else terms:
                self.equations.equate(kind, (term,), rank=rank)
        value = Value(tuple(tensor.shape), distinct(layers), scale, sign, Parameter(name, tuple(range(rank))))
        self.define(tensor, [[layer] for layer in value.labels], value)

    def _add_stack(self, tensor: Tensor) -> None:
        """Give each piece of a parameter units, scales and signs of its own."""
        name, shape = self.parameters.name(tensor), tuple(tensor.shape)
        axes: tuple[int, ...] = ()
        piece, blocks = np.zeros((), dtype=np.int64), np.full(1, NONE)  # of each place, and the unit that each piece is
        outer, slots = 1, list[Layer]()
        layers: list[Layer] = []
        cuts = self.parameters.stacks[name]
        for cut in cuts:
            count, which = len(cut.pieces), np.repeat(np.arange(len(cut.pieces)), cut.pieces)
            parts = cut.parts if cut is cuts[-1] else count
            inner = self.labels.units(len(blocks) * count)
            if axes:
                self.labels.respect(inner, np.repeat(blocks, count), f"pieces of {name!r}")
            if max(cut.pieces) > 1:
                lengths = np.add.reduceat(cut.pieces, range(0, count, count // parts)).tolist()
                rows = self._units_apart(
                    lengths * len(blocks) if parts > 1 else [len(which) * len(blocks) // outer] * outer
                )
                self.labels.respect(rows, inner.reshape(-1, count)[:, which].ravel(), f"pieces of {name!r}")
                layers.append(_across(rows.reshape(len(blocks), -1)[piece], (*axes, cut.axis), shape))
            piece = piece[..., None] * count + which
            axes, blocks = (*axes, cut.axis), inner
            if parts > 1:
                outer *= parts
                numbers = self.labels.slots(parts, f"a piece of {name!r}")[which // (count // parts)]
                slots.append(_across(numbers, (cut.axis,), shape))
        beside = range(len(shape)) if cuts[-1].beside is None else cuts[-1].beside
        for dim in [dim for dim, size in enumerate(shape) if dim not in axes and size > 1]:
            if dim not in beside:
                layers.append(along(to_layer(self.labels.units(shape[dim], together=True)), dim, len(shape)))
                continue
            units = self._units_apart([shape[dim] * len(blocks) // outer] * outer)
            self.labels.respect(units, np.repeat(blocks, shape[dim]), f"a stack, {name!r}")
            layers.append(_across(units.reshape(len(blocks), -1)[piece], (*axes, dim), shape))
        self._define_cut(tensor, layers, slots)

    def _add_crossed(self, tensor: Tensor) -> None:
        """Give a parameter units, scales and signs for each of several cuts by itself, in its pieces or in none."""
        name, shape = self.parameters.name(tensor), tuple(tensor.shape)
        layers: list[Layer] = []
        taken: set[int] = set()
        for cut in self.parameters.stacks[name]:
            axes = (cut.axis, *(cut.beside or ()))
            sizes = [shape[axis] for axis in axes]
            units = self.labels.units(prod(sizes), together=True)
            if not cut.joint:
                self.labels.respect(
                    units, np.repeat(self.labels.units(sizes[0]), prod(sizes[1:])), f"a stack, {name!r}"
                )
            layers.append(_across(units.reshape(sizes), axes, shape))
            taken |= set(axes)
        for dim, size in enumerate(shape):
            if size > 1 and dim not in taken:
                layers.append(along(to_layer(self.labels.units(size, together=True)), dim, len(shape)))
        self._define_cut(tensor, layers, [])

    def _define_cut(self, tensor: Tensor, layers: Sequence[Layer], slots: Sequence[Layer]) -> None:
        """Say what is known of a parameter with units along several axes at once, and slots beside."""
        name, shape = self.parameters.name(tensor), tuple(tensor.shape)
        terms = []
        for layer in layers:
            dims = tuple(dim for dim, size in enumerate(layer.shape) if size > 1)
            terms.append((to_layer(self.equations.variables(name, dims, layer.numpy().ravel())).view(layer.shape), 1))
        value = Value(shape, (*layers, *slots), tuple(terms), tuple(terms), Parameter(name, tuple(range(len(shape)))))
        self.define(tensor, [[layer, *slots] for layer in layers], value)

    def _units_apart(self, counts: Sequence[int]) -> Array:
        """Return new units, so many each of several axes that may have units in common, as what is told apart may."""
        return np.concatenate([self.labels.units(count, together=True) for count in counts])

    def parameter_value(self, name: str) -> Value:
        """Return what is known of a parameter by its name."""
        return self.raw(self.parameters.stand_ins[name])

    def fix(self, value: Value, where: str) -> None:
        """Fix all that lives in a value, with its scale and sign: what becomes of it is not known."""
        for layer in value.labels:
            self.labels.fix(layer.numpy(), where)
        for kind, terms in (("scale", value.scale), ("sign", value.sign)):
            self.equations.equate(kind, terms, rank=len(value.shape))

    def fix_unused(self) -> list[str]:
        """Fix the tensors that no operator used; return their names."""
        unused = self.parameters.unused()
        for name in unused:
            tensor = self.parameters.stand_ins[name]
            self._add_parameter(tensor, used=False)
            for run in self.parameters.runs[name]:
                self.labels.fix(run[0].numpy(), UNUSED)
            for layer, _ in self._values[tensor].scale:
                for kind in ("scale", "sign"):
                    self.equations.equate(kind, ((layer, 1),), rank=layer.ndim)
        return unused

    def before_writing(self, target: Tensor, operator: Operator, name: str) -> None:
        """See to it that what else lies in the target's storage is kept track of, if it matters."""
        for view in self._views_of(target):
            if view in self._unruled:  # which names nothing any more
                self.value(view)
        if self._storages.holds(target):
            return
        others = [view for view in self._views_of(target) if view is not target and view in self._values]
        if not self.is_known(target):
            base = target._base if target._base is not None else target
            self._fresh = target
            self._storages.open(base, self._told_apart(self._constant_value(base)) if covers(base) else None)
        elif others and operator.rescales:
            views = [view for view in (target, *others) if view in self._values]
            whole = next((view for view in views if covers(view)), None)
            if whole is not None:
                self._storages.open(whole, self.value(whole))
                return
            self._storages.open(target, None)
            for view in views:
                self.fix(self._values[view], f"{IN_PLACE}({name})")

    def after_writing(self, target: Tensor, value: Value) -> None:
        """Note what the target holds now, and forget what other views of it did."""
        self._fresh = None
        if self._storages.holds(target):
            self._storages.store(target, value)
            for view in self._views_of(target):
                if view is not target:
                    self._values.pop(view)


def diagonal_axes(numbers: Tensor) -> tuple[int, int] | None:
    """Return the two axes of square matrices that hold one number on their diagonal and another elsewhere, if any do.

    There may be several such, along other axes, as in the kernel of a convolution that changes nothing.
    """
    if numbers.is_complex() or numbers.numel() > MOST_ON_DIAGONAL:
        return None
    for axes in combinations(range(numbers.ndim), 2):
        size = numbers.shape[axes[0]]
        if 1 < size == numbers.shape[axes[1]]:
            matrices = numbers.movedim(axes, (-2, -1))
            on, off = matrices[..., :1, :1], matrices[..., :1, 1:2]
            same = torch.where(torch.eye(size, dtype=torch.bool), on, off)
            if bool((on != off).any()) and torch.equal(matrices, same):
                return axes
    return None


def _across(numbers: Array, axes: Sequence[int], shape: Sequence[int]) -> Layer:
    """Return numbers along some axes of a tensor, in whatever order, as a layer."""
    order = sorted(range(len(axes)), key=axes.__getitem__)
    return to_layer(numbers.transpose(order)).view([size if k in axes else 1 for k, size in enumerate(shape)])
