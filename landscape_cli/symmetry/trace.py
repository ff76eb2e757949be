"""Deriving a model's symmetries by running it once, without numbers, and relating places operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.groups import Traced, assemble
from landscape_cli.symmetry.labels import Labels
from landscape_cli.symmetry.rules import RULES, Call
from landscape_cli.symmetry.scales import Equations
from landscape_cli.symmetry.solution import BatchNorm
from landscape_cli.symmetry.spec import Role, Symmetry
from landscape_cli.symmetry.values import Layer, Parameter, Term, Value, along, distinct, to_layer

FILLS = {"new_zeros": 0, "new_ones": 1, "new_full": None, "zeros_like": 0, "ones_like": 1, "full_like": None}
"""Operators that take no more of a tensor than its type, and perhaps its shape, and the number they fill it with."""
EMPTY = {"new_empty", "empty_like", "new_empty_strided"}
LOOKS = {"_local_scalar_dense", "is_nonzero", "equal", "item"}
RESCALES = {"mul", "div", "pow", "square", "abs", "copy", "fill", "zero", "reciprocal", "addcmul", "addcdiv", "lerp"}
META = torch.device("meta")


def trace_symmetry(model: nn.Module, example_input: Tensor, *, strict: bool = False) -> Symmetry:
    """Derive the permutation, scale and sign groups of a model from one forward pass.

    The forward pass runs in evaluation mode on tensors without numbers, so that it takes no time to speak of; every
    operator relates the places of its inputs to those of its outputs (symmetry/rules). What cannot be established
    is fixed, for a reason that is kept. At the end every axis of every parameter must be accounted for: in a group,
    or fixed.

    Args:
        model: any feed-forward model that takes one tensor and returns one, or several in a tuple or list.
        example_input: a batch of inputs, shape (n, ...), of a floating-point type; its values do not matter.
        strict: make an error of operators without a rule, and of parameters that are never used.

    Raises:
        TraceError: if the model looks at values, changes its parameters, does not return tensors, or cannot be run;
            with `strict`, also if an operator has no rule or a parameter is not used.
    """
    tracer = _Tracer(model, strict=strict)
    was_training = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # whole layers in one operator would hide what they do
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            _modules(model, tracer),
            tracer,
        ):
            example = tracer.add_input(example_input)
            output = functional_call(model, dict(tracer.stand_ins), (example,), tie_weights=False)
    except (TraceError, KeyboardInterrupt, SystemExit):
        raise
    except Exception as cause:
        reason = " ".join(str(cause).split())[:300]
        raise TraceError(
            f"the forward pass failed{tracer.place()} on an input of shape {tuple(example_input.shape)}: "
            f"{type(cause).__name__}: {reason}"
        ) from cause
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, training in was_training.items():
            module.training = training
    return assemble(tracer.finish(output))


class _Tracer(TorchDispatchMode):
    """Applies the rule of every operator that runs; the `Model` that rules know."""

    def __init__(self, model: nn.Module, *, strict: bool) -> None:
        super().__init__()
        self.labels = Labels()
        self.equations = Equations()
        self.batch_norms: list[BatchNorm] = []
        self.module = ""
        self.notes: list[str] = []
        self._strict = strict
        self._values: dict[int, tuple[Tensor, Value]] = {}
        self._opaque: dict[int, tuple[Tensor, str, list[Value]]] = {}
        self._seen: list[Sequence[Layer]] = []
        self._used: dict[str, list[Sequence[Layer]]] = {}
        self._roles: dict[tuple[str, int], Role] = {}
        self._names: dict[int, str] = {}
        self._aliases: dict[str, list[str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._tainted: dict[int, str] = {}
        self._parameters = [name for name, _ in model.named_parameters()]
        self.stand_ins: dict[str, Tensor] = {}
        by_identity: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in model.state_dict(keep_vars=True).items():
            self._shapes[name] = tuple(tensor.shape)
            if tensor.is_complex():
                raise TraceError(f"the tensor {name!r} is complex, which has no rule")
            if not tensor.is_floating_point():
                self._aliases.setdefault(name, []).append(name)
                continue
            first, stand_in = by_identity.setdefault(id(tensor), (name, torch.empty_like(tensor, device=META)))
            self.stand_ins[name] = stand_in
            self._names[id(stand_in)] = first
            self._aliases.setdefault(first, []).append(name)
        for name, buffer in model.named_buffers():  # those that are not saved
            if name not in self.stand_ins and buffer.is_floating_point():
                self.stand_ins[name] = torch.empty_like(buffer, device=META)
        for name, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                raise TraceError(f"the parameter {name!r} is of type {parameter.dtype}, which has no rule")
        self._storages = {_storage(tensor): name for name, tensor in self.stand_ins.items() if tensor.numel()}

    def add_input(self, example: Tensor) -> Tensor:
        """Give the input's axes fixed positions; return what stands in for it."""
        stand_in = torch.empty_like(example, device=META)
        rank = stand_in.ndim
        layers = [
            along(to_layer(self.labels.slots(size, "input" if axis else "batch")), axis, rank)
            for axis, size in enumerate(stand_in.shape)
        ]
        self._values[id(stand_in)] = (stand_in, Value(tuple(stand_in.shape), distinct(layers)))
        return stand_in

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        in_place = func._schema.is_mutable and bool(args) and name.endswith("_") and not name.endswith("__")
        if in_place or "out" in kwargs:
            self._check_target(func, kwargs.get("out", args[0] if args else None))
        tensors = [tensor for tensor in _flatten((args, kwargs)) if isinstance(tensor, Tensor)]
        known = [tensor for tensor in tensors if self._is_known(tensor)]
        if name in FILLS or name in EMPTY:
            return self._filled(func, name, args, kwargs)
        if not known:
            return self._constant(func, name, args, kwargs, tensors)
        if name in LOOKS:
            raise TraceError(
                f"the forward pass{self.place()} looks at the values of a tensor ({name}), as a data-dependent branch "
                "does: its symmetries cannot be derived from one run"
            )
        if in_place and not self._is_known(args[0]):
            self._tainted[_storage(args[0])] = f"{func}{self.place()}"
        result = func(*_on_meta(args), **_on_meta(kwargs))
        outputs = [result] if isinstance(result, Tensor) else list(result)
        values = self._apply(func, name, args, kwargs, outputs, in_place=in_place)
        for tensor, value in zip(outputs, values, strict=False):
            if isinstance(tensor, Tensor):
                self._keep(tensor, value)
        for tensor in outputs[len(values) :]:
            if isinstance(tensor, Tensor):
                sources = [self.value(operand) for operand in known]
                self._opaque[id(tensor)] = (tensor, f"{func}{self.place()}", sources)
        return args[0] if in_place and isinstance(result, Tensor) else result

    def _apply(
        self, func: Any, name: str, args: Any, kwargs: Any, outputs: list[Any], *, in_place: bool
    ) -> list[Value]:
        """Return what the operator's rule says of its outputs, or what is true without one."""
        shapes = [tuple(tensor.shape) for tensor in outputs if isinstance(tensor, Tensor)]
        where = f"{func}{self.place()}"
        call = Call(self, func, args, kwargs, shapes, where)
        rule = RULES.get(name.removesuffix("_") if in_place else name)
        if name == "as_strided_" and in_place and shapes[0] == tuple(args[0].shape):
            return [self.value(args[0])]  # the same places in another layout
        if in_place and _storage(args[0]) in self._tainted:
            rule = None
        if rule is None or "out" in kwargs:
            return self._without_rule(call, [t for t in _flatten((args, kwargs)) if isinstance(t, Tensor)], outputs)
        before = self.value(args[0]) if in_place else None
        made = rule(call)
        values = made if isinstance(made, list) else [made]
        if before is not None:
            value = values[0]
            if before.shape != value.shape:
                raise TraceError(f"{where} changes a shape in place, which has no rule")
            if name.removesuffix("_") in RESCALES:
                self._outdate(args[0], where, before)
        return values

    def _without_rule(self, call: Call, tensors: Sequence[Tensor], outputs: Sequence[Any]) -> list[Value]:
        quiet = not any(isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex()) for t in outputs)
        if not quiet or call.where.startswith("aten.sort"):
            note = f"no symmetry rule for the operator {call.where}: what reaches it is fixed"
            if self._strict:
                raise TraceError(note)
            self.notes.append(note)
        for tensor in tensors:
            if self._is_known(tensor):
                call.fix(self.value(tensor))
        return [Value(shape, call.apart((), shape)) for shape in call.shapes]

    def _outdate(self, tensor: Tensor, where: str, before: Value) -> None:
        """Forget what was known of other views of what changes in place."""
        storage = _storage(tensor)
        for number, (view, value) in list(self._values.items()):
            if view is not tensor and number not in self._names and _storage(view) == storage:
                del self._values[number]
                self._opaque[number] = (view, where, [before, value])

    def _constant(self, func: Any, name: str, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        """Run an operator on constants, with their numbers where they have any."""
        if not tensors and torch.device(kwargs.get("device") or "cpu").type == "meta":
            return func(*args, **kwargs | {"device": torch.device("cpu")})
        if any(tensor.is_meta for tensor in tensors):
            if name in LOOKS:
                raise TraceError(f"the forward pass{self.place()} looks at the values of a tensor ({name})")
            return func(*_on_meta(args), **_on_meta(kwargs))
        return func(*args, **kwargs)

    def _filled(self, func: Any, name: str, args: Any, kwargs: Any) -> Tensor:
        """Make a new constant; numbers that nobody has written yet are taken for 0."""
        shape = func(*_on_meta(args), **_on_meta(kwargs | {"device": META}))
        number = 0 if name in EMPTY else FILLS[name]
        if number is None:
            number = kwargs.get("fill_value", args[-1])
        return torch.full(tuple(shape.shape), number, dtype=shape.dtype, device="cpu")

    def _check_target(self, func: Any, target: Any) -> None:
        """Refuse, before it happens, to change a parameter, by whichever view of it."""
        for tensor in _flatten([target]):
            name = self._storages.get(_storage(tensor)) if isinstance(tensor, Tensor) else None
            if name is not None:
                raise TraceError(f"the forward pass{self.place()} changes the parameter {name!r} in place ({func})")

    def _is_known(self, tensor: Tensor) -> bool:
        number = id(tensor)
        if number in self._values or number in self._names or number in self._opaque:
            return not (number in self._values and self._values[number][1] is None)
        return _storage(tensor) in self._tainted

    def _keep(self, tensor: Tensor, value: Value) -> None:
        self._values[id(tensor)] = (tensor, value)
        self._seen.append(value.labels)

    def value(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor."""
        number = id(tensor)
        if number in self._opaque:
            _, where, sources = self._opaque.pop(number)
            call = Call(self, lambda: None, (), {}, [tuple(tensor.shape)], where)
            for source in sources:
                call.fix(source)
            self._keep(tensor, Value(tuple(tensor.shape), call.apart((), tuple(tensor.shape))))
        if number not in self._values:
            if number in self._names:
                self._define(tensor)
            elif _storage(tensor) in self._tainted:  # a view of what holds other things by now, which are fixed
                self._keep(tensor, Value(tuple(tensor.shape), self._positions(tensor)))
            else:
                self._keep(tensor, self._constant_value(tensor))
        return self._values[number][1]

    def _constant_value(self, tensor: Tensor) -> Value:
        """Return what is known of a constant: one number everywhere has no places; all else is fixed."""
        shape, rank = tuple(tensor.shape), tensor.ndim
        uniform = not tensor.is_meta and tensor.numel() > 0 and bool((tensor == tensor.reshape(-1)[0]).all())
        if not uniform:
            return Value(shape, self._positions(tensor))
        units = [along(to_layer(self.labels.units(size)), axis, rank) for axis, size in enumerate(shape)]
        terms: tuple[Term, ...] = ()
        if bool(tensor.reshape(-1)[0] == 0):
            terms = tuple(
                (to_layer(self.equations.variables("", (), layer.numpy())).view(layer.shape), 1)
                for layer in units
                if layer.numel() > 1
            )
        return Value(shape, distinct(units), terms, terms)

    def _positions(self, tensor: Tensor) -> tuple[Layer, ...]:
        return distinct(
            along(to_layer(self.labels.slots(size, "a constant")), axis, tensor.ndim)
            for axis, size in enumerate(tensor.shape)
        )

    def is_new(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is a parameter that no operator has used yet."""
        return id(tensor) in self._names and id(tensor) not in self._values

    def name(self, tensor: Tensor) -> str:
        """Return the name of a parameter."""
        return self._names[id(tensor)]

    def define(self, tensor: Tensor, labels: Sequence[Sequence[Layer]], value: Value) -> None:
        """Say what is known of a new parameter: the labels of each run of its axes, and the value."""
        self._values[id(tensor)] = (tensor, value)
        self._used[self.name(tensor)] = [run for run in labels if run]

    def _define(self, tensor: Tensor) -> None:
        name, rank = self.name(tensor), tensor.ndim
        numbers = [to_layer(self.labels.units(size, together=True)) for size in tensor.shape]
        terms = tuple(
            (along(to_layer(self.equations.variables(name, (dim,), units.numpy())), dim, rank), 1)
            for dim, units in enumerate(numbers)
        )
        layers = [along(units, dim, rank) for dim, units in enumerate(numbers)]
        value = Value(tuple(tensor.shape), distinct(layers), terms, terms, Parameter(name, tuple(range(rank))))
        self.define(tensor, [[layer] for layer in value.labels], value)

    def note_role(self, name: str, dim: int, role: Role) -> None:
        """Note what an axis of a parameter is to the units there; weights that write count most."""
        known = self._roles.setdefault((name, dim), role)
        if role is Role.INCOMING and known is not Role.INCOMING:
            self._roles[name, dim] = role

    def note_use(self, layer: Layer) -> None:
        """Note that these units, and no others, are used in some way of their own."""
        self._seen.append((layer.reshape(-1),))

    def finish(self, output: Any) -> Traced:
        """Check the outputs and the coverage, and return what was found.

        Raises:
            TraceError: if the output is not tensors made from the input; with `strict`, if a parameter was not used.
        """
        outputs = list(output) if isinstance(output, tuple | list) else [output]
        for tensor in outputs:
            if not isinstance(tensor, Tensor):
                what = type(output).__name__ if len(outputs) == 1 else f"{type(output).__name__} with other things"
                raise TraceError(f"the model returns a {what}, expected one tensor of outputs, or a tuple of tensors")
        if not outputs or id(outputs[0]) in self._names or not self._is_known(outputs[0]):
            raise TraceError("the model's output does not depend on its input")
        values = [self.value(tensor) for tensor in outputs]
        for value in values:
            for layer in value.labels:
                self.labels.fix(layer.numpy(), "output")
            self.equations.equate("sign", value.sign, rank=len(value.shape))
        self._note_unused()
        return Traced(
            labels=self.labels,
            equations=self.equations,
            parameters=self._used,
            roles=self._roles,
            aliases=self._aliases,
            shapes=self._shapes,
            seen=self._seen,
            outputs=values,
            batch_norms=self.batch_norms,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _note_unused(self) -> None:
        unused = [name for name in self._parameters if name not in self._used and self._shapes[name]]
        for name in unused:
            self._define(self.stand_ins[name])
            for layer in self._used.get(name, [])[0:]:
                self.labels.fix(layer[0].numpy(), "never used")
            for layer, _ in self._values[id(self.stand_ins[name])][1].scale:
                for kind in ("scale", "sign"):
                    self.equations.equate(kind, ((layer, 1),), rank=layer.ndim)
        if unused:
            more = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
            note = f"the forward pass never uses the parameter {unused[0]!r}{more}: fixed"
            if self._strict:
                raise TraceError(note)
            self.notes.append(note)

    def place(self) -> str:
        """Return which module is running, for messages."""
        return f" in the module {self.module!r}" if self.module else ""


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _on_meta(args: Any) -> Any:
    """Return arguments with every tensor one without numbers, so that they fit each other."""
    if isinstance(args, Tensor):
        return args if args.is_meta or args.ndim == 0 else torch.empty_like(args, device=META)
    if isinstance(args, list | tuple):
        return type(args)(_on_meta(arg) for arg in args)
    if isinstance(args, Mapping):
        return {key: _on_meta(value) for key, value in args.items()}
    return args


@contextmanager
def _modules(model: nn.Module, tracer: _Tracer) -> Iterator[None]:
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
    for arg in args.values() if isinstance(args, Mapping) else args:
        if isinstance(arg, list | tuple | Mapping):
            yield from _flatten(arg)
        else:
            yield arg
