"""Which numbers may stand at several places at once, as zeros that a mask puts: which comes first is told by no unit.

Where numbers are brought into their order, places of units may be named by it only if such numbers come after all
others. So of every tensor of a run this keeps between what its numbers lie, but for those that may be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import product
from typing import Any

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.constants import Constants, tensors_in
from landscape_cli.symmetry.tracing.identity import TensorDict
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.storage import storage_of

MOST = 16
"""How many numbers that are repeated are followed: of more, any may be."""
MOST_COMPARED = 1 << 16
"""Up to how many numbers of a constant are looked at."""
FAR = 1e30
"""What stands for numbers however large."""

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
    {"sign", "sgn", "round", "floor", "ceil", "trunc", "heaviside", "threshold", "softshrink", "hardshrink", "binarize"}
)
"""Functions that are the same for many numbers."""
COMPARING = frozenset({"gt", "ge", "lt", "le", "eq", "ne", "signbit"})
LOGIC = frozenset(
    {"logical_not", "bitwise_not", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "any", "all"}
)
SAME = frozenset({"alias", "detach", "clone", "contiguous", "lift_fresh", "_to_copy", "to", "gather", "index", "copy"})
"""Operators that return numbers of their first argument, beside those that move places."""
LARGEST = frozenset({"amax", "amin", "max", "min", "topk", "sort", "index_select", "unfold"})
"""Operators that choose some of them."""
PUT = {"scatter": 3, "scatter_add": 3, "index_put": 2, "_index_put_impl": 2, "index_add": 3, "index_copy": 3} | {
    "index_fill": 3,
    "masked_scatter": 2,
}
"""Operators that write numbers over others, and which argument these are."""


@dataclass(frozen=True)
class Numbers:
    """What is known of the numbers of a tensor.

    Attributes:
        low: what those are above that are not known to be repeated.
        high: what they are below; less than `low` if there are none.
        repeated: those that may stand at several places; None if any may.
        counted: whether it is known how many of them there are, as in a mask of those that were chosen.
    """

    low: float = -math.inf
    high: float = math.inf
    repeated: frozenset[float] | None = frozenset()
    counted: bool = True

    @property
    def none_else(self) -> bool:
        """Whether all are known to be repeated."""
        return self.low > self.high

    def come_last(self, *, largest: bool) -> bool:
        """Tell whether those that are repeated come after all others, the largest or the smallest being first."""
        if self.repeated is not None and not self.repeated:
            return True
        if self.repeated is None or not self.counted or self.none_else:
            return False
        return max(self.repeated) <= self.low if largest else min(self.repeated) >= self.high


ANY = Numbers()
"""What is known of numbers of which nothing is: that they are those of one place each."""
TRUTH = Numbers(math.inf, -math.inf, frozenset([0.0, 1.0]))
"""What is known of truth values."""


def repeated(*numbers: float, counted: bool = True) -> Numbers:
    """Return what is known of numbers that are all one of these; the largest that there are stand for infinity."""
    large = torch.finfo(torch.float32).max
    ends = (math.copysign(math.inf, number) if abs(number) >= large else number for number in numbers)
    return Numbers(math.inf, -math.inf, _few(frozenset(ends)), counted)


def united(left: Numbers, right: Numbers) -> Numbers:
    """Return what is known of numbers that are of the one or of the other."""
    both = None if left.repeated is None or right.repeated is None else _few(left.repeated | right.repeated)
    return Numbers(min(left.low, right.low), max(left.high, right.high), both, left.counted and right.counted)


def _few(numbers: frozenset[float]) -> frozenset[float] | None:
    return None if len(numbers) > MOST or any(math.isnan(number) for number in numbers) else numbers


def _times(left: float, right: float) -> float:
    return 0.0 if 0.0 in {left, right} else left * right


def _plus(left: float, right: float) -> float:
    return left + right


def paired(left: Numbers, right: Numbers, function: Callable[[float, float], float], told: Sequence[bool]) -> Numbers:
    """Return what is known of sums or products; `told`: whether either differs, if not repeated, where the other is."""
    both: set[float] = set()
    ranges: list[float] = []
    for one, other, differs in ((left, right, told[1]), (right, left, told[0])):
        if other.none_else:
            continue
        ends = [] if one.none_else else [one.low, one.high]
        if one.repeated is None:
            ends = [-math.inf, math.inf]
        zeros = [0.0] if function is _times and (one.repeated is None or 0 in one.repeated) else []
        rest = [number for number in one.repeated or () if number not in zeros]
        if not differs and (rest or one.repeated is None):
            return Numbers(repeated=None)
        both.update(zeros)
        ranges += [function(*pair) for pair in product([*ends, *rest], (other.low, other.high))]
    counted = left.counted and right.counted
    if left.repeated and right.repeated:
        both |= {function(*pair) for pair in product(left.repeated, right.repeated)}
    elif (left.repeated is None or right.repeated is None) and left.repeated != frozenset() != right.repeated:
        return Numbers(repeated=None)
    if any(math.isnan(end) for end in ranges):
        ranges = [-math.inf, math.inf]
    low, high = min(ranges, default=math.inf), max(ranges, default=-math.inf)
    return Numbers(low, high, _few(frozenset(both)), counted)


def mapped(numbers: Numbers, function: Callable[[float], float], *, increasing: bool, flat: bool = False) -> Numbers:
    """Return what is known of a function of each number: it grows or falls, or is `flat` at its ends, or neither."""
    both = None if numbers.repeated is None else frozenset(map(function, numbers.repeated))
    if numbers.none_else:
        return Numbers(math.inf, -math.inf, both and _few(both), numbers.counted)
    if not increasing and not flat:
        return Numbers(repeated=both if both is None else _few(both), counted=numbers.counted)
    ends = [function(min(max(end, -FAR), FAR)) for end in (numbers.low, numbers.high)]
    ends = [end if abs(end) < math.sqrt(FAR) else math.copysign(math.inf, end) for end in ends]
    if any(math.isnan(end) for end in ends):
        ends = [-math.inf, math.inf]
    if flat:
        reached = frozenset(end for end in (function(-FAR), function(FAR)) if abs(end) < FAR / 2)
        reached = frozenset() if numbers.low >= 0 and reached == {0.0} else reached
        both = None if both is None else _few(both | reached)
        return Numbers(min(ends), max(ends), both, numbers.counted and not reached)
    return Numbers(min(ends), max(ends), both if both is None else _few(both), numbers.counted)


@dataclass
class TieTable:
    """What is known of the numbers of all tensors of one run, of which something is."""

    constants: Constants
    _known: TensorDict[Numbers] = field(default_factory=TensorDict)
    _written: dict[int, Numbers] = field(default_factory=dict)

    def of(self, given: Any) -> Numbers:
        """Return what is known of a tensor or a number."""
        if not isinstance(given, Tensor):
            return repeated(float(given)) if isinstance(given, int | float) else ANY
        if storage_of(given) in self._written:
            return self._written[storage_of(given)]
        known = self._known.get(given)
        if known is not None:
            return known
        numbers = self.constants.numbers(given)
        if numbers is None or numbers.is_complex() or not numbers.numel():
            return ANY
        if numbers.numel() > MOST_COMPARED:
            return Numbers(repeated=None)
        different = numbers.detach().double().unique().tolist()
        return repeated(*different) if len(different) <= MOST else Numbers(different[0], different[-1])

    def follow(
        self,
        operator: Operator,
        function: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        made: Sequence[Any],
        to: Any,
    ) -> None:
        """Note what is known of what an operator made of its arguments, and wrote into `to`."""
        numbers = _Step(self, operator, function, args, kwargs).made()
        if isinstance(to, Tensor):
            before = self.of(to) if to.numel() < to.untyped_storage().nbytes() // to.element_size() else numbers
            self._written[storage_of(to)] = united(before, numbers)
            return
        for tensor in made if numbers != ANY else ():
            if isinstance(tensor, Tensor):
                self._known[tensor] = numbers


@dataclass(frozen=True)
class _Step:
    """An operator at work."""

    table: TieTable
    operator: Operator
    function: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def made(self) -> Numbers:
        """Return what is known of the numbers that it returns."""
        name, args, of = self.operator.name, self.args, self.table.of
        if name in COMPARING or name in LOGIC:
            return replace(TRUTH, counted=self._is_counted())
        if name in SAME or name in LARGEST or self.operator.moves:
            return of(args[0])
        if name in INCREASING or name in FLAT:
            numbers = of(args[0])
            falls = name == "reciprocal" and numbers.low < 0
            return mapped(numbers, self._of_one, increasing=name in INCREASING and not falls, flat=name in FLAT)
        if name == "neg":
            return paired(of(args[0]), repeated(-1.0), _times, (True, True))
        if name == "abs":
            size = mapped(of(args[0]), abs, increasing=of(args[0]).low >= 0)
            return replace(size, low=max(size.low, 0.0))
        if name in STEPS:
            return Numbers(repeated=None)
        if name in {"mul", "div", "add", "sub", "rsub"} and len(args) > 1:
            return self._of_two()
        if name in {"_softmax", "_safe_softmax"}:
            given = of(args[0])
            hidden = given.repeated and (frozenset([0.0]) if given.repeated == {-math.inf} else None)
            return Numbers(0.0, 1.0, hidden, given.counted)
        if name in {"sum", "mean", "cumsum"}:
            return sums(of(args[0])) if name == "sum" or not of(args[0]).none_else else Numbers(repeated=None)
        if name in {"mm", "bmm"}:
            both = of(args[0]), of(args[1])
            return sums(paired(*both, _times, (True, True))) if all(each.none_else for each in both) else ANY
        return self._chosen()

    def _of_one(self, number: float) -> float:
        """Return the function of one number."""
        given = torch.tensor(number, dtype=torch.float64)
        if tensors_in((self.args[1:], self.kwargs)):
            return math.nan
        return float(self.function(given, *self.args[1:], **self.kwargs))

    def _is_counted(self) -> bool:
        """Tell whether it is known how many numbers are so: not of those that are compared with one that is given."""
        sides = [self.table.of(arg) for arg in self.args[:2] if isinstance(arg, Tensor | int | float)]
        if not all(side.counted for side in sides):
            return False
        told = self.operator.name in LOGIC or all(side.none_else for side in sides)
        return told or self.operator.name == "eq" or not any(side.none_else for side in sides)

    def _of_two(self) -> Numbers:
        left, right = self.args[:2]
        name, first, second = self.operator.name, self.table.of(left), self.table.of(right)
        factor = self.args[2] if len(self.args) > 2 else self.kwargs.get("alpha", 1)
        if name == "div":
            if self.kwargs.get("rounding_mode") is not None:
                return Numbers(repeated=None)
            second = mapped(second, lambda x: 1 / x if x else math.inf, increasing=second.low >= 0)
        elif name == "sub":
            second = paired(second, repeated(-1.0), _times, (True, True))
        elif name == "rsub":
            first = paired(first, repeated(-1.0), _times, (True, True))
        if factor != 1:
            return ANY if ANY == first == second else Numbers(repeated=None)
        told = _covers(left, right), _covers(right, left)
        return paired(first, second, _times if name in {"mul", "div"} else _plus, told)

    def _chosen(self) -> Numbers:
        """Return what is known of numbers of several tensors: chosen, put side by side, or written over others."""
        name, args, of = self.operator.name, self.args, self.table.of
        if name in {"where", "masked_fill"}:
            condition = of(args[0 if name == "where" else 1])
            made = united(of(args[0 if name == "masked_fill" else 1]), of(args[2]))
            return replace(made, counted=made.counted and condition.counted)
        if name in {"maximum", "minimum", "copy"}:
            made = united(of(args[0]), of(args[1])) if name != "copy" else of(args[1])
            return replace(made, counted=made.counted and not made.repeated) if name != "copy" else made
        if name == "constant_pad_nd":
            return united(of(args[0]), of(args[2] if len(args) > 2 else 0.0))
        if name in {"cat", "stack"}:
            return reduce(united, map(of, args[0]))
        if name in {"fill", "zero"}:
            return of(args[1] if name == "fill" else 0.0)
        if name in PUT:
            source = args[PUT[name]] if len(args) > PUT[name] else self.kwargs.get("src", self.kwargs.get("value"))
            adding = name in {"scatter_add", "index_add"} or (len(args) > 3 and args[3] is True and name == "index_put")
            added = adding and of(source).none_else
            return Numbers(repeated=None) if added else united(of(args[0]), of(source))
        return ANY if self.operator.contracts else self._unknown()

    def _unknown(self) -> Numbers:
        """Return what is known of a function that is not followed: it repeats what it is given repeatedly."""
        given = [self.table.of(tensor) for tensor in tensors_in((self.args, self.kwargs))]
        return ANY if all(numbers.repeated == frozenset() for numbers in given) else Numbers(repeated=None)


def sums(numbers: Numbers) -> Numbers:
    """Return what is known of sums of several numbers each."""
    low, high = (0.0 if numbers.low >= 0 else -math.inf), (0.0 if numbers.high <= 0 else math.inf)
    if numbers.none_else and numbers.repeated is not None and all(n >= 0 and n.is_integer() for n in numbers.repeated):
        return repeated(*map(float, range(MOST)), counted=numbers.counted)
    if numbers.repeated is None or numbers.repeated - {0.0, -math.inf}:
        return Numbers(repeated=None)
    return Numbers(low, high, numbers.repeated, numbers.counted)


def _covers(given: Any, other: Any) -> bool:
    """Tell whether a tensor has a number of its own wherever another of more than one place has."""
    sizes = [tuple(each.shape) if isinstance(each, Tensor) else () for each in (given, other)]
    rank = max(map(len, sizes))
    mine, others = ((1,) * (rank - len(each)) + each for each in sizes)
    return all(size > 1 or beside == 1 for size, beside in zip(mine, others, strict=True))
