"""Which parameters are weights: those whose numbers are contracted with activations, however they were made ready.

A weight may be given to a product as it is, or after operations on parameters alone: masked, scaled, added to others,
through a softmax. What multiplies or shifts a whole row or more of something larger is a gain or a bias, there as
anywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.constants import tensors_in
from landscape_cli.symmetry.tracing.identity import TensorDict
from landscape_cli.symmetry.tracing.integers import different
from landscape_cli.symmetry.tracing.layers import Layer, Parameter, Value, covered
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.record import main_axis
from landscape_cli.symmetry.tracing.relate import resolved
from landscape_cli.symmetry.tracing.storage import storage_of
from landscape_cli.symmetry.tracing.tensors import TensorTable


@dataclass(frozen=True)
class Origin:
    """What a tensor was made of.

    Attributes:
        names: the parameters in it, but for gains and biases.
        data: whether the input is in it.
        factors: parameters that have just multiplied data element by element, and along which axes, counted from the
            last, they tell places apart: a sum along one of these contracts them.
    """

    names: frozenset[str] = frozenset()
    data: bool = False
    factors: tuple[tuple[frozenset[str], frozenset[int]], ...] = ()


class WeightTracker:
    """Follows parameters through one run.

    Attributes:
        names: of the parameters found to be weights.
    """

    def __init__(self, tensors: TensorTable) -> None:
        """Start with no weights."""
        self.names: set[str] = set()
        self._tensors = tensors
        self._parameters = tensors.parameters
        self._origins: TensorDict[Origin] = TensorDict()
        self._written: dict[int, tuple[Tensor, Origin]] = {}
        self._roles: defaultdict[str, dict[int, Role]] = defaultdict(dict)

    def add_input(self, tensor: Tensor) -> None:
        """Note that a tensor is the input."""
        self._origins[tensor] = Origin(data=True)

    def follow(self, operator: Operator, args: Sequence[Any], kwargs: Any, outputs: Sequence[Any], target: Any) -> None:
        """Take note of an operator that has run, and of the weights that it contracts.

        Args:
            operator: what is known of it.
            args: its positional arguments.
            kwargs: its keyword arguments.
            outputs: what it returned.
            target: what it wrote into, if that was there before.
        """
        tensors = tensors_in((args, kwargs))
        origins = [self._origin(tensor) for tensor in tensors]
        if operator.contracts:
            self._contract(operator, args)
        elif operator.sums and tensors:
            self._sum(tensors[0], origins[0], args[1] if len(args) > 1 else kwargs.get("dim"))
        results = [tensor for tensor in outputs if isinstance(tensor, Tensor)]
        if not results:
            return
        made = _combined(operator, tensors, origins, results[0].numel())
        for tensor in results:
            self._origins[tensor] = Origin(frozenset() if made.data else made.names, made.data, made.factors)
        if isinstance(target, Tensor):
            before = self._written.get(storage_of(target), (target, Origin()))[1]
            self._written[storage_of(target)] = target, Origin(before.names | made.names, before.data or made.data)

    def _origin(self, tensor: Tensor) -> Origin:
        if tensor in self._parameters:
            return Origin(frozenset({self._parameters.name(tensor)}) & self._parameters.learned)
        origin = self._origins.get(tensor) or Origin()
        if storage_of(tensor) not in self._written:
            return origin
        written = self._written[storage_of(tensor)][1]
        return Origin(origin.names | written.names, origin.data or written.data, origin.factors)

    def _sum(self, tensor: Tensor, origin: Origin, dims: Any) -> None:
        """Note as weights what has just multiplied data and tells places apart along an axis that is summed over."""
        listed = [dims] if isinstance(dims, int) else list(dims or range(tensor.ndim))
        over = {dim - tensor.ndim if dim >= 0 else dim for dim in listed}
        for names, axes in origin.factors:
            if axes & over:
                self.names |= names

    def _contract(self, operator: Operator, args: Sequence[Any]) -> None:
        """Note the weights among what an operator contracts, and what their axes are to the units that come of it."""
        operands = [arg for arg in args[min(operator.contracts) :] if isinstance(arg, Tensor)]
        if not any(self._origin(tensor).data for tensor in operands):
            return
        for index, axes in operator.contracts.items():
            tensor = args[index] if index < len(args) else None
            if not isinstance(tensor, Tensor) or (origin := self._origin(tensor)).data or not origin.names:
                continue
            self.names |= origin.names
            if axes is not None and tensor.ndim >= 2 and self._tensors.raw(tensor).parameter is None:
                for name in sorted(origin.names):
                    self._note_roles(name, self._tensors.raw(tensor), [axis % tensor.ndim for axis in axes])
                    if max(axes) < 0:  # of matrices
                        self._note_stack(name, self._tensors.raw(tensor))

    def _note_roles(self, name: str, value: Value, axes: Sequence[int]) -> None:
        """Note which axes of a parameter live along those of what was made of it: of inputs, and of units."""
        if len(self._tensors.parameter_value(name).shape) == 1 and all(self._along(name, value, axis) for axis in axes):
            self._roles[name].setdefault(0, Role.FOLLOWER)  # a bias of what makes weights, with places along both
        inputs, units = (self._along(name, value, axis) for axis in axes)
        if inputs > units:  # the places of a stack are summed over with what each reads
            inputs -= units
        elif units > inputs:
            units -= inputs
        for role, dims in ((Role.OUTGOING, inputs), (Role.INCOMING, units)):
            self._note_role(name, dims, role)

    def _note_stack(self, name: str, value: Value) -> None:
        """Note a parameter of which a stack of matrices was made, or one whose axes lie one within another there."""
        if name in self._parameters.stacks or self._parameters.cuts.is_stack(name):
            return
        along = [self._along(name, value, axis) for axis, size in enumerate(value.shape) if size > 1]
        within = {dim for dims in along for dim in sorted(dims)[:-1]}
        batch = set[int]().union(*(dims for dims in along[:-2] if len(along) > 2))
        every = Parameter(name, tuple(range(len(self._tensors.parameter_value(name).shape))))
        if batch:
            self._parameters.cuts.note_batch(every, within | batch)
        elif within:
            self._parameters.cuts.note_laid_out(every, within)

    def _along(self, name: str, value: Value, axis: int) -> set[int]:
        return self._by_variables(name, value, axis) or self._by_units(name, value, axis)

    def _note_role(self, name: str, dims: set[int], role: Role) -> None:
        """Note which axes of a parameter live along one axis."""
        rank = len(self._tensors.parameter_value(name).shape)
        free = [dim for dim in sorted(dims) if dim not in self._roles[name]]
        if len(free) == rank > 1:  # the same units on all axes: as they are in a fully connected layer
            free = free[:1] if role is Role.INCOMING else free[1:]
        for dim in free[-1:] if role is Role.INCOMING else free:  # before the last come experts, heads, groups
            self._roles[name][dim] = role
        for dim in free[:-1] if role is Role.INCOMING else ():
            self._roles[name][dim] = Role.FOLLOWER

    def _by_variables(self, name: str, value: Value, axis: int) -> set[int]:
        """Return the axes of a parameter whose scales show along an axis of a value."""
        shown = [int(layer.max()) for layer, _ in value.scale if axis in covered(layer)]
        cuts = self._parameters.stacks.get(name, ())
        return {
            main_axis(block.dims, cuts)
            for block in self._tensors.equations.blocks
            if block.tensor == name
            for variable in shown
            if variable in block.variables
        }

    def _by_units(self, name: str, value: Value, axis: int) -> set[int]:
        """Return the axes of a parameter whose units live along an axis of a value."""
        parameter, cuts = self._tensors.parameter_value(name), self._parameters.stacks.get(name, ())
        units = self._units([layer for layer in value.labels if axis in covered(layer)])
        return {
            dim
            for dim in range(len(parameter.shape))
            if units & self._units([each for each in parameter.labels if main_axis(sorted(covered(each)), cuts) == dim])
        }

    def _units(self, layers: Sequence[Layer]) -> set[int]:
        return {int(unit) for layer in resolved(self._tensors.labels, layers) for unit in different(layer.numpy())}

    def set_roles(self) -> None:
        """Say what the axes of weights are that no product was given as they are: units written, or units read."""
        for name, roles in self._roles.items():
            if self._parameters.has_role(name, Role.INCOMING):
                continue
            missing = Role.OUTGOING if Role.INCOMING in roles.values() else Role.INCOMING
            for dim, size in enumerate(self._tensors.parameter_value(name).shape):
                if dim in roles or size > 1:
                    self._parameters.roles[name, dim] = roles.get(dim, missing)


def _combined(operator: Operator, tensors: Sequence[Tensor], origins: Sequence[Origin], size: int) -> Origin:
    """Return what a result of this many elements is made of, given its operands: also the parameters met by data."""
    data = any(origin.data for origin in origins)
    names: frozenset[str] = frozenset()
    factors: list[tuple[frozenset[str], frozenset[int]]] = []
    for tensor, origin in zip(tensors, origins, strict=True):
        if operator.multiplies and data and not origin.data:
            factors.append((origin.names, _telling(tensor)))
        if not (operator.broadcasts and tensor.numel() < size):
            names |= origin.names
    return Origin(names, data, tuple(factors))


def _telling(tensor: Tensor) -> frozenset[int]:
    """Return the axes of a tensor, counted from the last, that tell places apart."""
    return frozenset(dim - tensor.ndim for dim, size in enumerate(tensor.shape) if size > 1)
