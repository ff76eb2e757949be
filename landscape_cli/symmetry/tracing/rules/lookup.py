"""Operators that read or write places by numbers that the input, or what was made of it, decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.belonging import INPUT
from landscape_cli.symmetry.tracing.layers import Layer, Terms, Value, covered, to_layer
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call, NoRule, is_number
from landscape_cli.symmetry.tracing.rules.convolutions import only_channels
from landscape_cli.symmetry.tracing.rules.elementwise import total
from landscape_cli.symmetry.tracing.rules.places import note_slices, piece_of
from landscape_cli.symmetry.tracing.tensors import Names

MOVED = "places moved about"
LISTED = "places that are found by their numbers"
MOST_PLACES = 1 << 12
"""Up to how many places that are looked up have a scale and a sign of their own."""


@rule("embedding", contracts={0: (0, 1)})
def embedding(call: Call) -> Value:
    """Rows of a table, taken by their numbers."""
    numbers = call.tensors.numbers(call.args[1])
    if numbers is not None:
        taken = call.move(call.operand(0), lambda layer: layer[numbers], call.shape, apart=True)
        for kind, terms in (("scale", taken.scale), ("sign", taken.sign)):
            for term in terms:
                if term[0].numel() == 1:  # one row alone, whose columns have all the scales there are
                    call.equations.equate(kind, (term,), rank=len(call.shape))
        return taken
    table, names = call.operand(0), call.tensors.names(call.args[1])
    scale: Terms = ()
    sign: Terms = ()
    if names is not None and len(names.units) == table.shape[0]:
        index, rows = names.places, _looked_up(call, _table(call, table), 0, names)
    else:
        index, table = call.plain(call.operand(1)), _table(call, table)
        scale, sign, table = _of_places(call, table, [0], index.shape)
        rows = only_channels(call, table, [0], INPUT)
    rank = len(index.shape)
    taken = rows.layers(lambda layer: layer.reshape(*[1] * rank, *layer.shape[1:]), call.shape)
    labels = (*(layer.unsqueeze(-1) for layer in index.labels), *taken.labels)
    own = Value(index.shape, (), scale, sign).layers(lambda layer: layer.unsqueeze(-1), call.shape)
    taken = replace(taken, scale=(*taken.scale, *own.scale), sign=(*taken.sign, *own.sign))
    return replace(taken, labels=call.apart(labels, call.shape))


def _of_places(call: Call, operand: Value, axes: Sequence[int], shape: Sequence[int]) -> tuple[Terms, Terms, Value]:
    """Return a scale and a sign for each place that is looked up along axes, and the operand without those along them.

    Whose they are is not known: if anything depends on them, all along the axes have one.
    """
    made: dict[str, Terms] = {}
    rest: dict[str, Terms] = {}
    for kind in ("scale", "sign"):
        terms: Terms = getattr(operand, kind)
        gone = tuple(term for term in terms if covered(term[0]) and covered(term[0]) <= set(axes))
        rest[kind] = tuple(term for term in terms if not any(term is each for each in gone))
        made[kind] = ()
        if gone and math.prod(shape) <= MOST_PLACES:
            own = to_layer(call.equations.variables("", (), call.labels.slots(math.prod(shape), LISTED)))
            call.equations.equate_if_used(kind, gone, own, rank=len(operand.shape))
            made[kind] = ((own.view(tuple(shape)), 1),)
        else:
            rest[kind] = terms
    return made["scale"], made["sign"], replace(operand, scale=rest["scale"], sign=rest["sign"])


def _table(call: Call, table: Value) -> Value:
    """Return a table, whose rows are read: the units that they write are weights' as any."""
    if table.parameter is not None:
        for dim, role in zip(table.parameter.dims, (Role.OUTGOING, Role.INCOMING), strict=True):
            if dim is not None:
                call.parameters.note_role(table.parameter.name, dim, role)
    return table


