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

import numpy as np
from torch import Tensor

from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.constants import flatten
from landscape_cli.symmetry.tracing.layers import Layer, Value, covered
from landscape_cli.symmetry.tracing.relate import resolved
from landscape_cli.symmetry.tracing.storage import storage_of
from landscape_cli.symmetry.tracing.tensors import Known

FIRST, SECOND = 0, 1
PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "vdot": 0, "cdist": 0, "_cdist_forward": 0, "_euclidean_dist": 0}
PRODUCTS |= {"addmm": 1, "baddbmm": 1, "addbmm": 1, "addmv": 1, "convolution": 0, "_convolution": 0, "_trilinear": 0}
"""Operators that contract, and the first of the arguments that they contract."""
ELEMENTWISE = {"add", "sub", "rsub", "mul", "div", "true_divide", "pow", "maximum", "minimum", "_weight_norm_interface"}
SUMS = {"sum", "mean", "nansum"}


@dataclass(frozen=True)
class Origin:
    """What a tensor was made of.

    Attributes:
        names: the parameters in it, but for gains and biases.
        data: whether the input is in it.
        times: parameters that have just multiplied data element by element, and along which axes, counted from the
            last, they tell places apart: a sum along one of these contracts them.
    """

    names: frozenset[str] = frozenset()
    data: bool = False
    times: tuple[tuple[frozenset[str], frozenset[int]], ...] = ()


