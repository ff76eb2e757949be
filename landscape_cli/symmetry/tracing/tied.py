"""What operators make of numbers that may stand at several places, and in which order they return what they order."""

from __future__ import annotations

import math
import operator as functions
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing import masking
from landscape_cli.symmetry.tracing.constants import tensors_in
from landscape_cli.symmetry.tracing.counts import added, along, carried, least, only
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.ranks import (
    ORDERING,
    Order,
    argument,
    largest_first,
    ordered,
    ordered_axis,
    reduced_axis,
)
from landscape_cli.symmetry.tracing.repeats import (
    ANY,
    REPEATED,
    TRUTH,
    Numbers,
    Repeated,
    compared,
    mapped,
    paired,
    plus,
    repeated,
    sums,
    times,
    truth,
    united,
)

if TYPE_CHECKING:
    from landscape_cli.symmetry.tracing.ties import TieTable

INCREASING = frozenset(
    {
        *("sigmoid", "exp", "exp2", "expm1", "softplus", "tanh", "erf", "atan", "asinh", "sinh", "elu", "selu", "celu"),
        *("leaky_relu", "sqrt", "log", "log1p", "log2", "log10", "reciprocal", "positive"),
    }
)
"""Functions that grow everywhere, or that fall wherever they are above 0."""
FLAT = frozenset({"relu", "relu6", "hardtanh", "hardsigmoid", "clamp", "clamp_min", "clamp_max", "hardswish"})
"""Functions that are the same for all numbers beyond some."""
STEPS = frozenset(
    {"sign", "sgn", "signbit", "round", "floor", "ceil", "trunc", "heaviside", "threshold", "softshrink", "hardshrink"}
    | {"binarize"}
)
"""Functions that are the same for many numbers."""
COMPARING = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})
LOGIC = frozenset(
    {"logical_not", "bitwise_not", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "any", "all"}
)
CASTS = frozenset({"_to_copy", "to"})
TAKEN = frozenset({"gather", "index"})
SAME = frozenset({"alias", "detach", "clone", "contiguous", "lift_fresh"}) | CASTS | TAKEN
"""Operators that return numbers of their first argument, beside those that move places."""
LARGEST = frozenset({"amax", "amin", "max", "min", "topk", "sort", "index_select", "unfold"})
"""Operators that choose some of them."""
PUT = {"scatter": 3, "scatter_add": 3, "index_put": 2, "_index_put_impl": 2, "index_add": 3, "index_copy": 3} | {
    "index_fill": 3,
    "masked_scatter": 2,
}
"""Operators that write numbers over others, and which argument these are."""
REDUCED = frozenset({"any", "all", "amax", "amin"})


