"""How units' activations on data correlate between two networks (Li et al., 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape_cli.binary.layers import SignConv2d, SignLinear, SignWeights, binarize
from landscape_cli.forward.functional import run_with
from landscape_cli.network import Params
from landscape_cli.symmetry import Axis, PermutationGroup, Role, Symmetry

BATCH = 64
CHANNELS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, SignConv2d)
"""Modules whose outputs have their units along axis 1; those of other known ones have them along the last."""
LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, SignLinear)


@dataclass(frozen=True)
class Correlations:
    """How the activations of a reference's units (rows) and of a network's (columns) correlate.

    Attributes:
        units: by permutation group, shape (units, units), summed over where the units show; without the sign where
            that is free.
        signs: by sign group, shape (units, units), with the sign; not where one shows besides that several units have
            in common.
    """

    units: Mapping[str, Tensor]
    signs: Mapping[str, Tensor]


@dataclass
class _Place:
    """Outputs of one module that show the units of a group.

    Attributes:
        module: its name.
        dim: the axis of its output that the units are on.
        table: the units' places there.
        flips: the sign group whose flips show there, if any, and its unit at every place.
        joint: whether a sign that several units have in common may show there.
    """

    module: str
    dim: int
    table: Tensor
    flips: tuple[str, int, Tensor] | None
    joint: bool


class _Sums:
    """Running sums of two networks' activations, from which come their correlations, in float64."""

    def __init__(self, units: int, device: torch.device) -> None:
        self.count = 0
        self.cross = torch.zeros(units, units, dtype=torch.float64, device=device)
        self.sums = [torch.zeros(units, dtype=torch.float64, device=device) for _ in range(2)]
        self.squares = [torch.zeros(units, dtype=torch.float64, device=device) for _ in range(2)]
        self.shift: list[Tensor] = []

    def add(self, one: Tensor, other: Tensor) -> None:
        """Add activations of shape (samples, units)."""
        both = [one.double(), other.double()]
        if not self.shift:  # near the mean, so that little is lost when its square is subtracted
            self.shift = [values.mean(dim=0) for values in both]
        both = [values - shift for values, shift in zip(both, self.shift, strict=True)]
        self.count += len(one)
        self.cross += both[0].T @ both[1]
        for k, values in enumerate(both):
            self.sums[k] += values.sum(dim=0)
            self.squares[k] += (values**2).sum(dim=0)

    def correlation(self) -> Tensor:
        """Return the correlations, shape (units, units); a unit that never changes correlates 0 with all."""
        means = [total / self.count for total in self.sums]
        spreads = []
        for mean, square in zip(means, self.squares, strict=True):
            mean_square = square / self.count
            variance = mean_square - mean**2
            spreads.append(torch.where(variance > 1e-12 * mean_square, variance, 0.0).sqrt())
        covariance = self.cross / self.count - means[0][:, None] * means[1][None]
        norms = spreads[0][:, None] * spreads[1][None]
        return torch.where(norms > 0, covariance / norms, 0.0)


