"""Which numbers may stand at several places at once, as zeros that a mask puts: which comes first is told by no unit.

Where numbers are brought into their order, places of units may be named by it only as far as such numbers come after
all others. So of every tensor of a run this keeps between what its numbers lie, but for those that may be repeated, and
at how many places these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from landscape_cli.symmetry.tracing.constants import Constants
from landscape_cli.symmetry.tracing.counts import counted
from landscape_cli.symmetry.tracing.identity import TensorDict
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.ranks import Order
from landscape_cli.symmetry.tracing.repeats import ANY, MOST, REPEATED, Numbers, counted_numbers, repeated, united
from landscape_cli.symmetry.tracing.storage import covers, storage_of
from landscape_cli.symmetry.tracing.tied import Step

MOST_COMPARED = 1 << 16
"""Up to how many numbers of a constant are looked at."""


@dataclass
class TieTable:
    """What is known of the numbers of all tensors of one run, of which something is."""

    constants: Constants
    _known: TensorDict[tuple[Numbers, int]] = field(default_factory=TensorDict)
    _orders: TensorDict[tuple[Order, int]] = field(default_factory=TensorDict)
    _written: dict[int, Numbers] = field(default_factory=dict)
    _writes: dict[int, int] = field(default_factory=dict)

    def of(self, given: Any) -> Numbers:
        """Return what is known of a tensor or a number."""
        if not isinstance(given, Tensor):
            return repeated(float(given)) if isinstance(given, int | float) else ANY
        known = self._known.get(given)
        if known is not None and known[1] == self.writes(given):
            return known[0]
        if storage_of(given) in self._written:
            return self._written[storage_of(given)]
        numbers = self.constants.numbers(given)
        if numbers is None or numbers.is_complex() or not numbers.numel():
            return ANY
        if numbers.numel() > MOST_COMPARED:
            return REPEATED
        numbers = numbers.detach().double()
        different = numbers.unique().tolist()
        few = counted_numbers({number: counted(numbers, number) for number in different[: MOST + 1]})
        zeros = {0.0: counted(numbers, 0.0)} if 0 in different else {}
        return few if len(different) <= MOST else Numbers(different[0], different[-1], zeros)

    def order(self, given: Any) -> Order | None:
        """Return in which order what a tensor holds is, or where that was before; None if it is in none."""
        known = self._orders.get(given) if isinstance(given, Tensor) else None
        return known[0] if known is not None and known[1] == self.writes(given) else None

    def writes(self, tensor: Tensor) -> int:
        """Return how often anything was written into the storage of a tensor."""
        return self._writes.get(storage_of(tensor), 0)

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
        tensors = [tensor for tensor in made if isinstance(tensor, Tensor)]
        step = Step(self, operator, function, args, kwargs, tensors)
        found, orders = step.made() if tensors else [], step.orders() if tensors and to is None else []
        if isinstance(to, Tensor):
            storage, [numbers, *_] = storage_of(to), found
            before = self.of(to).uncounted()
            self._written[storage] = numbers.uncounted() if covers(to) else united(before, numbers.uncounted())
            self._writes[storage] = self._writes.get(storage, 0) + 1
            self._known[to] = numbers, self._writes[storage]
            return
        for tensor, numbers in zip(tensors, found, strict=False):
            if numbers != ANY:
                self._known[tensor] = numbers, self.writes(tensor)
        for tensor, order in zip(tensors, orders, strict=False):
            self._orders[tensor] = order, self.writes(tensor)
