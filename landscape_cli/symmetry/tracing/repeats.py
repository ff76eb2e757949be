"""What is known of the numbers of a tensor: which may be repeated, at how many places, and between what others lie.

Of sums, products and functions of such numbers the same is told here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import torch

from landscape_cli.symmetry.tracing.counts import Most, added, along, fitted, least

MOST = 16
"""How many numbers that are repeated are followed: of more, any may be."""
FAR = 1e30
"""What stands for numbers however large."""

Repeated = Mapping[float, Most]


@dataclass(frozen=True)
class Numbers:
    """What is known of the numbers of a tensor.

    Attributes:
        low: what those are above that are not known to be repeated.
        high: what they are below; less than `low` if there are none.
        repeated: those that may stand at several places, and at how many at most; None if any may.
    """

    low: float = -math.inf
    high: float = math.inf
    repeated: Repeated | None = field(default_factory=dict)

    @property
    def none_else(self) -> bool:
        """Whether all are known to be repeated."""
        return self.low > self.high

    def come_last(self, *, largest: bool) -> bool:
        """Tell whether those that are repeated come after all others, the largest or the smallest being first."""
        if self.repeated is not None and not self.repeated:
            return True
        if self.repeated is None or self.none_else:
            return False
        return max(self.repeated) <= self.low if largest else min(self.repeated) >= self.high

    def told(self, axis: int, shape: Sequence[int], *, largest: bool) -> int:
        """Return how many numbers along an axis certainly come before those that may stand at several places."""
        if not self.come_last(largest=largest):
            return 0
        count = sum(along(most, axis, len(shape)) for most in (self.repeated or {}).values())
        return max(0, shape[axis] - int(min(count, shape[axis])))

    def fitted(self, shape: Sequence[int], to: Sequence[int]) -> Numbers:
        """Return what is known of them once they are broadcast from a shape to another."""
        return self.counted({number: fitted(most, shape, to) for number, most in (self.repeated or {}).items()})

    def limited(self, most: Most) -> Numbers:
        """Return what is known of those of them that are at so many places."""
        return self.counted({number: least(count, most) for number, count in (self.repeated or {}).items()})

    def counted(self, repeated: Repeated) -> Numbers:
        """Return the same, with other counts of those that are repeated, unless any are."""
        return self if self.repeated is None else replace(self, repeated=repeated)

    def without(self, axis: int, rank: int) -> Numbers:
        """Return what is known of them without an axis."""
        counts = {number: ((math.inf,) * rank + most)[len(most) :] for number, most in (self.repeated or {}).items()}
        return self.counted({number: (*most[:axis], *most[axis + 1 :]) for number, most in counts.items()})

    def uncounted(self) -> Numbers:
        """Return the same without a word on how many there are."""
        return self.counted(dict.fromkeys(self.repeated or (), ()))


ANY = Numbers()
"""What is known of numbers of which nothing is: that they are those of one place each."""
REPEATED = Numbers(repeated=None)
"""What is known of numbers of which any may be repeated."""


def truth(yes: Most = (), no: Most = ()) -> Numbers:
    """Return what is known of truth values that are so at some places at most, and not so at some."""
    return Numbers(math.inf, -math.inf, {0.0: no, 1.0: yes})


TRUTH = truth()
"""What is known of truth values."""


def repeated(*numbers: float) -> Numbers:
    """Return what is known of numbers that are all one of these; the largest that there are stand for infinity."""
    return counted_numbers(dict.fromkeys(numbers, ()))


def counted_numbers(counts: Repeated) -> Numbers:
    """Return the same of numbers of which it is known at how many places each is at most."""
    large = torch.finfo(torch.float32).max
    ends = ((math.copysign(math.inf, n) if abs(n) >= large else n, most) for n, most in counts.items())
    return Numbers(math.inf, -math.inf, _few(ends))


def united(left: Numbers, right: Numbers) -> Numbers:
    """Return what is known of numbers that are of the one or of the other."""
    none = left.repeated is None or right.repeated is None
    both = None if none else _few([*(left.repeated or {}).items(), *(right.repeated or {}).items()])
    return Numbers(min(left.low, right.low), max(left.high, right.high), both)


def _few(counts: Iterable[tuple[float, Most]]) -> Repeated | None:
    """Return numbers, and at how many places each is in all; None if there are too many of them."""
    sums: dict[float, Most] = {}
    for number, most in counts:
        sums[number] = added(sums[number], most) if number in sums else most
    return None if len(sums) > MOST or any(math.isnan(number) for number in sums) else sums


def times(left: float, right: float) -> float:
    """Return a product in which 0 counts for more than infinity."""
    return 0.0 if 0.0 in {left, right} else left * right


def plus(left: float, right: float) -> float:
    """Return a sum."""
    return left + right


def paired(left: Numbers, right: Numbers, function: Callable[[float, float], float], told: Sequence[bool]) -> Numbers:
    """Return what is known of sums or products; `told`: whether either differs, if not repeated, where the other is."""
    both: list[tuple[float, Most]] = []
    ranges: list[float] = []
    for one, other, differs in ((left, right, told[1]), (right, left, told[0])):
        zeros = (one.repeated or {}).get(0.0) if function is times else None
        if function is times and one.repeated is None:
            zeros = ()
        both += [] if zeros is None else [(0.0, zeros)]
        if other.none_else:
            continue
        ends = [] if one.none_else else [one.low, one.high]
        if one.repeated is None:
            ends = [-math.inf, math.inf]
        rest = [number for number in one.repeated or () if zeros is None or number != 0]
        if not differs and (rest or one.repeated is None):
            return REPEATED
        ranges += [function(*pair) for pair in product([*ends, *rest], (other.low, other.high))]
    if left.repeated and right.repeated:
        pairs = product(left.repeated.items(), right.repeated.items())
        made = [(function(a, b), least(most, other)) for (a, most), (b, other) in pairs]
        both += [each for each in made if function is not times or each[0] != 0]
    elif (left.repeated is None or right.repeated is None) and left.repeated != {} != right.repeated:
        return REPEATED
    if any(math.isnan(end) for end in ranges):
        ranges = [-math.inf, math.inf]
    return Numbers(min(ranges, default=math.inf), max(ranges, default=-math.inf), _few(both))


def mapped(numbers: Numbers, function: Callable[[float], float], *, increasing: bool, flat: bool = False) -> Numbers:
    """Return what is known of a function of each number: it grows or falls, or is `flat` at its ends, or neither."""
    held = numbers.repeated
    both = None if held is None else [(function(number), most) for number, most in held.items()]
    if numbers.none_else:
        return Numbers(math.inf, -math.inf, None if both is None else _few(both))
    if not increasing and not flat:
        return Numbers(repeated=None if both is None else _few(both))
    ends = [function(min(max(end, -FAR), FAR)) for end in (numbers.low, numbers.high)]
    ends = [end if abs(end) < math.sqrt(FAR) else math.copysign(math.inf, end) for end in ends]
    if any(math.isnan(end) for end in ends):
        ends = [-math.inf, math.inf]
    if flat:
        reached = {end for end in (function(-FAR), function(FAR)) if abs(end) < FAR / 2}
        reached = set() if numbers.low >= 0 and reached == {0.0} else reached
        both = None if both is None else [*both, *((end, ()) for end in reached)]
    return Numbers(min(ends), max(ends), None if both is None else _few(both))


def compared(left: Numbers, right: Numbers, function: Callable[[float, float], bool]) -> Numbers:
    """Return what is known of a comparison of numbers with others, if all are repeated."""
    if not (left.none_else and right.none_else and left.repeated and right.repeated):
        return TRUTH
    pairs = list(product(left.repeated.items(), right.repeated.items()))
    sides = [[least(most, other) for (a, most), (b, other) in pairs if function(a, b) is so] for so in (True, False)]
    return truth(*(added(*side) if side else (0.0,) for side in sides))


def sums(numbers: Numbers, terms: int, axis: int | None = None, shape: Sequence[int] = ()) -> Numbers:
    """Return what is known of sums of several numbers each.

    Args:
        numbers: what is known of those that are summed.
        terms: how many each sum has.
        axis: along which they are, if it is one; it is of size 1 then.
        shape: of the tensor that is summed.
    """
    low, high = (0.0 if numbers.low >= 0 else -math.inf), (0.0 if numbers.high <= 0 else math.inf)
    held = numbers.repeated
    if numbers.none_else and held is not None and all(n >= 0 and n.is_integer() for n in held):
        ones = along(held[1.0], axis, len(shape)) if axis is not None and set(held) == {0.0, 1.0} else math.inf
        largest = int(min(ones, terms * max(held, default=0.0)))
        counts: dict[float, Most] = {float(number): () for number in range(largest + 1)}
        if axis is not None and ones < math.inf:
            counts = {number: _in_sums(held, axis, shape, number) for number in counts}
        return Numbers(math.inf, -math.inf, _few(counts.items()))
    if held is None or held.keys() - {0.0, -math.inf}:
        return REPEATED
    return Numbers(low, high, dict.fromkeys(held, ()))


def _in_sums(held: Repeated, axis: int, shape: Sequence[int], number: float) -> Most:
    """Return at how many places at most a sum along an axis of ones and zeros is a number."""
    rank, terms = len(shape), shape[axis]
    each = max(1.0, min(along(held[1.0], axis, rank), terms))
    found = []
    for other, size in enumerate(shape):
        ones, zeros = (along(held[n], other, rank) for n in (1.0, 0.0))
        if other == axis or (number and math.isinf(ones)):
            found.append(math.inf)
        elif number:
            found.append(terms * ones // number)
        else:
            found.append(size - math.ceil(terms * max(0.0, size - zeros) / each))
    return tuple(found)
