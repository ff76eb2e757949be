"""The tensors of a model: its parameters and buffers, and what stands in for them while it runs without numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.forward.parts import OTHER, made_of_parts
from landscape_cli.network import AS_PAIRS
from landscape_cli.symmetry.spec import Mask, Role
from landscape_cli.symmetry.tracing.constants import META, Constants
from landscape_cli.symmetry.tracing.cuts import CutTable
from landscape_cli.symmetry.tracing.layers import Layer
from landscape_cli.symmetry.tracing.record import BatchNorm, GainTable, Stacks
from landscape_cli.symmetry.tracing.storage import storage_of


class ParameterTable:
    """The floating-point parameters and buffers of a model, and masks; its other buffers are constants.

    Attributes:
        stand_ins: tensors without numbers, by every name of a parameter or buffer.
        aliases: every name of each tensor, under the first: a tensor shared between modules has several.
        shapes: by every name in the model's state.
        learned: the names of the model's parameters.
        runs: the labels of each run of axes of the tensors used, in the order of their use.
        roles: what each axis of them is to the units there.
        uses: how many operators were given each.
        reads: how many read each, or a view of it, and made something else of it than a view.
        batch_norms: those that normalise with running statistics, once for each time they run.
        masks: how often a parameter was multiplied by a buffer of zeros and ones.
        tables: how often one was multiplied by another, place by place of several axes.
        zero_one: the names of the buffers of zeros and ones.
        pinned: parameters of which an axis was summed over.
        stacks: parameters that are cut into pieces with units of their own, and how.
        cuts: what shows how they may be cut.
        made: the names of the buffers of which tensors are made: masks, and those of parametrizations.
        unscaled: the names of the buffers of parametrizations, whose numbers have a scale of their own: unit vectors,
            orthogonal matrices.
    """

    def __init__(self, model: nn.Module, constants: Constants, stacks: Stacks | None = None) -> None:
        """Make stand-ins for a model's tensors.

        Raises:
            TraceError: if one of them is of a kind that has no rule.
        """
        self.stand_ins: dict[str, Tensor] = {}
        self.aliases: dict[str, list[str]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.learned = frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))
        self.runs: dict[str, list[Sequence[Layer]]] = {}
        self.roles: dict[tuple[str, int], Role] = {}
        self.uses: Counter[str] = Counter()
        self.reads: Counter[str | None] = Counter()
        self.batch_norms: list[BatchNorm] = []
        self.masks: Counter[Mask] = Counter()
        self.tables: Counter[GainTable] = Counter()
        self.zero_one: set[str] = set()
        self.pinned: set[str] = set()
        self.stacks = stacks or {}
        self.cuts = CutTable(self.shapes, self.learned, self.runs, self.stacks)
        made = made_of_parts(model)
        self.made = frozenset(part for each in made for part in each.stored) - self.learned
        self.unscaled = {part for each in made if each.kind == OTHER for part in each.stored} - self.learned
        self._names: dict[int, str] = {}
        _check_parameters(model)
        self._add_state(model)
        self._add_constants(model, constants)
        self._storages = {
            storage_of(tensor): self._names[id(tensor)]
            for tensor in self.stand_ins.values()
            if tensor.numel() and id(tensor) in self._names
        }

    def _add_state(self, model: nn.Module) -> None:
        first_of: dict[int, str] = {}
        masks = _whole_masks(model)
        for name, tensor in model.state_dict(keep_vars=True).items():
            if not isinstance(tensor, Tensor):
                raise TraceError(f"the model's state holds {name!r}, which is no tensor")
            self.shapes[name] = tuple(tensor.shape)
            if tensor.is_complex():
                raise TraceError(f"the tensor {name!r} is complex, which has no rule: {AS_PAIRS}")
            if not tensor.is_floating_point() and name not in masks:
                self.aliases.setdefault(name, []).append(name)
                continue
            first = first_of.setdefault(id(tensor), name)
            if name not in self.learned and _is_zero_one(tensor):
                self.zero_one.add(first)
            self.stand_ins[name] = torch.empty_like(tensor, device=META) if first == name else self.stand_ins[first]
            self._names[id(self.stand_ins[name])] = first
            self.aliases.setdefault(first, []).append(name)

    def _add_constants(self, model: nn.Module, constants: Constants) -> None:
        """Note the numbers of the buffers that hold whole numbers or are not saved."""
        for name, buffer in model.named_buffers():
            if name not in self.stand_ins:
                stand_in = self.stand_ins[name] = torch.empty_like(buffer, device=META)
                if not buffer.is_meta:
                    constants.add(stand_in, buffer.detach().cpu().clone())

    def __contains__(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is the stand-in of a floating-point parameter or buffer."""
        return id(tensor) in self._names

    def name(self, tensor: Tensor) -> str:
        """Return the first name of a parameter or buffer."""
        return self._names[id(tensor)]

    def name_of(self, tensor: Tensor) -> str | None:
        """Return the first name of a parameter or buffer, None for any other tensor."""
        return self._names.get(id(tensor))

    def name_under(self, tensor: Tensor) -> str | None:
        """Return the name of the parameter or buffer that a tensor is a view of, None if it is of none."""
        return self._storages.get(storage_of(tensor))

    def kind_of(self, name: str) -> str:
        """Return what a tensor of the model is called."""
        return "parameter" if name in self.learned else "buffer"

    def count_uses(self, tensors: Iterable[Tensor]) -> None:
        """Count an operator as a use of the parameters and buffers among these tensors."""
        self.uses.update({self.name(tensor) for tensor in tensors if tensor in self})

    def count_reads(self, tensors: Iterable[Tensor], outputs: Iterable[Tensor]) -> None:
        """Count an operator as one that reads the parameters and buffers under its tensors, unless it gives views."""
        self.reads.update({self.name_under(tensor) for tensor in tensors} - {self.name_under(each) for each in outputs})

    def pin(self, name: str) -> bool:
        """Note that an axis of a parameter is summed over; tell whether it is the first, and not the only one."""
        first = name not in self.pinned and len(self.shapes[name]) > 1
        self.pinned.add(name)
        return first

    def unused(self) -> list[str]:
        """Return the names of the tensors with axes that no operator used."""
        unused = [name for name in self.aliases if name in self.stand_ins and name not in self.runs]
        return [name for name in unused if self.stand_ins[name] in self and self.shapes[name]]

    def note_role(self, name: str, dim: int, role: Role) -> None:
        """Note what an axis of a parameter is to the units there; weights that write count most."""
        noted = self.roles.setdefault((name, dim), role)
        if role is Role.INCOMING and noted not in {Role.INCOMING, Role.MASK}:
            self.roles[name, dim] = role

    def has_role(self, name: str, role: Role) -> bool:
        """Tell whether some axis of a parameter has a role."""
        return any(self.roles.get((name, dim)) is role for dim in range(len(self.shapes[name])))

    def exclusive_masks(self) -> list[Mask]:
        """Return the masks by which parameters are multiplied wherever they are used, under all names of these."""
        return [
            replace(mask, weight=name)
            for mask, times in self.masks.items()
            if self.uses[mask.weight] == times
            for name in self.aliases[mask.weight]
        ]

    def exclusive_tables(self) -> list[GainTable]:
        """Return the parameters that multiply one weight, and do nothing else, which has no other use."""
        tables = self.tables.items()
        return [table for table, n in tables if self.reads[table.gain] == self.reads[table.weight] == n]

    def check_data(self) -> None:
        """Check that the data of parameters and buffers are the same as before the run.

        Raises:
            TraceError: if they were replaced.
        """
        for tensor in self.stand_ins.values():
            if tensor in self and tensor.numel() and storage_of(tensor) not in self._storages:
                name = self.name(tensor)
                raise TraceError(f"the forward pass replaces the data of the {self.kind_of(name)} {name!r}")

    def check_attributes(self, model: nn.Module) -> None:
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


