"""What is known of every tensor of one run: of parameters, of what operators made of them, of constants."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry.spec import Role
from landscape_cli.symmetry.tracing.constants import META, Constants
from landscape_cli.symmetry.tracing.equations import Equations
from landscape_cli.symmetry.tracing.labels import Labels
from landscape_cli.symmetry.tracing.layers import Layer, Parameter, Term, Value, along, distinct, to_layer
from landscape_cli.symmetry.tracing.record import BatchNorm, Traced
from landscape_cli.symmetry.tracing.relate import INPUT, tell_apart
from landscape_cli.symmetry.tracing.rules import Call
from landscape_cli.symmetry.tracing.storage import Memory, covers, storage_of

RESCALES = {"mul", "div", "pow", "square", "abs", "copy", "fill", "zero", "reciprocal", "addcmul", "addcdiv", "lerp"}
"""Operators that, in place, leave other views of the tensor with another scale or other units than were known."""

NO_RULE = "no rule for "
"""What reasons begin with that are an operator without a rule."""


class Known:
    """The `Model` that rules know."""

    def __init__(self, model: nn.Module) -> None:
        """Make stand-ins without numbers for a model's tensors.

        Raises:
            TraceError: if one of them has no rule.
        """
        self.labels = Labels()
        self.equations = Equations()
        self.batch_norms: list[BatchNorm] = []
        self.stand_ins: dict[str, Tensor] = {}
        self.constants = Constants()
        self.uses: Counter[str] = Counter()
        self.opaque: dict[int, tuple[Tensor, str, list[Value]]] = {}
        self.names: dict[int, str] = {}
        self._memory = Memory(self.labels)
        self._values: dict[int, tuple[Tensor, Value]] = {}
        self._sharing: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._seen: list[Sequence[Layer]] = []
        self._used: dict[str, list[Sequence[Layer]]] = {}
        self._roles: dict[tuple[str, int], Role] = {}
        self._aliases: dict[str, list[str]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._add_tensors(model)
        self._storages = {
            storage_of(tensor): self.names[id(tensor)]
            for tensor in self.stand_ins.values()
            if tensor.numel() and id(tensor) in self.names
        }

    def _add_tensors(self, model: nn.Module) -> None:
        first_of: dict[int, str] = {}
        self.learned = frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))
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
            self.names[id(self.stand_ins[name])] = first
            self._aliases.setdefault(first, []).append(name)
        for name, buffer in model.named_buffers():
            if name not in self.stand_ins:  # whole numbers, or not saved: constants
                stand_in = self.stand_ins[name] = torch.empty_like(buffer, device=META)
                if not buffer.is_meta:
                    self.constants.add(stand_in, buffer.detach().cpu().clone())

    def add_input(self, example: Tensor) -> Tensor:
        """Give the input's axes fixed positions; return what stands in for it."""
        stand_in = torch.empty_like(example, device=META)
        layers = [
            along(to_layer(self.labels.slots(size, INPUT if axis else "batch")), axis, stand_in.ndim)
            for axis, size in enumerate(stand_in.shape)
        ]
        self.keep(stand_in, Value(tuple(stand_in.shape), distinct(layers)))
        return stand_in

    def is_known(self, tensor: Tensor) -> bool:
        """Tell whether a tensor depends on the input or on parameters."""
        number = id(tensor)
        known = number in self._values and self.constants.numbers(tensor) is None
        if known or number in self.names or number in self.opaque or self._memory.holds(tensor):
            return True
        storage = storage_of(tensor)
        lost = tensor.is_meta and self.constants.numbers(tensor) is None
        return lost and (storage in self._storages or bool(self._sharing[storage]))

    def keep(self, tensor: Tensor, value: Value) -> None:
        """Note what is known of a tensor."""
        self._values[id(tensor)] = (tensor, value)
        self._sharing[storage_of(tensor)][id(tensor)] = None
        self._seen.append(value.labels)

    def value(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor."""
        number = id(tensor)
        if number in self.opaque:
            _, where, sources = self.opaque.pop(number)
            call = Call(self, lambda: None, (), {}, [tuple(tensor.shape)], where)
            for source in sources:
                self.fix(source, f"{NO_RULE}{where}")
            self.keep(tensor, Value(tuple(tensor.shape), call.apart((), tuple(tensor.shape))))
        if number not in self._values:
            if number in self.names:
                self._define(tensor)
            elif self._memory.holds(tensor):
                self.keep(tensor, self._memory.load(tensor))
            elif tensor.is_meta and self.constants.numbers(tensor) is None:
                self.keep(tensor, self._alias_value(tensor))
            else:
                self.keep(tensor, self._constant_value(tensor))
        value = self._values[number][1]
        if value.copies:
            told = tell_apart(self.labels, value.labels, value.shape, "a copy")
            self.keep(tensor, replace(value, labels=told, copies=False))
        return self._values[number][1]

    def raw(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor, with labels that do not tell copies apart."""
        return self._values[id(tensor)][1] if id(tensor) in self._values else self.value(tensor)

    def numbers(self, tensor: Tensor) -> Tensor | None:
        """Return a constant with its numbers, None for anything else."""
        return None if self.is_known(tensor) else self.constants.numbers(tensor)

    def _alias_value(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor that appeared without an operator: another name for one, or anything."""
        storage = storage_of(tensor)
        names = [self.stand_ins[self._storages[storage]]] if storage in self._storages else []
        known = [self._values[number][0] for number in self._sharing[storage] if number in self._values]
        for other in (*names, *known):
            if other.shape == tensor.shape and other.stride() == tensor.stride():
                return replace(self.value(other), parameter=None)
        for other in (*names, *known):
            self.fix(self.value(other), "a tensor made without an operator")
        return self._constant_value(tensor)

    def _constant_value(self, tensor: Tensor) -> Value:
        """Return what is known of a constant: one number everywhere has no places; all else is fixed."""
        shape, rank = tuple(tensor.shape), tensor.ndim
        numbers = self.constants.numbers(tensor)
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
        return id(tensor) in self.names and id(tensor) not in self._values

    def name(self, tensor: Tensor) -> str:
        """Return the name of a parameter."""
        return self.names[id(tensor)]

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

    def has_role(self, name: str, role: Role) -> bool:
        """Tell whether some axis of a parameter has a role."""
        return any(self._roles.get((name, dim)) is role for dim in range(len(self._shapes[name])))

    def set_role(self, name: str, dim: int, role: Role) -> None:
        """Say what an axis of a parameter is to the units there, whatever was noted."""
        self._roles[name, dim] = role

    def parameter_value(self, name: str) -> Value:
        """Return what is known of a parameter by its name."""
        return self.raw(self.stand_ins[name])

    def note_use(self, layer: Layer) -> None:
        """Note that these units, and no others, are used in some way of their own."""
        self._seen.append((layer.reshape(-1),))

    def fix(self, value: Value, where: str) -> None:
        """Fix all that lives in a value."""
        Call(self, lambda: None, (), {}, [value.shape], where).fix(value)

    def _is_floating(self, name: str) -> bool:
        return id(self.stand_ins[name]) in self.names

    def before_writing(self, target: Tensor, name: str) -> None:
        """See to it that what else lies in the target's storage is kept track of, if it matters."""
        if self._memory.holds(target):
            return
        storage = storage_of(target)
        others = [number for number in self._sharing[storage] if number != id(target) and number in self._values]
        if self.is_known(target):
            if others and name.removesuffix("_") in RESCALES:
                whole = [
                    self._values[k] for k in [id(target), *others] if k in self._values and covers(self._values[k][0])
                ]
                self._memory.open(*whole[0]) if whole else self._memory.open(target, None)
                if not whole:
                    for number in [id(target), *others]:
                        if number in self._values:
                            self.fix(self._values[number][1], f"writing in place ({name})")
            return
        base = target._base if target._base is not None else target
        self._memory.open(base, self._constant_value(base) if covers(base) else None)

    def after_writing(self, target: Tensor, value: Value) -> None:
        """Note what the target holds now, and forget what other views of it did."""
        if self._memory.holds(target):
            self._memory.store(target, value)
            for number in self._sharing[storage_of(target)]:
                if number != id(target):
                    self._values.pop(number, None)

    def own_batch_norms(self) -> list[BatchNorm]:
        """Return the batch-norms whose tensors nothing else uses, which is needed to make up for their epsilon."""
        counts = Counter(self.batch_norms)
        found = []
        for norm, times in counts.items():
            tensors = [name for name in (norm.mean, norm.variance, norm.gain) if name]
            alike = len({self._shapes.get(name) for name in tensors}) == 1
            if alike and all(self.uses[name] == times for name in tensors):
                found.append(norm)
                continue
            for name in (norm.mean, norm.variance):
                (tensor,) = [t for t in self.stand_ins.values() if self.names.get(id(t)) == name][:1]
                layers = self._values[id(tensor)][1].scale
                self.equations.equate("scale", layers, rank=1)
        return found

    def parameter_under(self, tensor: Tensor) -> str | None:
        """Return the parameter or buffer that a tensor is a view of, if it is one."""
        return self._storages.get(storage_of(tensor))

    def kind_of(self, name: str) -> str:
        """Return what a tensor of the model is called."""
        return "parameter" if name in self.learned else "buffer"

    def check_data(self) -> None:
        """Check that the data of parameters and buffers are the same as before the run.

        Raises:
            TraceError: if they were replaced.
        """
        for tensor in self.stand_ins.values():
            name = self.names.get(id(tensor))
            if name and tensor.numel() and storage_of(tensor) not in self._storages:
                raise TraceError(f"the forward pass replaces the data of the {self.kind_of(name)} {name!r}")

    def check_parameters(self, model: nn.Module) -> None:
        """Check, while the model runs, that its parameters are still those that it was given.

        Raises:
            TraceError: if one was replaced.
        """
        for name in sorted(self.learned & self.stand_ins.keys()):
            owner, _, attribute = name.rpartition(".")
            if getattr(model.get_submodule(owner), attribute, None) is not self.stand_ins[name]:
                raise TraceError(
                    f"the forward pass replaces the parameter {name!r}: it must leave parameters as they are"
                )

    def fix_unused(self) -> list[str]:
        """Fix the tensors that no operator used; return their names."""
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
        return unused

    def traced(self, outputs: Sequence[Value], weights: Collection[str], notes: Sequence[str]) -> Traced:
        """Return all that is known at the end."""
        return Traced(
            labels=self.labels,
            equations=self.equations,
            parameters=self._used,
            roles=self._roles,
            weights=frozenset(weights),
            aliases=self._aliases,
            shapes=self._shapes,
            learned=self.learned,
            seen=self._seen,
            outputs=outputs,
            batch_norms=self.own_batch_norms(),
            notes=tuple(dict.fromkeys(notes)),
        )