def _looked_up(call: Call, operand: Value, axis: int, names: Names) -> Value:
    """Return what lives beside an axis whose places are taken by names: whose they are is no matter."""
    labels = call.summed(call.meet(operand, _named(operand.shape, axis, names), shape=operand.shape), [axis])
    rank = len(operand.shape)
    scale, sign = (call.dropped(getattr(operand, kind), [axis], kind, rank, labels) for kind in ("scale", "sign"))
    return Value(_one(operand.shape, axis), labels, scale, sign)


def _named(shape: Sequence[int], axis: int, names: Names) -> Value:
    """Return what is known of numbers along an axis, one for each unit that is named."""
    sizes = tuple(size if k == axis else 1 for k, size in enumerate(shape))
    return Value(sizes, (names.units.view(sizes),))


@rule("_embedding_bag", "_embedding_bag_forward_only", contracts={0: (0, 1)})
def embedding_bag(call: Call) -> list[Value]:
    """Sums, means or largest of rows of a table: of which rows, and of how many, is no matter."""
    rows = only_channels(call, _table(call, call.operand(0)), [0], INPUT)
    for arg in (*call.args[1:3], call.argument(6, "per_sample_weights")):
        if isinstance(arg, Tensor):
            call.fix(call.tensors.value(arg))
    if call.argument(4, "mode", 0) == 2:
        rows = call.unsigned(rows)
    return [Value(call.shape, call.apart(rows.labels, call.shape), rows.scale, rows.sign)]


@rule("index", "_unsafe_index", words=MOVED)
def index(call: Call) -> Value:
    """Places taken by a list of their numbers."""
    try:
        places = call.numbers(call.args[1])
    except NoRule:
        return _Listed(call, call.args[1]).taken()
    operand = call.copied(0)
    taken = call.move(operand, lambda numbers: call.function(numbers, places), call.shape, apart=True)
    if [place.ndim for place in places if place is not None] != [0]:
        note_slices(call, operand, taken)
        return taken
    [axis] = [axis for axis, place in enumerate(places) if place is not None]
    return piece_of(call, operand, taken, axis, dropped=True)


@rule("index_put", "_index_put_impl", words=MOVED, rescales=True)
def index_put(call: Call) -> Value:
    """Places overwritten, or added to, by a list of their numbers."""
    return _Listed(call, call.args[1]).put(call.tensors.value(call.args[2]))