@dataclass(frozen=True)
class Step:
    """An operator at work."""

    table: TieTable
    operator: Operator
    function: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Tensor]

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.outputs[0].shape)

    def made(self) -> list[Numbers]:
        """Return what is known of the numbers of each tensor that it returns."""
        listed = self.operator.name == "index_select" and self.table.constants.numbers(self.args[2]) is not None
        if listed or (self.operator.moves and self.operator.name not in SAME):
            return self._moved()
        return [self._first()]

    def _first(self) -> Numbers:
        name, args, of = self.operator.name, self.args, self.table.of
        if name in CASTS:
            return self._cast(of(args[0]))
        if name in SAME:
            return of(args[0]).uncounted() if name in TAKEN else of(args[0])
        if name in COMPARING:
            return self._compared()
        if name in LOGIC or (name in REDUCED and set(of(args[0]).repeated or [2]) <= {0, 1} and of(args[0]).none_else):
            return self._logic()
        if name in LARGEST:
            return self._in_order(of(args[0])) if name in {"topk", "sort"} else of(args[0]).uncounted()
        if name in INCREASING or name in FLAT:
            numbers = of(args[0])
            falls = name == "reciprocal" and numbers.low < 0
            return mapped(numbers, self._of_one, increasing=name in INCREASING and not falls, flat=name in FLAT)
        if name == "neg":
            return paired(of(args[0]), repeated(-1.0), times, (True, True))
        if name == "abs":
            size = mapped(of(args[0]), abs, increasing=of(args[0]).low >= 0)
            return replace(size, low=max(size.low, 0.0))
        if name in STEPS:
            return REPEATED
        if name in {"mul", "div", "add", "sub", "rsub"} and len(args) > 1:
            return self._of_two()
        if name in {"_softmax", "_safe_softmax"}:
            held = of(args[0]).repeated
            return Numbers(0.0, 1.0, None if held is None or held.keys() - {-math.inf} else _zeros(held))
        if name in {"sum", "mean", "cumsum"}:
            return self._summed()
        if name in {"mm", "bmm"}:
            return self._product()
        return self._chosen()

    def orders(self) -> list[Order]:
        """Return in which order what each tensor holds is that it returns, as far as there is one."""
        name, args = self.operator.name, self.args
        given = self.table.order(args[0]) if args else None
        if given is not None and name in {*SAME - TAKEN, "remainder"}:
            whole = args[0].is_floating_point() == self.outputs[0].is_floating_point()
            return [given] if whole and (name != "remainder" or args[1] == given.size) else []
        if given is not None and self.operator.moves:
            return [] if any(isinstance(arg, torch.dtype) for arg in args) else list(given.moved(self._move))
        axis = ordered_axis(name, args, self.kwargs, len(self.outputs)) if name in ORDERING else None
        if axis is None:
            return []
        largest = largest_first(name, args, self.kwargs)
        sure = self.table.of(args[0]).told(axis, args[0].shape, largest=largest)
        along = axis if name in {"topk", "sort", "argsort"} else None
        of = args[0], self.table.writes(args[0])
        order = ordered(self._shape, of, axis, sure, largest=largest, along=along)
        order = replace(order, ranks=order.ranks + int(args[1]) - 1) if name == "kthvalue" else order
        return [order] * len(self.outputs)

    def _keeps_axes(self) -> bool:
        return bool(argument(self.args, self.kwargs, 2, "keepdim", False))

    def _move(self, numbers: Tensor) -> Any:
        """Do to whole numbers what the operator does to its first argument."""
        known = self.table.constants.numbers
        rest = (known(arg) if isinstance(arg, Tensor) else arg for arg in self.args[1:])
        return self.function(numbers, *rest, **self.kwargs)

    def _moved(self) -> list[Numbers]:
        numbers, count = self.table.of(self.args[0]), len(self.outputs)
        held = numbers.repeated
        if not held or any(isinstance(arg, torch.dtype) for arg in self.args):
            return [numbers.uncounted()] * count
        every = carried(list(held.values()), self.args[0].shape, self._move, count)
        return [numbers.counted(dict(zip(held, counts, strict=True))) for counts in every]

    def _in_order(self, numbers: Numbers) -> Numbers:
        """Return what is known of numbers put into their order along an axis."""
        rank, axis = self.args[0].ndim, ordered_axis(self.operator.name, self.args, self.kwargs, len(self.outputs))
        if axis is None:
            return numbers.uncounted()
        held = (numbers.repeated or {}).items()
        return numbers.counted({number: only(along(most, axis, rank), axis, rank) for number, most in held})

    def _fitted(self, given: Any) -> Numbers:
        """Return what is known of an argument, broadcast to what is returned."""
        shape = given.shape if isinstance(given, Tensor) else ()
        return self.table.of(given).fitted(shape, self._shape)

    def _cast(self, numbers: Numbers) -> Numbers:
        """Return what is known of numbers of another type."""
        was, now = self.args[0].dtype, self.outputs[0].dtype
        if now == torch.bool:
            return numbers if was == torch.bool else compared(numbers, repeated(0.0), functions.ne)
        if now.is_floating_point or not was.is_floating_point:
            return numbers
        whole = numbers.none_else and all(number.is_integer() for number in numbers.repeated or [0.5])
        return numbers if whole else REPEATED

    def _of_one(self, number: float) -> float:
        """Return the function of one number."""
        given = torch.tensor(number, dtype=torch.float64)
        if tensors_in((self.args[1:], self.kwargs)):
            return math.nan
        return float(self.function(given, *self.args[1:], **self.kwargs))

    def _compared(self) -> Numbers:
        """Return what is known of a comparison: all with repeated ones, with one in its order, or place by place."""
        name, (left, right, *_), table = self.operator.name, self.args, self.table
        sides = self._fitted(left), self._fitted(right)
        if all(side.none_else for side in sides):
            return compared(*sides, getattr(functions, name))
        for one, other, called in ((left, right, name), (right, left, masking.TURNED[name])):
            order = table.order(other)
            if order is None or not isinstance(one, Tensor):
                continue
            if one is order.of[0] and table.writes(one) == order.of[1]:
                told = masking.compared_with_ranked(called, one, order)
                return told or TRUTH
            numbers = table.constants.numbers(one)
            if name == "eq" and numbers is not None:
                return masking.compared_with_all(order, numbers, self._shape)
        return TRUTH

    def _logic(self) -> Numbers:
        """Return what is known of truth values made of others."""
        name, rank = self.operator.name, len(self._shape)
        if any(tensor.dtype != torch.bool for tensor in tensors_in(self.args)) and name.startswith("bitwise"):
            return REPEATED
        if name in REDUCED:
            axis = reduced_axis(self.args, self.kwargs)
            if axis is None:
                return TRUTH
            made = masking.any_of(self.table.of(self.args[0]), axis, self.args[0].shape, every=name in {"all", "amin"})
            return (
                made if argument(self.args, self.kwargs, 2, "keepdim", False) else made.without(axis, self.args[0].ndim)
            )
        sides = [self._fitted(arg) for arg in self.args[:2]]
        yes, no = ([masking.held(side, number, rank) for side in sides] for number in (1.0, 0.0))
        if name in {"logical_not", "bitwise_not"}:
            return truth(no[0], yes[0])
        if name in {"logical_and", "bitwise_and"}:
            return truth(least(*yes), added(*no))
        return truth(added(*yes), least(*no))

    def _of_two(self) -> Numbers:
        left, right = self.args[:2]
        name, first, second = self.operator.name, self._fitted(left), self._fitted(right)
        factor = self.args[2] if len(self.args) > 2 else self.kwargs.get("alpha", 1)
        if name == "div":
            if self.kwargs.get("rounding_mode") is not None:
                return REPEATED
            second = mapped(second, lambda x: 1 / x if x else math.inf, increasing=second.low >= 0)
        elif name == "sub":
            second = paired(second, repeated(-1.0), times, (True, True))
        elif name == "rsub":
            first = paired(first, repeated(-1.0), times, (True, True))
        if factor != 1:
            return ANY if ANY == first == second else REPEATED
        told = _covers(left, right), _covers(right, left)
        return paired(first, second, times if name in {"mul", "div"} else plus, told)

    def _summed(self) -> Numbers:
        """Return what is known of sums along axes."""
        name, given = self.operator.name, self.table.of(self.args[0])
        if name != "sum":
            return REPEATED if given.none_else else sums(given, 1)
        shape, axis = self.args[0].shape, reduced_axis(self.args, self.kwargs)
        made = sums(given, prod(shape) // max(prod(self._shape), 1), axis, shape)
        return (
            made
            if axis is None or argument(self.args, self.kwargs, 2, "keepdim", False)
            else made.without(axis, len(shape))
        )

    def _product(self) -> Numbers:
        """Return what is known of a product of matrices, each of numbers that may be repeated."""
        left, right = map(self.table.of, self.args[:2])
        if not (left.none_else and right.none_else):
            return ANY
        rows, terms = self.args[0].shape[-2:]
        return masking.of_products(left, right, (rows, terms, self.args[1].shape[-1]))

    def _chosen(self) -> Numbers:
        """Return what is known of numbers of several tensors: chosen, put side by side, or written over others."""
        name, args, of = self.operator.name, self.args, self.table.of
        if name in {"where", "masked_fill"}:
            condition, yes, no = args if name == "where" else (args[1], args[2], args[0])
            return self._by_condition(condition, yes, no)
        if name in {"maximum", "minimum"}:
            return united(*map(self._fitted, args[:2]))
        if name == "copy":
            return self._fitted(args[1])
        if name == "constant_pad_nd":
            return united(of(args[0]).uncounted(), of(args[2] if len(args) > 2 else 0.0))
        if name in {"cat", "stack"}:
            made = reduce(united, map(of, args[0]))
            axis = int(argument(self.args, self.kwargs, 1, "dim", 0)) % len(self._shape)
            held = masking.joined([(of(part), part.shape) for part in args[0]], axis, stacked=name == "stack")
            return made if made.repeated is None or held is None else made.counted(held)
        if name in {"fill", "zero"}:
            return of(args[1] if name == "fill" else 0.0)
        if name in PUT:
            source = args[PUT[name]] if len(args) > PUT[name] else self.kwargs.get("src", self.kwargs.get("value"))
            return REPEATED if self.kwargs.get("reduce") else self._put(of(args[0]), source)
        return ANY if self.operator.contracts else self._unknown()

    def _by_condition(self, condition: Tensor, yes: Any, no: Any) -> Numbers:
        given, rank = self._fitted(condition), len(self._shape)
        sides = ((yes, 1.0), (no, 0.0))
        return united(*(self._fitted(side).limited(masking.held(given, number, rank)) for side, number in sides))

    def _put(self, base: Numbers, source: Any) -> Numbers:
        """Return what is known of numbers that others were written over, or added to."""
        name, args, shape, numbers = self.operator.name, self.args, self._shape, self.table.of(source)
        order = self.table.order(args[2]) if name in {"scatter", "scatter_add"} else None
        if name == "scatter" or (order is not None and masking.are_zeros(base) and order.are_apart([args[1]])):
            return masking.written(base, numbers, shape, args[1] % len(shape), args[2], order)
        adding = name in {"scatter_add", "index_add"} or (len(args) > 3 and args[3] is True)
        if adding and numbers.none_else:
            return REPEATED
        lists = args[1] if name in {"index_put", "_index_put_impl"} and not adding else []
        if len(lists) == 1 and lists[0].dtype == torch.bool and lists[0].shape == shape and source.numel() == 1:
            return self._by_condition(lists[0], source, args[0])
        orders = [None if each is None else self.table.order(each) for each in lists]
        known = [each if each is None else self.table.constants.numbers(each) for each in lists]
        told = masking.listed(shape, known, orders) if len(lists) == len(shape) else None
        if told is None:
            return united(base.uncounted(), numbers.uncounted())
        return united(base.limited(told[0]), numbers.uncounted().limited(told[1]))

    def _unknown(self) -> Numbers:
        """Return what is known of a function that is not followed: it repeats what it is given repeatedly."""
        given = [self.table.of(tensor) for tensor in tensors_in((self.args, self.kwargs))]
        return ANY if all(numbers.repeated == {} for numbers in given) else REPEATED


def _zeros(held: Repeated) -> Repeated:
    """Return the counts of one number as those of 0."""
    return dict.fromkeys([0.0] * len(held), next(iter(held.values()), ()))


def _covers(given: Any, other: Any) -> bool:
    """Tell whether a tensor has a number of its own wherever another of more than one place has."""
    sizes = [tuple(each.shape) if isinstance(each, Tensor) else () for each in (given, other)]
    rank = max(map(len, sizes))
    mine, others = ((1,) * (rank - len(each)) + each for each in sizes)
    return all(size > 1 or beside == 1 for size, beside in zip(mine, others, strict=True))