class Weights:
    """Follows parameters through one run."""

    def __init__(self, known: Known) -> None:
        """Start with no weights."""
        self.names: set[str] = set()
        self._known = known
        self._origins: dict[int, tuple[Tensor, Origin]] = {}
        self._written: dict[int, tuple[Tensor, Origin]] = {}
        self._axes: defaultdict[str, dict[int, Role]] = defaultdict(dict)

    def add_input(self, tensor: Tensor) -> None:
        """Note that a tensor is the input."""
        self._origins[id(tensor)] = tensor, Origin(data=True)

    def follow(self, name: str, args: Sequence[Any], kwargs: Any, outputs: Sequence[Any], target: Any) -> None:
        """Take note of an operator that has run, by its name, and of the weights that it contracts.

        Args:
            name: of the operator, without the underscore of those in place.
            args: its positional arguments.
            kwargs: its keyword arguments.
            outputs: what it returned.
            target: what it wrote into, if that was there before.
        """
        tensors = [arg for arg in flatten((args, kwargs)) if isinstance(arg, Tensor)]
        found = [self._origin(tensor) for tensor in tensors]
        if name in PRODUCTS:
            self._contract(name, [arg for arg in args[PRODUCTS[name] :] if isinstance(arg, Tensor)])
        elif name in SUMS and found:
            self._sum(tensors[0], found[0], args[1] if len(args) > 1 else kwargs.get("dim"))
        made = next((tensor for tensor in outputs if isinstance(tensor, Tensor)), None)
        if made is None:
            return
        data = any(origin.data for origin in found)
        names: frozenset[str] = frozenset()
        times: list[tuple[frozenset[str], frozenset[int]]] = []
        for tensor, origin in zip(tensors, found, strict=True):
            if not origin.data and name == "mul" and data:
                times.append((origin.names, _telling(tensor)))
            if not (name in ELEMENTWISE and tensor.numel() < made.numel()):
                names |= origin.names
        origin = Origin(frozenset() if data else names, data, tuple(times))
        for tensor in outputs:
            if isinstance(tensor, Tensor):
                self._origins[id(tensor)] = tensor, origin
        if isinstance(target, Tensor):
            before = self._written.get(storage_of(target), (target, Origin()))[1]
            self._written[storage_of(target)] = target, Origin(before.names | names, before.data or data)

    def _origin(self, tensor: Tensor) -> Origin:
        if id(tensor) in self._known.names:
            name = self._known.names[id(tensor)]
            return Origin(frozenset({name}) & self._known.learned)
        origin = self._origins[id(tensor)][1] if id(tensor) in self._origins else Origin()
        if storage_of(tensor) not in self._written:
            return origin
        written = self._written[storage_of(tensor)][1]
        return Origin(origin.names | written.names, origin.data or written.data, origin.times)

    def _sum(self, tensor: Tensor, origin: Origin, dims: Any) -> None:
        listed = [dims] if isinstance(dims, int) else list(dims or range(tensor.ndim))
        over = {dim - tensor.ndim if dim >= 0 else dim for dim in listed}
        for names, axes in origin.times:
            if axes & over:
                self.names |= names

    def _contract(self, name: str, operands: Sequence[Tensor]) -> None:
        """Note the weights among the operands, and what their axes are to the units that come of it."""
        origins = [self._origin(tensor) for tensor in operands]
        if not any(origin.data for origin in origins):
            return
        for place, (tensor, origin) in enumerate(zip(operands, origins, strict=True)):
            if origin.data or not origin.names or (name.endswith("convolution") and place > SECOND):
                continue
            self.names |= origin.names
            axes = _sides(name, place)
            if axes is not None and tensor.ndim >= 2 and self._known.raw(tensor).parameter is None:
                value = self._known.raw(tensor)
                for role, axis in zip((Role.OUTGOING, Role.INCOMING), axes, strict=True):
                    for one in origin.names:
                        self._note(one, value, axis % tensor.ndim, role)

    def _note(self, name: str, value: Value, axis: int, role: Role) -> None:
        """Note which axes of a parameter live along an axis of what was made of it."""
        own = self._known.parameter_value(name)
        dims = self._by_variables(name, value, axis)
        if not dims:
            there = self._numbers([layer for layer in value.labels if axis in covered(layer)])
            here = {dim: self._numbers([x for x in own.labels if covered(x) == {dim}]) for dim in range(len(own.shape))}
            dims = {dim for dim, numbers in here.items() if numbers & there}
        free = [dim for dim in sorted(dims) if dim not in self._axes[name]]
        if len(free) == len(own.shape) > 1:  # the same units on all axes: as they are in a fully connected layer
            free = free[:1] if role is Role.INCOMING else free[1:]
        for dim in free[-1:] if role is Role.INCOMING else free:  # before the last come experts, heads, groups
            self._axes[name][dim] = role
        for dim in free[:-1] if role is Role.INCOMING else ():
            self._axes[name][dim] = Role.FOLLOWER

    def _by_variables(self, name: str, value: Value, axis: int) -> set[int]:
        """Return the axes of a parameter whose scales show along an axis of a value."""
        shown = [int(layer.max()) for layer, _ in value.scale if axis in covered(layer)]
        return {
            block.dims[0]
            for block in self._known.equations.blocks
            if block.tensor == name and len(block.dims) == 1
            for variable in shown
            if variable in block.variables
        }

    def _numbers(self, layers: Sequence[Layer]) -> set[int]:
        return {int(number) for layer in resolved(self._known.labels, layers) for number in np.unique(layer.numpy())}

    def note_roles(self) -> None:
        """Say what the axes of weights are that no product was given as they are: units written, or units read."""
        for name, axes in self._axes.items():
            own = self._known.parameter_value(name)
            if self._known.has_role(name, Role.INCOMING):
                continue
            missing = Role.OUTGOING if Role.INCOMING in axes.values() else Role.INCOMING
            for dim, size in enumerate(own.shape):
                if dim in axes or size > 1:
                    self._known.set_role(name, dim, axes.get(dim, missing))


def _telling(tensor: Tensor) -> frozenset[int]:
    return frozenset(dim - tensor.ndim for dim, size in enumerate(tensor.shape) if size > 1)


def _sides(name: str, place: int) -> tuple[int, int] | None:
    """Return the axes of an operand that are summed over, and that its units are on; None if that is not known."""
    if name in {"mm", "bmm", "addmm", "baddbmm"}:
        return (-1, -2) if place == FIRST else (-2, -1)
    if name in {"mv", "addmv"}:
        return (-1, -2) if place == FIRST else None
    return (1, 0) if name.endswith("convolution") and place == SECOND else None