class _Listed:
    """Axes along which places are listed by tensors of their numbers, and where that puts what is taken.

    Attributes:
        axes: those of the operand.
        passed: the operand, what lives along them fixed.
        names: what the numbers name, by axis, of lists of numbers that name units.
        lists: what is known of the lists, together.
        start: the first of their axes in what is taken.
    """

    def __init__(self, call: Call, given: Sequence[Tensor | None]) -> None:
        operand = call.operand(0)
        self._call, self._given = call, [*given, *[None] * (len(operand.shape) - len(given))]
        self.axes = [axis for axis, numbers in enumerate(self._given) if numbers is not None]
        self.names: dict[int, Names] = {}
        lists = []
        for axis, numbers in enumerate(given):
            names = None if numbers is None else call.tensors.names(numbers)
            if names is not None and len(names.units) == operand.shape[axis]:
                self.names[axis] = names
                lists.append(names.places)
            elif numbers is not None:
                lists.append(call.plain(call.tensors.value(numbers)))
        self._sizes = tuple(np.broadcast_shapes(*(value.shape for value in lists)))
        self.lists = call.meet(*lists, shape=self._sizes)
        together = self.axes == list(range(self.axes[0], self.axes[-1] + 1))
        self.start = self.axes[0] if together else 0
        for axis, names in self.names.items():
            operand = _looked_up(call, operand, axis, names)
        unnamed = [numbers for axis, numbers in enumerate(given) if numbers is not None and axis not in self.names]
        why = _why_listed(call, unnamed)
        self._own = Value(self._sizes, ())
        if not self.names and not call.in_place:
            scale, sign, operand = _of_places(call, operand, self.axes, self._sizes)
            self._own = Value(self._sizes, (), scale, sign)
        passed = only_channels(call, operand, [axis for axis in self.axes if axis not in self.names], why)
        self.passed = replace(passed, shape=tuple(call.args[0].shape))

    def taken(self) -> Value:
        """Return what is known of the places listed."""
        beside = [size for axis, size in enumerate(self.passed.shape) if axis not in self.axes]
        shape = (*beside[: self.start], *self._sizes, *beside[self.start :])

        def change(layer: Layer) -> Layer:
            sizes = [size for axis, size in enumerate(layer.shape) if axis not in self.axes]
            return layer.reshape(*sizes[: self.start], *[1] * len(self._sizes), *sizes[self.start :])

        value = self.passed.layers(change, shape)
        after = [1] * (len(beside) - self.start)

        def along(layer: Layer) -> Layer:
            return layer.reshape(*[1] * self.start, *layer.shape, *after)

        own = self._own.layers(along, shape)
        value = replace(value, scale=(*value.scale, *own.scale), sign=(*value.sign, *own.sign))
        return replace(value, labels=self._call.apart((*map(along, self.lists), *value.labels), shape))

    def put(self, source: Value) -> Value:
        """Return what is known of the operand with the places listed written from a source."""
        taken = self.taken()
        written = total(replace(self._call, shapes=[taken.shape]), replace(taken, zero=self.passed.zero), source)
        scale, sign = self._back(written.scale, "scale"), self._back(written.sign, "sign")
        named = [label for axis, names in self.names.items() for label in _named(self.passed.shape, axis, names).labels]
        labels = self._call.apart((*self.passed.labels, *named), self.passed.shape)
        return Value(self.passed.shape, labels, scale, sign, zero=written.zero)

    def _back(self, terms: Terms, kind: str) -> Terms:
        """Return the scale (or sign) of what was taken as one of the operand."""
        end = self.start + len(self._sizes)
        rank = len(self.passed.shape) - len(self.axes) + len(self._sizes)
        kept = self._call.dropped(terms, range(self.start, end), kind, rank)

        def change(layer: Layer) -> Layer:
            sizes = iter([*layer.shape[: self.start], *layer.shape[end:]])
            return layer.reshape([1 if axis in self.axes else next(sizes) for axis in range(len(self.passed.shape))])

        return tuple((change(layer), power) for layer, power in kept)


def _why_listed(call: Call, lists: Sequence[Tensor]) -> str:
    """Return why units may not move that are found by numbers of these lists: the input's, or others not followed."""
    labels = call.labels
    reasons = {
        labels.reasons[number]
        for numbers in lists
        for layer in call.tensors.raw(numbers).labels
        for number in set(labels.why_fixed(layer.numpy()).ravel().tolist())
    }
    return LISTED if reasons <= {"batch", INPUT, LISTED} else call.tensors.told_by_number


@rule("index_select", words=MOVED)
def index_select(call: Call) -> Value:
    """Places along an axis taken by a list of their numbers."""
    axis, numbers = call.args[1] % max(len(call.args[0].shape), 1), call.tensors.numbers(call.args[2])
    if numbers is not None:
        return call.move(call.copied(0), lambda layer: layer.index_select(axis, numbers), call.shape, apart=True)
    return _Listed(call, [*[None] * axis, call.args[2]]).taken()


