"""Where units show in what modules put out: after the norm layer whose gains they have, or where they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from landscape_cli.binary.layers import SignConv2d, SignLinear
from landscape_cli.forward.parts import made_of_parts
from landscape_cli.symmetry import Axis, PermutationGroup, Places, Role, Symmetry

CHANNELS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, SignConv2d)
"""Modules whose outputs have their units along axis 1; those of other known ones have them along the last."""
LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, SignLinear)


@dataclass(frozen=True)
class Flips:
    """The sign group whose flips show in activations.

    Attributes:
        group: its name.
        size: how many units it has.
        units: its unit at every place, int64.
    """

    group: str
    size: int
    units: Tensor


Activations = tuple[Tensor, Flips | None, bool]
"""Of units at one place: their values, shape (samples, units), their flips, and whether a joint sign may show."""


@dataclass(frozen=True)
class UnitOutputs:
    """Outputs of one module that show the units of a group.

    Attributes:
        module: its name.
        dim: the axis of its output that the units are on.
        table: the units' places there, shape (units, places).
        flips: the sign group whose flips show there, if any.
        joint: whether a sign that several units have in common may show there.
        start: where the places begin in the tensor that the module's is joined to, if it is; flips' count from there.
        beside: outputs of other modules, that show the units after these.
        order: where the units are among these and those beside, shape (units,).
    """

    module: str
    dim: int
    table: Tensor
    flips: Flips | None
    joint: bool
    start: int = 0
    beside: tuple[UnitOutputs, ...] = ()
    order: Tensor | None = None

    @property
    def modules(self) -> list[str]:
        """The names of all modules."""
        return [self.module, *(other.module for other in self.beside)]

    def activations(self, outputs: Mapping[str, list[Tensor]]) -> Iterator[Activations]:
        """Yield activations of shape (samples and places, units), one for each call and each of a unit's places.

        With them comes what flips them, and whether a sign that several units have in common may show.
        """
        own = self._values(outputs)
        for place, (values, flips) in enumerate(own):
            if self.order is not None:
                others = [other._values(outputs) for other in self.beside]
                if any(len(each) != len(own) or len(each[place][0]) != len(values) for each in others):
                    return  # as of modules that see other samples, or are called more often
                of_all = torch.cat([values, *(each[place][0] for each in others)], dim=1)
                values = of_all.index_select(1, self.order.to(of_all.device))
                every = [flips, *(each[place][1] for each in others)]
                units = [each.units for each in every if each is not None]
                whole = flips is not None and len(units) == len(every)
                flips = replace(flips, units=torch.cat(units)[self.order]) if flips is not None and whole else None
            yield values, flips, self.joint

    def _values(self, outputs: Mapping[str, list[Tensor]]) -> list[tuple[Tensor, Flips | None]]:
        """Return values of the module's own units, one for each call and each of a unit's places, and their flips."""
        found = []
        for output in outputs[self.module]:
            values = output.movedim(self.dim, -1).flatten(0, -2)
            for column in self.table.T:
                flips = None if self.flips is None else replace(self.flips, units=self.flips.units[self.start + column])
                found.append((values.index_select(1, column.to(values.device)), flips))
        return found


def find_unit_outputs(model: nn.Module, symmetry: Symmetry) -> dict[str, list[UnitOutputs]]:
    """Return for each group where its units show; a weight's units do wherever those of its parts do, as of masks."""
    modules, shapes = dict(model.named_modules()), dict(symmetry.shapes) | dict(symmetry.of_joined.shapes)
    plain = {part: made.plain for made in made_of_parts(model) for part in made.stored}
    shown = {}
    for group in symmetry.permutations:
        if group.inside:
            continue
        for role in (Role.GAIN, Role.INCOMING):
            axes = [axis for axis in group.axes if axis.role is role]
            of_axes = [_outputs_of(modules, plain, group, axis, symmetry, shapes) for axis in axes]
            if unit_outputs := [outputs for of_axis in of_axes for outputs in of_axis]:
                shown[group.name] = unit_outputs
                break
    return shown


