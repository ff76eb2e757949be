"""Deriving a model's symmetries by running it once and relating axes operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.atoms import Atom, Dim, Relations, Unknown, leaves
from landscape_cli.symmetry.groups import ParameterAxis, Traced, assemble
from landscape_cli.symmetry.rules import RULES, Call, Parameter, Value
from landscape_cli.symmetry.spec import Role, Symmetry

WAY_OUT = "write the model with operators that have one, or add a rule to landscape_cli/symmetry/rules.py"


def trace_symmetry(model: nn.Module, example_input: Tensor) -> Symmetry:
    """Derive the permutation and scale groups of a model from one forward pass.

    The forward pass runs in evaluation mode; every operator relates the axes of its inputs to those of its output
    (symmetry/rules.py), axes that must move together are united, and equations between scales are solved. At the
    end every axis of every parameter must be accounted for: in a group, or fixed for a reason.

    Args:
        model: any feed-forward model that takes one tensor and returns one.
        example_input: a batch of inputs, shape (n, ...), of a floating-point type; its values do not matter.

    Raises:
        TraceError: if an operator has no rule, the model looks at values, changes its parameters, has a parameter
            that it does not use, or does not return one tensor.
    """
    tracer = _Tracer(model)
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode(False), torch.no_grad(), _module_names(model, tracer), tracer:
            tracer.add_input(example_input)
            output = model(example_input)
    finally:
        for module, training in was_training.items():
            module.training = training
    return assemble(tracer.finish(output))


class _Tracer(TorchDispatchMode):
    """Applies the rule of every operator that runs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.relations = Relations()
        self.module = ""
        self._values: dict[int, tuple[Tensor, Value]] = {}
        self._opaque: dict[int, tuple[Tensor, str]] = {}
        self._axes: dict[tuple[str, int], ParameterAxis] = {}
        self._roles: dict[tuple[str, int], Role] = {}
        self._names: dict[int, str] = {}
        self._aliases: dict[str, list[str]] = {}
        self._tensors: dict[str, Tensor] = {}
        self._parameters = {name for name, _ in model.named_parameters()}
        saved = model.state_dict(keep_vars=True)  # a buffer that is not saved is a constant
        self._storages = {tensor.untyped_storage().data_ptr(): name for name, tensor in saved.items() if tensor.numel()}
        for name, tensor in saved.items():
            first = self._names.setdefault(id(tensor), name)
            self._aliases.setdefault(first, []).append(name)
            self._tensors[name] = tensor
        self._batch: Dim = ()

    def add_input(self, example: Tensor) -> None:
        """Give the input's axes atoms of their own."""
        dims = tuple((self.relations.atom(size, "input"),) for size in example.shape)
        self._batch = dims[0]
        self._batch[0].fixed = "batch"
        self._values[id(example)] = (example, Value(dims, {}))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        in_place = func._schema.is_mutable
        if in_place:
            self._check_target(func, args)
        result = func(*args, **kwargs)
        tensors = [arg for arg in _flatten(args) if isinstance(arg, Tensor)]
        if not any(self._is_known(tensor) for tensor in tensors):
            return result  # made of constants: itself a constant
        if name in {"_local_scalar_dense", "is_nonzero", "equal"}:
            raise TraceError(
                f"the forward pass{self._where()} looks at the values of a tensor ({name}), as a data-dependent branch "
                "does: its symmetries cannot be derived from one run"
            )
        first, *others = result if isinstance(result, tuple | list) else (result,)
        rule = RULES.get(name.removesuffix("_") if in_place else name)
        if not in_place and isinstance(first, Tensor) and self._leads_nowhere(rule is None, tensors, first):
            sources = [self._opaque[id(tensor)][1] for tensor in tensors if id(tensor) in self._opaque]
            self._set_aside([first, *others], [*sources, f"{func}{self._where()}"][0])
            return result
        if rule is None or not isinstance(first, Tensor):
            raise TraceError(f"no symmetry rule for the operator {func}{self._where()}: {WAY_OUT}")
        if in_place and id(args[0]) not in self._values:
            raise TraceError(f"{func}{self._where()} writes into a tensor made of constants: {WAY_OUT}")
        before = self._value(args[0]) if in_place else None
        call = Call(self.relations, self._value, self._note_role, args, kwargs, tuple(first.shape))
        try:
            value = rule(call)
        except TraceError as error:
            raise TraceError(f"{error} (operator {func}{self._where()}): {WAY_OUT}") from error
        value = Value(value.dims, self.relations.project(value.scale, value.dims), value.parameter)
        if before is not None and (before.scale != value.scale or len(before.dims) != len(value.dims)):
            raise TraceError(f"the operator {func}{self._where()} rescales in place, which has no rule: {WAY_OUT}")
        self._values[id(first)] = (first, value)
        self._set_aside(others, f"{func}{self._where()}")
        return result

    def _check_target(self, func: Any, args: Any) -> None:
        """Refuse, before it happens, to change a parameter, by whichever view of it."""
        if args and isinstance(args[0], Tensor):
            name = self._storages.get(args[0].untyped_storage().data_ptr())
            if name is not None:
                raise TraceError(f"the forward pass{self._where()} changes the parameter {name!r} in place ({func})")

    def _leads_nowhere(self, without_rule: bool, tensors: list[Tensor], first: Tensor) -> bool:
        """Tell whether a result may go unexplained as long as nothing is computed from it: indices, comparisons."""
        if without_rule and not (first.is_floating_point() or first.is_complex()):
            return True
        known = [tensor for tensor in tensors if self._is_known(tensor)]
        return all(id(tensor) in self._opaque for tensor in known)

    def _set_aside(self, tensors: list[Any], source: str) -> None:
        for tensor in tensors:
            if isinstance(tensor, Tensor):
                self._opaque[id(tensor)] = (tensor, source)

    def finish(self, output: Any) -> Traced:
        """Check the output and the coverage, and return what was found.

        Raises:
            TraceError: if the output is not one tensor made from the input, or a parameter was not used.
        """
        if not isinstance(output, Tensor):
            raise TraceError(f"the model returns a {type(output).__name__}, expected one tensor of outputs")
        if id(output) not in self._values:
            raise TraceError("the model's output does not depend on its input")
        unused = [name for name in self._parameters if (name, 0) not in self._axes and self._tensors[name].ndim]
        if unused:
            raise TraceError(f"the forward pass never uses the parameter {unused[0]!r}: remove it from the model")
        value = self._values[id(output)][1]
        outputs = tuple(dim for dim in value.dims if dim != self._batch)
        self.relations.fix(outputs, "output")
        self._forbid_ambiguous_scales()
        return Traced(
            axes=tuple(self._axes.values()),
            roles=self._roles,
            aliases=self._aliases,
            shapes={name: tuple(tensor.shape) for name, tensor in self._tensors.items()},
            equations=tuple(self.relations.equations),
            outputs=outputs,
            output_scale=value.scale,
        )

    def _forbid_ambiguous_scales(self) -> None:
        """Give up scales that could not be told apart.

        Those of units that live on two axes of one tensor, and those of units that a reshape has cut into factors:
        the norms of rows do not decide between the scales of the factors.
        """
        twice: set[Atom] = set()
        for _, value in self._values.values():
            found = leaves(value.dims)
            twice.update(leaf for leaf in found if found.count(leaf) > 1)
        for axis in self._axes.values():
            parts = axis.atom.leaves()
            cut = len(parts) > 1 and self._roles.get((axis.tensor, axis.dim)) is Role.INCOMING
            for leaf in parts:
                if cut or leaf in twice:
                    self.relations.equate({(axis.unknown, leaf): 1})

    def _is_known(self, tensor: Tensor) -> bool:
        return id(tensor) in self._values or id(tensor) in self._opaque or id(tensor) in self._names

    def _value(self, tensor: Tensor) -> Value:
        if id(tensor) in self._values:
            return self._values[id(tensor)][1]
        if id(tensor) in self._opaque:
            raise TraceError(f"nothing is known of what {self._opaque[id(tensor)][1]} returned")
        if id(tensor) not in self._names:
            dims = tuple((self.relations.atom(size, "constant"),) if size > 1 else () for size in tensor.shape)
            value = Value(dims, {})
        else:
            value = self._parameter_value(self._names[id(tensor)], tensor)
        self._values[id(tensor)] = (tensor, value)
        return value

    def _parameter_value(self, name: str, tensor: Tensor) -> Value:
        atoms = [self.relations.atom(size) for size in tensor.shape]
        unknowns = [self.relations.unknown(name, dim) for dim in range(tensor.ndim)]
        for dim, (atom, unknown) in enumerate(zip(atoms, unknowns, strict=True)):
            self._axes[name, dim] = ParameterAxis(name, dim, atom, unknown)
        scale: dict[tuple[Unknown, Atom], int] = {
            (unknown, atom): 1 for atom, unknown in zip(atoms, unknowns, strict=True)
        }
        return Value(tuple((atom,) for atom in atoms), scale, Parameter(name, tuple(range(tensor.ndim))))

    def _note_role(self, parameter: Parameter, axis: int, role: Role) -> None:
        dim = parameter.dims[axis]
        if dim is None:
            return
        known = self._roles.setdefault((parameter.name, dim), role)
        if role is Role.INCOMING and known is not Role.INCOMING:
            self._roles[parameter.name, dim] = role

    def _where(self) -> str:
        return f" in the module {self.module!r}" if self.module else ""


@contextmanager
def _module_names(model: nn.Module, tracer: _Tracer) -> Iterator[None]:
    """Keep the tracer told of the module whose forward pass is running, for its messages."""
    stack: list[str] = []

    def enter(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            stack.append(name)
            tracer.module = name

        return hook

    def leave(*_: Any) -> None:
        stack.pop()
        tracer.module = stack[-1] if stack else ""

    handles = []
    for name, module in model.named_modules():
        handles += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _flatten(args: Any) -> Iterator[Any]:
    for arg in args:
        if isinstance(arg, list | tuple):
            yield from _flatten(arg)
        else:
            yield arg