@rule("gather", words=MOVED)
def gather(call: Call) -> Value:
    """Places along an axis taken by their numbers, of which there are some beside every other place."""
    axis, numbers = call.args[1] % max(len(call.shape), 1), call.tensors.numbers(call.args[2])
    if numbers is not None:
        return call.move(call.copied(0), lambda layer: layer.gather(axis, numbers), call.shape, apart=True)
    operand, names = call.operand(0), call.tensors.names(call.args[2])
    if names is not None and len(names.units) == operand.shape[axis]:
        passed, places = _looked_up(call, operand, axis, names), names.places
    else:
        places = replace(call.plain(call.tensors.raw(call.args[2])), zero=False)
        passed = only_channels(call, operand, [axis], _why_listed(call, [call.args[2]]))
    sizes = tuple(1 if k == axis else size for k, size in enumerate(call.shape))
    if any(size < passed.shape[k] for k, size in enumerate(sizes) if k != axis):
        passed = call.move(replace(passed, shape=_one(passed.shape, axis)), _corner(sizes), sizes, apart=True)
    labels = call.meet(Value(call.shape, passed.labels), places)
    return Value(call.shape, call.apart(labels, call.shape), passed.scale, passed.sign)


def _scattered_by_name(call: Call, names: Names, axis: int, number: float) -> Value:
    """Return one number all over but for units that are named: these hold others in the order of what tells them."""
    source = call.argument(3, "src" if isinstance(call.argument(3, "src"), Tensor) else "value")
    beside = only_channels(call, names.places, [axis], LISTED)
    values = [_named(call.shape, axis, names), replace(beside, shape=_one(beside.shape, axis))]
    if not isinstance(source, Tensor):
        return Value(call.shape, call.apart(call.meet(*values), call.shape))
    passed = only_channels(call, call.tensors.value(source), [axis], LISTED)
    passed = passed if number == 0 else call.unsigned(passed)
    passed = passed if number == 0 or math.isinf(number) else call.unscaled(passed)
    labels = call.meet(*values, replace(passed, shape=_one(passed.shape, axis)))
    return Value(call.shape, call.apart(labels, call.shape), passed.scale, passed.sign)


def _one(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(1 if k == axis else size for k, size in enumerate(shape))


def _corner(sizes: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """Return what takes the first places along every axis."""
    return lambda numbers: numbers[tuple(slice(size) for size in sizes)]


@rule("scatter", "scatter_add", "scatter_reduce", words=MOVED, rescales=True)
@rule("index_add", "index_copy", "index_fill", "index_reduce", words=MOVED, rescales=True)
def scatter(call: Call) -> Value:
    """Places along an axis overwritten, or added to, by their numbers."""
    axis = call.args[1] % max(len(call.shape), 1)
    names, number = call.tensors.names(call.args[2]), call.tensors.filling(call.args[0])
    plain = call.operator.name == "scatter" or (call.operator.name == "scatter_add" and number == 0)
    plain &= names is not None and len(names.units) == call.shape[axis] and call.kwargs.get("reduce") is None
    if names is not None and number is not None and plain and _one(names.places.shape, axis) == _one(call.shape, axis):
        return _scattered_by_name(call, names, axis, number)
    target = call.operand(0)
    source = call.argument(3, "src" if isinstance(call.argument(3, "src"), Tensor) else "value")
    places = call.plain(call.tensors.raw(call.args[2]))
    listed = call.operator.name.startswith("index")
    values = [target]
    if isinstance(source, Tensor):
        values.append(call.tensors.value(source))
    elif not (is_number(source) and source == 0):
        target = call.plain(target)
    if not listed:
        values.append(Value(places.shape, places.labels, copies=places.copies))
    if any(_one(value.shape, axis) != _one(call.shape, axis) for value in values):
        raise NoRule
    if "reduce" in call.operator.name or call.kwargs.get("reduce") is not None:
        values = [call.plain(value) for value in values]
    why = _why_listed(call, [call.args[2]])
    beside = [only_channels(call, value, [axis], why) for value in values]
    beside = [replace(value, shape=_one(value.shape, axis)) for value in beside]
    joint = replace(call, shapes=[_one(call.shape, axis)])
    written = total(joint, beside[0], beside[1]) if isinstance(source, Tensor) else beside[0]
    labels = call.apart(joint.meet(written, *beside[2 if isinstance(source, Tensor) else 1 :]), call.shape, LISTED)
    return Value(call.shape, labels, written.scale, written.sign)