def _outputs_of(
    modules: Mapping[str, nn.Module],
    plain: Mapping[str, str],
    units: PermutationGroup,
    axis: Axis,
    symmetry: Symmetry,
    shapes: Mapping[str, tuple[int, ...]],
) -> list[UnitOutputs]:
    """Return the outputs of the modules that own a tensor, or what it is joined of, if these are the axis' units."""
    whole = next((each for each in symmetry.joined if each.name == axis.tensor), None)
    flips = _flips(axis, symmetry, shapes)

    def of_owner(name: str, own: Axis, start: int = 0) -> list[UnitOutputs]:
        shown = _outputs_of_owner(modules, plain.get(name, name), units, own, symmetry, shapes)
        return [] if shown is None else [replace(shown, flips=flips, start=start)]

    if whole is None or whole.dim not in axis.dims:
        return [
            each for name in symmetry.tensors_of(axis.tensor) for each in of_owner(name, replace(axis, tensor=name))
        ]
    part = np.searchsorted(np.array(whole.starts), axis.places.table, side="right") - 1
    if (part != part[:, :1]).any():
        return []
    each: list[UnitOutputs] = []
    for k, (name, start) in enumerate(zip(whole.tensors, whole.starts, strict=True)):
        places = Places(axis.places.table[part[:, 0] == k] - start)
        each += of_owner(name, replace(axis, tensor=name, places=places), start)
    if len(each) < len(whole.tensors):
        return []
    order = np.argsort(np.argsort(part[:, 0], kind="stable"), kind="stable")
    return [replace(each[0], beside=tuple(each[1:]), order=torch.from_numpy(order))]


def _outputs_of_owner(
    modules: Mapping[str, nn.Module],
    tensor: str,
    units: PermutationGroup,
    axis: Axis,
    symmetry: Symmetry,
    shapes: Mapping[str, tuple[int, ...]],
) -> UnitOutputs | None:
    """Return the outputs of the module that owns a tensor, or makes it of another, if these are the axis' units."""
    name, _, parameter = tensor.rpartition(".")
    module = modules.get(name)
    if parameter != "weight" or module is None:
        return None
    writes, dim = writing_dim(module), _dim_of_units(module, len(shapes[axis.tensor]))
    if dim is None or writes is None or axis.dims != (writes,):
        return None
    joint = _has_joint_sign(units, f"{name}.bias", symmetry)
    return UnitOutputs(name, dim, torch.tensor(axis.places.table), None, joint)


def writing_dim(module: nn.Module) -> int | None:
    """Return the axis of a module's weight that its units are written along, None where that is more than one."""
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return 1 if module.groups == 1 else None
    return 0


def _dim_of_units(module: nn.Module, rank: int) -> int | None:
    """Return the axis of a module's output that its units are on, None where that is not known.

    Args:
        module: the module.
        rank: of its weight.
    """
    # torchvision's LayerNorm2d, a child of LayerNorm, keeps channels first
    if isinstance(module, CHANNELS) or (isinstance(module, nn.LayerNorm) and type(module) is not nn.LayerNorm):
        return 1
    return -1 if isinstance(module, LAST) and rank <= 2 else None


def _has_joint_sign(units: PermutationGroup, bias: str, symmetry: Symmetry) -> bool:
    """Tell whether units have a sign in common that may show in what a module puts out: it does if in its bias."""
    axes = [axis for axis in units.axes if axis.tensor == bias] or units.axes
    of_units = {(axis.tensor, axis.dims): axis for axis in axes}
    return any(
        axis.places.table.shape[1] > of_units[axis.tensor, axis.dims].places.table.shape[1]
        and axis.shares_entries_with(of_units[axis.tensor, axis.dims])
        for group in symmetry.signs
        for axis in group.axes
        if (axis.tensor, axis.dims) in of_units
    )


def _flips(axis: Axis, symmetry: Symmetry, shapes: Mapping[str, tuple[int, ...]]) -> Flips | None:
    """Return the sign group that flips these units' activations: one that also flips weights that read them."""
    for group in symmetry.signs:
        if not any(read.role is not Role.INCOMING and len(shapes[read.tensor]) > 1 for read in group.axes):
            continue
        for flipped in group.axes:
            if (flipped.tensor, flipped.dims) == (axis.tensor, axis.dims):
                units = flipped.places.unit_at(np.arange(shapes[axis.tensor][axis.dims[0]]))
                if bool((units[axis.places.table] >= 0).all()):
                    return Flips(group.name, group.size, torch.from_numpy(units))
    return None
