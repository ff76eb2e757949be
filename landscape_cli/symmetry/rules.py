"""One rule per operator: how it relates the axes and scales of its inputs to those of its outputs.

Operators are PyTorch's own (ATen), as they run below `nn.Module`, `torch.nn.functional` and tensor methods alike, so
one rule serves every way of writing a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.atoms import Dim, Relations, Scale, combine
from landscape_cli.symmetry.spec import Role


@dataclass(frozen=True)
class Parameter:
    """A tensor of the model that a value is a view of, with the model's axis behind each of the value's."""

    name: str
    dims: tuple[int | None, ...]


@dataclass(frozen=True)
class Value:
    """What tracing knows of a tensor: its axes, its scale, and the parameter it is a view of, if any."""

    dims: tuple[Dim, ...]
    scale: Scale
    parameter: Parameter | None = None


@dataclass
class Call:
    """One operator at work.

    Attributes:
        relations: what is known about axes and scales.
        value: looks up what is known of a tensor.
        role: notes what a parameter's axis is to the units there.
        args: the operator's positional arguments, defaults left out as ATen leaves them.
        kwargs: its keyword arguments.
        shape: the shape of its (first) output.
    """

    relations: Relations
    value: Callable[[Tensor], Value]
    role: Callable[[Parameter, int, Role], None]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]

    def operand(self, index: int) -> Value:
        """Return what is known of the tensor given as argument `index`."""
        return self.value(self.args[index])

    def argument(self, index: int, default: Any) -> Any:
        """Return argument `index`, or its default where ATen left it out."""
        return self.args[index] if len(self.args) > index else default


Rule = Callable[[Call], Value]
RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators, by ATen name (`relu` stands for every overload, in place or not)."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, function))
        return function

    return register


@rule("relu", "leaky_relu", "alias", "detach", "clone", "contiguous", "lift_fresh", "positive", "neg")
def positively_homogeneous(call: Call) -> Value:
    """Element by element, and f(a x) = a f(x) for every a > 0."""
    operand = call.operand(0)
    return Value(operand.dims, operand.scale)


@rule("_to_copy")
def cast(call: Call) -> Value:
    """A change of type; one to whole numbers is no map that a scale survives."""
    operand = call.operand(0)
    dtype = call.kwargs.get("dtype")
    if dtype is not None and not dtype.is_floating_point:
        call.relations.equate(operand.scale)
        return Value(operand.dims, {})
    return Value(operand.dims, operand.scale)


@rule("clamp", "clamp_min")
def clamp(call: Call) -> Value:
    """Element by element; positively homogeneous only as max(x, 0)."""
    operand = call.operand(0)
    low, high = call.argument(1, call.kwargs.get("min")), call.argument(2, call.kwargs.get("max"))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise TraceError("clamping to a tensor has no rule")
    if low != 0 or high is not None:
        call.relations.equate(operand.scale)
    return Value(operand.dims, operand.scale)


@rule("add", "sub")
def add(call: Call) -> Value:
    """A sum: both sides share axes and scale; a number added leaves no scale free."""
    operands = [call.value(arg) for arg in call.args[:2] if isinstance(arg, Tensor)]
    if len(operands) == 1:
        call.relations.equate(operands[0].scale)
        follow(call, operands[0])
        return Value(operands[0].dims, operands[0].scale)
    return total(call, *operands)


@rule("mul")
def multiply(call: Call) -> Value:
    """A product, element by element: axes are shared, scales multiply."""
    operands = [call.value(arg) for arg in call.args[:2] if isinstance(arg, Tensor)]
    dims = broadcast(call, operands)
    scale: Scale = {}
    for operand in operands:
        follow(call, operand)
        scale = combine(scale, operand.scale)
    return Value(dims, scale)


@rule("div")
def divide(call: Call) -> Value:
    """A quotient, element by element."""
    operands = [call.value(arg) for arg in call.args[:2] if isinstance(arg, Tensor)]
    if not isinstance(call.args[0], Tensor) or call.kwargs.get("rounding_mode") is not None:
        raise TraceError("this division has no rule")
    dims = broadcast(call, operands)
    for operand in operands:
        follow(call, operand)
    scale = operands[0].scale if len(operands) == 1 else combine(operands[0].scale, operands[1].scale, -1)
    return Value(dims, scale)


@rule("mm")
def matrix_product(call: Call) -> Value:
    """The product of two matrices."""
    return contract(call, call.operand(0), call.operand(1))


@rule("addmm")
def linear(call: Call) -> Value:
    """A fully connected layer: bias + x W."""
    return total(call, contract(call, call.operand(1), call.operand(2)), call.operand(0))


@rule("convolution")
def convolution(call: Call) -> Value:
    """A convolution in any number of dimensions, ungrouped."""
    operand, weight = call.operand(0), call.operand(1)
    if call.args[6] or call.args[8] != 1:
        raise TraceError("transposed and grouped convolutions have no rule yet")
    relations = call.relations
    batch, channels, *places = operand.dims
    units, inputs, *kernel = weight.dims
    relations.fix(kernel, "convolution kernel")
    relations.unite(inputs, channels)
    if weight.parameter:
        call.role(weight.parameter, 0, Role.INCOMING)
        call.role(weight.parameter, 1, Role.OUTGOING)
    fix_places(call, places)
    dims = (batch, units, *new_places(call, len(places)))
    product = Value(dims, relations.project(combine(operand.scale, weight.scale), dims))
    if call.args[2] is None:
        return product
    return add_bias(call, product, call.operand(2), (units,))


POOLS = {"max_pool2d_with_indices": 2, "max_pool3d_with_indices": 3, "avg_pool2d": 2, "avg_pool3d": 3}
POOLS |= {
    "_adaptive_avg_pool2d": 2,
    "_adaptive_avg_pool3d": 3,
    "adaptive_max_pool2d": 2,
    "adaptive_max_pool3d": 3,
}
POOLS |= {"avg_pool1d": 1, "adaptive_avg_pool1d": 1}


def pool(count: int) -> Rule:
    """Return the rule of pooling over the last `count` axes: channels and their scales pass through."""

    def pooled(call: Call) -> Value:
        operand = call.operand(0)
        kept, places = operand.dims[:-count], operand.dims[-count:]
        fix_places(call, places)
        return Value((*kept, *new_places(call, count)), operand.scale)

    return pooled


RULES.update({name: pool(count) for name, count in POOLS.items()})


@rule("mean", "sum")
def reduce(call: Call) -> Value:
    """A mean or sum over some axes: the order of what is summed does not matter, its scale does."""
    operand = call.operand(0)
    rank = len(operand.dims)
    axes = call.argument(1, call.kwargs.get("dim"))
    reduced = {axis % rank for axis in ([axes] if isinstance(axes, int) else axes or range(rank))}
    keep = call.argument(2, call.kwargs.get("keepdim", False))
    dims = [() if axis in reduced else dim for axis, dim in enumerate(operand.dims) if keep or axis not in reduced]
    return Value(tuple(dims), operand.scale)


@rule("view", "_unsafe_view", "reshape", "_reshape_alias")
def reshape(call: Call) -> Value:
    """A row-major reshape: axes are merged into products, or cut into their factors."""
    operand = call.operand(0)
    parameter = operand.parameter
    if parameter is not None:
        shape = tuple(prod(atom.size for atom in dim) for dim in operand.dims)
        parameter = parameter if shape == call.shape else None
    return Value(call.relations.reshape(operand.dims, call.shape), operand.scale, parameter)


@rule("t", "transpose", "permute")
def rearrange(call: Call) -> Value:
    """A rearrangement of the axes."""
    operand = call.operand(0)
    rank = len(operand.dims)
    if len(call.args) == 1:
        order = list(range(rank))[::-1]
    elif isinstance(call.args[1], int):
        order = list(range(rank))
        one, other = call.args[1] % rank, call.args[2] % rank
        order[one], order[other] = order[other], order[one]
    else:
        order = [axis % rank for axis in call.args[1]]
    return select_axes(operand, order)


@rule("unsqueeze")
def unsqueeze(call: Call) -> Value:
    """A new axis of one place."""
    operand = call.operand(0)
    axis = call.args[1] % (len(operand.dims) + 1)
    order: list[int | None] = list(range(len(operand.dims)))
    return select_axes(operand, [*order[:axis], None, *order[axis:]])


@rule("squeeze")
def squeeze(call: Call) -> Value:
    """Axes of one place dropped: like a reshape, which keeps a single unit in sight on the axis beside it."""
    operand = call.operand(0)
    if operand.parameter is None:
        return Value(call.relations.reshape(operand.dims, call.shape), operand.scale)
    rank = len(operand.dims)
    axes = call.argument(1, None)
    chosen = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    dropped = {axis % rank for axis in chosen if prod(a.size for a in operand.dims[axis]) == 1}
    return select_axes(operand, [axis for axis in range(rank) if axis not in dropped])


@rule("expand")
def expand(call: Call) -> Value:
    """Axes of one place repeated."""
    operand = call.operand(0)
    missing = len(call.shape) - len(operand.dims)
    dims: list[Dim] = [()] * missing + list(operand.dims)
    for axis, size in enumerate(call.shape):
        if prod(atom.size for atom in dims[axis]) != size:
            dims[axis] = (call.relations.atom(size, "repeated"),)
    return Value(tuple(dims), operand.scale)


@rule("slice")
def whole_slice(call: Call) -> Value:
    """A slice that takes everything."""
    operand = call.operand(0)
    if tuple(prod(atom.size for atom in dim) for dim in operand.dims) != call.shape:
        raise TraceError("taking a part of a tensor has no rule yet")
    return operand


def select_axes(operand: Value, order: Sequence[int | None]) -> Value:
    """Return a view with these axes of `operand`, None for a new one."""
    dims = tuple(() if axis is None else operand.dims[axis] for axis in order)
    parameter = operand.parameter
    if parameter is not None:
        behind = tuple(None if axis is None else parameter.dims[axis] for axis in order)
        parameter = Parameter(parameter.name, behind)
    return Value(dims, operand.scale, parameter)


def contract(call: Call, left: Value, right: Value) -> Value:
    """Sum over the last axis of one matrix and the first of another."""
    relations = call.relations
    relations.unite(left.dims[1], right.dims[0])
    if left.parameter is None and right.parameter is not None:
        call.role(right.parameter, 1, Role.INCOMING)
        call.role(right.parameter, 0, Role.OUTGOING)
    if right.parameter is None and left.parameter is not None:
        call.role(left.parameter, 0, Role.INCOMING)
        call.role(left.parameter, 1, Role.OUTGOING)
    dims = (left.dims[0], right.dims[1])
    return Value(dims, relations.project(combine(left.scale, right.scale), dims))


def total(call: Call, one: Value, other: Value) -> Value:
    """Add two values, one perhaps broadcast against the other."""
    dims = broadcast(call, (one, other))
    call.relations.equate(one.scale, other.scale)
    for value in (one, other):
        follow(call, value)
    return Value(dims, one.scale)


def add_bias(call: Call, product: Value, bias: Value, units: tuple[Dim, ...]) -> Value:
    """Add a bias along the axis of the units: it is permuted and scaled as they are."""
    call.relations.unite(bias.dims[-1], units[0])
    call.relations.equate(product.scale, bias.scale)
    follow(call, bias)
    return Value(product.dims, product.scale)


def follow(call: Call, value: Value) -> None:
    """Note that a parameter used element by element follows the units it meets."""
    if value.parameter:
        for axis in range(len(value.dims)):
            call.role(value.parameter, axis, Role.FOLLOWER)


def broadcast(call: Call, operands: Sequence[Value]) -> tuple[Dim, ...]:
    """Unite the axes of operands that meet element by element; return those of the result."""
    result: list[Dim] = []
    for back in range(len(call.shape), 0, -1):
        present = [operand.dims[-back] for operand in operands if len(operand.dims) >= back]
        full = [dim for dim in present if prod(atom.size for atom in dim) == call.shape[-back]]
        chosen = max(full, key=len)
        for dim in full:
            if dim is not chosen and dim and chosen:
                call.relations.unite(dim, chosen)
        result.append(chosen)
    return tuple(result)


def fix_places(call: Call, places: Iterable[Dim]) -> None:
    """State that neighbourhoods matter along these axes."""
    call.relations.fix(places, "places that a window slides over")


def new_places(call: Call, count: int) -> tuple[Dim, ...]:
    """Return fresh axes for the last `count` of the output."""
    return tuple((call.relations.atom(size, "places that a window slid over"),) for size in call.shape[-count:])
