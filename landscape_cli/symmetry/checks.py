"""That a symmetry is one, and of the network at hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_tensors
from landscape_cli.errors import GeometryError, Remark, listed
from landscape_cli.network import Params
from landscape_cli.symmetry.spec import Symmetry


def check_symmetry(symmetry: Symmetry, *networks: Params) -> None:
    """Check that a symmetry is one, and that networks have the tensors that it speaks of.

    Raises:
        GeometryError: if not, naming a tensor.
        ModelError: if a network is no tensors by name.
    """
    check_kind("symmetry", symmetry, Symmetry, "give what trace_symmetry returns", GeometryError)
    for network in networks:
        check_tensors(network)
        for name, shape in symmetry.shapes:
            if name not in network or tuple(network[name].shape) != tuple(shape):
                there = f"is {tuple(network[name].shape)}" if name in network else "is missing"
                raise GeometryError(
                    f"the symmetry is of another model than the network: {name} {there}, expected {tuple(shape)}; "
                    "derive that of its own model by trace_symmetry"
                )


def tell_of_buffers(before: Params, after: Params, symmetry: Symmetry, *, stacklevel: int) -> None:
    """Remark on saved buffers, such as tables of positions and filters, that went with units.

    Warns:
        Remark: naming them.
    """
    moved = [repr(name) for name in symmetry.buffers if not torch.equal(before[name], after[name])]
    if moved:
        what, them = ("the buffer", "it") if len(moved) == 1 else ("the buffers", "them")
        warnings.warn(
            f"{what} {listed(moved)} went with the units: use what is written as a whole, with {them}, and do not let "
            f"the model's code make {them} anew",
            Remark,
            stacklevel + 1,
        )


def check_units(name: str, values: Mapping[str, Tensor], sizes: Mapping[str, int]) -> None:
    """Check that there is one number a unit for groups that there are.

    Args:
        name: the parameter.
        values: the numbers by group, shape (units,) each.
        sizes: how many units each group has.

    Raises:
        GeometryError: naming the group.
    """
    check_kind(name, values, Mapping, "give tensors by the names of groups", GeometryError)
    for group, numbers in values.items():
        if group not in sizes:
            raise GeometryError(f"`{name}=`: there is no group {group!r} here: choose {', '.join(sizes) or 'none'}")
        if not isinstance(numbers, Tensor) or tuple(numbers.shape) != (sizes[group],):
            there = f"shape {tuple(numbers.shape)}" if isinstance(numbers, Tensor) else f"a {type(numbers).__name__}"
            raise GeometryError(
                f"`{name}=`: the group {group!r} has {sizes[group]} units, so give a tensor of shape "
                f"({sizes[group]},), not {there}"
            )
