"""Running a model without numbers, and applying the rule of every operator that runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from landscape_cli.errors import ModelError, TraceError
from landscape_cli.objective import all_outputs
from landscape_cli.symmetry.constants import EMPTY, FILLS, META, Constants, flatten, on_meta
from landscape_cli.symmetry.groups import Traced
from landscape_cli.symmetry.labels import Labels
from landscape_cli.symmetry.memory import Memory, covers, storage_of
from landscape_cli.symmetry.relate import tell_apart
from landscape_cli.symmetry.rules import RULES, Call, NoRule
from landscape_cli.symmetry.scales import Equations
from landscape_cli.symmetry.solution import BatchNorm
from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.values import Layer, Parameter, Term, Value, along, distinct, to_layer

MOVES = {"transpose_", "squeeze_", "unsqueeze_", "t_", "swapaxes_", "swapdims_", "as_strided_"}
"""Operators that change in place how a tensor is laid out, and nothing of what it holds."""
RANDOM = {"rand", "randn", "randint", "randperm", "bernoulli", "normal", "uniform", "multinomial", "native_dropout"}
RANDOM |= {"rand_like", "randn_like", "randint_like", "exponential", "poisson", "log_normal", "geometric", "random"}
LOOKS = {"_local_scalar_dense", "is_nonzero", "equal", "item", "nonzero", "masked_select"}
LOOKS |= {"_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive", "bincount"}
RESCALES = {"mul", "div", "pow", "square", "abs", "copy", "fill", "zero", "reciprocal", "addcmul", "addcdiv", "lerp"}


class Tracer(TorchDispatchMode):
    """Applies the rule of every operator that runs; the `Model` that rules know."""

    def __init__(self, model: nn.Module, *, strict: bool) -> None:
        super().__init__()
        self.labels = Labels()
        self.equations = Equations()
        self.batch_norms: list[BatchNorm] = []
        self.module = ""
        self.notes: list[str] = []
        self.stand_ins: dict[str, Tensor] = {}
        self._strict = strict
        self._constants = Constants()
        self._memory = Memory(self.labels)
        self._values: dict[int, tuple[Tensor, Value]] = {}
        self._sharing: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._opaque: dict[int, tuple[Tensor, str, list[Value]]] = {}
        self._seen: list[Sequence[Layer]] = []
        self._used: dict[str, list[Sequence[Layer]]] = {}
        self._uses: Counter[str] = Counter()
        self._roles: dict[tuple[str, int], Role] = {}
        self._names: dict[int, str] = {}
        self._aliases: dict[str, list[str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._add_tensors(model)
        self._storages = {
            storage_of(tensor): self._names[id(tensor)]
            for tensor in self.stand_ins.values()
            if tensor.numel() and id(tensor) in self._names
        }

    def _add_tensors(self, model: nn.Module) -> None:
        first_of: dict[int, str] = {}
        for name, parameter in model.named_parameters():
            if isinstance(parameter, nn.UninitializedParameter):
                raise TraceError(f"the parameter {name!r} has no shape yet: run the model once before saving it")
            if not parameter.is_floating_point():
                raise TraceError(f"the parameter {name!r} is of type {parameter.dtype}, which has no rule")
        for name, tensor in model.state_dict(keep_vars=True).items():
            if not isinstance(tensor, Tensor):
                raise TraceError(f"the model's state holds {name!r}, which is no tensor")
            self._shapes[name] = tuple(tensor.shape)
            if tensor.is_complex():
                raise TraceError(f"the tensor {name!r} is complex, which has no rule")
            if not tensor.is_floating_point():
                self._aliases.setdefault(name, []).append(name)
                continue
            first = first_of.setdefault(id(tensor), name)
            self.stand_ins[name] = torch.empty_like(tensor, device=META) if first == name else self.stand_ins[first]
            self._names[id(self.stand_ins[name])] = first
            self._aliases.setdefault(first, []).append(name)
        for name, buffer in model.named_buffers():
            if name not in self.stand_ins:  # whole numbers, or not saved: constants
                stand_in = self.stand_ins[name] = torch.empty_like(buffer, device=META)
                if not buffer.is_meta:
                    self._constants.add(stand_in, buffer.detach().cpu().clone())

    def add_input(self, example: Tensor) -> Tensor:
        """Give the input's axes fixed positions; return what stands in for it."""
        stand_in = torch.empty_like(example, device=META)
        layers = [
            along(to_layer(self.labels.slots(size, "input" if axis else "batch")), axis, stand_in.ndim)
            for axis, size in enumerate(stand_in.shape)
        ]
        self._keep(stand_in, Value(tuple(stand_in.shape), distinct(layers)))
        return stand_in

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        in_place = func._schema.is_mutable and bool(args) and name.endswith("_") and not name.endswith("__")
        target = args[0] if in_place else kwargs.get("out")
        if name in MOVES:
            target = None
        self._check_target(func, target)
        if name.removesuffix("_") in RANDOM:
            raise TraceError(
                f"the forward pass{self.place()} draws random numbers in evaluation mode ({func}): "
                "its outputs are no function of its input"
            )
        if name in FILLS or name in EMPTY:
            return self._constants.make(func, name, args, kwargs)
        tensors = [tensor for tensor in flatten((args, kwargs)) if isinstance(tensor, Tensor)]
        known = [tensor for tensor in tensors if self._is_known(tensor)]
        if name in LOOKS and any(self._constants.numbers(tensor) is None for tensor in tensors):
            raise TraceError(
                f"the forward pass{self.place()} looks at the values of a tensor ({name}), as a data-dependent branch "
                "does: its symmetries cannot be derived from one run"
            )
        if not known:
            result = self._constants.run(func, args, kwargs)
            return target if isinstance(target, Tensor) else result
        self._uses.update({self._names[number] for number in {id(t) for t in tensors} if number in self._names})
        if isinstance(target, Tensor):
            if not target.is_meta:
                raise TraceError(f"the forward pass{self.place()} writes into a tensor made outside it ({func})")
            self._before_writing(target, name)
        result = func(*on_meta(args), **on_meta(kwargs) | ({"device": META} if kwargs.get("device") else {}))
        outputs = [] if result is None else [result] if isinstance(result, Tensor) else list(result)
        if target is None and isinstance(result, Tensor) and self._is_unread_indices(known):
            _, where, sources = self._opaque[id(known[0])]  # max_pool1d squeezes its indices, and then drops them
            self._opaque[id(result)] = (result, where, sources)
            return result
        values = self._apply(func, name, args, kwargs, outputs, in_place=in_place)
        for tensor, value in zip(outputs, values, strict=False):
            if isinstance(tensor, Tensor):
                own = args[0] if in_place else target
                self._keep(own if tensor is outputs[0] and isinstance(own, Tensor) else tensor, value)
        for tensor in outputs[len(values) :]:
            if isinstance(tensor, Tensor):
                sources = [self.value(operand) for operand in known]
                self._opaque[id(tensor)] = (tensor, f"{func}{self.place()}", sources)
        if isinstance(target, Tensor):
            self._after_writing(target, values[0])
        return args[0] if in_place else target if isinstance(target, Tensor) else result

    def _is_unread_indices(self, known: Sequence[Tensor]) -> bool:
        """Tell whether an operator is given only indices that another one returned and nothing has read."""
        return len(known) == 1 and id(known[0]) in self._opaque and not known[0].is_floating_point()

    def _apply(
        self, func: Any, name: str, args: Any, kwargs: Any, outputs: list[Any], *, in_place: bool
    ) -> list[Value]:
        """Return what the operator's rule says of its outputs, or what is true without one."""
        shapes = [tuple(tensor.shape) for tensor in outputs if isinstance(tensor, Tensor)]
        call = Call(self, func, args, kwargs, shapes, f"{func}{self.place()}")
        rule = RULES.get(name.removesuffix("_") if in_place else name)
        if name == "as_strided_" and in_place and shapes[0] == tuple(args[0].shape):
            return [self.value(args[0])]  # the same places in another layout
        problem = "no symmetry rule for the operator {}"
        if rule is not None and "out" not in kwargs:
            before = self.value(args[0]) if in_place else None
            try:
                made = rule(call)
            except NoRule:
                pass
            except TraceError:
                raise
            except Exception as cause:  # facts stated before it failed are true, or only fix more than is needed
                problem = (
                    f"the symmetry rule of the operator {{}} failed ({type(cause).__name__}: {cause}): report this"
                )
            else:
                values = made if isinstance(made, list) else [made]
                if before is not None and before.shape != values[0].shape and name not in MOVES:
                    raise TraceError(f"{call.where} changes a shape in place, which has no rule")
                return values
        return self._without_rule(call, outputs, problem.format(call.where))

    def _without_rule(self, call: Call, outputs: Sequence[Any], problem: str) -> list[Value]:
        floating = any(isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex()) for t in outputs)
        if floating or call.where.startswith("aten.sort"):
            note = f"{problem}: what reaches it is fixed"
            if self._strict:
                raise TraceError(f"{problem}, and strict was asked for: without, what reaches it is fixed")
            self.notes.append(note)
        for tensor in flatten((call.args, call.kwargs)):
            if isinstance(tensor, Tensor) and self._is_known(tensor):
                call.fix(self.value(tensor))
        return [Value(shape, call.apart((), shape)) for shape in call.shapes]

    def _before_writing(self, target: Tensor, name: str) -> None:
        """See to it that what else lies in the target's storage is kept track of, if it matters."""
        if self._memory.holds(target):
            return
        storage = storage_of(target)
        others = [number for number in self._sharing[storage] if number != id(target) and number in self._values]
        if self._is_known(target):
            if others and name.removesuffix("_") in RESCALES:
                whole = [
                    self._values[k] for k in [id(target), *others] if k in self._values and covers(self._values[k][0])
                ]
                self._memory.open(*whole[0]) if whole else self._memory.open(target, None)
                if not whole:
                    for number in [id(target), *others]:
                        if number in self._values:
                            self._fix(self._values[number][1], name)
            return
        base = target._base if target._base is not None else target
        self._memory.open(base, self._constant_value(base) if covers(base) else None)

    def _after_writing(self, target: Tensor, value: Value) -> None:
        if self._memory.holds(target):
            self._memory.store(target, value)
            for number in self._sharing[storage_of(target)]:
                if number != id(target):
                    self._values.pop(number, None)

    def _fix(self, value: Value, where: str) -> None:
        Call(self, lambda: None, (), {}, [value.shape], f"{where}{self.place()}").fix(value)

    def _check_target(self, func: Any, target: Any) -> None:
        """Refuse, before it happens, to change a parameter, by whichever view of it."""
        for tensor in flatten([target]):
            name = self._storages.get(storage_of(tensor)) if isinstance(tensor, Tensor) else None
            if name is not None:
                raise TraceError(f"the forward pass{self.place()} changes the parameter {name!r} in place ({func})")

    def _is_floating(self, name: str) -> bool:
        return id(self.stand_ins[name]) in self._names

    def _is_known(self, tensor: Tensor) -> bool:
        number = id(tensor)
        known = number in self._values and self._constants.numbers(tensor) is None
        if known or number in self._names or number in self._opaque or self._memory.holds(tensor):
            return True
        storage = storage_of(tensor)
        lost = tensor.is_meta and self._constants.numbers(tensor) is None
        return lost and (storage in self._storages or bool(self._sharing[storage]))

    def _keep(self, tensor: Tensor, value: Value) -> None:
        self._values[id(tensor)] = (tensor, value)
        self._sharing[storage_of(tensor)][id(tensor)] = None
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
            elif self._memory.holds(tensor):
                self._keep(tensor, self._memory.load(tensor))
            elif tensor.is_meta and self._constants.numbers(tensor) is None:
                self._keep(tensor, self._alias_value(tensor))
            else:
                self._keep(tensor, self._constant_value(tensor))
        value = self._values[number][1]
        if value.copies:
            told = tell_apart(self.labels, value.labels, value.shape, "a copy")
            self._keep(tensor, replace(value, labels=told, copies=False))
        return self._values[number][1]

    def raw(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor, with labels that do not tell copies apart."""
        return self._values[id(tensor)][1] if id(tensor) in self._values else self.value(tensor)

    def numbers(self, tensor: Tensor) -> Tensor | None:
        """Return a constant with its numbers, None for anything else."""
        return None if self._is_known(tensor) else self._constants.numbers(tensor)

    def _alias_value(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor that appeared without an operator: another name for one, or anything."""
        storage = storage_of(tensor)
        names = [self.stand_ins[self._storages[storage]]] if storage in self._storages else []
        known = [self._values[number][0] for number in self._sharing[storage] if number in self._values]
        for other in (*names, *known):
            if other.shape == tensor.shape and other.stride() == tensor.stride():
                return replace(self.value(other), parameter=None)
        for other in (*names, *known):
            self._fix(self.value(other), "a tensor made without an operator")
        return self._constant_value(tensor)

    def _constant_value(self, tensor: Tensor) -> Value:
        """Return what is known of a constant: one number everywhere has no places; all else is fixed."""
        shape, rank = tuple(tensor.shape), tensor.ndim
        numbers = self._constants.numbers(tensor)
        if numbers is None or not numbers.numel() or not bool((numbers == numbers.reshape(-1)[0]).all()):
            slots = [
                along(to_layer(self.labels.slots(size, "a constant")), axis, rank) for axis, size in enumerate(shape)
            ]
            return Value(shape, distinct(slots))
        units = [along(to_layer(self.labels.units(size)), axis, rank) for axis, size in enumerate(shape)]
        if bool(numbers.reshape(-1)[0] != 0):
            return Value(shape, distinct(units))
        terms: tuple[Term, ...] = tuple(
            (to_layer(self.equations.variables("", (), layer.numpy())).view(layer.shape), 1)
            for layer in units
            if layer.numel() > 1
        )
        return Value(shape, distinct(units), terms, terms, zero=True)

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
        for tensor in self.stand_ins.values():
            name = self._names.get(id(tensor))
            if name and tensor.numel() and storage_of(tensor) not in self._storages:
                raise TraceError(f"the forward pass replaces the data of the parameter {name!r}")
        try:
            outputs = all_outputs(output)
        except ModelError as problem:
            raise TraceError(str(problem)) from problem
        if id(outputs[0]) in self._names or not self._is_known(outputs[0]):
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
            batch_norms=self._own_batch_norms(),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _own_batch_norms(self) -> list[BatchNorm]:
        """Return the batch-norms whose tensors nothing else uses, which is needed to make up for their epsilon."""
        counts = Counter(self.batch_norms)
        found = []
        for norm, times in counts.items():
            tensors = [name for name in (norm.mean, norm.variance, norm.gain) if name]
            alike = len({self._shapes.get(name) for name in tensors}) == 1
            if alike and all(self._uses[name] == times for name in tensors):
                found.append(norm)
                continue
            for name in (norm.mean, norm.variance):
                (tensor,) = [t for t in self.stand_ins.values() if self._names.get(id(t)) == name][:1]
                layers = self._values[id(tensor)][1].scale
                self.equations.equate("scale", layers, rank=1)
        return found

    def _note_unused(self) -> None:
        unused = [name for name in self._aliases if name in self.stand_ins and name not in self._used]
        unused = [name for name in unused if self._is_floating(name) and self._shapes[name]]
        for name in unused:
            tensor = self.stand_ins[name]
            self._define(tensor)
            for run in self._used[name]:
                self.labels.fix(run[0].numpy(), "never used")
            for layer, _ in self._values[id(tensor)][1].scale:
                for kind in ("scale", "sign"):
                    self.equations.equate(kind, ((layer, 1),), rank=layer.ndim)
        if unused:
            more = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
            note = f"the forward pass never uses the tensor {unused[0]!r}{more}"
            if self._strict:
                raise TraceError(f"{note}, and strict was asked for: without, what is not used is fixed")
            self.notes.append(f"{note}: fixed")

    def place(self) -> str:
        """Return which module is running, for messages."""
        return f" in the module {self.module!r}" if self.module else ""
