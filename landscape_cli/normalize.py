"""One representative per function: the canonical form that removes every free scale (SPEC 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_cli.checkpoint import Params
from landscape_cli.errors import GeometryError
from landscape_cli.symmetry import Role, ScaleGroup, Symmetry, rescale, unit_rows


@dataclass(frozen=True)
class Normalization:
    """A normalised network, and what it took.

    Attributes:
        params: the normalised network, in the dtype of the original.
        output_factor: the positive factor by which its outputs differ from the original's.
        degenerate: for each group that has them, the units without incoming weights.
    """

    params: Params
    output_factor: float
    degenerate: Mapping[str, tuple[int, ...]]


def normalize(params: Params, symmetry: Symmetry, *, keep_last_layer: bool = False) -> dict[str, Tensor]:
    """Return the normalised network: hidden units on unit spheres, the last layer on one of radius √outputs.

    See `normalization`, which also tells what it took.
    """
    return dict(normalization(params, symmetry, keep_last_layer=keep_last_layer).params)


def normalization(params: Params, symmetry: Symmetry, *, keep_last_layer: bool = False) -> Normalization:
    """Normalise a network (Pittorino et al., 2022, algorithm 1; SPEC 2), computing in float64.

    From the input upward, each hidden unit's incoming weights and bias are divided by the norm of the weights,
    and its outgoing weights multiplied by it. The last layer, weights and biases, is multiplied by √outputs / norm.
    A unit without incoming weights keeps its zeros; its bias, if any, takes the place of the weights.

    Args:
        params: the network, any floating-point dtype.
        symmetry: its symmetry.
        keep_last_layer: leave the last layer as it is: then the outputs, and so the loss, are unchanged.

    Raises:
        GeometryError: if the last layer is zero, or a tensor is not finite.
    """
    for name, tensor in params.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise GeometryError(f"the tensor {name!r} holds NaN or Inf: this network cannot be normalised")
    work = {n: t.double() if t.is_floating_point() else t for n, t in params.items()}
    degenerate: dict[str, tuple[int, ...]] = {}
    factor = 1.0
    for position, group in enumerate([*symmetry.scales, None]):
        if position == symmetry.output_after and symmetry.output and not keep_last_layer:
            factor = _last_layer_factor(work, symmetry)
            work = rescale(work, symmetry, {}, output=factor)
        if group is None or not group.writers:
            continue
        writer = group.writers[0]
        norms = unit_rows(work[writer.tensor], writer, group.size).norm(dim=1)
        zero = norms == 0
        if bool(zero.any()):
            degenerate[group.name] = tuple(zero.nonzero().flatten().tolist())
            norms = torch.where(zero, _bias_norms(work, group), norms)
            norms = torch.where(norms == 0, torch.ones_like(norms), norms)
        work = rescale(work, symmetry, {group.name: 1 / norms})
    result = {name: tensor.to(params[name].dtype) for name, tensor in work.items()}
    return Normalization(result, factor, degenerate)


def _bias_norms(params: Mapping[str, Tensor], group: ScaleGroup) -> Tensor:
    """Return the norm of what else each unit brings with it that scales as its weights do."""
    total = torch.zeros(group.size, dtype=torch.float64, device=next(iter(params.values())).device)
    for scaled in group.axes:
        if scaled.axis.role is Role.FOLLOWER and scaled.power == 1:
            total += unit_rows(params[scaled.axis.tensor], scaled.axis, group.size).square().sum(dim=1)
    return total.sqrt()


def _last_layer_factor(params: Mapping[str, Tensor], symmetry: Symmetry) -> float:
    weights = [scaled.axis for scaled in symmetry.output if scaled.axis.role is Role.INCOMING and scaled.power == 1]
    if not weights:
        return 1.0
    weight = params[weights[0].tensor]
    norm = float(weight.norm())
    if norm == 0:
        raise GeometryError(
            f"the last layer {weights[0].tensor!r} is zero, so it has no direction: use --keep-last-layer"
        )
    return math.sqrt(weight.shape[weights[0].dim]) / norm