def _is_zero_one(buffer: Tensor) -> bool:
    """Tell whether a buffer holds zeros and ones, and is no single number; without values it is not known to."""
    return buffer.ndim > 0 and not buffer.is_meta and bool(((buffer == 0) | (buffer == 1)).all())


def _whole_masks(model: nn.Module) -> set[str]:
    """Return the names of buffers of truth values, or whole numbers, that may mask a parameter of their module.

    That is, of zeros and ones, some of them ones as counters are not at first, and of a parameter's shape but for axes
    along which they are the same.
    """
    return {
        f"{prefix}{'.' * bool(prefix)}{name}"
        for prefix, module in model.named_modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not buffer.is_floating_point()
        and not buffer.is_complex()
        and _is_zero_one(buffer)
        and bool(buffer.any())
        and any(_covers(buffer.shape, parameter.shape) for parameter in module.parameters())
    }


def _covers(shape: Sequence[int], whole: Sequence[int]) -> bool:
    return len(shape) == len(whole) and all(size in (1, full) for size, full in zip(shape, whole, strict=True))


def _check_parameters(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise TraceError(f"the parameter {name!r} has no shape yet: run the model once before saving it")
        if not parameter.is_floating_point() and not parameter.is_complex():
            raise TraceError(f"the parameter {name!r} is of type {parameter.dtype}, which has no rule")