@torch.no_grad()
def unit_correlations(
    model: nn.Module,
    reference: Params,
    params: Params,
    symmetry: Symmetry,
    inputs: Tensor,
    *,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> Correlations:
    """Return how the activations of the reference's units (rows) and of the network's (columns) correlate.

    Units show in the outputs of the modules that own their gains (after a norm layer), or, where there are none,
    their incoming weights; correlations are summed over them. Over samples and over all places of an image or
    sequence alike. Of a binary layer's outputs the signs count, which are what its units become.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        reference: one network.
        params: the other.
        symmetry: the symmetry of both.
        inputs: shape (samples, ...).
        device: where to compute.
        advance: called with the number of samples done, for a progress bar.

    Returns:
        The correlations, float64, on the CPU. Groups whose units show in no module's output are missing: those of
        blocks, and those that bare parameters or several projections in one write.
    """
    model.eval()
    places = _places(model, symmetry)
    networks = [{name: tensor.to(device) for name, tensor in network.items()} for network in (reference, params)]
    dtype = next(tensor.dtype for tensor in params.values() if tensor.is_floating_point())
    sums: dict[str, list[_Sums]] = {}
    flips: dict[str, list[tuple[tuple[str, int, Tensor] | None, bool]]] = {}
    for batch in inputs.split(BATCH):
        x = batch.to(device, dtype)
        shown = [_outputs(model, network, x, places) for network in networks]
        for name, found in places.items():
            views = [[view for place in found for view in _views(outputs, place)] for outputs in shown]
            if views[0]:
                mine = sums.setdefault(name, [_Sums(view.shape[1], view.device) for view, *_ in views[0]])
                flips[name] = [(flip, joint) for _, flip, joint in views[0]]
                for total, (one, *_), (other, *_) in zip(mine, *views, strict=True):
                    total.add(one, other)
        if advance is not None:
            advance(len(x))
    units: dict[str, Tensor] = {}
    signs: dict[str, Tensor] = {}
    for name, totals in sums.items():
        for total, (flip, joint) in zip(totals, flips[name], strict=True):
            score = total.correlation().cpu()
            if joint:
                score = score.abs()
            elif flip is not None:
                group, size, owners = flip
                known = signs.setdefault(group, torch.zeros(size, size, dtype=torch.float64))
                known.index_put_((owners[:, None], owners[None]), score, accumulate=True)
                score = score.abs()
            units[name] = units[name] + score if name in units else score
    return Correlations(units, signs)


def _places(model: nn.Module, symmetry: Symmetry) -> dict[str, list[_Place]]:
    """Return for each group where its units show."""
    modules, shapes = dict(model.named_modules()), dict(symmetry.shapes)
    result = {}
    for group in symmetry.permutations:
        if group.inside:
            continue
        for role in (Role.GAIN, Role.INCOMING):
            axes = [axis for axis in group.axes if axis.role is role]
            found = [place for axis in axes if (place := _place(modules, group, axis, symmetry, shapes)) is not None]
            if found:
                result[group.name] = found
                break
    return result


def _place(
    modules: Mapping[str, nn.Module],
    units: PermutationGroup,
    axis: Axis,
    symmetry: Symmetry,
    shapes: Mapping[str, tuple[int, ...]],
) -> _Place | None:
    name, _, parameter = axis.tensor.rpartition(".")
    module = modules.get(name)
    if parameter != "weight" or len(axis.dims) != 1 or module is None:
        return None
    own = 0
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        own = 1
        if module.groups > 1:
            return None
    if axis.dims != (own,):
        return None
    # torchvision's LayerNorm2d, a child of LayerNorm, keeps channels first
    if isinstance(module, CHANNELS) or (isinstance(module, nn.LayerNorm) and type(module) is not nn.LayerNorm):
        dim = 1
    elif isinstance(module, LAST) and len(shapes[axis.tensor]) <= 2:
        dim = -1
    else:
        return None
    table = torch.tensor(axis.places.table)
    return _Place(name, dim, table, _flips(axis, symmetry, shapes), _has_joint_sign(units, f"{name}.bias", symmetry))


def _has_joint_sign(units: PermutationGroup, bias: str, symmetry: Symmetry) -> bool:
    """Tell whether units have a sign in common that may show in what a module puts out: it does if in its bias."""
    known = [axis for axis in units.axes if axis.tensor == bias] or units.axes
    of_units = {(axis.tensor, axis.dims): axis.places.table for axis in known}
    return any(
        other.places.table.shape[1] > of_units[other.tensor, other.dims].shape[1]
        and bool(np.isin(other.places.table, of_units[other.tensor, other.dims]).any())
        for group in symmetry.signs
        for other in group.axes
        if (other.tensor, other.dims) in of_units
    )


def _flips(axis: Axis, symmetry: Symmetry, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, int, Tensor] | None:
    """Return the sign group that flips these units' activations: one that also flips weights that read them."""
    for group in symmetry.signs:
        reads = any(other.role is not Role.INCOMING and len(shapes[other.tensor]) > 1 for other in group.axes)
        for other in group.axes:
            if reads and (other.tensor, other.dims) == (axis.tensor, axis.dims):
                owners = torch.full((shapes[axis.tensor][axis.dims[0]],), -1)
                table = torch.tensor(other.places.table)
                owners[table.flatten()] = torch.arange(len(table)).repeat_interleave(table.shape[1])
                if bool((owners[torch.tensor(axis.places.table)] >= 0).all()):
                    return group.name, group.size, owners
    return None


def _outputs(
    model: nn.Module, params: Params, x: Tensor, places: Mapping[str, list[_Place]]
) -> dict[str, list[Tensor]]:
    """Return what the modules put out, call by call."""
    found: dict[str, list[Tensor]] = {place.module: [] for group in places.values() for place in group}
    with _hooks(model, found):
        run_with(model, params, x)
    return found


@contextmanager
def _hooks(model: nn.Module, found: dict[str, list[Tensor]]) -> Iterator[None]:
    modules = dict(model.named_modules())

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):  # a copy: what follows may work in place
                found[name].append(binarize(output) if isinstance(module, SignWeights) else output.clone())

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in found]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _views(
    outputs: Mapping[str, list[Tensor]], place: _Place
) -> Iterator[tuple[Tensor, tuple[str, int, Tensor] | None, bool]]:
    """Yield activations of shape (samples and places, units), one for each of a unit's places and each call.

    With them comes the sign group that flips them, its size, and its unit for each of theirs; and whether a sign that
    several units have in common may show.
    """
    for output in outputs[place.module]:
        values = output.movedim(place.dim, -1).flatten(0, -2)
        for column in place.table.T:
            flips = None
            if place.flips is not None:
                group, size, owners = place.flips
                flips = group, size, owners[column]
            yield values.index_select(1, column.to(values.device)), flips, place.joint
